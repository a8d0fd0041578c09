//! `:dep` before the engine sees it: crates that are built in are there already, and another copy of
//! one would have other types.

use crate::toolchain::built_in;

/// What to say instead of adding a crate; `None` where it is to be added.
pub(super) fn look_at(arguments: &str) -> Option<String> {
    if arguments.is_empty() {
        let listed: Vec<String> = built_in::crates()
            .map(|(name, version)| format!("  {name} {version}").trim_end().to_owned())
            .collect();
        return Some(format!(
            "These crates are built in, and can be named as they are:\n{}\nAny other is added with \
             `:dep itertools = \"0.14\"`, from a folder with `:dep ./my_crate`; `:show_deps` lists \
             what was added.\n",
            listed.join("\n")
        ));
    }
    let (name, rest) = arguments.split_once(['=', ' ']).unwrap_or((arguments, ""));
    let name = name.trim().replace('-', "_");
    // A rename asks for a copy of its own.
    if rest.contains("package") {
        return None;
    }
    let (name, version) = built_in::crates().find(|(known, _)| *known == name)?;
    Some(format!(
        "{name} {version} is built in: `{name}::…` can be named as it is, and nothing was added. A \
         copy of another version would have other types; to have one beside it, rename it: `:dep \
         other_{name} = {{ package = \"{}\", version = \"…\" }}`.\n",
        name.replace('_', "-")
    ))
}

#[cfg(test)]
mod tests {
    use super::look_at;

    #[test]
    fn what_is_built_in_is_not_added() {
        for (arguments, says) in [
            ("", Some("polars 0.")),
            ("polars", Some("polars 0.")),
            ("serde-json = \"1\"", Some("serde_json 1 is built in")),
            (
                "polars = { version = \"0.40\", features = [\"csv\"] }",
                Some("other_polars"),
            ),
            ("mine = { package = \"polars\", version = \"0.40\" }", None),
            ("itertools = \"0.14\"", None),
            ("./folder", None),
        ] {
            match (look_at(arguments), says) {
                (Some(said), Some(says)) => assert!(said.contains(says), "{arguments}: {said}"),
                (None, None) => {}
                (said, _) => panic!("{arguments}: {said:?}"),
            }
        }
    }
}
