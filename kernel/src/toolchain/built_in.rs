//! The crates that a cell can name without adding them: those that the prelude re-exports.

/// Where they are re-exported.
const LIBRARY: &str = include_str!("../../../prelude/src/lib.rs");

/// Where their versions stand.
const MANIFEST: &str = include_str!("../../../Cargo.toml");

/// Their names as a cell writes them, with their versions.
pub fn crates() -> impl Iterator<Item = (&'static str, &'static str)> {
    let names = LIBRARY
        .split_once("pub use {")
        .and_then(|(_, rest)| rest.split_once("};"))
        .map_or("", |(names, _)| names);
    names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .chain(std::iter::once("ferrolens"))
        .map(|name| (name, version(name)))
}

fn version(name: &str) -> &'static str {
    MANIFEST
        .lines()
        .find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim().replace('-', "_") == name).then_some(value)
        })
        .and_then(|value| {
            let value = value.split_once("version").map_or(value, |(_, rest)| rest);
            value.split('"').nth(1)
        })
        // A path stands where the project's own crates have their versions.
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::crates;

    #[test]
    fn every_crate_has_a_version() {
        let found: Vec<_> = crates().collect();
        for name in ["polars", "plotly", "tokenizers", "serde_json", "ferrolens"] {
            assert!(
                found.iter().any(|(known, _)| *known == name),
                "{name}: {found:?}"
            );
        }
        for (name, version) in found {
            assert!(
                version.contains(|c: char| c.is_ascii_digit()),
                "{name} {version}"
            );
        }
    }
}
