//! The history of cells, in a file that kernels share.

use ferrolens_kernel::history::HISTORY_ENV;
use ferrolens_tests::FrontEnd;
use serde_json::{Value, json};
use std::path::Path;

fn kernel(file: &Path) -> FrontEnd {
    FrontEnd::start_with(|command| {
        command.env(HISTORY_ENV, file);
    })
}

fn ask(front_end: &mut FrontEnd, request: Value) -> Value {
    front_end.ask("history_request", request)["history"].clone()
}

#[test]
fn two_kernels_and_the_next_one_share_a_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("of/a/user/history.sqlite");
    let (mut first, mut second) = (kernel(&file), kernel(&file));
    first.execute("let x = 20;").ok();
    second.execute("\"of the second\"").ok();
    first.execute("x + 1\n").ok();
    first
        .execute_with("x + 2", json!({"store_history": false}))
        .ok();
    first.execute_with("x + 3", json!({"silent": true})).ok();
    let own = ask(
        &mut first,
        json!({"hist_access_type": "range", "session": 0, "output": true}),
    );
    assert_eq!(
        own,
        json!([[0, 1, ["let x = 20;", null]], [0, 2, ["x + 1", "21"]]])
    );
    let found = ask(
        &mut first,
        json!({"hist_access_type": "search", "pattern": "*second*", "n": 5, "unique": true}),
    );
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    first.shut_down();
    second.shut_down();

    let mut third = kernel(&file);
    let tail = ask(
        &mut third,
        json!({"hist_access_type": "tail", "n": 3, "raw": true}),
    );
    let mut codes: Vec<&str> = tail
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry[2].as_str())
        .collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        ["\"of the second\"", "let x = 20;", "x + 1"],
        "{tail}"
    );
    let session = found[0][0].as_i64().expect("a number");
    let range = ask(
        &mut third,
        json!({"hist_access_type": "range", "session": session}),
    );
    assert_eq!(range, json!([[session, 1, "\"of the second\""]]));
}

#[test]
fn a_history_that_cannot_be_kept_disturbs_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("history.sqlite");
    std::fs::write(
        &file,
        "this is no database, and never was one. ".repeat(100),
    )
    .expect("a file");
    let mut front_end = kernel(&file);
    front_end.execute("1").ok();
    let tail = ask(&mut front_end, json!({"hist_access_type": "tail", "n": 3}));
    assert_eq!(tail, json!([[1, 1, "1"]]));
    front_end.shut_down();
    let text = std::fs::read_to_string(&file).expect("the file is left as it is");
    assert!(text.starts_with("this is no database"));
}
