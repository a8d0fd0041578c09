//! `:doc`: what the analyzer says about a name.

use super::wrong;
use crate::session::engine::Engine;
use crate::session::{Cell, CellError};
use ferrolens_frames::Bundle;

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
    look_up(engine, arguments).map(Some)
}

/// What a cell of IPython's form asks for: `Vec?`, or `?Vec`. Behind the name of a variable the sign
/// is Rust's.
pub(super) fn page(engine: &mut Engine, code: &str) -> Option<Result<Bundle, CellError>> {
    let path = asked_for(code, |name| engine.held().contains_key(name))?;
    Some(look_up(engine, path))
}

fn asked_for(code: &str, is_variable: impl Fn(&str) -> bool) -> Option<&str> {
    let code = code.trim();
    let path = match code.strip_prefix('?') {
        Some(path) => path,
        None => code.strip_suffix('?').filter(|path| !is_variable(path))?,
    };
    let path = path.trim();
    let is_path = !path.is_empty()
        && path
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '!'));
    is_path.then_some(path)
}

fn look_up(engine: &mut Engine, name: &str) -> Result<Bundle, CellError> {
    // The method of a value is found with its parenthesis, and everything else without.
    let method = format!("{name}(");
    for path in [name, method.as_str()] {
        if let Some(found) = engine.meaning(path) {
            return Ok(Bundle::from([
                ("text/plain".to_owned(), found.plain.trim_end().into()),
                ("text/markdown".to_owned(), found.markdown.into()),
            ]));
        }
    }
    Err(wrong(format!(
        "There is no documentation for `{name}`. Look at the spelling, or write the whole path, \
         e.g. `:doc std::vec::Vec`."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_is_a_name_and_a_question_mark_asks() {
        for (code, path) in [
            ("Vec?", Some("Vec")),
            ("  ?model ", Some("model")),
            ("Tensor::zeros?", Some("Tensor::zeros")),
            ("println!?", Some("println!")),
            ("model?", None),
            ("f()?", None),
            ("let x = y?", None),
            ("?", None),
            ("Vec", None),
        ] {
            assert_eq!(asked_for(code, |name| name == "model"), path, "{code}");
        }
    }
}
