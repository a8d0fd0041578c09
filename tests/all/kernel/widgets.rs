//! Widgets over real sockets, as JupyterLab's widget manager speaks.

use ferrolens_kernel::wire::Message;
use ferrolens_tests::{FrontEnd, Outputs, Reply};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Three kernels start beside each other.
const PATIENCE: Duration = Duration::from_secs(300);

const VIEW: &str = "application/vnd.jupyter.widget-view+json";

/// The widgets that a cell opened: id and state, in order.
fn opened(reply: &Reply) -> Vec<(String, Value)> {
    reply
        .outputs
        .messages
        .iter()
        .filter(|message| message.kind() == "comm_open")
        .map(|message| {
            assert_eq!(message.metadata["version"], "2.1.0");
            let content = &message.content;
            assert_eq!(content["target_name"], "jupyter.widget");
            let state = &content["data"]["state"];
            for key in [
                "_model_module",
                "_model_module_version",
                "_model_name",
                "_view_module",
                "_view_module_version",
                "_view_name",
            ] {
                assert!(state[key].is_string(), "{key} is missing in {state}");
            }
            (
                content["comm_id"].as_str().expect("an id").to_owned(),
                state.clone(),
            )
        })
        .collect()
}

/// The id of the one widget of this model.
fn id_of(opened: &[(String, Value)], model: &str) -> String {
    let found: Vec<&String> = opened
        .iter()
        .filter(|(_, state)| state["_model_name"] == model)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(found.len(), 1, "{model} in {opened:#?}");
    found[0].clone()
}

fn update(front_end: &mut FrontEnd, comm: &str, state: Value) -> String {
    let data = json!({"method": "update", "state": state, "buffer_paths": []});
    front_end.send("comm_msg", json!({"comm_id": comm, "data": data}))
}

fn custom(front_end: &mut FrontEnd, comm: &str, event: &str) -> String {
    let data = json!({"method": "custom", "content": {"event": event}});
    front_end.send("comm_msg", json!({"comm_id": comm, "data": data}))
}

/// The messages of this method for a widget, in order: their states.
fn states(outputs: &Outputs, comm: &str, method: &str) -> Vec<Value> {
    outputs
        .of("comm_msg")
        .filter(|content| content["comm_id"] == comm && content["data"]["method"] == method)
        .map(|content| content["data"]["state"].clone())
        .collect()
}

/// The last outputs of an output widget.
fn outputs_in(outputs: &Outputs, comm: &str) -> Value {
    let last = states(outputs, comm, "update").pop();
    last.unwrap_or_else(|| panic!("nothing came for {comm}: {outputs:#?}"))["outputs"].clone()
}

fn states_of(front_end: &mut FrontEnd, comm: &str) -> Value {
    let data = json!({"method": "request_state"});
    let id = front_end.send("comm_msg", json!({"comm_id": comm, "data": data}));
    let outputs = front_end.collect_published(&id);
    states(&outputs, comm, "update").pop().unwrap_or_default()
}

