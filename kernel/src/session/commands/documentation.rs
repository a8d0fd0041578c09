//! `:doc`: what the analyzer says about a name.

use super::wrong;
use crate::session::engine::Engine;
use crate::session::{Cell, CellError};
use ferrolens_frames::Bundle;

/// What the engine says where there is nothing.
const NOTHING: &str = "No documentation found";

pub(super) fn run(
    engine: &mut Engine,
    _: &Cell,
    arguments: &str,
) -> Result<Option<Bundle>, CellError> {
    if arguments.is_empty() {
        return Err(wrong(
            "`:doc` needs a name, e.g. `:doc HookedTransformer::from_pretrained`.",
        ));
    }
    // The method of a value is found with its parenthesis, and everything else without.
    let method = format!("{arguments}(");
    for path in [arguments, method.as_str()] {
        if let Some((text, html)) = engine.context.hover_at(path, path.len()).ok()
            && text != NOTHING
        {
            return Ok(Some(Bundle::from([
                ("text/plain".to_owned(), text.trim_end().to_owned().into()),
                ("text/html".to_owned(), html.into()),
            ])));
        }
    }
    Err(wrong(format!(
        "There is no documentation for `{arguments}`. Look at the spelling, or write the whole path, \
         e.g. `:doc std::vec::Vec`."
    )))
}
