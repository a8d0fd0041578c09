use ferrolens_tests::FrontEnd;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn displays_and_text_arrive_in_order() {
    let mut front_end = FrontEnd::start();
    let reply = front_end
        .execute(
            "println!(\"one\");\ndisplay(Html(\"<b>two</b>\"));\nprintln!(\"three\");\n\
             display(Markdown(\"*four*\"));\nprint!(\"five\");\n6",
        )
        .ok();
    let shown: Vec<String> = reply
        .outputs
        .messages
        .iter()
        .map(|message| match message.kind() {
            "stream" => message.content["text"]
                .as_str()
                .unwrap_or("")
                .trim()
                .to_owned(),
            _ => ["text/html", "text/markdown", "text/plain"]
                .iter()
                .find_map(|mime| message.content["data"][mime].as_str())
                .unwrap_or("")
                .to_owned(),
        })
        .collect();
    assert_eq!(shown, ["one", "<b>two</b>", "three", "*four*", "five", "6"]);
}

#[test]
fn text_without_a_newline_appears_while_the_cell_runs() {
    let mut front_end = FrontEnd::start();
    front_end.execute("use std::time::Duration;").ok();
    let started = Instant::now();
    let cell = front_end.submit(
        "for i in 0..3 { print!(\"\\r{i}0 %\"); std::thread::sleep(Duration::from_millis(700)); }\neprintln!(\"aside\");",
        json!({}),
    );
    let first = front_end.wait_for(&cell, "stream");
    let heard = started.elapsed();
    assert_eq!(first.content["text"], "\r00 %");
    let reply = front_end.collect(&cell).ok();
    assert!(
        started.elapsed() - heard > Duration::from_millis(1_200),
        "it came with the cell's end"
    );
    assert_eq!(reply.outputs.text("stdout"), "\r00 %\r10 %\r20 %");
    assert_eq!(reply.outputs.text("stderr"), "aside\n");
}

#[test]
fn nothing_that_a_cell_prints_is_a_control_line() {
    let mut front_end = FrontEnd::start();
    let reply = front_end
        .execute(
            "print!(\"abc\");\nprintln!(\"EVCXR_EXECUTION_COMPLETE\");\nprintln!(\"EVCXR_PANIC_NOTIFICATION\");\n\
             println!(\"EVCXR_BEGIN_CONTENT text/plain\");\nlet after = 5;",
        )
        .ok();
    let text = reply.outputs.text("stdout");
    for line in [
        "abcEVCXR_EXECUTION_COMPLETE",
        "EVCXR_PANIC_NOTIFICATION",
        "EVCXR_BEGIN_CONTENT text/plain",
    ] {
        assert!(text.contains(line), "{text:?}");
    }
    assert_eq!(front_end.execute("after").ok().outputs.result(), "5");

    let bytes = "use std::io::Write;\nstd::io::stdout().write_all(b\"a\\xffb\")?;";
    assert_eq!(
        front_end.execute(bytes).ok().outputs.text("stdout"),
        "a\u{fffd}b"
    );
    assert_eq!(front_end.execute("1 + 1").ok().outputs.result(), "2");

    // A process that a cell starts writes past the child; it is not lost either.
    let process =
        "std::process::Command::new(\"sh\").args([\"-c\", \"echo out; echo err >&2\"]).status()?;";
    let reply = front_end.execute(process).ok();
    assert_eq!(
        (reply.outputs.text("stdout"), reply.outputs.text("stderr")),
        ("out\n".to_owned(), "err\n".to_owned())
    );
    // Standard input is not the engine's pipe.
    let reply = front_end
        .execute("let mut line = String::new(); std::io::stdin().read_line(&mut line)?")
        .ok();
    assert_eq!(reply.outputs.result(), "0");
}

#[test]
fn evcxrs_own_markers_display_also_glued_to_text() {
    let mut front_end = FrontEnd::start();
    let reply = front_end
        .execute("print!(\"glued\");\nprintln!(\"EVCXR_BEGIN_CONTENT text/html\\n<i>x</i>\\nEVCXR_END_CONTENT\");\nprintln!(\"after\");")
        .ok();
    assert_eq!(reply.outputs.text("stdout"), "gluedafter\n");
    let shown: Vec<&Value> = reply.outputs.of("display_data").collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["data"]["text/html"], "<i>x</i>");
}

