use ferrolens_kernel::wire::Message;
use ferrolens_kernel::wire::message::Signer;
use ferrolens_tests::FrontEnd;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zeromq::{ReqSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

#[test]
fn the_kernel_answers_before_its_interpreter_is_ready() {
    let mut front_end = FrontEnd::start();
    let info = front_end.ask("kernel_info_request", json!({}));
    assert_eq!(info["status"], "ok");
    assert_eq!(info["language_info"]["name"], "rust");
    assert_eq!(info["language_info"]["mimetype"], "text/x-rustsrc");
    // The first cell waits for the interpreter, and kernel_info does not wait for the cell.
    let cell = front_end.submit("1 + 1", json!({}));
    let asked = Instant::now();
    let reply = front_end.command("kernel_info_request", json!({}));
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "after {:?}",
        asked.elapsed()
    );
    assert_eq!(reply["implementation"], "ferrolens");
    let reply = front_end.collect(&cell).ok();
    assert_eq!(reply.content["execution_count"], 1);
    assert_eq!(reply.outputs.result(), "2");
}

#[test]
fn cells_are_counted_as_the_protocol_says() {
    let mut front_end = FrontEnd::start();
    let first = front_end.execute("let x = 20;").ok();
    assert_eq!(first.content["execution_count"], 1);
    assert!(
        first.outputs.messages.is_empty(),
        "a unit cell shows nothing"
    );
    assert_eq!(first.content["payload"], json!([]));
    assert_eq!(first.content["user_expressions"], json!({}));

    let silent = front_end
        .execute_with("println!(\"quiet\"); x", json!({"silent": true}))
        .ok();
    assert!(silent.outputs.messages.is_empty(), "{:#?}", silent.outputs);
    let unstored = front_end
        .execute_with("x + 1", json!({"store_history": false}))
        .ok();
    assert_eq!(unstored.outputs.result(), "21");
    let second = front_end.execute("x + 2").ok();
    assert_eq!(second.content["execution_count"], 2);
    assert_eq!(
        second
            .outputs
            .of("execute_result")
            .next()
            .expect("a result")["execution_count"],
        2
    );

    let asked = front_end
        .execute_with(
            "println!(\"once\"); x",
            json!({"user_expressions": {
                "twice": "x * 2 // and a comment",
                "html": "Html(\"<b>a</b>\")",
                "printed": "{ println!(\"not shown\"); }",
                "wrong": "no_such_name",
                "statement": "let y = 1;",
                "fails": "{ let n: Vec<i32> = vec![]; n[3] }",
            }}),
        )
        .ok();
    let answers = &asked.content["user_expressions"];
    let twice = json!({"status": "ok", "data": {"text/plain": "40"}, "metadata": {}});
    assert_eq!(answers["twice"], twice);
    assert_eq!(answers["html"]["data"]["text/html"], "<b>a</b>");
    assert_eq!(answers["printed"]["data"]["text/plain"], "()");
    for (name, says) in [
        ("wrong", "no_such_name"),
        ("statement", "expression"),
        ("fails", "index out of bounds"),
    ] {
        let answer = &answers[name];
        assert_eq!(answer["status"], "error", "{answer:#}");
        assert!(answer["evalue"].to_string().contains(says), "{answer:#}");
        assert!(answer["traceback"].is_array());
    }
    // Nothing of them is published, and nothing was lost.
    assert_eq!(asked.outputs.kinds(), ["stream", "execute_result"]);
    let failed = front_end
        .execute_with("panic!()", json!({"user_expressions": {"x": "x"}}))
        .failed();
    assert_eq!(failed.content["user_expressions"], json!({}));

    let history = front_end.ask(
        "history_request",
        json!({"hist_access_type": "tail", "n": 2, "output": false, "raw": true}),
    );
    assert_eq!(
        history["history"],
        json!([[1, 3, "println!(\"once\"); x"], [1, 4, "panic!()"]])
    );
    let search = front_end.ask(
        "history_request",
        json!({"hist_access_type": "search", "pattern": "let*"}),
    );
    assert_eq!(search["history"], json!([[1, 1, "let x = 20;"]]));
}

