//! The installation: is it whole, does it load, was it built for a graphics processor?

use super::finding::Finding;
use crate::toolchain::prebuilt::Prebuilt;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::io::Read;
use std::path::Path;

/// A word of the crate that talks to NVIDIA's driver.
const CUDA: &[u8] = b"cudarc";

pub(super) fn look() -> Vec<Finding> {
    const WHAT: &str = "prelude";
    let prebuilt = match Prebuilt::find() {
        Ok(prebuilt) => prebuilt,
        Err(sentence) => {
            return vec![Finding::missing(WHAT, sentence, "./install.sh")];
        }
    };
    let folder = prebuilt.folder().display().to_string();
    let loads = match load(&prebuilt) {
        Ok(()) => Finding::fine(
            WHAT,
            format!(
                "{folder}{}",
                if is_writable(prebuilt.folder()) {
                    ""
                } else {
                    ", shared and read-only"
                }
            ),
        ),
        Err(why) => Finding::missing(
            WHAT,
            format!("{folder} cannot be loaded: {why}"),
            "./install.sh",
        ),
    };
    vec![loads]
}

/// Whether the library was built for NVIDIA's graphics processors.
pub(super) fn has_cuda() -> bool {
    Prebuilt::find()
        .ok()
        .and_then(|found| std::fs::File::open(found.library()).ok())
        .is_some_and(|library| holds(library, CUDA))
}

fn holds(mut file: impl Read, word: &[u8]) -> bool {
    let mut window = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = file.read(&mut buffer) {
        window.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if window.windows(word.len()).any(|at| at == word) {
            return true;
        }
        // A word may lie across two pieces.
        window.drain(..window.len().saturating_sub(word.len()));
    }
    false
}

/// Loads it as the process that runs cells does.
fn load(prebuilt: &Prebuilt) -> Result<(), String> {
    let mut libraries = Vec::new();
    let beside = std::fs::read_dir(prebuilt.folder()).map_err(|error| error.to_string())?;
    for entry in beside.flatten() {
        if entry.file_name().to_string_lossy().starts_with("libstd-") {
            libraries.push(entry.path());
        }
    }
    libraries.push(prebuilt.library());
    for path in libraries {
        // SAFETY: the installation's own libraries; their initialisers are Rust's.
        let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) }
            .map_err(|error| error.to_string())?;
        // Its threads and destructors may outlive this report.
        std::mem::forget(library);
    }
    Ok(())
}

pub(super) fn is_writable(folder: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(name) = std::ffi::CString::new(folder.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: the pointer is that of a string with a zero at its end, which lives until the call
    // returns.
    unsafe { libc::access(name.as_ptr(), libc::W_OK) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_across_two_pieces() {
        let mut bytes = vec![b'x'; (1 << 20) - 3];
        bytes.extend_from_slice(b"cudarc");
        assert!(holds(bytes.as_slice(), CUDA));
        bytes.truncate((1 << 20) + 2);
        assert!(!holds(bytes.as_slice(), CUDA));
    }
}
