//! Commands above a cell's Rust, and lines for the shell.

use ferrolens_tests::FrontEnd;
use serde_json::json;
use std::time::{Duration, Instant};

/// The text of the one thing that a command shows.
fn shown(reply: &ferrolens_tests::Reply, mime: &str) -> String {
    let shown: Vec<&serde_json::Value> = reply.outputs.of("display_data").collect();
    assert_eq!(shown.len(), 1, "{:#?}", reply.outputs);
    shown[0]["data"][mime].as_str().expect("a text").to_owned()
}

#[test]
fn commands_say_what_there_is_without_running_it() {
    let mut front_end = FrontEnd::start();
    front_end
        .execute(
            "let ones = Tensor::ones((2, 3), DType::F32, &Device::Cpu)?;\nlet many = vec![1_f32; 6];\nlet words = vec![\"<a>\"];\n\
             let mut count = 0;",
        )
        .ok();

    let vars = front_end.execute(":vars").ok();
    let text = shown(&vars, "text/plain");
    let line = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("no `{name}` in {text}"))
            .to_owned()
    };
    for (name, says) in [
        ("name ", &["type", "shape", "device", "memory", "value"][..]),
        ("ones ", &["Tensor", "2, 3"]),
        ("many ", &["Vec<f32>", "[6] f32", "24 B", "[1.0, 1.0"]),
        ("words ", &["Vec<&", "<a>"]),
        ("count ", &["i32", "0"]),
    ] {
        for word in says {
            assert!(line(name).contains(word), "{word} in {text}");
        }
    }
    assert!(shown(&vars, "text/html").contains("&lt;a&gt;"));

    for (code, kind) in [
        (":type count", "i32"),
        (
            ":type { count += 1; panic!(); vec![Some(1.5)] }",
            "Vec<Option<f64>>",
        ),
        (":type ones.mean_all()?", "Tensor"),
        (":t ()", "()"),
        (":type 1", "i32"),
        (":type words", "Vec<&str>"),
    ] {
        let reply = front_end.execute(code).ok();
        assert_eq!(shown(&reply, "text/plain"), kind, "{code}");
    }
    assert_eq!(front_end.execute("count").ok().outputs.result(), "0");
    let error = front_end.execute(":type cuont + 1").failed();
    assert!(
        error.traceback().contains("cuont") && error.traceback().contains(":1:7"),
        "{}",
        error.traceback()
    );

    let reply = front_end.execute(":doc Tensor::ones").ok();
    let text = shown(&reply, "text/plain");
    assert!(text.contains("fn ones"), "{text}");
    assert!(shown(&reply, "text/markdown").contains("```rust"));
    let error = front_end.execute(":doc no_such_thing_at_all").failed();
    assert!(error.traceback().contains("no_such_thing_at_all"));

    let help = front_end.execute(":help").ok();
    let text = shown(&help, "text/plain");
    for command in [":vars", ":timeit", ":dep", "!cd", ":opt"] {
        assert!(text.contains(command), "{command} in {text}");
    }
    let error = front_end.execute(":vras").failed();
    assert!(
        error.traceback().contains("Did you mean `:vars`?"),
        "{}",
        error.traceback()
    );
    // The engine's own.
    assert_eq!(
        front_end.execute(":opt 1").ok().outputs.result().trim(),
        "Optimization: 1"
    );
    let silent = front_end
        .execute_with(":vars", json!({"silent": true}))
        .ok();
    assert!(silent.outputs.messages.is_empty(), "{:#?}", silent.outputs);
    // What a failed cell would have made is not there.
    front_end.execute("let never = 1; panic!(\"no\")").failed();
    let vars = front_end.execute(":vars").ok();
    let text = shown(&vars, "text/plain");
    assert!(text.contains("ones") && !text.contains("never"), "{text}");
}

