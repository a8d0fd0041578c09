use ferrolens_tests::process::{children, resident_mb};
use ferrolens_tests::{FrontEnd, fuzz, installed_kernel};
use serde_json::json;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The process that runs the cells of this kernel.
fn child_of(front_end: &mut FrontEnd) -> u32 {
    children(front_end.process().id())
        .first()
        .copied()
        .expect("a kernel has a child")
}

fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn nonsense_on_every_socket_stops_nothing() {
    let mut front_end = FrontEnd::start_with(|command| {
        command.stderr(Stdio::null());
    });
    front_end.execute("let kept = 1;").ok();
    let sent = fuzz(&mut front_end, 7, Duration::from_secs(10));
    for (what, count) in [
        ("garbage", sent.garbage),
        ("damaged", sent.damaged),
        ("replayed", sent.replayed),
        ("wrongly signed", sent.wrongly_signed),
        ("strange", sent.strange),
        ("not zmq", sent.not_zmq),
    ] {
        assert!(count > 0, "nothing {what} was sent: {sent:?}");
    }
    // What it sent last may fail, and abort what stands behind it.
    let mut reply = front_end.execute("kept + 1");
    for _ in 0..20 {
        if reply.status() == "aborted" {
            reply = front_end.execute("kept + 1");
        }
    }
    assert_eq!(reply.ok().outputs.result(), "2");
    front_end.shut_down();
    front_end.forget();
}

#[test]
fn a_message_that_is_sent_again_is_not_served_again() {
    let mut front_end = FrontEnd::start();
    front_end.execute("let mut counter = 0;").ok();
    let request = ferrolens_kernel::wire::Message::caused_by(
        &json!({}),
        "test",
        "execute_request",
        &json!({"code": "counter += 1;", "silent": false, "store_history": true,
                "user_expressions": {}, "allow_stdin": false, "stop_on_error": true}),
    );
    let id = request.id().to_owned();
    for _ in 0..3 {
        let frames = request
            .to_frames(front_end.signer())
            .expect("JSON serialises");
        front_end.send_raw(frames);
    }
    front_end.collect(&id).ok();
    assert_eq!(front_end.execute("counter").ok().outputs.result(), "1");
}

#[test]
fn a_child_that_is_ended_by_somebody_else_is_replaced() {
    let mut front_end = FrontEnd::start();
    for (how, words) in [("-KILL", "killed"), ("-TERM", "signal: 15")] {
        front_end.execute("let alpha = 1;").ok();
        // While a cell runs.
        let cell = front_end.submit("print!(\"in\"); loop {}", json!({}));
        front_end.wait_for(&cell, "stream");
        signal(child_of(&mut front_end), how);
        let reply = front_end.collect(&cell).failed();
        assert_eq!(reply.content["ename"], "crash");
        let traceback = reply.traceback();
        assert!(
            traceback.contains(words) && traceback.contains("alpha"),
            "{traceback}"
        );
        assert_eq!(front_end.execute("1 + 1").ok().outputs.result(), "2");
        // While none runs: the next cell says it.
        front_end.execute("let beta = 1;").ok();
        signal(child_of(&mut front_end), how);
        std::thread::sleep(Duration::from_millis(300));
        let reply = front_end.execute("beta").failed();
        assert!(reply.traceback().contains("beta"), "{}", reply.traceback());
        assert_eq!(front_end.execute("2 + 2").ok().outputs.result(), "4");
    }
}

#[test]
fn a_terminated_kernel_leaves_nothing() {
    let mut front_end = FrontEnd::start();
    let cell = front_end.submit("print!(\"in\"); loop {}", json!({}));
    front_end.wait_for(&cell, "stream");
    signal(front_end.process().id(), "-TERM");
    front_end.wait_for_end();
    front_end.forget();
}

#[test]
fn two_front_ends_on_one_kernel_see_the_same() {
    let mut first = FrontEnd::start();
    let mut second = FrontEnd::attach(&first);
    first.execute("let x = 20;").ok();
    second.forget();
    let mine = second.execute("print!(\"both\"); x + 1").ok();
    assert_eq!(mine.outputs.result(), "21");
    // The other one has seen it all, and was sent no reply.
    let id = mine.id;
    let seen = first.overheard(&id);
    assert_eq!(seen.text("stdout"), "both");
    assert_eq!(seen.result(), "21");
    // One interrupts the cell of the other.
    let cell = first.submit("print!(\"in\"); loop {}", json!({}));
    first.wait_for(&cell, "stream");
    second.forget();
    second.command("interrupt_request", json!({}));
    let reply = first.collect(&cell).failed();
    assert_eq!(reply.content["ename"], "Interrupted");
    // One that goes leaves the other alone.
    second.forget();
    drop(second);
    first.forget();
    assert_eq!(first.execute("x").ok().outputs.result(), "20");
}

#[test]
fn a_front_end_that_never_reads_its_answers_holds_nobody_up() {
    let mut reader = FrontEnd::start();
    let long = "long ".repeat(10_000);
    reader.execute(&format!("let x = 20; // {long}")).ok();
    let mut silent = FrontEnd::attach(&reader);
    // Answers of 50 KB, 200 MB in all: more than the system's buffers and what the kernel keeps.
    let request = json!({"hist_access_type": "range", "session": 0});
    let mut last = String::new();
    for at in 1..=4000 {
        last = silent.send("history_request", request.clone());
        if at % 200 == 0 {
            reader.overheard(&last);
            reader.forget();
        }
    }
    let memory = resident_mb(reader.process().id());
    assert!(memory < 600., "{memory:.0} MB");
    assert_eq!(reader.execute("x + 1").ok().outputs.result(), "21");
    // What was too much is lost, and what it asks once it has read the rest is answered.
    let arrived = silent.answers_waiting();
    assert!(arrived.len() > 1000, "{} answers", arrived.len());
    assert!(!arrived.contains(&last), "{} answers", arrived.len());
    assert_eq!(silent.execute("x + 2").ok().outputs.result(), "22");
    let id = reader.submit("x + 3", json!({}));
    reader.collect(&id).ok();
    silent.overheard(&id);
    reader.forget();
    silent.forget();
}

/// `FERROLENS_CYCLES=200` for as many as a long day has.
#[test]
fn starts_and_stops_leave_nothing_behind() {
    let cycles = std::env::var("FERROLENS_CYCLES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(8);
    for cycle in 0..cycles {
        let mut front_end = FrontEnd::start();
        // Some end before their interpreter has started, some in it, some with a cell behind them.
        match cycle % 4 {
            0 => {}
            1 => std::thread::sleep(Duration::from_millis(700)),
            2 => drop(front_end.submit("1 + 1", json!({}))),
            _ => drop(front_end.execute("1 + 1").ok()),
        }
        let folder = front_end.temporary();
        front_end.shut_down();
        front_end.forget();
        super::lifecycle::wait_for_no_process(&folder);
    }
    assert!(installed_kernel().is_file());
}
