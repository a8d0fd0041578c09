//! Questions to the reader, and outputs that change.

use ferrolens_tests::FrontEnd;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_question_can_be_interrupted_and_nobody_can_be_asked_twice() {
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = vec![1, 2];").ok();
    let cell = front_end.submit(
        "let secret = password(\"Token: \")?; println!(\"{}\", secret.len());",
        json!({"allow_stdin": true}),
    );
    let question = front_end.answer_input("é12");
    assert_eq!(question, json!({"prompt": "Token: ", "password": true}));
    assert_eq!(front_end.collect(&cell).ok().outputs.text("stdout"), "4\n");

    let cell = front_end.submit(
        "println!(\"asks\"); kept.len(); let line = input(\"? \")?;",
        json!({"allow_stdin": true}),
    );
    front_end.wait_for(&cell, "stream");
    let question = front_end.question();
    assert_eq!(question.content["prompt"], "? ");
    let asked = Instant::now();
    front_end.command("interrupt_request", json!({}));
    let reply = front_end.collect(&cell).failed();
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(
        reply.content["ename"], "Interrupted",
        "{:#?}",
        reply.content
    );
    assert_eq!(front_end.execute("kept").ok().outputs.result(), "[1, 2]");
    // An answer that comes too late is for no later question.
    front_end.answer(&question, "late");
    let cell = front_end.submit("input(\"Now? \")?", json!({"allow_stdin": true}));
    assert_eq!(front_end.answer_input("now")["prompt"], "Now? ");
    assert_eq!(front_end.collect(&cell).ok().outputs.result(), "\"now\"");

    let reply = front_end.execute("password(\"Token: \")?").failed();
    assert!(
        reply.traceback().contains("nobody can be asked"),
        "{}",
        reply.traceback()
    );
    assert_eq!(front_end.execute("kept").ok().outputs.result(), "[1, 2]");
}

#[test]
fn outputs_are_replaced_and_cleared_also_by_a_later_cell() {
    let mut front_end = FrontEnd::start();
    let reply = front_end
        .execute("let handle = display(Html(\"<i>1</i>\")); handle.update(Html(\"<i>2</i>\"));")
        .ok();
    assert_eq!(
        reply.outputs.kinds(),
        ["display_data", "update_display_data"]
    );
    let shown = |reply: &ferrolens_tests::Reply, kind: &str| {
        reply.outputs.of(kind).next().expect("one of them").clone()
    };
    let first = shown(&reply, "display_data");
    let id = first["transient"]["display_id"].clone();
    assert!(id.is_string(), "{first}");
    assert_eq!(
        shown(&reply, "update_display_data")["transient"]["display_id"],
        id
    );
    let reply = front_end.execute("handle.update(Html(\"<i>3</i>\"));").ok();
    let update = shown(&reply, "update_display_data");
    assert_eq!(update["transient"]["display_id"], id);
    assert_eq!(update["data"]["text/html"], "<i>3</i>");

    let reply = front_end
        .execute("println!(\"a\"); clear_output(true); println!(\"b\"); clear_output(false);")
        .ok();
    assert_eq!(
        reply.outputs.kinds(),
        ["stream", "clear_output", "stream", "clear_output"]
    );
    let waits: Vec<bool> = reply
        .outputs
        .of("clear_output")
        .filter_map(|content| content["wait"].as_bool())
        .collect();
    assert_eq!(waits, [true, false]);
}
