use ferrolens_tests::{FrontEnd, MemoryGroup};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_cell_that_does_not_compile_shows_its_own_line_under_the_message() {
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = vec![1, 2];").ok();
    let reply = front_end
        .execute("let a = 1;\nlet é: i32 = \"text\";")
        .failed();
    let traceback = reply.traceback();
    assert_eq!(reply.content["ename"], "error[E0308]");
    assert!(
        reply.content["evalue"]
            .as_str()
            .unwrap_or("")
            .contains("mismatched types")
    );
    assert!(traceback.contains("let é: i32 = \"text\";"), "{traceback}");
    assert!(traceback.contains("cell [2]:2:14"), "{traceback}");
    assert!(traceback.contains("expected `i32`"), "{traceback}");
    assert_eq!(front_end.execute("kept").ok().outputs.result(), "[1, 2]");
}

#[test]
fn a_panic_is_an_error_and_keeps_what_the_cell_did_not_move() {
    let mut front_end = FrontEnd::start();
    front_end
        .execute("let kept = vec![1, 2];\nlet mut counter = 0;")
        .ok();
    let reply = front_end
        .execute("counter += 1;\nprint!(\"before\");\nlet n = kept.len() + 7;\nkept[n]")
        .failed();
    assert_eq!(reply.outputs.text("stdout"), "before");
    assert_eq!(reply.content["ename"], "panic");
    let traceback = reply.traceback();
    assert!(
        traceback.contains("index out of bounds: the len is 2 but the index is 9"),
        "{traceback}"
    );
    assert!(
        traceback.contains("cell [2], line 4") && traceback.contains("kept[n]"),
        "{traceback}"
    );
    assert!(!traceback.contains("evcxr"), "{traceback}");
    assert_eq!(
        front_end.execute("(kept, counter)").ok().outputs.result(),
        "([1, 2], 1)"
    );
}

#[test]
fn an_error_that_leaves_the_cell_is_an_error() {
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = 3;").ok();
    let reply = front_end
        .execute("eprintln!(\"aside\");\nlet n: i32 = \"x\".parse()?;\nn")
        .failed();
    assert_eq!(reply.content["ename"], "ParseIntError");
    assert_eq!(reply.content["evalue"], "invalid digit found in string");
    assert_eq!(
        reply.outputs.text("stderr"),
        "aside\n",
        "the error is not printed twice"
    );
    assert!(
        reply.traceback().contains("line 2"),
        "{}",
        reply.traceback()
    );
    assert_eq!(front_end.execute("kept").ok().outputs.result(), "3");
}

#[test]
fn after_a_crash_the_message_lists_the_variables_that_were_lost() {
    let mut front_end = FrontEnd::start();
    front_end.execute("fn double(x: i32) -> i32 { x * 2 }").ok();
    for (code, says) in [
        ("std::process::abort()", "aborted"),
        ("std::process::exit(3)", "exit status: 3"),
        (
            "fn deep(n: u64) -> u64 { if n == 0 { 0 } else { 1 + deep(std::hint::black_box(n + 1)) } }\ndeep(1)",
            "overflow",
        ),
        (
            "unsafe { std::ptr::null_mut::<u8>().write_volatile(1) }",
            "crashed",
        ),
    ] {
        front_end.execute("let alpha = 1;\nlet beta = 2;").ok();
        let reply = front_end
            .execute(&format!("println!(\"last words\");\n{code}"))
            .failed();
        assert_eq!(reply.content["ename"], "crash");
        assert_eq!(reply.outputs.text("stdout"), "last words\n", "{code}");
        let all = reply.traceback() + &reply.outputs.text("stderr");
        assert!(all.contains(says), "{code}: {all}");
        assert!(
            reply.traceback().contains("alpha, beta"),
            "{}",
            reply.traceback()
        );
        assert_eq!(front_end.execute("double(4)").ok().outputs.result(), "8");
    }
}

