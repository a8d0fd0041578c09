//! The loop that loads and runs cells, and answers what front ends do with widgets in between.
//!
//! The engine hears that a cell is complete when the cell begins: it then knows the new variables,
//! and is free for completion while the cell runs. The kernel hears of the real end as a frame.

use super::{FOLDER_ENV, PIPES_ENV, PRELUDE_ENV, door, sleep, threads};
use ferrolens_frames::{CELL_FUNCTION, CellId, Frame, SOCKET_ENV, StreamName};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::c_void;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, mpsc};

/// The line that tells the engine that a cell's function has returned.
pub(super) const EXECUTION_COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";

/// The functions that the prelude offers its host.
struct Prelude {
    cell_begin: Option<unsafe extern "C" fn()>,
    cell_end: Option<unsafe extern "C" fn()>,
    legacy: Option<unsafe extern "C" fn(*const u8, usize, *const u8, usize)>,
    stop: Option<unsafe extern "C" fn(i32)>,
    event: Option<unsafe extern "C" fn(*const u8, usize, *const u8, usize)>,
}

/// What the main thread is to do next.
pub(super) enum Work {
    /// An order of the engine.
    Line(String),
    /// A front end did this to a comm.
    Event {
        cell: CellId,
        comm: String,
        data: String,
    },
    /// A front end closed a comm.
    Close { comm: String },
    /// The engine has closed its pipe.
    Nothing,
}

static PRELUDE: OnceLock<Prelude> = OnceLock::new();
static LEGACY: Mutex<Option<super::legacy::Legacy>> = Mutex::new(None);

/// Runs cells until the kernel closes the pipe.
pub(super) fn run() -> ! {
    let failure = match serve() {
        Ok(()) => std::process::exit(0),
        Err(failure) => failure,
    };
    eprintln!("The process that runs cells could not start: {failure}");
    std::process::exit(99);
}

fn serve() -> Result<(), String> {
    // The engine switches backtraces on; a reader of a notebook wants the message and the place.
    // SAFETY: no thread has been started yet, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var("RUST_BACKTRACE") };
    let (work, todo) = mpsc::channel();
    let orders = engine_pipes(work.clone())?;
    *LEGACY.lock().map_err(|error| error.to_string())? = Some(super::legacy::Legacy::default());
    load_prelude();
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            for line in orders.lines().map_while(Result::ok) {
                let _ = work.send(Work::Line(line));
            }
            let _ = work.send(Work::Nothing);
        })
        .map_err(|error| error.to_string())?;
    sleep::enter();
    let mut variables = std::ptr::null_mut();
    while let Ok(work) = todo.recv() {
        match work {
            Work::Line(line) => {
                let mut words = line.split(' ');
                match (words.next(), words.next(), words.next()) {
                    (Some("LOAD_AND_RUN"), Some(library), Some(function)) => {
                        variables = load_and_run(library, function, variables)?;
                    }
                    _ => return Err(format!("the engine sent `{line}`, which is no order")),
                }
            }
            Work::Event { cell, comm, data } => {
                // The engine runs no cell, so nothing here is said to it.
                enter(cell);
                tell(&comm, &data);
                end(cell);
            }
            Work::Close { comm } => tell(&comm, ""),
            Work::Nothing => break,
        }
    }
    Ok(())
}

