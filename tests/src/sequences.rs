//! Random notebooks, and what a kernel makes of them: whatever a kernel does to be quick, it must make the
//! same of the same cells.

use crate::FrontEnd;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const NAMES: &[&str] = &["a", "b", "c", "d", "e"];

/// Kinds of variables: how one is made, what a cell can ask of it, and whether looking at it moves it.
const KINDS: &[Kind] = &[
    Kind {
        made: "N_i64",
        asked: &[
            "NAME + 1",
            "NAME.pow(2)",
            "{ let mut s = 0; for i in 0..NAME.abs() { s += i; } s }",
        ],
    },
    Kind {
        made: "N_f64 / 2.0",
        asked: &["NAME.sqrt()", "format!(\"{NAME:.2}\")"],
    },
    Kind {
        made: "String::from(\"wordN\")",
        asked: &["NAME.len()", "NAME.to_uppercase()", "drop(NAME)"],
    },
    Kind {
        made: "vec![N_i64, 2, 3]",
        asked: &[
            "NAME.iter().sum::<i64>()",
            "{ let mut s = 0; for x in &NAME { s += x; } s }",
            "{ let mut s = 0; let mut i = 0; while i < NAME.len() { s += NAME[i]; i += 1; } s }",
            "{ let mut s = 0; for (i, x) in NAME.iter().enumerate() { for j in 0..=*x { s += j * i as i64; } } s }",
            "NAME[N]",
            "NAME.into_iter().rev().collect::<Vec<_>>()",
        ],
    },
    Kind {
        made: "Some((N_u8, 'x'))",
        asked: &["NAME.map(|(n, _)| n)", "NAME.unwrap().1"],
    },
    Kind {
        made: "Box::new(move |x: i64| x * N) as Box<dyn Fn(i64) -> i64>",
        asked: &["NAME(3)"],
    },
    Kind {
        made: "Tensor::arange(0_f32, N_f32 + 2., &Device::Cpu)?",
        asked: &[
            "NAME.dims1()?",
            "(&NAME * 2.)?.sum_all()?.to_scalar::<f32>()?",
            "NAME.get(N)?",
        ],
    },
    Kind {
        made: "std::collections::BTreeMap::from([(N, \"one\"), (20, \"two\")])",
        asked: &["NAME.len()", "NAME[&20]", "NAME[&N]"],
    },
    Kind {
        made: "(N_i32, \"two\", [0.5_f32; 2])",
        asked: &["NAME.0 + NAME.2.len() as i32", "NAME"],
    },
];

struct Kind {
    made: &'static str,
    asked: &'static [&'static str],
}

/// Definitions, and what may follow them; of `Thing` and `double` there are several.
const DEFINED: &[(&str, &[&str])] = &[
    (
        "struct Thing { n: i64 }",
        &["let t = Thing { n: N };", "t.n", "Thing { n: N }.n"],
    ),
    (
        "#[derive(Debug, Clone)] struct Thing(String);",
        &["let t = Thing(\"N\".into());", "t.0.len()", "t"],
    ),
    (
        "struct Thing { n: u8, m: Vec<u8> }",
        &["let t = Thing { n: N, m: vec![N] };", "t.m[0] + t.n", "t.n"],
    ),
    ("fn double(x: i64) -> i64 { x * 2 }", &["double(N)"]),
    (
        "fn double<T: Clone>(x: T) -> (T, T) { (x.clone(), x) }",
        &["double(N)", "double(\"N\").1"],
    ),
    (
        "fn fails(x: i64) -> Result<i64, std::fmt::Error> { if x > 3 { Err(std::fmt::Error) } else { Ok(x) } }",
        &["fails(N)?", "fails(N)?;\nprintln!(\"went on\");"],
    ),
    (
        "trait Says { fn says(&self) -> String; }\nimpl Says for i64 { fn says(&self) -> String { format!(\"I am {self}\") } }",
        &["N_i64.says()"],
    ),
    (
        "macro_rules! twice {\n  ($e:expr) => { ($e, $e) };\n}",
        &["twice!(N)", "twice!(vec![N]).0"],
    ),
    (
        "use std::collections::HashSet;",
        &["HashSet::from([N]).len()"],
    ),
    ("const LIMIT: usize = N;", &["[0_u8; LIMIT].len()"]),
    (
        "static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(N);",
        &["COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)"],
    ),
    (
        "mod inner { pub fn f() -> &'static str { \"inner N\" } }",
        &["inner::f()"],
    ),
    (
        "enum Way { Left(i64), Right }\nimpl Way { fn n(&self) -> i64 { match self { Way::Left(n) => *n, Way::Right => 0 } } }",
        &["let w = Way::Left(N);", "w.n()", "Way::Right.n()"],
    ),
];

