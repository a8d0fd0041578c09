//! `:interruptible`: a file in the session's folder tells the compiler's front.

use super::wrong;
use crate::session::engine::Engine;
use crate::session::{Cell, CellError};
use crate::toolchain::cell::UNINTERRUPTIBLE;
use ferrolens_frames::Bundle;

pub(super) fn run(
    engine: &mut Engine,
    _: &Cell,
    arguments: &str,
) -> Result<Option<Bundle>, CellError> {
    let file = engine.folder.path().join(UNINTERRUPTIBLE);
    let done = match arguments {
        "" => Ok(()),
        "off" => std::fs::write(&file, []),
        "on" => match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        other => {
            return Err(wrong(format!(
                "`{other}` is neither `on` nor `off`: write `:interruptible off`."
            )));
        }
    };
    done.map_err(|error| {
        wrong(format!(
            "The setting cannot be kept in {}: {error}. Free some space there.",
            file.display()
        ))
    })?;
    let sentence = if file.exists() {
        "Loops of cells do not look at the interrupt; what the library does still does. A second \
         interrupt ends the process with its variables."
    } else {
        "Loops of cells look at the interrupt."
    };
    Ok(Some(Bundle::from([(
        "text/plain".to_owned(),
        sentence.into(),
    )])))
}