/// Takes the engine's pipes off descriptors 0 to 2, so that a cell cannot reach them, and connects
/// to the kernel. Returns the engine's orders.
fn engine_pipes(work: mpsc::Sender<Work>) -> Result<BufReader<std::fs::File>, String> {
    let private = |fd: RawFd| -> Result<RawFd, String> {
        // SAFETY: duplicates an open descriptor; no memory is involved.
        let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) };
        if copy < 0 {
            Err(std::io::Error::last_os_error().to_string())
        } else {
            Ok(copy)
        }
    };
    let (orders, control) = (private(0)?, private(1)?);
    // The engine takes the end of its error pipe for the end of the process.
    private(2)?;
    let nothing = std::fs::File::open("/dev/null").map_err(|error| error.to_string())?;
    replace(0, nothing.as_raw_fd())?;
    if let Some((out, err)) = inherited_pipes() {
        replace(1, out)?;
        replace(2, err)?;
        // SAFETY: both are this process's own copies, of which 1 and 2 are now duplicates.
        unsafe {
            libc::close(out);
            libc::close(err);
        }
    }
    let path = std::env::var_os(SOCKET_ENV)
        .ok_or_else(|| format!("{SOCKET_ENV} is not set: a kernel starts this process"))?;
    let socket = UnixStream::connect(&path)
        .map_err(|error| format!("the kernel's socket does not answer: {error}"))?;
    door::open(socket, control, work).map_err(|error| error.to_string())?;
    // SAFETY: `orders` is this function's own fresh descriptor.
    Ok(BufReader::new(unsafe {
        std::fs::File::from_raw_fd(orders)
    }))
}

fn replace(fd: RawFd, by: RawFd) -> Result<(), String> {
    // SAFETY: duplicates an open descriptor; no memory is involved.
    if unsafe { libc::dup2(by, fd) } < 0 {
        return Err(std::io::Error::last_os_error().to_string());
    }
    Ok(())
}

fn inherited_pipes() -> Option<(RawFd, RawFd)> {
    let pipes = std::env::var(PIPES_ENV).ok()?;
    let (out, err) = pipes.split_once(',')?;
    Some((out.parse().ok()?, err.parse().ok()?))
}

/// Loads the prelude before the first cell asks for it. Without it, cells that do not use it run.
fn load_prelude() {
    let Some(path) = std::env::var_os(PRELUDE_ENV).map(PathBuf::from) else {
        return;
    };
    // The standard library that prelude and cells share lies beside it; once it is loaded, the
    // loader finds it by its name, and needs no search path.
    let beside = path
        .parent()
        .and_then(|folder| std::fs::read_dir(folder).ok());
    for entry in beside.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("libstd-") {
            load(&entry.path());
        }
    }
    let Some(library) = load(&path) else {
        return;
    };
    // SAFETY: the types are those under which the prelude's `emit` room exports these names.
    unsafe {
        if let Ok(init) = library.get::<unsafe extern "C" fn()>(b"ferrolens_prelude_init") {
            init();
        }
        if let Ok(words) = library.get::<unsafe extern "C" fn()>(b"ferrolens_prelude_words") {
            let words = *words;
            // Nobody waits for them; without the thread completion knows fewer names.
            let _ = std::thread::Builder::new()
                .name("words".to_owned())
                .spawn(move || words());
        }
        let _ = PRELUDE.set(Prelude {
            cell_begin: library
                .get(b"ferrolens_prelude_cell_begin")
                .ok()
                .map(|symbol| *symbol),
            cell_end: library
                .get(b"ferrolens_prelude_cell_end")
                .ok()
                .map(|symbol| *symbol),
            legacy: library
                .get(b"ferrolens_prelude_legacy")
                .ok()
                .map(|symbol| *symbol),
            stop: library
                .get(b"ferrolens_prelude_stop")
                .ok()
                .map(|symbol| *symbol),
            event: library
                .get(b"ferrolens_prelude_event")
                .ok()
                .map(|symbol| *symbol),
        });
    }
}

/// Loads a library of the installation for good: cells hold its code.
fn load(path: &Path) -> Option<&'static Library> {
    // SAFETY: the installation's own library; its initialisers are Rust's.
    match unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => Some(Box::leak(Box::new(library))),
        Err(error) => {
            let why = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            let sentence = format!(
                "{} could not be loaded: {why}. Run install.sh again.\n",
                path.display()
            );
            door::say(StreamName::Stderr, sentence.as_bytes());
            None
        }
    }
}

