use ferrolens_tests::{FrontEnd, Reply};
use serde_json::json;
use std::time::{Duration, Instant};

/// A cell stops this soon after an interrupt, on a machine with nothing else to do.
const SOON: Duration = Duration::from_secs(1);

/// Runs a cell that says `in` when it has begun, and interrupts it there.
fn interrupt(front_end: &mut FrontEnd, code: &str) -> (Reply, Duration) {
    let cell = front_end.submit(code, json!({"allow_stdin": true}));
    front_end.wait_for(&cell, "stream");
    let asked = Instant::now();
    front_end.command("interrupt_request", json!({}));
    let reply = front_end.collect(&cell);
    assert_eq!(reply.status(), "error", "{code}: {reply:#?}");
    (reply, asked.elapsed())
}

#[test]
fn an_interrupt_stops_every_kind_of_cell_and_keeps_every_variable() {
    let mut front_end = FrontEnd::start();
    front_end
        .execute(
            "let model = HookedTransformer::from_pretrained(\"stories-2l\")?;\n\
             let tokens = model.to_tokens(\"Once upon a time\")?;\n\
             let kept = vec![1, 2, 3];\nlet mut counter = 0_u64;\n\
             let again = String::from(\"old\");\nlet other = 5_i32;\n\
             struct Opaque(u8);\nlet opaque = Opaque(7);\n\
             fn spin(from: u64) -> u64 { let mut x = from; while x < u64::MAX { x += 1; } x }",
        )
        .ok();
    let mut counted = false;
    let mut slowest = (Duration::ZERO, "");
    for code in [
        "print!(\"in\"); loop {}",
        "print!(\"in\"); loop { counter += 1; std::hint::black_box(&model); }",
        "print!(\"in\"); let again = { let mut s = 0_u64; for i in 0..u64::MAX { s ^= std::hint::black_box(i); } s };",
        "print!(\"in\"); let other = { while kept.len() == 3 { std::hint::spin_loop() } \"text\" };",
        "print!(\"in\"); let opaque = { while opaque.0 == 7 { std::hint::spin_loop() } 1 };",
        "print!(\"in\"); spin(kept.len() as u64)",
        "print!(\"in\"); let gone = model; let t = tokens; for _ in 0.. { gone.forward(&t)?; }",
        "print!(\"in\"); for _ in 0..1_000_000 { model.forward(&tokens)?; }",
        "print!(\"in\"); std::thread::sleep(std::time::Duration::from_secs(1000)); println!(\"never\")",
        "print!(\"in\"); std::thread::spawn(|| loop { std::hint::spin_loop() }).join().ok(); for _ in 0..2 {}",
        "print!(\"in\"); let again = 3; std::thread::spawn(|| loop { std::hint::spin_loop() }).join().ok();",
        "print!(\"in\"); let line = input(\"a question\")?;",
        "print!(\"in\"); let again = { while other == 5 {} 7 }; let nothing = 1;",
    ] {
        let (reply, after) = interrupt(&mut front_end, code);
        assert_eq!(reply.content["ename"], "Interrupted", "{code}: {reply:#?}");
        assert!(!reply.outputs.text("stdout").contains("never"), "{code}");
        assert!(after < SOON * 8, "{code}: stopped after {after:?}");
        slowest = slowest.max((after, code));
        let all = front_end
            .execute("(kept.len(), again.as_str(), other, tokens.dims().len(), model.config().n_layers, counter > 0)")
            .ok();
        counted |= code.contains("counter");
        assert_eq!(
            all.outputs.result(),
            format!("(3, \"old\", 5, 2, 2, {counted})"),
            "{code}"
        );
    }
    println!(
        "The slowest of these stopped after {:?}: {}",
        slowest.0, slowest.1
    );
}

