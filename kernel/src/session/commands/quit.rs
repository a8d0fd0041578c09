//! `:quit`: a kernel is its front end's to end.

use super::wrong;
use crate::session::engine::Engine;
use crate::session::{Cell, CellError};
use ferrolens_frames::Bundle;

pub(super) fn run(_: &mut Engine, _: &Cell, _: &str) -> Result<Option<Bundle>, CellError> {
    Err(wrong(
        "A cell cannot end its kernel: choose `Shut Down Kernel` in the menu of the front end, or \
         press Ctrl-D in a console. `:restart` gives the cells a fresh process.",
    ))
}