#[test]
fn a_failing_cell_aborts_the_queue_behind_it_unless_told_otherwise() {
    let mut front_end = FrontEnd::start();
    front_end.execute("let kept = 7;").ok();
    let cells: Vec<String> = ["kept +", "kept", "kept * 2"]
        .into_iter()
        .map(|code| front_end.submit(code, json!({})))
        .collect();
    front_end.collect(&cells[0]).failed();
    for cell in &cells[1..] {
        assert_eq!(front_end.collect(cell).status(), "aborted");
    }
    assert_eq!(front_end.execute("kept").ok().outputs.result(), "7");

    let failing = front_end.submit("panic!(\"on\")", json!({"stop_on_error": false}));
    let next = front_end.submit("kept + 1", json!({}));
    front_end.collect(&failing).failed();
    assert_eq!(front_end.collect(&next).ok().outputs.result(), "8");
}

#[test]
fn other_requests_are_answered() {
    let mut front_end = FrontEnd::start();
    assert_eq!(
        front_end.ask("comm_info_request", json!({})),
        json!({"status": "ok", "comms": {}})
    );
    let open = front_end.ask("is_complete_request", json!({"code": "fn f() {"}));
    assert_eq!(open, json!({"status": "incomplete", "indent": "    "}));
    assert_eq!(
        front_end.ask("is_complete_request", json!({"code": "1"}))["status"],
        "complete"
    );
    let unknown = front_end.ask("debug_request", json!({}));
    assert_eq!(unknown["status"], "error");
    front_end.execute("let naïve = String::from(\"é\");").ok();
    let code = "/* é */ naïve.to_upper";
    let completions = front_end.ask(
        "complete_request",
        json!({"code": code, "cursor_pos": code.chars().count()}),
    );
    let matches: Vec<&str> = completions["matches"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        matches.iter().any(|m| m.starts_with("to_uppercase")),
        "{completions:#}"
    );
    assert_eq!(completions["cursor_start"], 14);
    assert_eq!(completions["cursor_end"], 22);
}

#[test]
fn what_is_no_message_stops_nothing() {
    let mut front_end = FrontEnd::start();
    let message = Message::caused_by(&json!({}), "test", "kernel_info_request", &json!({}));
    let wrong = message
        .to_frames(&Signer::new("another key"))
        .expect("JSON serialises");
    front_end.send_raw(wrong);
    for frames in [
        vec![b"".to_vec()],
        vec![b"<IDS|MSG>".to_vec(), b"x".to_vec()],
        vec![b"a".to_vec(); 12],
    ] {
        let mut message = ZmqMessage::from(frames[0].clone());
        for frame in &frames[1..] {
            message.push_back(frame.clone().into());
        }
        front_end.send_raw(message);
    }
    // Binary buffers are not signed, and belong to no loop's end.
    let mut comm = Message::caused_by(
        &json!({}),
        "test",
        "comm_msg",
        &json!({"comm_id": "gone", "data": {}}),
    );
    comm.buffers = vec![vec![0xff; 100]];
    let id = comm.id().to_owned();
    let frames = comm.to_frames(front_end.signer()).expect("JSON serialises");
    front_end.send_raw(frames);
    front_end.wait_for(&id, "status");
    let bad = front_end.send("execute_request", json!({"code": 3}));
    let reply = front_end.collect(&bad);
    assert_eq!(reply.status(), "error");
    assert_eq!(front_end.execute("1").ok().outputs.result(), "1");
    // The idle of the comm message.
    front_end.collect_status(&id);
}

#[test]
fn the_heartbeat_echoes() {
    let front_end = FrontEnd::start();
    let connection: Value = serde_json::from_str(
        &std::fs::read_to_string(front_end.connection_file()).expect("the test's own file"),
    )
    .expect("JSON");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async {
        let mut heart = ReqSocket::new();
        heart
            .connect(&format!("tcp://127.0.0.1:{}", connection["hb_port"]))
            .await
            .expect("a listener");
        heart.send("thump".into()).await.expect("it takes a beat");
        let echo = heart.recv().await.expect("an echo");
        assert_eq!(echo.get(0).map(AsRef::as_ref), Some(b"thump".as_slice()));
    });
}