/// What needs nothing before it.
const ALONE: &[&str] = &[
    "println!(\"line N\");\neprintln!(\"error N\");",
    "for i in 0..3 { print!(\"{i} \"); }",
    "panic!(\"panic N\")",
    "let gone: Vec<i64> = vec![];\ngone[N]",
    "let fresh = N;\nassert_eq!(fresh, 3, \"not three\");",
    "let wrong: i64 = \"N\";",
    "unknown_N + 1",
    "let broken = (;",
    "\"N\".parse::<i32>()?",
    "\"xN\".parse::<i32>()?",
    "let mut total = 0_u64; for i in 0..10_000 { total = total.wrapping_mul(31).wrapping_add(i); } total",
    "let small: u8 = 250; let mut sum = 0_u8; for i in 0..N { sum += i + small; } sum",
    "'outer: for i in 0..10 { for j in 0..10 { if i * j == N { println!(\"{i} {j}\"); break 'outer; } } }",
    "let closure = |x: i64| x + N;\nclosure(1)",
    "{ let inside = N; inside * 2 }",
    ":vars",
    ":type 1 + N",
    "std::thread::spawn(|| println!(\"from a thread\")).join().unwrap();",
];

/// A notebook of so many cells. `krate` is the folder of a crate that a cell may name with `:dep`.
pub fn notebook(seed: u64, cells: usize, krate: Option<&Path>) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut variables: BTreeMap<&str, usize> = BTreeMap::new();
    let mut follow: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    if let Some(krate) = krate {
        out.push(format!(":dep added = {{ path = {:?} }}", krate));
        follow.push("added::answer(N)");
    }
    while out.len() < cells {
        let mut statements = Vec::new();
        for _ in 0..random.random_range(1..=2) {
            statements.push(statement(&mut random, &mut variables, &mut follow));
        }
        // Of several statements only the last may be an expression, and a command stands alone.
        let alone = statements.iter().position(|it| it.starts_with(':'));
        let cell = match alone {
            Some(at) => statements.swap_remove(at),
            None => {
                let last = statements.len() - 1;
                for statement in &mut statements[..last] {
                    if !statement.ends_with([';', '}']) {
                        statement.push(';');
                    }
                }
                statements.join("\n")
            }
        };
        out.push(cell);
    }
    out
}

fn statement(
    random: &mut StdRng,
    variables: &mut BTreeMap<&'static str, usize>,
    follow: &mut Vec<&'static str>,
) -> String {
    let n = random.random_range(0..7).to_string();
    let of = |text: &str, name: &str| {
        // `N_i64` is a number with its type.
        text.replace("N_", &format!("{n}_"))
            .replace("NAME", name)
            .replace('N', &n)
    };
    match random.random_range(0..10) {
        0..=2 => {
            let name = NAMES.choose(random).copied().unwrap_or("a");
            let kind = random.random_range(0..KINDS.len());
            variables.insert(name, kind);
            let word = if random.random_bool(0.3) {
                "let mut"
            } else {
                "let"
            };
            format!("{word} {name} = {};", of(KINDS[kind].made, name))
        }
        3..=5 if !variables.is_empty() => {
            let at = random.random_range(0..variables.len());
            let (name, kind) = variables
                .iter()
                .nth(at)
                .map_or(("a", 0), |(name, kind)| (*name, *kind));
            let asked = KINDS[kind].asked.choose(random).copied().unwrap_or("NAME");
            let asked = of(&asked.replace("NAME", "\u{1}"), name).replace('\u{1}', name);
            match random.random_range(0..4) {
                0 => format!("println!(\"{{:?}}\", {asked});"),
                1 => {
                    // Another variable with what is there already: moved where that is no copy.
                    let other = NAMES.choose(random).copied().unwrap_or("b");
                    variables.insert(other, kind);
                    format!("let {other} = {name};")
                }
                _ => asked,
            }
        }
        6..=7 => {
            let (defined, after) = DEFINED.choose(random).copied().unwrap_or(DEFINED[0]);
            follow.extend(after);
            of(defined, "")
        }
        8 if !follow.is_empty() => of(follow.choose(random).copied().unwrap_or("1"), ""),
        _ => of(ALONE.choose(random).copied().unwrap_or("1"), ""),
    }
}

/// What a front end sees of a cell that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub status: String,
    pub stdout: String,
    pub stderr: String,
    pub error: String,
    pub results: Vec<String>,
}

/// Runs a notebook in a kernel that may have run others before.
pub fn run(front_end: &mut FrontEnd, notebook: &[String]) -> Vec<Seen> {
    front_end.execute(":clear").ok();
    notebook
        .iter()
        .map(|cell| {
            let reply = front_end.execute(cell);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            // Whatever has been run before, cells are counted on.
            let error = match reply.status() {
                "error" => format!(
                    "{}: {}",
                    text(&reply.content["ename"]),
                    text(&reply.content["evalue"])
                ),
                _ => String::new(),
            };
            Seen {
                status: reply.status().to_owned(),
                stdout: without_numbers_of_cells(&reply.outputs.text("stdout")),
                // How a crate's build went says how long it took.
                stderr: match cell.starts_with(":dep") {
                    true => String::new(),
                    false => without_numbers_of_cells(&reply.outputs.text("stderr")),
                },
                error: without_numbers_of_cells(&error),
                results: ["execute_result", "display_data"]
                    .iter()
                    .flat_map(|kind| reply.outputs.of(kind))
                    .map(|content| without_numbers_of_cells(&text(&content["data"]["text/plain"])))
                    .collect(),
            }
        })
        .collect()
}

/// `cell [17]` as `cell []`.
fn without_numbers_of_cells(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("cell [") {
        let behind = at + "cell [".len();
        out.push_str(&rest[..behind]);
        rest = rest[behind..].trim_start_matches(|it: char| it.is_ascii_digit());
    }
    out.push_str(rest);
    out
}