#[test]
fn time_is_told_for_the_rest_of_the_cell() {
    let mut front_end = FrontEnd::start();
    let reply = front_end
        .execute("%%time\nlet kept = 3;\nstd::thread::sleep(std::time::Duration::from_millis(300));\nkept")
        .ok();
    assert_eq!(reply.outputs.result(), "3");
    let line = reply.outputs.text("stdout");
    assert!(
        line.starts_with("compile ") && line.contains(", run 0.") && line.contains("(cpu "),
        "{line}"
    );
    let reply = front_end
        .execute(":time std::thread::sleep(std::time::Duration::from_millis(200)); kept")
        .ok();
    assert_eq!(reply.outputs.result(), "3");
    assert!(reply.outputs.text("stdout").contains(", run 0."));

    let started = Instant::now();
    let reply = front_end
        .execute(":timeit (1..1000_u64).map(|n| n * n).sum::<u64>() + kept as u64")
        .ok();
    let line = reply.outputs.text("stdout");
    assert!(
        line.contains(" a run, best ") && line.contains("mean ± standard deviation of "),
        "{line}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let reply = front_end
        .execute("%%timeit\nlet x: u64 = \"12\".parse()?;\nx + kept as u64")
        .ok();
    assert!(
        reply.outputs.text("stdout").contains("±"),
        "{:#?}",
        reply.outputs
    );
    // An error of the code is the cell's, in the reader's own line.
    let error = front_end
        .execute("%%timeit\nlet x: u64 = \"a\".parse()?;\nx")
        .failed();
    assert_eq!(
        error.content["ename"],
        "ParseIntError",
        "{}",
        error.traceback()
    );
    let error = front_end
        .execute("%%timeit\nlet x = 1;\nx.no_such_method()")
        .failed();
    assert!(error.traceback().contains(":3:3"), "{}", error.traceback());
    let error = front_end.execute(":timeit kept.no_such_method()").failed();
    assert!(error.traceback().contains(":1:14"), "{}", error.traceback());
    assert_eq!(front_end.execute("kept").ok().outputs.result(), "3");
}

#[test]
fn shell_lines_stream_and_fail_with_their_status() {
    let mut front_end = FrontEnd::start();
    let id = front_end.submit("!echo one; sleep 3; echo two >&2\nlet x = 5;\nx", json!({}));
    let begun = Instant::now();
    let first = front_end.wait_for(&id, "stream");
    assert_eq!(first.content["text"], "one\n");
    let streamed = begun.elapsed();
    let reply = front_end.collect(&id).ok();
    assert!(
        begun.elapsed() > streamed + Duration::from_millis(1500),
        "it was not streamed"
    );
    assert_eq!(reply.outputs.text("stderr"), "two\n");
    assert_eq!(reply.outputs.result(), "5");

    let error = front_end.execute("!echo half; exit 3").failed();
    assert_eq!(error.outputs.text("stdout"), "half\n");
    assert!(
        error.traceback().contains("exit status 3"),
        "{}",
        error.traceback()
    );

    let id = front_end.submit("!sleep 30", json!({}));
    std::thread::sleep(Duration::from_millis(500));
    // The interpreter answers while the line runs.
    let found = front_end.ask("complete_request", json!({"code": "x.po", "cursor_pos": 4}));
    assert_eq!(found["status"], "ok");
    let asked = Instant::now();
    front_end.command("interrupt_request", json!({}));
    let error = front_end.collect(&id).failed();
    assert_eq!(error.content["ename"], "Interrupted");
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "{:?}",
        asked.elapsed()
    );

    let folder = front_end.temporary();
    let folder = std::fs::canonicalize(folder).expect("a folder");
    std::fs::create_dir(folder.join("a b")).expect("a folder");
    let reply = front_end
        .execute(&format!("!cd {}/a b", folder.display()))
        .ok();
    assert!(reply.outputs.text("stdout").ends_with("a b\n"));
    let place = format!("{}/a b", folder.display());
    assert_eq!(
        front_end.execute("!pwd").ok().outputs.text("stdout"),
        format!("{place}\n")
    );
    let reply = front_end
        .execute("std::env::current_dir()?.display().to_string()")
        .ok();
    assert_eq!(reply.outputs.result(), format!("\"{place}\""));
    let error = front_end.execute("!cd no/such").failed();
    assert!(
        error.traceback().contains("no/such"),
        "{}",
        error.traceback()
    );
    // The user's own tools and folders.
    let reply = front_end
        .execute("!echo $TMPDIR; echo ${FERROLENS_FRONT-none}")
        .ok();
    assert_eq!(
        reply.outputs.text("stdout").lines().nth(1),
        Some("none"),
        "{:#?}",
        reply.outputs
    );

    std::fs::write(
        folder.join("a b/helpers.rs"),
        ":time\nfn twice(n: i32) -> i32 {\n    n * 2\n}\nlet y = twice(x);\n",
    )
    .expect("a file");
    std::fs::write(folder.join("a b/wrong.rs"), "\nlet z = nothing;\n").expect("a file");
    let reply = front_end.execute(":load helpers.rs\ny + 1").ok();
    assert_eq!(reply.outputs.result(), "11");
    let error = front_end.execute(":load wrong.rs").failed();
    assert!(
        error.traceback().contains("wrong.rs:2:9"),
        "{}",
        error.traceback()
    );
    let error = front_end.execute(":load missing.rs").failed();
    assert!(
        error.traceback().contains("missing.rs"),
        "{}",
        error.traceback()
    );
    std::fs::remove_dir_all(folder.join("a b")).expect("the test's own folder");
    front_end.execute("!cd /").ok();
}

