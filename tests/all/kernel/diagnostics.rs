//! What a reader sees of a cell that does not compile, or fails.

use ferrolens_tests::{FrontEnd, Reply};
use std::time::Duration;

/// The kernels of these tests start beside each other.
const PATIENCE: Duration = Duration::from_secs(300);

/// Names that only what the engine puts around a cell has.
const WRAPPING: &[&str] = &[
    "evcxr",
    "EvcxrUserCodeError",
    "run_user_code",
    "put_variable",
    "closure body",
    "emit::",
    "lib.rs",
    "stop_point",
];

/// A cell, and lines of its traceback; with none, the cell must succeed.
pub(super) type Case<'a> = (&'a str, &'a [&'a str]);

/// Runs the cells in one kernel, the first as number 1, and tells of all that is not as expected.
pub(super) fn check(cases: &[Case<'_>]) {
    let mut front_end = FrontEnd::start();
    front_end.wait_at_most(PATIENCE);
    let mut wrong = Vec::new();
    for (cell, expected) in cases {
        let reply = front_end.execute(cell);
        if (reply.status() == "ok") != expected.is_empty() {
            wrong.push(format!("{cell}\nends as {:#?}", reply.content));
            continue;
        }
        if expected.is_empty() {
            continue;
        }
        let traceback = reply.failed_with();
        for line in *expected {
            if !traceback.plain.contains(line) {
                wrong.push(format!(
                    "{cell}\nshould say\n{line}\nand says\n{}",
                    traceback.plain
                ));
            }
        }
        for name in WRAPPING {
            if traceback.all.contains(name) {
                wrong.push(format!("{cell}\nspeaks of {name}:\n{}", traceback.all));
            }
        }
        if !traceback.is_coloured {
            wrong.push(format!("{cell}\nhas no colours"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What a cell that failed says.
struct Said {
    /// The traceback without colours.
    plain: String,
    /// That and everything else.
    all: String,
    is_coloured: bool,
}

trait FailedWith {
    fn failed_with(self) -> Said;
}

impl FailedWith for Reply {
    fn failed_with(self) -> Said {
        let reply = self.failed();
        let plain = reply.traceback();
        Said {
            all: format!("{plain}{}{}", reply.content, reply.outputs.text("stderr")),
            is_coloured: reply.content["traceback"].to_string().contains("\\u001b["),
            plain,
        }
    }
}

/// The traceback of a cell that must fail.
pub(super) fn traceback(front_end: &mut FrontEnd, cell: &str) -> String {
    let reply = front_end.execute(cell);
    assert_eq!(reply.status(), "error", "{cell}");
    reply.failed_with().plain
}

#[test]
fn every_error_stands_under_the_users_own_line() {
    check(&[
        (
            "let v = vec![1, 2, 3];\nlet w = String::from(\"a\");\nlet alpha_beta = 1;",
            &[],
        ),
        // Several at once, in their columns.
        (
            "let a: i32 = \"x\"; let b: u8 = unknown_name;\nlet c = v.lenn();",
            &[
                "cell [2]:1:31",
                "cannot find value `unknown_name`",
                "cell [2]:1:14",
                "1 | let a: i32 = \"x\"; let b: u8 = unknown_name;",
                "expected `i32`, found `&str`",
                "cell [2]:2:11",
                "there is a method `len` with a similar name",
                "2 + let c = v.len();",
            ],
        ),
        (
            "for x in v.clone() { y }",
            &["cell [3]:1:22", "1 | for x in v.clone() { y }"],
        ),
        (
            "let é = \"é\"; let n: i32 = é;\nfor i in 0..3 { let s: u8 = \"é\"; }",
            &[
                "cell [4]:1:27",
                "cell [4]:2:29",
                "2 | for i in 0..3 { let s: u8 = \"é\"; }",
            ],
        ),
        (
            "let t =\t1; let n: i32 =\t\"x\";",
            &["cell [5]:1:25", "expected `i32`, found `&str`"],
        ),
        (
            "macro_rules! plus { ($e:expr) => { $e + \"x\" } }\nplus!(1)",
            &[
                "cell [6]:1:39",
                "2 | plus!(1)",
                "in this macro's invocation",
            ],
        ),
        (
            "let n: i32 = match 3 {\n  1 => 1,\n  _ => {\n    \"x\"\n  }\n};",
            &["cell [7]:4:5", "4 |     \"x\""],
        ),
        // An item of an earlier cell, which a later one breaks.
        (
            "// What follows is used below.\nfn changed(x: i32) -> i32 { x }\nfn user(x: i32) -> i32 { changed(x) }",
            &[],
        ),
        (
            "fn changed(x: String) -> i32 { 5 }",
            &[
                "cell [8]:3:34",
                "cell [9]:1:4",
                "function defined here",
                "expected `String`, found `i32`",
            ],
        ),
        (
            "use std::collections::{HashMap, Nope};",
            &["cell [10]:1:33", "no `Nope` in `collections`"],
        ),
        (
            "let x = 5\nlet y = 6;",
            &["cell [11]:1:10", "expected `;`", "add `;` here"],
        ),
        (
            "let x = vec![1, 2;\nx",
            &["cell [12]:1:13", "unclosed delimiter"],
        ),
        ("}", &["cell [13]:1:1", "unexpected closing delimiter"]),
        (
            "let s = \"abc;\n1",
            &["cell [14]:1:9", "unterminated double quote string"],
        ),
        (
            "fn f() {}\nfn f() {}",
            &[
                "error[E0428]",
                "cell [15]:2:4",
                "previous definition of `f` here",
            ],
        ),
        (
            "fn bad(x: i32) -> i32 { x.foo() }\nlet k: u8 = \"s\";",
            &["cell [16]:1:27", "cell [16]:2:13"],
        ),
        (
            ":dep ferrolens-no-such-crate = { path = \"nowhere\" }\n1",
            &["cell [17]:1:6"],
        ),
        (":nocommand", &["There is no command `:nocommand`"]),
        ("let unused = 1; fn never() {}", &[]),
    ]);
}

#[test]
fn a_notebooks_reader_is_told_what_to_do() {
    check(&[
        (
            "let v = vec![1, 2, 3];\nlet w = String::from(\"a\");\nlet model_name = 1;",
            &[],
        ),
        ("return 5;", &["cell [2]:1:8", "a cell cannot `return`"]),
        ("return;", &["cell [3]:1:1", "a cell cannot `return`"]),
        ("break;", &["`break` outside of a loop", "'cell: {"]),
        (
            "struct Odd; fn fails() -> Result<(), Odd> { Err(Odd) }\nfails()?;",
            &["cell [5]:2:8", "`Display`", ".map_err("],
        ),
        (
            "struct Plain;\nPlain",
            &["cell [6]:2:1", "doesn't implement `Debug`", "impl Debug"],
        ),
        (
            "fn length() -> usize { v.len() }",
            &[
                "cell [7]:1:24",
                "functions cannot see the notebook's variables",
                "v: &Vec<i32>",
            ],
        ),
        (
            "model_nam + 1",
            &["there is no variable `model_nam`; the nearest: `model_name`"],
        ),
        ("w.push('c');", &["cell [9]:1:1", "let mut w = w;"]),
        ("model_name = 3;", &["let mut model_name = model_name;"]),
        (
            "let m = v; v.len()",
            &["cell [11]:1:12", "value moved here", "`v.clone()`"],
        ),
        ("1;\n\ndrop(v);", &[]),
        (
            "v.len()",
            &[
                "`v` was moved in cell [12], line 3; clone it there (`v.clone()`, cheap for models and \
               tensors) or borrow it (`&v`)",
            ],
        ),
        ("let late: i32 = w.parse()?;", &["cell [14], line 1"]),
        (
            "late + 1",
            &["`late` was not kept, because cell [14] failed"],
        ),
        // Borrows.
        (
            "let mut a = vec![1]; { let first = &a[0]; a.push(2); println!(\"{first}\"); }",
            &["error[E0502]", "cell [16]:1:43", "a borrow lasts until"],
        ),
        (
            "std::thread::spawn(|| println!(\"{w}\")).join().is_ok()",
            &[
                "cell [17]:1:",
                "what outlives it, such as a thread",
                "`move`",
            ],
        ),
        (
            "let f: Box<dyn Fn() -> i32> = { let k = 5; Box::new(|| k + 1) };",
            &["error[E0373]", "move || k + 1"],
        ),
        // What cannot be kept.
        (
            "let it = w.chars();",
            &[
                "`it` cannot be kept",
                "Chars<'_>",
                ".collect::<Vec<_>>()",
                "braces",
            ],
        ),
        (
            "let r = &w;",
            &[
                "cell [20]:1:5",
                "`r` cannot be kept",
                "`&String`",
                "clone()",
            ],
        ),
        (
            "let add = |x: i32, y: i32| x + y;",
            &[
                "`add` cannot be kept",
                "Box<dyn Fn(i32, i32) -> _> = Box::new(|x: i32, y: i32| x + y);",
            ],
        ),
        (
            "let add: Box<dyn Fn(i32, i32) -> _> = Box::new(|x: i32, y: i32| x + y);\nadd(1, 2)",
            &[],
        ),
        (
            "let lock = std::sync::Mutex::new(1);\nlet guard = lock.lock()?;",
            &[
                "`guard` cannot be kept",
                "MutexGuard",
                "a lock should not be held",
            ],
        ),
        (
            "let words: Vec<String> = vec![];\nlet m = words.iter().map(|x| x.len());",
            &[
                "cell [24]:2:5",
                "`m` cannot be kept",
                ".collect::<Vec<_>>()",
            ],
        ),
        ("std::process::abort()", &["crash"]),
        ("w", &["`w` was lost when cell [25] ended its process"]),
        (
            "std::hint::black_box(Vec::<u8>::with_capacity(1 << 62)).len()",
            &["ran out of memory"],
        ),
    ]);
}

#[test]
fn a_panic_shows_the_users_calls_the_most_recent_last() {
    let mut front_end = FrontEnd::start();
    front_end.wait_at_most(PATIENCE);
    front_end
        .execute(
            "fn pick(v: &[i32], at: usize) -> i32 {\n    v[at]\n}\n\nstruct Table(Vec<i32>);\nimpl Table {\n    \
             #[inline(never)]\n    fn get(&self, at: usize) -> i32 {\n        pick(&self.0, at)\n    }\n}",
        )
        .ok();
    let said = traceback(
        &mut front_end,
        "let table = Table(vec![1]);\n\nfor at in 0..9 { println!(\"{}\", table.get(at)); }",
    );
    let order = [
        "cell [2], line 3",
        "for at in 0..9",
        "cell [1], line 9, in Table::get",
        "pick(&self.0, at)",
        "cell [1], line 2, in pick",
        "v[at]",
        "panic: index out of bounds",
    ];
    let places: Vec<Option<usize>> = order.iter().map(|line| said.find(line)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{places:?}\n{said}"
    );
    for name in ["evcxr", "std::", "core::", "lib.rs", "run_user_code"] {
        assert!(!said.contains(name), "{name} in\n{said}");
    }
    // A closure that an earlier cell defined is where it was.
    front_end
        .execute("// one\nlet boxed: Box<dyn Fn(usize) -> i32> = Box::new(|at: usize| {\n    let v = vec![1];\n    v[at]\n});")
        .ok();
    let said = traceback(&mut front_end, "let x = 1;\nboxed(4)");
    assert!(
        said.contains("cell [4], line 2") && said.contains("cell [3], line 4, in a closure"),
        "{said}"
    );
    let said = traceback(
        &mut front_end,
        "fn deep(n: u32) -> u32 {\n    if n == 0 { panic!(\"bottom\") }\n    1 + deep(std::hint::black_box(n - 1))\n}\ndeep(50)",
    );
    assert!(
        said.contains("called again") && said.contains("line 2, in deep"),
        "{said}"
    );
    // Through a library, and inside one.
    let said = traceback(
        &mut front_end,
        "fn three(x: i32) -> i32 { if x == 3 { panic!(\"three\") } else { x } }\n[1, 2, 3].iter().map(|x| three(*x)).sum::<i32>()",
    );
    assert!(
        said.contains("cell [6], line 2") && said.contains("cell [6], line 1, in three"),
        "{said}"
    );
    let said = traceback(
        &mut front_end,
        "let d = grow();\nfn grow() -> Vec<u8> { let mut v: Vec<u8> = Vec::new(); v.reserve(std::hint::black_box(usize::MAX)); v }",
    );
    assert!(
        said.contains("capacity overflow") && said.contains("line 2, in grow"),
        "{said}"
    );
    // Other threads.
    let reply = front_end
        .execute("let worker = std::thread::Builder::new().name(\"worker\".to_owned());\nworker.spawn(|| {\n    panic!(\"there\")\n})?.join().is_err()")
        .ok();
    let said = reply.outputs.text("stderr");
    assert!(
        said.contains("thread 'worker' panicked at cell [8], line 3"),
        "{said}"
    );
    let said = traceback(
        &mut front_end,
        "use rayon::prelude::*;\n(0..4).into_par_iter().map(|i| {\n    if i == 3 { panic!(\"four\") }\n    i\n}).sum::<i32>()",
    );
    assert!(
        said.contains("cell [9], line 3") && said.contains("panic: four"),
        "{said}"
    );
    // One that the cell catches itself.
    let reply = front_end
        .execute("let caught = std::panic::catch_unwind(|| {\n    if true { panic!(\"caught\") }\n    1\n}).is_err();\ncaught")
        .ok();
    assert_eq!(reply.outputs.result(), "true");
    let said = reply.outputs.text("stderr");
    assert!(said.contains("panicked at cell [10], line 2"), "{said}");
}
