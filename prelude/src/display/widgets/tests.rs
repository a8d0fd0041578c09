use super::*;
use crate::emit::comm::deliver;
use crate::emit::fake::{Sent, with_host};
use crate::emit::{Bundle, Rich};
use ferrolens_frames::Frame;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const VIEW: &str = "application/vnd.jupyter.widget-view+json";

/// The states with which comms were opened.
fn opened(sent: &Sent) -> Vec<&Value> {
    let states = sent.frames.iter().filter_map(|frame| match frame {
        Frame::CommOpen {
            data,
            metadata,
            target,
            ..
        } => {
            assert_eq!(
                (target.as_str(), &metadata["version"]),
                ("jupyter.widget", &json!("2.1.0"))
            );
            Some(&data["state"])
        }
        _ => None,
    });
    states.collect()
}

/// The keys that were sent after that.
fn updates(sent: &Sent) -> Vec<&Value> {
    let states = sent.frames.iter().filter_map(|frame| match frame {
        Frame::CommMessage { data, .. } => Some(&data["state"]),
        _ => None,
    });
    states.collect()
}

fn show(value: &impl Rich) -> Bundle {
    value.prepare();
    value.bundle()
}

fn moved(widget: &Widget, state: &Value) {
    deliver(
        widget.id(),
        &json!({"method": "update", "state": state}).to_string(),
    );
}

fn done(widget: &Widget, event: &str) {
    let data = json!({"method": "custom", "content": {"event": event}});
    deliver(widget.id(), &data.to_string());
}

/// Text of the displays, in order.
fn displays(sent: &Sent) -> Vec<&str> {
    let texts = sent.frames.iter().filter_map(|frame| match frame {
        Frame::Display { data, .. } => data["text/plain"].as_str(),
        _ => None,
    });
    texts.collect()
}

#[test]
fn every_widget_opens_with_its_identity_and_its_keys() {
    let slider = [
        "value",
        "min",
        "max",
        "step",
        "readout",
        "readout_format",
        "continuous_update",
    ];
    let selection = ["_options_labels", "index", "description", "disabled"];
    let checks: [(Widget, &str, &str, &[&str]); 19] = [
        (
            int_slider(0..=3).into(),
            "IntSlider",
            "IntSliderView",
            &slider,
        ),
        (
            float_slider(0.0..=1.0).into(),
            "FloatSlider",
            "FloatSliderView",
            &slider,
        ),
        (
            float_log_slider(0.0..=1.0).into(),
            "FloatLogSlider",
            "FloatLogSliderView",
            &["base"],
        ),
        (
            selection_slider(["a"]).into(),
            "SelectionSlider",
            "SelectionSliderView",
            &selection,
        ),
        (
            dropdown(["a"]).into(),
            "Dropdown",
            "DropdownView",
            &selection,
        ),
        (
            toggle_buttons(["a"]).into(),
            "ToggleButtons",
            "ToggleButtonsView",
            &selection,
        ),
        (
            checkbox(true).into(),
            "Checkbox",
            "CheckboxView",
            &["value", "indent"],
        ),
        (
            text_field("a").into(),
            "Text",
            "TextView",
            &["value", "placeholder"],
        ),
        (
            textarea("a").into(),
            "Textarea",
            "TextareaView",
            &["value", "rows"],
        ),
        (
            button("a").into(),
            "Button",
            "ButtonView",
            &["description", "icon"],
        ),
        (
            int_progress(3).into(),
            "IntProgress",
            "ProgressView",
            &["value", "max", "bar_style"],
        ),
        (
            float_progress(1.0).into(),
            "FloatProgress",
            "ProgressView",
            &["value", "max"],
        ),
        (label("a").into(), "Label", "LabelView", &["value"]),
        (html("a").into(), "HTML", "HTMLView", &["value"]),
        (
            output().into(),
            "Output",
            "OutputView",
            &["outputs", "msg_id"],
        ),
        (hbox([label("a")]).into(), "HBox", "HBoxView", &["children"]),
        (vbox([label("a")]).into(), "VBox", "VBoxView", &["children"]),
        (
            tab([("a", label("a"))]).into(),
            "Tab",
            "TabView",
            &["children", "titles"],
        ),
        (
            accordion([("a", label("a"))]).into(),
            "Accordion",
            "AccordionView",
            &["children", "titles"],
        ),
    ];
    for (widget, name, view, keys) in checks {
        let (bundle, sent) = with_host(|| {
            widget.open();
            widget.bundle()
        });
        let states = opened(&sent);
        let state = states.last().expect("it was opened");
        assert_eq!(state["_model_name"], format!("{name}Model"), "{name}");
        assert_eq!(state["_view_name"], view, "{name}");
        for key in keys.iter().chain(&["_model_module", "_view_module"]) {
            assert!(state.get(key).is_some(), "{name} has no {key}");
        }
        assert_eq!(bundle[VIEW]["model_id"], widget.id());
        assert!(bundle.contains_key("text/html"));
    }
}

