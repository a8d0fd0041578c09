//! What makes cells quick changes nothing in what they do.

use ferrolens_kernel::toolchain::front::OFF_ENV;
use ferrolens_kernel::toolchain::kept::KEPT_CELLS_ENV;
use ferrolens_tests::{FrontEnd, notebook, run};
use std::path::Path;

/// How many random notebooks are run; `FERROLENS_NOTEBOOKS=300` for a thorough look.
const NOTEBOOKS: u64 = 4;
const CELLS: usize = 8;

/// The first of them; `FERROLENS_NOTEBOOKS_FROM` for others.
const SEED: u64 = 1;

#[test]
fn random_notebooks_do_the_same_with_each_shortcut_and_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let krate = added_crate(folder.path());
    let kept = folder.path().join("kept");
    let mut plain = FrontEnd::start_with(|command| {
        command.env(OFF_ENV, "0");
    });
    // Also where all other tests are run without the front.
    let mut fronted = FrontEnd::start_with(|command| {
        command.env_remove(OFF_ENV);
    });
    let mut keeping = FrontEnd::start_with(|command| {
        command.env_remove(OFF_ENV).env(KEPT_CELLS_ENV, &kept);
    });
    fronted.execute(":interruptible off").ok();
    let number = |name: &str, usual: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(usual)
    };
    let first = number("FERROLENS_NOTEBOOKS_FROM", SEED);
    for seed in first..first + number("FERROLENS_NOTEBOOKS", NOTEBOOKS) {
        let krate = (seed % 8 == 4).then_some(krate.as_path());
        let notebook = notebook(seed, CELLS, krate);
        let expected = run(&mut plain, &notebook);
        for (what, seen) in [
            (
                "one compiler, no looks in loops",
                run(&mut fronted, &notebook),
            ),
            ("compiled and kept", run(&mut keeping, &notebook)),
            ("kept before", run(&mut keeping, &notebook)),
        ] {
            for (at, cell) in notebook.iter().enumerate() {
                assert_eq!(
                    seen[at],
                    expected[at],
                    "{what} (left) and the real cargo (right), notebook {seed}, cell {at}:\n{cell}\n\nafter\n{}",
                    notebook[..at].join("\n----\n")
                );
            }
        }
    }
}

#[test]
fn what_was_compiled_once_is_not_compiled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept");
    let start = || {
        FrontEnd::start_with(|command| {
            command.env_remove(OFF_ENV).env(KEPT_CELLS_ENV, &kept);
        })
    };
    let cells = [
        "struct Own(i32);\nfn f(x: i32) -> Own { Own(x) }",
        "let a = f(3); let b = vec![1.5, 2.5];",
        "static N: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);",
        "N.fetch_add(1, std::sync::atomic::Ordering::Relaxed)",
        "N.fetch_add(1, std::sync::atomic::Ordering::Relaxed)",
        "(a.0, b.iter().sum::<f64>())",
        "b[7]",
    ];
    let run = |front_end: &mut FrontEnd| -> Vec<(String, String)> {
        cells
            .iter()
            .map(|cell| {
                let reply = front_end.execute(cell);
                let results = reply.outputs.of("execute_result");
                let results = results.map(|it| it["data"]["text/plain"].to_string());
                (results.collect(), reply.content["evalue"].to_string())
            })
            .collect()
    };
    let first = run(&mut start());
    let compiled = libraries(&kept);
    assert!(compiled > 0);
    // Statics begin anew with each library, also where it is the same.
    assert_eq!(
        (&first[3].0, &first[4].0),
        (&"\"1\"".to_owned(), &"\"1\"".to_owned())
    );
    let mut again = start();
    assert_eq!(run(&mut again), first);
    assert_eq!(libraries(&kept), compiled, "nothing new is compiled");
    // An error names the cell that was run, and not the one that was compiled.
    let reply = again.execute("b[7]").failed();
    assert!(
        reply.traceback().contains("cell [8]"),
        "{}",
        reply.traceback()
    );
    // What reads a file is compiled every time.
    let file = folder.path().join("text");
    let cell = format!("include_str!({:?})", file.display());
    for text in ["one", "two"] {
        std::fs::write(&file, text).expect("written");
        let reply = again.execute(&cell).ok();
        assert_eq!(reply.outputs.result(), format!("{text:?}"));
    }
}

fn libraries(kept: &Path) -> usize {
    let folders = std::fs::read_dir(kept).expect("cells are kept");
    folders
        .flatten()
        .flat_map(|folder| std::fs::read_dir(folder.path()).expect("a folder"))
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|it| it == "so"))
        .count()
}

/// A crate that a cell can add.
fn added_crate(folder: &Path) -> std::path::PathBuf {
    let krate = folder.join("added");
    std::fs::create_dir_all(krate.join("src")).expect("a folder");
    std::fs::write(
        krate.join("Cargo.toml"),
        "[package]\nname = \"added\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    )
    .and_then(|()| {
        let text = "pub fn answer(x: i64) -> i64 { x + 42 }\n";
        std::fs::write(krate.join("src/lib.rs"), text)
    })
    .expect("written");
    krate
}