fn load_and_run(path: &str, function: &str, variables: *mut c_void) -> Result<*mut c_void, String> {
    // SAFETY: the engine compiled this library for this process.
    let library = unsafe { Library::new(path) }.map_err(|error| error.to_string())?;
    // SAFETY: the engine generates the function with this signature, whatever its name, and passes `variables` from
    // one call to the next.
    let variables = unsafe {
        let run = library
            .get::<unsafe extern "C" fn(*mut c_void) -> *mut c_void>(CELL_FUNCTION.as_bytes())
            .or_else(|_| library.get(function.as_bytes()))
            .map_err(|error| error.to_string())?;
        begin(door::announced_cell());
        run(variables)
    };
    // Variables may hold code and thread-local destructors of this library.
    std::mem::forget(library);
    // A cell without code of its own has not said it.
    door::control(EXECUTION_COMPLETE);
    if !door::lacks_variables() {
        end(door::announced_cell());
    }
    Ok(variables)
}

/// Runs what waits for a front end's doing; no data at all says that it closed the comm.
fn tell(comm: &str, data: &str) {
    if let Some(event) = PRELUDE.get().and_then(|prelude| prelude.event) {
        // SAFETY: two slices' own pointers and lengths; the function catches its own panics.
        unsafe { event(comm.as_ptr(), comm.len(), data.as_ptr(), data.len()) };
    }
}

fn begin(cell: CellId) {
    door::begin_control();
    enter(cell);
}

fn enter(cell: CellId) {
    threads::enter(cell);
    door::send(&Frame::Started { cell }, &[]);
    if let Some(cell_begin) = PRELUDE.get().and_then(|prelude| prelude.cell_begin) {
        // SAFETY: takes no arguments, and catches its own panics.
        unsafe { cell_begin() };
    }
}

fn end(cell: CellId) {
    if let Some(cell_end) = PRELUDE.get().and_then(|prelude| prelude.cell_end) {
        // SAFETY: takes no arguments, and catches its own panics.
        unsafe { cell_end() };
    }
    if let Ok(mut legacy) = LEGACY.lock()
        && let Some(legacy) = legacy.as_mut()
    {
        legacy.end_of_cell();
    }
    door::send(&Frame::Ended { cell }, &[]);
}

/// Raises the prelude's flag that loops look at, or takes it down.
pub(super) fn set_stop(raised: bool) {
    if let Some(stop) = PRELUDE.get().and_then(|prelude| prelude.stop) {
        // SAFETY: the function stores a number.
        unsafe { stop(i32::from(raised)) };
    }
}

/// Gives text to the reader of evcxr's display markers; false when it is ordinary text, which then
/// takes the ordinary way.
pub(super) fn take_text(name: StreamName, text: &[u8]) -> bool {
    if name != StreamName::Stdout {
        return false;
    }
    // A thread that writes while another one is inside a marker waits its turn; a signal handler
    // that interrupted the holder takes the ordinary way.
    let Ok(mut legacy) = LEGACY.try_lock() else {
        return false;
    };
    legacy.as_mut().is_some_and(|legacy| legacy.take(text))
}

/// Hands a value that was printed between evcxr's markers to the prelude.
pub(super) fn show_legacy(mime: &str, content: &str) {
    if let Some(legacy) = PRELUDE.get().and_then(|prelude| prelude.legacy) {
        // SAFETY: two slices' own pointers and lengths; the function catches its own panics.
        unsafe { legacy(mime.as_ptr(), mime.len(), content.as_ptr(), content.len()) };
    } else {
        door::say(StreamName::Stdout, format!("{content}\n").as_bytes());
    }
}

/// The kernel's end of the socket has closed. After a proper shutdown this process ends by itself;
/// when the kernel was killed it may be in the middle of a cell, and nobody else cleans up.
pub(super) fn kernel_is_gone() -> ! {
    if let Some(folder) = std::env::var_os(FOLDER_ENV) {
        let _ = std::fs::remove_dir_all(folder);
    }
    // SAFETY: ends the process at once, without running a cell's destructors beside the cell.
    unsafe { libc::_exit(0) };
}
