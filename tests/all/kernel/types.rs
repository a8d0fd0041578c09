//! Variables keep their types from cell to cell, also those that a cell does not write.

use ferrolens_tests::FrontEnd;
use serde_json::json;

#[test]
fn what_never_gets_a_value_is_no_obstacle() {
    let mut front_end = FrontEnd::start();
    let reply = front_end
        .execute("let never = { print!(\"before\"); panic!(\"there\") };")
        .failed();
    assert_eq!(reply.content["ename"], "panic");
    assert_eq!(reply.outputs.text("stdout"), "before");
    let reply = front_end.execute("never").failed();
    assert!(
        reply.traceback().contains("`never` was not kept"),
        "{}",
        reply.traceback()
    );
    // Nor is it offered.
    let found = front_end.ask("complete_request", json!({"code": "nev", "cursor_pos": 3}));
    assert!(!found["matches"].to_string().contains("never"), "{found}");
}

#[test]
fn the_types_of_everyday_variables_are_found() {
    let mut front_end = FrontEnd::start();
    let cells = [
        (
            "let a = vec![1, 2]; // a comment",
            "a.iter().sum::<i32>()",
            "3",
        ),
        (
            "let (b, mut c) = (String::from(\"x\"), 2.0_f32);",
            "c += 1.0; format!(\"{b}{c}\")",
            "\"x3\"",
        ),
        ("let m = [[0.5; 3]; 2];", "m[1][2] + m.len() as f64", "2.5"),
        (
            "let e = Some(1);\nlet Some(u) = e else { panic!() };",
            "u",
            "1",
        ),
        (
            "let s: Vec<_> = \"a b\".split(' ').map(str::to_owned).collect();",
            "s.len()",
            "2",
        ),
        (
            "let t = std::rc::Rc::new(std::cell::RefCell::new(vec![1_u8]));",
            "t.borrow()[0]",
            "1",
        ),
        (
            "struct Own { n: usize }\nlet o = vec![Own { n: 4 }];",
            "o[0].n",
            "4",
        ),
        (
            "let y; if a.len() == 2 { y = 5_u8 } else { y = 6 }",
            "y",
            "5",
        ),
        (
            "let d = Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?;\nlet i = d.dims().to_vec();",
            "i",
            "[2, 3]",
        ),
        (
            "let (p, q) = HookedTransformer::from_pretrained(\"stories-2l\")?.run_with_cache(\"Once\", All)?;",
            "q.keys().len() > 3 && p.dims().len() == 3",
            "true",
        ),
    ];
    for (defines, uses, says) in cells {
        front_end.execute(defines).ok();
        assert_eq!(
            front_end.execute(uses).ok().outputs.result(),
            says,
            "{defines}"
        );
    }
}