/// While it waits, is compiled, is linked, is loaded, or runs already.
#[test]
fn an_interrupt_at_any_moment_stops_the_cell() {
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = 1;").ok();
    for step in 0..24 {
        // Each is another cell, which nobody has compiled before.
        let code =
            format!("let x{step} = kept + {step}; loop {{ std::hint::black_box(x{step}); }}");
        let cell = front_end.submit(&code, json!({}));
        front_end.wait_for(&cell, "execute_input");
        std::thread::sleep(Duration::from_millis(step * 30));
        let asked = Instant::now();
        front_end.command("interrupt_request", json!({}));
        let reply = front_end.collect(&cell);
        let when = step * 30;
        assert_eq!(reply.status(), "error", "after {when} ms: {reply:#?}");
        assert_eq!(reply.content["ename"], "Interrupted", "after {when} ms");
        let took = asked.elapsed();
        assert!(took < SOON * 8, "after {when} ms: stopped after {took:?}");
        assert_eq!(front_end.execute("kept").ok().outputs.result(), "1");
    }
}

#[test]
fn what_never_looks_needs_a_second_interrupt_and_says_so() {
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = 1;").ok();
    front_end.execute(":interruptible off").ok();
    let cell = front_end.submit("print!(\"in\"); loop {}", json!({}));
    front_end.wait_for(&cell, "stream");
    front_end.command("interrupt_request", json!({}));
    std::thread::sleep(Duration::from_secs(3));
    front_end.command("interrupt_request", json!({}));
    let reply = front_end.collect(&cell).failed();
    assert_eq!(reply.content["ename"], "crash");
    let said = reply.outputs.text("stderr");
    assert!(
        said.contains("interrupt once more") && said.contains("kept"),
        "{said}"
    );
    assert!(reply.traceback().contains("kept"), "{}", reply.traceback());
    assert_eq!(front_end.execute("2").ok().outputs.result(), "2");
    front_end.execute(":interruptible on").ok();
    let (reply, _) = interrupt(&mut front_end, "print!(\"in\"); loop {}");
    assert_eq!(reply.content["ename"], "Interrupted");
}

#[test]
fn an_interrupt_stops_the_compiler_and_aborts_the_queue() {
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = 1;").ok();
    // A cell that takes long to compile: the compiler evaluates the constant.
    let code = "#[allow(long_running_const_eval)]\nconst SLOW: u64 = { let mut n = 0_u64; \
                while n < 20_000_000_000 { n += 1; } n };\nSLOW + kept";
    let cell = front_end.submit(code, json!({}));
    let queued = front_end.submit("print!(\"never\")", json!({}));
    front_end.wait_for(&cell, "execute_input");
    std::thread::sleep(Duration::from_millis(1500));
    let asked = Instant::now();
    front_end.command("interrupt_request", json!({}));
    let reply = front_end.collect(&cell).failed();
    assert_eq!(reply.content["ename"], "Interrupted", "{reply:#?}");
    assert!(asked.elapsed() < SOON * 8, "{:?}", asked.elapsed());
    let reply = front_end.collect(&queued);
    assert_eq!(reply.status(), "aborted");
    assert_eq!(front_end.execute("kept").ok().outputs.result(), "1");
}

#[test]
fn a_cell_that_fails_leaves_the_variables_that_it_took_and_was_to_replace() {
    let mut front_end = FrontEnd::start();
    front_end
        .execute("let x = 1_i32;\nlet text = String::from(\"a\");\nlet tensor = Tensor::new(2f32, &Device::Cpu)?;")
        .ok();
    for code in [
        "let x = x + 1; panic!(\"no\")",
        "let x = \"another type\"; panic!(\"no\")",
        "drop(text); let t = tensor; panic!(\"no\")",
        "let text = text + \"b\"; let n: i32 = \"x\".parse()?;",
        "let (tensor, x) = (tensor.sqr()?, x as f64); let y = tensor.reshape((2, 2))?;",
    ] {
        front_end.execute(code).failed();
        let all = front_end
            .execute("(x + 0_i32, text.as_str(), tensor.to_scalar::<f32>()?)")
            .ok();
        assert_eq!(all.outputs.result(), "(1, \"a\", 2.0)", "{code}");
    }
    // What the failed cells would have defined is not there.
    let reply = front_end.execute("y").failed();
    assert!(
        reply.traceback().contains("cannot find value `y`"),
        "{}",
        reply.traceback()
    );
    // What a cell that succeeds gives away is gone.
    front_end.execute("drop(text); let x = \"new\";").ok();
    assert_eq!(front_end.execute("x").ok().outputs.result(), "\"new\"");
    let reply = front_end.execute("text").failed();
    assert!(
        reply.traceback().contains("`text`"),
        "{}",
        reply.traceback()
    );
}