#[test]
fn a_slider_runs_its_closure_and_everything_that_can_go_wrong_stays_in_place() {
    let mut front_end = FrontEnd::start();
    front_end.wait_at_most(PATIENCE);
    front_end.execute("let kept = vec![10, 20, 30];").ok();
    let reply = front_end
        .execute(
            "let inside = kept.clone();\n\
             interact(move |at: usize| -> Result<i32> {\n\
                 println!(\"at {at}\");\n\
                 if at == 3 { return Err(Error::new(\"no such place\")); }\n\
                 while at == 4 {}\n\
                 Ok(inside[at])\n\
             }, (int_slider(0..=9).description(\"at\"),));",
        )
        .ok();
    let widgets = opened(&reply);
    let (slider, place) = (
        id_of(&widgets, "IntSliderModel"),
        id_of(&widgets, "OutputModel"),
    );
    assert_eq!(widgets.len(), 3, "slider, output and their box");
    assert_eq!(widgets[2].1["children"][0], format!("IPY_MODEL_{slider}"));
    let shown = reply.outputs.of("display_data").next().expect("a view");
    assert_eq!(shown["data"][VIEW]["model_id"], widgets[2].0);
    assert_eq!(
        shown["data"]["text/plain"],
        "IntSlider(value=0, min=0, max=9, description=\"at\")\n10"
    );
    assert_eq!(
        outputs_in(&reply.outputs, &place),
        json!([
            {"output_type": "stream", "name": "stdout", "text": "at 0\n"},
            {"output_type": "display_data", "data": {"text/plain": "10"}, "metadata": {}},
        ])
    );
    assert_eq!(reply.outputs.text("stdout"), "", "captured");

    // Each message of the answer has the slider's as parent, between busy and idle.
    let moved = update(&mut front_end, &slider, json!({"value": 2}));
    let outputs = front_end.collect_published(&moved);
    assert_eq!(
        states(&outputs, &slider, "echo_update"),
        [json!({"value": 2})]
    );
    assert_eq!(outputs_in(&outputs, &place)[1]["data"]["text/plain"], "30");
    assert_eq!(
        states(&outputs, &place, "update").len(),
        1,
        "no flicker: {outputs:#?}"
    );

    // An error and a panic are shown there.
    let moved = update(&mut front_end, &slider, json!({"value": 3}));
    let shown = outputs_in(&front_end.collect_published(&moved), &place);
    assert_eq!(shown[1]["output_type"], "error");
    assert_eq!(
        (&shown[1]["ename"], &shown[1]["evalue"]),
        (&json!("ferrolens::Error"), &json!("no such place"))
    );
    let moved = update(&mut front_end, &slider, json!({"value": 5}));
    let shown = outputs_in(&front_end.collect_published(&moved), &place);
    assert_eq!(shown[1]["ename"], "panic");
    assert!(
        shown[1]["evalue"]
            .as_str()
            .is_some_and(|it| it.contains("out of bounds")),
        "{shown}"
    );

    // An interrupt stops it, and a cell that waits for it runs then.
    let moved = update(&mut front_end, &slider, json!({"value": 4}));
    front_end.wait_for(&moved, "status");
    let cell = front_end.submit("kept.len()", json!({}));
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    front_end.command("interrupt_request", json!({}));
    let outputs = front_end.collect_published(&moved);
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(outputs_in(&outputs, &place)[1]["ename"], "Interrupted");
    assert_eq!(front_end.collect(&cell).ok().outputs.result(), "3");

    // It still moves, and a page that is loaded again finds all of it.
    let moved = update(&mut front_end, &slider, json!({"value": 1}));
    assert_eq!(
        outputs_in(&front_end.collect_published(&moved), &place)[1]["data"]["text/plain"],
        "20"
    );
    let info = front_end.ask(
        "comm_info_request",
        json!({"target_name": "jupyter.widget"}),
    );
    let comms = info["comms"].as_object().expect("comms");
    assert_eq!(comms.len(), 3);
    assert_eq!(comms[&slider], json!({"target_name": "jupyter.widget"}));
    assert_eq!(states_of(&mut front_end, &slider)["value"], 1);
    assert_eq!(
        states_of(&mut front_end, &place)["outputs"][0]["text"],
        "at 1\n"
    );

    // The same asked for at once, as JupyterLab 4 does.
    let control =
        json!({"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}});
    let open = front_end.send("comm_open", control);
    front_end.collect_status(&open);
    let data = json!({"method": "request_states"});
    let ask = front_end.send("comm_msg", json!({"comm_id": "control", "data": data}));
    let outputs = front_end.collect_published(&ask);
    let answer = &outputs.of("comm_msg").next().expect("an answer")["data"];
    assert_eq!(answer["method"], "update_states");
    assert_eq!(answer["states"][&slider]["model_name"], "IntSliderModel");
    assert_eq!(answer["states"][&slider]["state"]["value"], 1);
    let close = front_end.send("comm_close", json!({"comm_id": "control", "data": {}}));
    front_end.collect_status(&close);
}

#[test]
fn what_is_moved_while_a_cell_runs_waits_and_is_joined() {
    let mut front_end = FrontEnd::start();
    front_end.wait_at_most(PATIENCE);
    let reply = front_end
        .execute(
            "let slider = int_slider(0..=99);\n\
             let (count, again) = (label(\"\"), button(\"again\"));\n\
             let (shown, mut runs) = (count.clone(), 0);\n\
             slider.observe(move |value| { runs += 1; shown.set(format!(\"{value} in {runs}\")); });\n\
             let (shown, mut clicks) = (count.clone(), 0);\n\
             again.on_click(move || { clicks += 1; shown.set(format!(\"{clicks} clicks\")); });\n\
             vbox([Widget::from(&slider), Widget::from(&count), Widget::from(&again)])",
        )
        .ok();
    let widgets = opened(&reply);
    let (slider, count, again) = (
        id_of(&widgets, "IntSliderModel"),
        id_of(&widgets, "LabelModel"),
        id_of(&widgets, "ButtonModel"),
    );
    let view = reply.outputs.of("execute_result").next().expect("a view");
    assert_eq!(view["data"][VIEW]["model_id"], id_of(&widgets, "VBoxModel"));
    assert!(view["data"]["text/html"].is_string());

    let cell = front_end.submit(
        "println!(\"in\"); std::thread::sleep(std::time::Duration::from_secs(2)); slider.value()",
        json!({}),
    );
    front_end.wait_for(&cell, "stream");
    let moves: Vec<String> = (1..=5)
        .map(|at| update(&mut front_end, &slider, json!({"value": 10 * at})))
        .collect();
    let clicks: Vec<String> = (0..2)
        .map(|_| custom(&mut front_end, &again, "click"))
        .collect();
    let next = front_end.submit("slider.value()", json!({}));
    // The table answers while the cell runs.
    assert_eq!(states_of(&mut front_end, &slider)["value"], 0);
    assert_eq!(front_end.collect(&cell).ok().outputs.result(), "0");
    for (at, id) in moves.iter().enumerate() {
        let outputs = front_end.collect_published(id);
        assert_eq!(
            states(&outputs, &slider, "echo_update").len(),
            1,
            "each is echoed"
        );
        let runs = states(&outputs, &count, "update");
        match at {
            4 => assert_eq!(runs, [json!({"value": "50 in 1"})]),
            _ => assert_eq!(runs, [] as [Value; 0], "joined with the last"),
        }
    }
    for (at, id) in clicks.iter().enumerate() {
        let outputs = front_end.collect_published(id);
        let expected = json!({"value": format!("{} clicks", at + 1)});
        assert_eq!(states(&outputs, &count, "update"), [expected]);
    }
    assert_eq!(front_end.collect(&next).ok().outputs.result(), "50");

    // From a cell, to all front ends.
    let reply = front_end.execute("slider.set(7);").ok();
    assert_eq!(
        states(&reply.outputs, &slider, "update"),
        [json!({"value": 7})]
    );
    assert_eq!(
        states(&reply.outputs, &count, "update"),
        [json!({"value": "7 in 2"})]
    );
}

#[test]
fn what_nobody_knows_is_harmless() {
    let mut front_end = FrontEnd::start();
    front_end.wait_at_most(PATIENCE);
    // As nbclient, and pages that outlived a session, send them.
    for (kind, content) in [
        (
            "comm_msg",
            json!({"comm_id": "gone", "data": {"method": "update", "state": {"a": 1}}}),
        ),
        (
            "comm_msg",
            json!({"comm_id": "gone", "data": {"method": "request_state"}}),
        ),
        ("comm_msg", json!({"no": "sense"})),
        ("comm_close", json!({"comm_id": "gone", "data": {}})),
    ] {
        let id = front_end.send(kind, content);
        front_end.collect_status(&id);
    }
    let open = json!({"comm_id": "theirs", "target_name": "a.target", "data": {"x": 1}});
    let id = front_end.send("comm_open", open);
    let outputs = front_end.collect_published(&id);
    assert_eq!(outputs.kinds(), ["comm_close"]);
    assert_eq!(
        outputs.messages[0].content,
        json!({"comm_id": "theirs", "data": {}})
    );

    let reply = front_end
        .execute(
            "let field = text_field(\"a\");\n\
             field.observe(|text| if text == \"die\" { std::process::abort() });\n\
             field",
        )
        .ok();
    let field = id_of(&opened(&reply), "TextModel");

    // Binary buffers beside the JSON.
    let data = json!({"method": "update", "state": {"value": "b"}, "buffer_paths": [["bytes"]]});
    let content = json!({"comm_id": field, "data": data});
    let mut message = Message::caused_by(&json!({}), "test", "comm_msg", &content);
    message.buffers = vec![vec![0xff; 3], Vec::new()];
    let frames = message
        .to_frames(front_end.signer())
        .expect("JSON serialises");
    front_end.send_raw(frames);
    front_end.collect_published(message.id());
    assert_eq!(
        front_end.execute("field.value()").ok().outputs.result(),
        "\"b\""
    );
    for state in [
        json!("nonsense"),
        json!({"value": 5}),
        json!({"value": null, "x": [1]}),
    ] {
        let id = update(&mut front_end, &field, state);
        front_end.collect_published(&id);
    }
    assert_eq!(
        front_end.execute("field.value()").ok().outputs.result(),
        "\"b\""
    );

    // A callback that ends its process; its widgets are dead then, and do no harm.
    front_end.execute("let lost = 1;").ok();
    let id = update(&mut front_end, &field, json!({"value": "die"}));
    let outputs = front_end.collect_published(&id);
    let error = outputs.of("error").next().expect("a crash");
    assert_eq!(error["ename"], "crash");
    let said = error["evalue"].as_str().expect("a sentence");
    assert!(said.contains("field") && said.contains("lost"), "{said}");
    let id = update(&mut front_end, &field, json!({"value": "again"}));
    front_end.collect_status(&id);
    let info = front_end.ask("comm_info_request", json!({}));
    assert_eq!(info["comms"], json!({}));
    assert_eq!(front_end.execute("1 + 1").ok().outputs.result(), "2");
}
