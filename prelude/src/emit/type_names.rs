//! Names of types as a reader knows them.

use crate::error::with_next_step;

/// The name of a type in the words of its user: `candle_core::error::Error` becomes
/// `candle_core::Error`, `alloc::string::String` becomes `String`.
pub(super) fn short(full: &str) -> String {
    let mut out = String::new();
    let mut path = String::new();
    for character in full.chars() {
        if character.is_alphanumeric() || character == '_' || character == ':' {
            path.push(character);
        } else {
            out.push_str(&short_path(&path));
            path.clear();
            out.push(character);
        }
    }
    out.push_str(&short_path(&path));
    out
}

/// The name and the message of an error of which only `Debug` is known.
pub(crate) fn failure<E: std::fmt::Debug>(error: &E) -> (String, String) {
    let value = with_next_step(format!("{error:?}"));
    let was_interrupted = value.contains(super::interrupt::MESSAGE);
    let name = match was_interrupted {
        true => "Interrupted".to_owned(),
        false => short(std::any::type_name::<E>()),
    };
    (name, value)
}

fn short_path(path: &str) -> String {
    let parts: Vec<&str> = path.split("::").collect();
    match parts.as_slice() {
        // `std::io::Error` and `std::fmt::Error` are one word apart.
        ["std" | "core" | "alloc", module, .., "Error"] => format!("std::{module}::Error"),
        // evcxr calls the crate of every cell `ctx`.
        ["std" | "core" | "alloc" | "ctx", .., name] => (*name).to_owned(),
        [library, _, .., name] => format!("{library}::{name}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn names_are_those_that_a_user_writes() {
        for (full, expected) in [
            ("candle_core::error::Error", "candle_core::Error"),
            ("ferrolens::error::Error", "ferrolens::Error"),
            ("std::io::error::Error", "std::io::Error"),
            ("core::num::error::ParseIntError", "ParseIntError"),
            ("alloc::string::String", "String"),
            ("&str", "&str"),
            ("ctx::MyError", "MyError"),
            (
                "alloc::boxed::Box<dyn core::error::Error + core::marker::Send>",
                "Box<dyn std::error::Error + Send>",
            ),
        ] {
            assert_eq!(short(full), expected);
        }
    }
}