#[test]
fn the_text_form_says_what_is_chosen() {
    for (widget, expected) in [
        (
            Widget::from(int_slider(0..=10).starting_at(3)),
            "IntSlider(value=3, min=0, max=10)",
        ),
        (
            dropdown(["a", "b"])
                .starting_at("b")
                .description("letter")
                .into(),
            "Dropdown(b, options=[a, b], description=\"letter\")",
        ),
        (text_field("x").into(), "Text(value=\"x\")"),
        (
            hbox([Widget::from(checkbox(true)), label("y").into()]).into(),
            "Checkbox(value=true)\nLabel(value=\"y\")",
        ),
    ] {
        assert_eq!(format!("{widget:?}"), expected);
        assert_eq!(
            widget.bundle()["text/plain"],
            expected,
            "also without a host"
        );
        assert!(!widget.bundle().contains_key(VIEW), "nobody could draw it");
    }
}

#[test]
fn a_value_moves_from_both_sides() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let (slider, sent) = with_host(|| {
        let slider = int_slider(0..=10_usize);
        slider.observe(move |value| noted.lock().expect("unshared").push(value));
        show(&slider);
        slider.set(4);
        slider.set(4);
        moved(&slider.widget(), &json!({"value": 6}));
        moved(
            &slider.widget(),
            &json!({"value": 99, "no such key": 1, "_model_name": "x"}),
        );
        moved(&slider.widget(), &json!({"value": "text"}));
        slider
    });
    assert_eq!(*seen.lock().expect("unshared"), [4, 6, 10]);
    assert_eq!(slider.value(), 10);
    // What was set here, and what was put right.
    assert_eq!(
        updates(&sent),
        [
            &json!({"value": 4}),
            &json!({"value": 10}),
            &json!({"value": 10})
        ]
    );
}

#[test]
fn selections_hold_values_and_not_their_places() {
    let ((), _) = with_host(|| {
        let chosen = toggle_buttons([0.5, 1.0]).labels(["half"]);
        show(&chosen);
        assert_eq!(chosen.widget().labels(), ["half", "1"]);
        moved(&chosen.widget(), &json!({"index": 1}));
        assert_eq!(chosen.value(), 1.0);
        moved(&chosen.widget(), &json!({"index": 7}));
        assert_eq!(chosen.value(), 1.0);
        chosen.set(3.0);
        assert_eq!(chosen.value(), 1.0, "no option");
    });
}

#[test]
fn linked_controls_keep_in_step_and_do_not_keep_each_other() {
    let ((), _) = with_host(|| {
        let (a, b) = (float_slider(0.0..=1.0), float_slider(0.0..=0.5));
        link(&a, &b);
        show(&a);
        moved(&a.widget(), &json!({"value": 1}));
        assert_eq!((a.value(), b.value()), (0.5, 0.5), "what both can be");
        b.set(0.25);
        assert_eq!(a.value(), 0.25);
        let weak = b.downgrade();
        drop(b);
        assert!(weak().is_none(), "nobody else holds it");
        a.set(0.75);
    });
}

#[test]
fn clicks_and_entered_lines_reach_their_callbacks() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ((), sent) = with_host(|| {
        let (again, prompt) = (button("again"), text_field(""));
        let noted = seen.clone();
        again.on_click(move || noted.lock().expect("unshared").push("click".to_owned()));
        let noted = seen.clone();
        prompt.on_submit(move |text| noted.lock().expect("unshared").push(text));
        show(&hbox([Widget::from(&again), Widget::from(&prompt)]));
        done(&again.clone().into(), "click");
        moved(&prompt.widget(), &json!({"value": "Mary"}));
        done(&prompt.widget(), "submit");
        done(&prompt.widget(), "dance");
        again.close();
        done(&again.into(), "click");
    });
    assert_eq!(*seen.lock().expect("unshared"), ["click", "Mary"]);
    assert!(
        sent.frames
            .iter()
            .any(|frame| matches!(frame, Frame::CommClose { .. }))
    );
}