#[test]
fn a_flood_is_complete_and_few_messages() {
    let mut front_end = FrontEnd::start();
    let reply = front_end
        .execute("for i in 0..200_000 { println!(\"{i}\"); }")
        .ok();
    let messages = reply.outputs.of("stream").count();
    let text = reply.outputs.text("stdout");
    let expected: String = (0..200_000).map(|i| format!("{i}\n")).collect();
    let same = text
        .bytes()
        .zip(expected.bytes())
        .take_while(|(a, b)| a == b);
    assert!(
        text == expected,
        "{} bytes of {} arrived in {messages} messages, the first {} as they were printed; then: {:?}",
        text.len(),
        expected.len(),
        same.count(),
        reply.outputs.text("stderr"),
    );
    assert!(messages <= 1_000, "{messages} messages");
}

#[test]
fn a_display_of_50_megabytes_arrives_whole() {
    let mut front_end = FrontEnd::start();
    let reply = front_end
        .execute("display(Html(\"x\".repeat(50_000_000)));")
        .ok();
    let shown: Vec<&Value> = reply.outputs.of("display_data").collect();
    assert_eq!(
        shown[0]["data"]["text/html"].as_str().map(str::len),
        Some(50_000_000)
    );
}

#[test]
fn a_thread_that_outlives_its_cell_writes_to_that_cell() {
    let mut front_end = FrontEnd::start();
    front_end.execute("use std::{thread, time::Duration};").ok();
    let first = front_end.submit(
        "thread::spawn(|| { thread::sleep(Duration::from_millis(1500)); println!(\"late\"); });",
        json!({}),
    );
    let reply = front_end.collect(&first).ok();
    assert_eq!(reply.outputs.text("stdout"), "");
    let second = front_end
        .execute("thread::sleep(Duration::from_millis(2500)); println!(\"own\");")
        .ok();
    assert_eq!(second.outputs.text("stdout"), "own\n");
    let late = front_end.wait_for(&first, "stream");
    assert_eq!(late.content["text"], "late\n");
    front_end.forget();
}

#[test]
fn a_subscriber_that_stops_reading_freezes_nobody() {
    use std::io::{Read, Write};
    let mut front_end = FrontEnd::start();
    let connection: Value = serde_json::from_str(
        &std::fs::read_to_string(front_end.connection_file()).expect("the test's own file"),
    )
    .expect("JSON");
    // A subscriber by hand: greeting, READY, a subscription to everything, and never a read again.
    let address = (
        "127.0.0.1",
        u16::try_from(connection["iopub_port"].as_u64().expect("a port")).expect("a port"),
    );
    let mut stuck = std::net::TcpStream::connect(address).expect("a listener");
    let mut greeting = vec![0_u8; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    stuck.write_all(&greeting).expect("a listener");
    stuck.read_exact(&mut [0_u8; 64]).expect("a greeting");
    stuck
        .write_all(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")
        .expect("a listener");
    stuck.write_all(b"\x00\x01\x01").expect("a listener");
    let code = "let line = \"x\".repeat(100_000); for _ in 0..400 { println!(\"{line}\"); }";
    let reply = front_end.execute(code).ok();
    assert_eq!(reply.outputs.text("stdout").len(), 400 * 100_001);
    assert_eq!(front_end.execute("1").ok().outputs.result(), "1");
}

#[test]
fn a_cell_can_ask_for_a_line() {
    let mut front_end = FrontEnd::start();
    let cell = front_end.submit(
        "let name = input(\"Name? \")?;",
        json!({"allow_stdin": true}),
    );
    let question = front_end.answer_input("Ada é");
    assert_eq!(question, json!({"prompt": "Name? ", "password": false}));
    front_end.collect(&cell).ok();
    assert_eq!(front_end.execute("name").ok().outputs.result(), "\"Ada é\"");
    // With nobody to ask, the cell fails at once instead of waiting.
    let reply = front_end.execute("input(\"Name? \")?").failed();
    assert!(reply.traceback().contains("input"), "{}", reply.traceback());
}
