//! The kernel from its connection file to its end.

use crate::assist::{Assistant, Catalogue};
use crate::bridge::{Bridge, Output};
use crate::server::{self, Parts, Server};
use crate::session::{Engine, Interrupt, Session};
use crate::toolchain::folder::SessionFolder;
use crate::toolchain::kept;
use crate::toolchain::prebuilt::Prebuilt;
use crate::wire::{Connection, Sockets};
use ferrolens_frames::Frame;
use std::path::Path;
use std::sync::Arc;

/// Tells the prelude to put plotly's library into the notebook, once, so that a page exported from
/// it draws its figures with no network. A front end that renders figures itself does not need it.
const OFFLINE_ENV: &str = "FERROLENS_OFFLINE_HTML";

/// Tells the prelude which kind of front end this kernel serves, for lines that change: `lab`,
/// `notebook`, `console`, `headless` or `unknown`.
const FRONT_END_ENV: &str = "FERROLENS_FRONT_END";

/// Serves the front end that wrote `connection_file`.
///
/// # Errors
/// One sentence with the next step, when the kernel cannot start.
pub fn run(connection_file: &Path) -> Result<(), String> {
    let connection = Connection::read(connection_file)?;
    let prebuilt = Prebuilt::find()?;
    let folder = Arc::new(SessionFolder::new()?);
    for (name, value) in folder.environment(&prebuilt)? {
        // SAFETY: no thread has been started yet, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    }
    if std::env::var_os(FRONT_END_ENV).is_none() {
        // SAFETY: as above.
        unsafe { std::env::set_var(FRONT_END_ENV, server::front_end()) };
    }
    if std::env::var_os(OFFLINE_ENV).is_none() && server::is_headless() {
        // SAFETY: as above.
        unsafe { std::env::set_var(OFFLINE_ENV, "1") };
    }
    // PUB hands messages to its subscribers in a task of its own, which must not wait for a cell.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("The kernel's threads could not be started: {error}."))?;
    let interrupt = runtime.block_on(serve(connection, prebuilt, folder.clone()))?;
    // The interpreter may still be starting, or about to compile: nobody waits for it. The child ends
    // with its pipe.
    folder.close();
    interrupt.end_all();
    folder.remove();
    // SAFETY: ends the process at once. Whatever leaves in an orderly way gives the interpreter's thread
    // time to make the folder again.
    unsafe { libc::_exit(0) }
}

async fn serve(
    connection: Connection,
    prebuilt: Prebuilt,
    folder: Arc<SessionFolder>,
) -> Result<Interrupt, String> {
    let catalogue = Catalogue::load(&prebuilt.catalogue());
    let id = uuid::Uuid::new_v4().to_string();
    let (sockets, requests) = Sockets::bind(&connection, &id).await?;
    let sockets = Arc::new(sockets);
    let (cells, inputs) = server::cells(&sockets, &id);
    let (session, tasks) = Session::new();
    let sink = {
        let (cells, session) = (cells.clone(), session.clone());
        Arc::new(move |output: Output| {
            if let Frame::Ended { cell } = output.frame {
                session.cell_has_ended(cell);
            }
            cells.take(output);
        })
    };
    let bridge = Bridge::open(&folder.socket(), sink)
        .map_err(|error| format!("The socket for cells could not be opened: {error}."))?;
    let interrupt = Interrupt::new(bridge.clone());
    {
        let (bridge, interrupt) = (bridge.clone(), interrupt.clone());
        tasks
            .serve(move || Engine::start(folder, &prebuilt, bridge, interrupt))
            .map_err(|error| format!("The interpreter's thread could not be started: {error}."))?;
    }
    // Nobody waits for it; without it the folder is too large until the next time.
    let _ = std::thread::Builder::new()
        .name("sweep".to_owned())
        .spawn(kept::sweep);
    let leaving = interrupt.clone();
    let assistant = Assistant::new(session.clone(), bridge.clone(), catalogue);
    Server::new(Parts {
        sockets,
        session,
        assistant,
        interrupt,
        bridge,
        cells,
        id,
    })
    .run(requests, inputs)
    .await;
    Ok(leaving)
}