#[test]
fn interact_runs_at_once_and_again_where_a_control_moves() {
    let ((), sent) = with_host(|| {
        let (letter, count) = (selection_slider(["a", "b"]), int_slider(1..=3_usize));
        let shown = interact(
            |letter: &str, count| letter.repeat(count),
            (letter.clone(), count.clone()),
        );
        moved(&letter.widget(), &json!({"index": 1}));
        count.set(3);
        assert!(shown.to_string().ends_with("\"bbb\""), "{shown}");
        assert!(show(&shown).is_empty(), "its cell shows it already");
    });
    let texts = displays(&sent);
    assert_eq!(
        (texts[0], texts[2], texts[3]),
        ("\"a\"", "\"b\"", "\"bbb\"")
    );
    assert!(
        texts[1].ends_with("IntSlider(value=1, min=1, max=3)\n\"a\""),
        "{}",
        texts[1]
    );
    let captures = sent.frames.iter().filter_map(|frame| match frame {
        Frame::Capture { comm, .. } => Some(comm.is_some()),
        _ => None,
    });
    assert_eq!(captures.collect::<Vec<_>>(), [true, false].repeat(3));
}

#[test]
fn errors_and_panics_are_shown_in_place_and_the_controls_go_on() {
    let ((), sent) = with_host(|| {
        let count = int_slider(0..=3_i32);
        interact(
            |count| -> crate::Result<i32> {
                assert!(count != 1, "boom");
                if count == 2 {
                    return Err(crate::Error::new("no such layer"));
                }
                Ok(count)
            },
            (count.clone(),),
        );
        for value in 1..=3 {
            moved(&count.widget(), &json!({"value": value}));
        }
    });
    let caught: Vec<(&str, &str)> = sent
        .frames
        .iter()
        .filter_map(|frame| match frame {
            Frame::Caught { name, value, .. } => Some((name.as_str(), value.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(caught.len(), 2, "{sent:?}");
    assert_eq!(caught[0].0, "panic");
    assert_eq!(caught[1], ("ferrolens::Error", "no such layer"));
    assert_eq!(displays(&sent).last(), Some(&"3"));
}

#[test]
fn what_is_returned_may_be_of_many_types() {
    let text = |value: &dyn Fn() -> shown::Showing| match value() {
        shown::Showing::Value(bundle) => bundle
            .get("text/plain")
            .and_then(|plain| plain.as_str().map(str::to_owned)),
        shown::Showing::Failed { name, value } => Some(format!("{name}: {value}")),
    };
    assert_eq!(text(&|| 1.5.showing()).as_deref(), Some("1.5"));
    assert_eq!(
        text(&|| vec![Some(1)].showing()).as_deref(),
        Some("[Some(1)]")
    );
    assert_eq!(text(&|| (1, "a").showing()).as_deref(), Some("(1, \"a\")"));
    assert_eq!(text(&|| ().showing()), None);
    assert_eq!(
        text(&|| Ok::<f64, String>(1.0).showing()).as_deref(),
        Some("1.0")
    );
    assert_eq!(
        text(&|| Err::<f64, _>("no").showing()).as_deref(),
        Some("&str: \"no\"")
    );
    assert_eq!(
        text(&|| Err::<String, _>("no").showing()).as_deref(),
        Some("&str: \"no\"")
    );
    assert_eq!(
        text(&|| AsDebug(Some('x')).showing()).as_deref(),
        Some("Some('x')")
    );
}

#[test]
fn long_descriptions_take_the_room_that_they_need() {
    let ((), sent) = with_host(|| {
        show(&int_slider(0..=3).description("a description of some length"));
        interact(
            |_, _| (),
            (
                int_slider(0..=3).description("short"),
                checkbox(true).description("of thirteen c"),
            ),
        );
    });
    let widths: Vec<&Value> = opened(&sent)
        .into_iter()
        .filter_map(|state| state.get("description_width"))
        .collect();
    assert_eq!(widths, ["initial", "14ch", "14ch"]);
}