#[test]
fn a_session_can_be_cleared_and_its_process_started_again() {
    let mut front_end = FrontEnd::start();
    front_end
        .execute("fn twice(n: i32) -> i32 { n * 2 }\nlet x = 5;")
        .ok();
    let reply = front_end.execute(":restart\ntwice(2)").ok();
    assert!(
        shown(&reply, "text/plain").contains("gone: x."),
        "{:#?}",
        reply.outputs
    );
    assert_eq!(reply.outputs.result(), "4");
    assert!(shown(&front_end.execute(":vars").ok(), "text/plain").contains("no variables"));
    front_end.execute("x").failed();
    front_end.execute("let x = 6;").ok();
    assert_eq!(front_end.execute("twice(x)").ok().outputs.result(), "12");

    let reply = front_end.execute(":interruptible off").ok();
    assert!(shown(&reply, "text/plain").contains("do not look"));
    let reply = front_end.execute(":clear").ok();
    assert!(
        shown(&reply, "text/plain").contains("gone: x."),
        "{:#?}",
        reply.outputs
    );
    front_end.execute("twice(2)").failed();
    front_end.execute("x").failed();
    // Settings stay, and the prelude is in force.
    let reply = front_end.execute(":interruptible").ok();
    assert!(shown(&reply, "text/plain").contains("do not look"));
    front_end.execute(":interruptible on").ok();
    front_end.execute("let x = Device::Cpu;").ok();
    let error = front_end.execute(":interruptible maybe").failed();
    assert!(error.traceback().contains("maybe"));
    front_end.execute(":quit").failed();

    let listed = front_end.execute(":dep").ok();
    assert!(
        listed.outputs.text("stderr").contains("polars 0."),
        "{:#?}",
        listed.outputs
    );
    let reply = front_end
        .execute(":dep polars = \"0.1\"\npolars::df!(\"a\" => [1])?.height()")
        .ok();
    assert!(
        reply.outputs.text("stderr").contains("built in"),
        "{:#?}",
        reply.outputs
    );
    assert_eq!(reply.outputs.result(), "1");
}

#[test]
fn an_added_crate_compiles_before_the_readers_eyes() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("slow");
    std::fs::create_dir_all(library.join("src")).expect("a folder");
    std::fs::write(
        library.join("Cargo.toml"),
        "[package]\nname = \"slow\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\npath = \"src/lib.rs\"\n",
    )
    .expect("a file");
    std::fs::write(
        library.join("src/lib.rs"),
        "pub fn answer() -> i32 { 42 }\n",
    )
    .expect("a file");
    std::fs::write(
        library.join("build.rs"),
        "fn main() { std::thread::sleep(std::time::Duration::from_secs(3)) }\n",
    )
    .expect("a file");
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = 1;").ok();
    let code = format!(
        ":dep slow = {{ path = \"{}\" }}\nslow::answer() + kept",
        library.display()
    );
    // First, to be stopped while it compiles.
    let id = front_end.submit(&code, json!({}));
    let said = front_end.wait_for(&id, "stream");
    assert!(
        said.content["text"]
            .as_str()
            .is_some_and(|text| text.starts_with('\r'))
    );
    front_end.command("interrupt_request", json!({}));
    let asked = Instant::now();
    let error = front_end.collect(&id).failed();
    assert_eq!(
        error.content["ename"],
        "Interrupted",
        "{}",
        error.traceback()
    );
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "{:?}",
        asked.elapsed()
    );

    let reply = front_end.execute(&code).ok();
    assert_eq!(reply.outputs.result(), "43");
    let said = reply.outputs.text("stderr");
    assert!(
        said.contains("compiling ") && said.contains("compiled in "),
        "{said:?}"
    );
    assert_eq!(
        front_end.execute("slow::answer()").ok().outputs.result(),
        "42"
    );
}
