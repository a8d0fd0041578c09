//! How long completion and inspection take in the installed kernel, warm, in a session with a dozen
//! variables: the first time that a place is asked about, and when it is asked about again.
//!
//! `cargo run --release -p ferrolens-benches --bin completion`

use ferrolens_tests::FrontEnd;
use serde_json::json;
use std::time::{Duration, Instant};

const OPENING: &[&str] = &[
    "let model = HookedTransformer::from_pretrained(\"stories-2l\")?;\n\
     let (logits, cache) = model.run_with_cache(\"Once upon a time\", All)?;\n\
     let tensor = Tensor::new(&[1f32, 2.], &Device::Cpu)?;",
    "let table = df!(\"a\" => [1, 2])?; let hooks = Hooks::new(); let words = vec![String::new()];\n\
     let count = 3; let share = 0.5; let name = String::from(\"Lily\"); let pair = (1, 2.5);\n\
     let found = Some(3); let flags = [true, false];",
];

/// What is asked, by what a reader types before the key.
const PLACES: &[(&str, &[&str])] = &[
    (
        "methods of a variable",
        &[
            "tensor.", "model.", "cache.", "table.", "hooks.", "name.", "words.", "logits.",
        ],
    ),
    (
        "methods of an expression",
        &[
            "model.config().",
            "cache.keys().",
            "logits.dims().",
            "(tensor.clone()).",
            "words[0].",
        ],
    ),
    (
        "paths",
        &[
            "HookedTransformer::",
            "Tensor::",
            "std::collections::",
            "Sae::",
            "Device::",
        ],
    ),
    ("names", &["tens", "mod", "Hook", "let y = cou", "f(sha"]),
    (
        "names in strings",
        &[
            "cache[\"",
            "model.run_with_hooks(\"\", Hooks::new().add(\"bl",
            "Sae::from_pretrained(\"",
        ],
    ),
];

const DESCRIBED: &[&str] = &[
    "tensor.shape",
    "model.run_with_cache(",
    "Sae::from_pretrained",
    "cache.get(",
    "tensor",
    "println",
    "Hooks",
    "words.iter(",
];

/// How often each is asked again.
const AGAIN: usize = 5;

fn main() {
    let mut front_end = FrontEnd::start();
    for cell in OPENING {
        assert_eq!(front_end.execute(cell).status(), "ok", "{cell}");
    }
    // The analyzer has read everything once, and what is asked ahead has been asked.
    ask(&mut front_end, "complete_request", "name.chars().");
    std::thread::sleep(Duration::from_secs(15));
    println!(
        "{:<26} {:>10} {:>10} {:>10} {:>10}",
        "ms", "first", "worst", "again", "worst"
    );
    for (what, places) in PLACES {
        measure(&mut front_end, what, "complete_request", places);
    }
    measure(&mut front_end, "descriptions", "inspect_request", DESCRIBED);
}

fn measure(front_end: &mut FrontEnd, what: &str, kind: &str, places: &[&str]) {
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for place in places {
        first.push(ask(front_end, kind, place));
        for _ in 0..AGAIN {
            again.push(ask(front_end, kind, place));
        }
    }
    let [(first, worst), (again, worst_again)] = [first, again].map(summary);
    println!("{what:<26} {first:>10.1} {worst:>10.1} {again:>10.1} {worst_again:>10.1}");
}

fn ask(front_end: &mut FrontEnd, kind: &str, code: &str) -> f64 {
    let content = json!({"code": code, "cursor_pos": code.chars().count(), "detail_level": 0});
    let started = Instant::now();
    let reply = front_end.ask(kind, content);
    let took = started.elapsed();
    let is_empty = match kind {
        "complete_request" => reply["matches"].as_array().is_none_or(Vec::is_empty),
        _ => reply["found"] != true,
    };
    assert!(!is_empty, "nothing for {code}: {reply}");
    took.as_secs_f64() * 1e3
}

/// The median and the largest.
fn summary(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    (median, times.last().copied().unwrap_or_default())
}
