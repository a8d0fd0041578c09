//! Words are held to their rooms: where a line of code lives follows from the nouns that it says.

use std::path::{Path, PathBuf};

/// A word, the folder in which it is a room's own, and the files there that may say it.
const ROOMS: &[(&str, &str, &[&str])] = &[
    ("zeromq", "kernel/src", &["wire.rs", "wire/"]),
    ("hmac", "kernel/src", &["wire.rs", "wire/"]),
    ("evcxr::", "kernel/src", &["session.rs", "session/"]),
    ("ra_ap_ide", "kernel/src", &["analyzer.rs", "analyzer/"]),
    ("ra_ap_hir", "kernel/src", &["analyzer.rs", "analyzer/"]),
    (
        "rustc",
        "kernel/src",
        &["toolchain.rs", "toolchain/", "install.rs", "install/"],
    ),
    ("rpath", "kernel/src", &["toolchain/"]),
    ("execution_count", "kernel/src", &["server.rs", "server/"]),
    ("candle", "kernel/src", &["toolchain/graph.rs"]),
    ("zeromq", "prelude", &[]),
    ("evcxr::", "prelude", &[]),
    ("<span", "prelude/src", &["display.rs", "display/"]),
    ("colorbar", "prelude/src", &["display.rs", "display/"]),
    (
        "hf_hub",
        "prelude/src",
        &[
            "model/load/",
            "model/load.rs",
            "error.rs",
            "error/",
            "lib.rs",
            "prelude.rs",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the project's folder")
        .to_owned()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder)
        .expect("a folder of the project")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The lines that are code, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line))
}

#[test]
fn words_stay_in_their_rooms() {
    let mut strays = Vec::new();
    for (word, folder, rooms) in ROOMS {
        let folder = root().join(folder);
        let mut files = Vec::new();
        rust_files(&folder, &mut files);
        assert!(!files.is_empty(), "{} holds no Rust", folder.display());
        for file in files {
            let name = file
                .strip_prefix(&folder)
                .expect("a file below")
                .to_string_lossy()
                .into_owned();
            if rooms
                .iter()
                .any(|room| name == *room || (room.ends_with('/') && name.starts_with(room)))
            {
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("a readable file");
            strays.extend(
                code(&text)
                    .filter(|(_, line)| line.contains(word))
                    .map(|(at, line)| {
                        format!("{}:{at}: `{word}` in {}", file.display(), line.trim())
                    }),
            );
        }
    }
    assert!(
        strays.is_empty(),
        "words outside their rooms:\n{}",
        strays.join("\n")
    );
}

#[test]
fn the_rooms_exist() {
    for (word, folder, rooms) in ROOMS {
        for room in *rooms {
            let path = root().join(folder).join(room);
            let named = ["error/", "model/load.rs", "error.rs"].contains(room);
            assert!(
                named || path.exists(),
                "{} of `{word}` is gone",
                path.display()
            );
        }
    }
}

#[test]
fn no_file_tells_of_the_machine_that_it_was_written_on() {
    let mut files = Vec::new();
    for folder in ["kernel", "prelude", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let homes = [concat!("/ro", "ot/"), concat!("/ho", "me/")];
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        for home in homes {
            assert!(!text.contains(home), "{} names {home}", file.display());
        }
    }
}
