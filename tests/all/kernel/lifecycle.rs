use ferrolens_tests::{FrontEnd, installed_kernel};
use serde_json::json;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Processes whose parent is, or was, `pid`, by the session folder in their environment.
fn processes_using(folder: &std::path::Path) -> usize {
    let folder = folder.to_string_lossy().into_owned();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| {
            std::fs::read(entry.path().join("environ"))
                .is_ok_and(|environ| String::from_utf8_lossy(&environ).contains(&folder))
        })
        .count()
}

pub(super) fn wait_for_no_process(folder: &std::path::Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while processes_using(folder) > 0 {
        assert!(
            Instant::now() < deadline,
            "{} processes are left",
            processes_using(folder)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn shutdown_leaves_no_process_and_no_folder_also_in_the_middle_of_a_cell() {
    let mut front_end = FrontEnd::start();
    let cell = front_end.submit(
        "println!(\"in\"); loop { std::hint::spin_loop() }",
        json!({}),
    );
    front_end.wait_for(&cell, "stream");
    assert!(
        processes_using(&front_end.temporary()) >= 2,
        "a kernel and its child"
    );
    front_end.shut_down();
    wait_for_no_process(&front_end.temporary());
}

#[test]
fn a_shutdown_that_old_front_ends_ask_for_on_shell_ends_the_kernel_in_the_middle_of_a_cell() {
    let mut front_end = FrontEnd::start();
    let cell = front_end.submit(
        "println!(\"in\"); loop { std::hint::spin_loop() }",
        json!({}),
    );
    front_end.wait_for(&cell, "stream");
    let shutdown = front_end.send("shutdown_request", json!({"restart": false}));
    front_end.wait_for(&shutdown, "shutdown_reply");
    front_end.wait_for_end();
    wait_for_no_process(&front_end.temporary());
    front_end.forget();
}

#[test]
fn a_killed_kernel_leaves_no_process_and_no_folder() {
    let mut front_end = FrontEnd::start();
    let cell = front_end.submit(
        "println!(\"in\"); loop { std::hint::spin_loop() }",
        json!({}),
    );
    front_end.wait_for(&cell, "stream");
    front_end.process().kill().expect("a running kernel");
    front_end.wait_for_end();
    wait_for_no_process(&front_end.temporary());
}

#[test]
fn a_kernel_leaves_when_the_front_end_that_started_it_dies() {
    let mut parent = Command::new("sleep")
        .arg("1000")
        .spawn()
        .expect("sleep starts");
    let pid = parent.id().to_string();
    let mut front_end = FrontEnd::start_with(|command| {
        command.env("JPY_PARENT_PID", &pid);
    });
    front_end.execute("1").ok();
    parent.kill().expect("a running process");
    parent.wait().expect("a child");
    front_end.wait_for_end();
    wait_for_no_process(&front_end.temporary());
}

#[test]
fn a_thread_for_each_core_calculates_or_as_many_as_the_user_says() {
    let threads = "std::env::var(\"RAYON_NUM_THREADS\")?.parse::<usize>()?";
    let number = |front_end: &mut FrontEnd, code: &str| -> usize {
        let reply = front_end.execute(code).ok();
        reply.outputs.result().parse().expect("a number")
    };
    let mut usual = FrontEnd::start_with(|command| {
        command.env_remove("RAYON_NUM_THREADS");
    });
    let allowed = number(&mut usual, "std::thread::available_parallelism()?.get()");
    let found = number(&mut usual, threads);
    assert!((1..=allowed).contains(&found), "{found} of {allowed}");
    let mut own = FrontEnd::start_with(|command| {
        command.env("RAYON_NUM_THREADS", "3");
    });
    assert_eq!(number(&mut own, threads), 3);
}

fn kernel(args: &[&str], change: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(installed_kernel());
    command.args(args).stdin(Stdio::null());
    change(&mut command);
    command.output().expect("the installed kernel starts")
}

fn fails_with(output: &Output, says: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert_eq!(text.trim().lines().count(), 1, "one line: {text}");
    for word in says {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[test]
fn what_keeps_a_kernel_from_starting_is_one_sentence_with_the_next_step() {
    fails_with(
        &kernel(&["run", "/nowhere/connection.json"], |_| {}),
        &["cannot be read", "jupyter console"],
    );

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("connection.json");
    std::fs::write(&file, "{}").expect("a writable folder");
    let path = file.to_string_lossy().into_owned();
    fails_with(
        &kernel(&["run", &path], |_| {}),
        &["is not what Jupyter writes"],
    );

    let running = FrontEnd::start();
    let taken = running.connection_file().to_string_lossy().into_owned();
    fails_with(
        &kernel(&["run", &taken], |_| {}),
        &["cannot listen", "Another kernel"],
    );

    let no_rust = |command: &mut Command| {
        command
            .env("PATH", "/nowhere")
            .env("HOME", "/nowhere")
            .env_remove("CARGO_HOME");
    };
    fails_with(&kernel(&["run", &taken], no_rust), &["rustup.rs"]);

    let no_space = |command: &mut Command| {
        command.env("TMPDIR", "/proc");
    };
    fails_with(&kernel(&["run", &taken], no_space), &["/proc", "TMPDIR"]);

    let no_prelude = |command: &mut Command| {
        command.env("FERROLENS_PRELUDE_DIR", "/nowhere");
    };
    fails_with(
        &kernel(&["run", &taken], no_prelude),
        &["/nowhere", "install.sh"],
    );
}