#[test]
fn an_interrupt_ends_the_cell() {
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = 1;").ok();
    // Harmless when nothing runs.
    assert_eq!(
        front_end.command("interrupt_request", json!({}))["status"],
        "ok"
    );
    let cell = front_end.submit("println!(\"in\"); for _ in progress(0..1_000_000, \"long\") { std::thread::sleep(std::time::Duration::from_millis(10)); }", json!({}));
    front_end.wait_for(&cell, "stream");
    let asked = Instant::now();
    front_end.command("interrupt_request", json!({}));
    let reply = front_end.collect(&cell).failed();
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "after {:?}",
        asked.elapsed()
    );
    assert_eq!(
        reply.content["ename"], "Interrupted",
        "{:#?}",
        reply.content
    );
    assert_eq!(front_end.execute("kept").ok().outputs.result(), "1");
    // A loop without any check is ended with its process, and the message says what went.
    let cell = front_end.submit(
        "println!(\"in\"); loop { std::hint::spin_loop() }",
        json!({}),
    );
    front_end.wait_for(&cell, "stream");
    front_end.command("interrupt_request", json!({}));
    let reply = front_end.collect(&cell).failed();
    assert!(reply.traceback().contains("kept"), "{}", reply.traceback());
    assert_eq!(front_end.execute("2").ok().outputs.result(), "2");
}

#[test]
fn a_value_is_never_read_as_one_of_a_type_of_the_same_name() {
    let mut front_end = FrontEnd::start();
    front_end
        .execute(
            "#[derive(Debug)]\nstruct T(i32, i32);\nlet old = T(1, 2);\nlet many = vec![T(3, 4)];\nlet n = 5;",
        )
        .ok();
    // The same text again is the same type.
    front_end
        .execute("#[derive(Debug)]\nstruct T( i32,  i32 );")
        .ok();
    assert_eq!(front_end.execute("old").ok().outputs.result(), "T(1, 2)");
    front_end
        .execute("#[derive(Debug)]\nstruct T(u8);\nlet new = T(7);")
        .ok();
    let reply = front_end.execute("many.len()").failed();
    let said = format!("{}\n{}", reply.content["evalue"], reply.traceback());
    assert!(said.contains("`many`"), "{said}");
    assert!(said.contains("cell [4] defined again"), "{said}");
    assert_eq!(front_end.execute("new").ok().outputs.result(), "T(7)");
    assert_eq!(front_end.execute("n").ok().outputs.result(), "5");
    // A cell that fails after it has defined the type again gives nothing of the old type back as
    // one of the new.
    let failing = "#[derive(Debug)]\nstruct T(u8, u8, u8);\nlet new = new.0;\npanic!(\"no\")";
    front_end.execute(failing).failed();
    let reply = front_end.execute("format!(\"{new:?}\")").failed();
    assert!(
        !reply.traceback().contains("panic"),
        "{}",
        reply.traceback()
    );
    assert_eq!(front_end.execute("n").ok().outputs.result(), "5");
}

#[test]
fn a_cell_that_takes_all_memory_is_ended_and_the_message_says_so() {
    let Some(group) = MemoryGroup::new(900) else {
        eprintln!("skipped: this user may not make a control group with a limit of memory");
        return;
    };
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = 3;").ok();
    let pid = front_end.process().id();
    group.take_in(pid).expect("the kernel goes into the group");
    let reply = front_end
        .execute("let mut all = Vec::new();\nfor i in 0..64u8 { all.push(vec![i + 1; 32 << 20]); }\nall.len()")
        .failed();
    let traceback = reply.traceback();
    assert!(
        traceback.contains("because memory ran out") && traceback.contains("lost: kept"),
        "{traceback}"
    );
    assert_eq!(front_end.execute("1 + 1").ok().outputs.result(), "2");
    front_end.shut_down();
    front_end.wait_for_end();
    drop(group);
}
