//! Completion and inspection against the installed kernel.

use ferrolens_tests::FrontEnd;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What the issue allows while a cell runs.
const WHILE_BUSY: Duration = Duration::from_millis(300);

/// What the first cells define.
const OPENING: &[&str] = &[
    "let model = HookedTransformer::from_pretrained(\"stories-2l\")?;\n\
     let (logits, cache) = model.run_with_cache(\"Once upon a time\", All)?;\n\
     let tensor = Tensor::new(&[1f32, 2.], &Device::Cpu)?;",
    "#[derive(Debug, Clone)]\nstruct Point { along: f32 }\nimpl Point {\n\
     /// How far it is from nothing.\nfn length(&self, scale: f32) -> f32 { self.along * scale }\n}\n\
     let point = Point { along: 2. };\nlet naïve = String::from(\"é\");",
];

struct Asking(FrontEnd);

impl Asking {
    fn start() -> Self {
        let mut front_end = FrontEnd::start();
        for cell in OPENING {
            front_end.execute(cell).ok();
        }
        Self(front_end)
    }

    /// The reply about the place that `|` marks.
    fn ask(&mut self, kind: &str, marked: &str) -> Value {
        let cursor = marked.chars().position(|c| c == '|').expect("a cursor");
        let code = marked.replacen('|', "", 1);
        let content = json!({"code": code, "cursor_pos": cursor, "detail_level": 0});
        let reply = self.0.ask(kind, content);
        assert_eq!(reply["status"], "ok");
        reply
    }

