//! What compiles and links cells.

use super::finding::Finding;
use super::program::{first_line, output};
use crate::toolchain::prebuilt::Prebuilt;
use crate::toolchain::{front, workspace};
use std::path::Path;

pub(super) fn look() -> Vec<Finding> {
    let rustc = match front::real_tools() {
        Ok((_, rustc)) => rustc,
        Err(_) => {
            return vec![
                Finding::missing(
                    "Rust compiler",
                    "not on PATH",
                    "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
                ),
                linker(None),
            ];
        }
    };
    let version = output(&rustc, &["-vV"]).unwrap_or_default();
    let built = Prebuilt::find()
        .ok()
        .and_then(|found| found.rustc_version());
    vec![
        compiler(&version, &rustc, built.as_deref()),
        source(&rustc),
        linker(Some(&rustc)),
    ]
}

/// Metadata is readable to the compiler that wrote it only.
fn compiler(version: &str, rustc: &Path, built: Option<&str>) -> Finding {
    let first = version.lines().next().unwrap_or_default();
    if first.is_empty() {
        return Finding::missing(
            "Rust compiler",
            format!("{} does not start", rustc.display()),
            "rustup toolchain install stable",
        );
    }
    match built {
        Some(built) if built != version => {
            let release = field(built, "release: ").unwrap_or("stable");
            Finding::missing(
                "Rust compiler",
                format!(
                    "{first}, where the prelude was built by {}",
                    built.lines().next().unwrap_or("another")
                ),
                format!(
                    "rustup toolchain install {release} && rustup default {release}, or install.sh \
                     again with this compiler"
                ),
            )
        }
        Some(_) => Finding::fine("Rust compiler", format!("{first}, the prelude's own")),
        None => Finding::fine("Rust compiler", first),
    }
}

fn field<'a>(version: &'a str, name: &str) -> Option<&'a str> {
    version.lines().find_map(|line| line.strip_prefix(name))
}

fn source(rustc: &Path) -> Finding {
    const WHAT: &str = "Rust's library source";
    let read = Prebuilt::find()
        .ok()
        .and_then(|prebuilt| prebuilt.standard());
    let found = read.or_else(|| workspace::std_source(rustc));
    match found {
        Some(folder) => Finding::fine(WHAT, folder.display().to_string()),
        None => Finding::missing(
            WHAT,
            "not found: types of variables are unknown without it",
            "rustup component add rust-src",
        ),
    }
}

/// Links the smallest program that there is.
fn linker(rustc: Option<&Path>) -> Finding {
    const WHAT: &str = "linker";
    const MEND: &str = "apt-get install gcc libc6-dev, or your system's C compiler";
    let Some(version) = first_line("cc", &["--version"]) else {
        return Finding::missing(WHAT, "there is no `cc` on PATH", MEND);
    };
    let Some(rustc) = rustc else {
        return Finding::fine(WHAT, version);
    };
    let linked = tempfile::tempdir().ok().and_then(|folder| {
        let source = folder.path().join("nothing.rs");
        std::fs::write(&source, "fn main() {}\n").ok()?;
        let program = folder.path().join("nothing");
        output(rustc, &["-o", program.to_str()?, source.to_str()?])
    });
    match linked {
        Some(_) => Finding::fine(WHAT, version),
        None => Finding::missing(
            WHAT,
            format!("{version}, which cannot link a program"),
            MEND,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::report::finding::State;

    #[test]
    fn another_compiler_than_the_preludes_is_mended_by_a_command() {
        let (old, new) = (
            "rustc 1.94.0\nrelease: 1.94.0\n",
            "rustc 1.95.0\nrelease: 1.95.0\n",
        );
        let rustc = Path::new("rustc");
        for (version, built, state, says) in [
            (new, Some(new), State::Fine, ""),
            (new, None, State::Fine, ""),
            (new, Some(old), State::Missing, "install 1.94.0"),
            ("", Some(old), State::Missing, "rustup"),
        ] {
            let found = compiler(version, rustc, built);
            assert_eq!(found.state, state, "{found:?}");
            assert!(found.mend.contains(says), "{found:?}");
        }
    }
}
