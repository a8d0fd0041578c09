//! `:type`: the compiler's own word for the type of an expression, which is not run.

use super::wrong;
use crate::session::engine::Engine;
use crate::session::interrupt::Phase;
use crate::session::{Cell, CellError};
use ferrolens_frames::Bundle;

/// As long as `:type `, so that messages point to what the reader wrote. Where the expression is no
/// unit, the compiler says what it is instead.
const PROBE: &str = "let()=";

/// What it says before the type.
const SAYS: &str = "this expression has type `";

pub(super) fn run(
    engine: &mut Engine,
    cell: &Cell,
    arguments: &str,
) -> Result<Option<Bundle>, CellError> {
    let expression = arguments.trim_end_matches([';', ' ']);
    if expression.is_empty() {
        return Err(wrong(
            "`:type` needs an expression, e.g. `:type vec![1, 2]`.",
        ));
    }
    let code = format!("{PROBE}{expression};");
    engine.interrupt.enter(Phase::Compiling(cell.id));
    let errors = engine.context.check(&code);
    engine.interrupt.enter(Phase::Idle);
    if engine.interrupt.was_asked() {
        return Err(CellError::plain(
            "Interrupted",
            "The question for a type was interrupted.",
        ));
    }
    let errors = errors.map_err(|error| wrong(format!("The type cannot be found: {error}.")))?;
    let mut others = Vec::new();
    let mut found = None;
    for error in errors {
        // The engine's own text around the expression is none of the reader's.
        if error.level() != "error" || !error.is_from_user_code() {
            continue;
        }
        let said = error
            .spanned_messages()
            .iter()
            .find_map(|message| message.label.split_once(SAYS))
            .and_then(|(_, rest)| rest.strip_suffix('`'))
            .map(str::to_owned);
        let of_probe = error.spanned_messages().iter().any(|message| {
            message
                .span
                .as_ref()
                .is_some_and(|span| (span.start_line, span.start_column) == (1, 4))
        });
        match said {
            Some(said) if of_probe => found = Some(said),
            _ => others.push(error),
        }
    }
    if !others.is_empty() {
        return Err(engine.describe(&cell.title, &code, &others));
    }
    let kind = match found.as_deref() {
        None => "()".to_owned(),
        // What a number is that nothing else decides.
        Some(kind) => short(&kind.replace("{integer}", "i32").replace("{float}", "f64")),
    };
    Ok(Some(Bundle::from([("text/plain".to_owned(), kind.into())])))
}

/// A type without the paths before its names.
pub(super) fn short(full: &str) -> String {
    let mut out = String::new();
    let mut path = String::new();
    for character in full.chars().chain(std::iter::once(' ')) {
        if character.is_alphanumeric() || matches!(character, '_' | ':') {
            path.push(character);
        } else {
            let colon = path.ends_with(':') && !path.ends_with("::");
            let name = path.trim_end_matches(':').rsplit("::").next();
            out.push_str(name.unwrap_or_default());
            if colon {
                out.push(':');
            }
            path.clear();
            out.push(character);
        }
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_shown_without_their_paths() {
        for (full, shown) in [
            (
                "alloc::vec::Vec<core::option::Option<i32>>",
                "Vec<Option<i32>>",
            ),
            ("&'static str", "&'static str"),
            ("(i32, std::string::String)", "(i32, String)"),
            ("[f32; 3]", "[f32; 3]"),
            ("dyn Fn(a::B) -> c::D", "dyn Fn(B) -> D"),
        ] {
            assert_eq!(short(full), shown);
        }
    }

    #[test]
    fn the_probe_takes_the_place_of_the_command() {
        assert_eq!(PROBE.len(), ":type ".len());
    }
}