    fn complete(&mut self, marked: &str) -> Vec<String> {
        let reply = self.ask("complete_request", marked);
        let matches = reply["matches"].as_array().into_iter().flatten();
        matches
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    /// Asks until the analyzer has had the time to answer, on a busy machine.
    fn completes(&mut self, marked: &str, expected: &[&str]) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.complete(marked);
            if expected
                .iter()
                .all(|name| found.iter().any(|it| it == name))
            {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{marked}: {found:?}, not {expected:?}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The description as text, once there is one; empty for none.
    fn inspect(&mut self, marked: &str) -> String {
        let reply = self.ask("inspect_request", marked);
        assert_eq!(
            reply["found"] == true,
            reply["data"]["text/markdown"].is_string()
        );
        let text = reply["data"]["text/plain"].as_str();
        text.unwrap_or("").to_owned()
    }

    fn inspects(&mut self, marked: &str, expected: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.inspect(marked);
            if expected.iter().all(|part| found.contains(part)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{marked}: {found}, not {expected:?}"
            );
        }
    }
}

#[test]
fn names_are_completed_where_they_can_stand() {
    let mut asking = Asking::start();
    // `add` is made by a macro, so only the analyzer knows it; storage is private.
    let found = asking.completes("tensor.|", &["add", "shape", "dims", "sum_all"]);
    for absent in ["storage", "evcxr_display", "ferrolens_last", "make_var"] {
        assert!(
            !found.iter().any(|it| it == absent),
            "{absent} in {found:?}"
        );
    }
    let at = |name: &str| found.iter().position(|it| it == name);
    assert!(at("shape") < at("into"), "{found:?}");
    let found = asking.completes("point.|", &["along", "length"]);
    assert_eq!(found[0], "along", "fields come first: {found:?}");
    asking.completes("model.run_with_c|", &["run_with_cache"]);
    asking.completes("tensor.sh|ape()", &["shape"]);
    asking.completes("let q = logits.|", &["narrow"]);
    asking.completes("model.config().n_l|", &["n_layers"]);
    asking.completes("std::collections::Ha|", &["HashMap"]);
    asking.completes("HookedTransformer::from_|", &["from_pretrained"]);
    asking.completes("tens|", &["tensor"]);
    asking.completes("printl|", &["println!"]);
    asking.completes(":ti|", &[":time", ":timeit"]);

    // Names inside strings.
    asking.completes(
        "&cache[\"blocks.1.hook_res|\"]",
        &["blocks.1.hook_resid_pre"],
    );
    let found = asking.complete("&cache[\"hook_em|");
    assert_eq!(found, ["hook_embed"]);
    asking.completes(
        "model.run_with_hooks(\"Once\", Hooks::new().add(\"blocks.0.attn.|",
        &["blocks.0.attn.hook_pattern"],
    );
    asking.completes(
        "HookedTransformer::from_pretrained(\"gpt2|",
        &["gpt2", "gpt2-xl"],
    );
    asking.completes("Sae::from_pretrained(\"stories|", &["stories-2l-relu"]);
    asking.completes(
        "Sae::from_pretrained(\"stories-2l-relu\", \"|",
        &["blocks.0.hook_mlp_out"],
    );
    assert!(asking.complete("println!(\"hook|").is_empty());

    // Code points before the cursor, and what a front end shows beside a name.
    let reply = asking.ask("complete_request", "/* é🦀 */ naïve.to_upper|");
    assert_eq!(reply["matches"], json!(["to_uppercase"]));
    assert_eq!(
        (&reply["cursor_start"], &reply["cursor_end"]),
        (&json!(15), &json!(23))
    );
    let reply = asking.ask("complete_request", "tensor.elem_count|");
    let types = &reply["metadata"]["_jupyter_types_experimental"];
    assert_eq!(types[0]["text"], "elem_count");
    assert_eq!(types[0]["type"], "function");
    assert_eq!(types[0]["signature"], "(&self) -> usize");
}

#[test]
fn things_under_the_cursor_are_described() {
    let mut asking = Asking::start();
    asking.inspects("tensor.sha|pe()", &["fn shape(&self)", "dimension sizes"]);
    asking.inspects(
        "point.length|(1.)",
        &["fn length(&self, scale: f32)", "How far"],
    );
    asking.inspects(
        "model.run_with_cache(\"Once\", |)",
        &["fn run_with_cache", "logits"],
    );
    asking.inspects(
        "/* é */ HookedTransformer::from_pretr|ained",
        &["from_pretrained"],
    );
    asking.inspects("print|ln!(\"x\")", &["macro_rules! println"]);
    asking.inspects("sqrt(std::collections::Hash|Map", &["struct HashMap"]);
    asking.inspects("naïve|.len()", &["naïve: String", "\"é\""]);
    asking.inspects("tensor|", &["tensor: Tensor", "[2]", "f32", "cpu"]);
    asking.inspects(
        "model|",
        &["model: HookedTransformer", "stories-2l: 2 layers"],
    );
    asking.inspects(
        "&cache[\"blocks.0.attn.hook_pat|tern\"]",
        &["blocks.0.attn.hook_pattern", "[batch, head, query, key]"],
    );
    for nothing in ["nothing_of_this_name|", "1 + |", "// tensor|"] {
        let reply = asking.ask("inspect_request", nothing);
        assert_eq!(reply["found"], false, "{nothing}: {reply}");
        assert_eq!(reply["data"], json!({}));
    }
}

#[test]
fn answers_come_while_a_cell_runs_or_compiles() {
    let mut asking = Asking::start();
    asking.completes("tensor.|", &["add"]);
    asking.completes("cache.|", &["stack_activation"]);

    let in_time = |asking: &mut Asking, kind: &str, marked: &str, expected: &str| {
        // The machine may be busy with other tests: the best of a few counts.
        let mut took = Duration::MAX;
        for _ in 0..4 {
            let started = Instant::now();
            let reply = asking.ask(kind, marked);
            took = took.min(started.elapsed());
            assert!(reply.to_string().contains(expected), "{marked}: {reply}");
            if took < WHILE_BUSY {
                break;
            }
        }
        assert!(took < WHILE_BUSY, "{marked} after {took:?}");
    };
    let questions = |asking: &mut Asking| {
        in_time(
            asking,
            "complete_request",
            "tensor.broadcast_a|",
            "broadcast_add",
        );
        in_time(asking, "complete_request", "cache[\"hook_em|", "hook_embed");
        in_time(asking, "complete_request", "tens|", "tensor");
        in_time(asking, "inspect_request", "tensor|", "f32");
        // Nobody has asked for these before.
        in_time(
            asking,
            "complete_request",
            "Sae::from_pre|",
            "from_pretrained",
        );
        in_time(asking, "inspect_request", "Sae::from_pretrained|", "Sae");
    };
    let running = asking.0.submit(
        "println!(\"on\"); std::thread::sleep(std::time::Duration::from_secs(3));",
        json!({}),
    );
    asking.0.wait_for(&running, "stream");
    questions(&mut asking);
    asking.0.collect(&running).ok();

    // Many functions keep the compiler busy.
    let functions: String = (0..1500)
        .map(|at| {
            format!(
                "fn f{at}(x: &Tensor) -> Result<Vec<String>> {{ let v: Vec<f32> = \
                 (x + {at}.)?.to_vec1()?; Ok(v.iter().map(|y| format!(\"{{y:?}}\")).collect()) }}\n"
            )
        })
        .collect();
    let compiling = asking.0.submit(&functions, json!({}));
    asking.0.wait_for(&compiling, "execute_input");
    questions(&mut asking);
    asking.0.collect(&compiling).ok();
}
