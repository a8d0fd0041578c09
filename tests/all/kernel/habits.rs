//! What readers of Python and PyTorch write at first, and the sentence that brings them on.

use super::diagnostics::{Case, check, traceback};
use ferrolens_tests::FrontEnd;

#[test]
fn a_closure_is_given_the_type_of_its_result() {
    check(&[
        (
            "let hooks = Hooks::new().add(\"hook_embed\", |value, _| Ok(value.clone()));",
            &["|value, _| -> Result<_> { Ok(value.clone()) });"],
        ),
        (
            "let hooks = Hooks::new().add(\"hook_embed\", |value, _| -> Result<_> { Ok(value.clone()) });",
            &[],
        ),
        (
            "let hooks = Hooks::new().add(\"hook_embed\", |value, _| {\n    let half = (value * 0.5)?;\n    \
             Ok(half)\n});",
            &["cell [3]:3:5", "|value, _| -> Result<_> {"],
        ),
        (
            "let hooks = Hooks::new().add(\"hook_embed\", |value, _| -> Result<_> {\n    \
             let half = (value * 0.5)?;\n    Ok(half)\n});",
            &[],
        ),
        (
            "let hooks = Hooks::new().add(\"hook_embed\", |value, _| (value * 0.5)?);",
            &["|value, _| -> Result<_> { Ok((value * 0.5)?) });"],
        ),
        (
            "let hooks = Hooks::new().add(\"hook_embed\", |value, _| -> Result<_> { Ok((value * 0.5)?) });",
            &[],
        ),
        (
            "let hooks = Hooks::new().add(\"hook_embed\", |v, _| { let x = v.sqr()?; println!(\"{x}\"); });",
            &["|v, _| -> Result<_> { let x = v.sqr()?; println!(\"{x}\"); Ok(()) });"],
        ),
        (
            "let hooks = Hooks::new().add(\"hook_embed\", |v, _| -> Result<_> { let x = v.sqr()?; \
             println!(\"{x}\"); Ok(()) });",
            &[],
        ),
        (
            "// å\n:vars\nlet f = |x: &Tensor| { let y = x.sqr()?; Ok(y) };",
            &[
                "cell [9]:3:42",
                "|x: &Tensor| -> Result<_> { let y = x.sqr()?; Ok(y) };",
            ],
        ),
        (
            "Hooks::new().add(\"hook_embed\", |value, _| value);",
            &[
                "a hook's function cannot return `&ferrolens::Tensor`",
                "`value.clone()`",
            ],
        ),
    ]);
}

#[test]
fn tensors_hooks_and_results_are_explained_to_readers_of_python() {
    check(&[
        (
            "let model = HookedTransformer::from_pretrained(\"stories-2l\")?;\n\
             let (logits, cache) = model.run_with_cache(\"Once upon a time\", ())?;\n\
             let t = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;\n\
             let (mask, value) = (t.gt(2.)?, t.zeros_like()?);",
            &[],
        ),
        (
            "let a = cache[\"resid_post\", 0].clone();",
            &["cell [2]:1:27", "found `,`", "`cache[(\"resid_post\", 0)]`"],
        ),
        ("cache[(\"resid_post\", 0)].dims()", &[]),
        (
            "cache.get(\"resid_post\", 0)?",
            &["`cache.get((\"resid_post\", 0))?`"],
        ),
        ("cache.get((\"resid_post\", 0))?;", &[]),
        (
            "cache.resid_post(0)?",
            &["an activation is found by its hook point"],
        ),
        ("logits[0]", &["`t.at((0, -1))?`"]),
        ("logits[:, -1]", &["`t.at((.., -1))?`"]),
        ("logits.at((.., -1))?.dims()", &[]),
        ("logits.i((0, -1))?", &["`t.at((0, -1))?`"]),
        ("t.sum(-1)?", &["`D::Minus1`"]),
        ("t.sum(D::Minus1)?", &[]),
        ("&t * 2;", &["`2.` for `2`"]),
        ("let x = 2f32; &t * x;", &["`as f64`"]),
        ("let y = &t * 0.5 + 1.0;", &["`(&a * 2.)? + 1.`"]),
        ("t.dim(1) / 2", &["comes out of its `Result` with `?`"]),
        ("t.matmul(&t.t())?", &["comes out of its `Result` with `?`"]),
        (
            "model.to_str_tokens(\"Once\")[0]",
            &["write it before the `[`"],
        ),
        ("model.to_str_tokens(\"Once\")?[0]", &[]),
        (
            "t.max_all()? > 1.0",
            &["`a.gt(&b)?`", "`t.to_scalar::<f32>()?`"],
        ),
        ("let y: f32 = t.max_all()?;", &["`t.to_scalar::<f32>()?`"]),
        ("t += 1.0;", &["`let t = (&t + 1.)?;`"]),
        ("let t = (&t + 1.)?;", &[]),
        ("for row in t { }", &["let row = t.i(row)?"]),
        ("for row in 0..t.dim(0)? { let row = t.i(row)?; }", &[]),
        ("t.mean()?", &["`t.mean_all()?`", "`t.mean(0)?`"]),
        (
            "(t.mean_all()?, t.max_all()?, t.min_all()?, t.sum_all()?, t.mean(0)?);",
            &[],
        ),
        ("t.T", &["`t.t()?`"]),
        ("t.shape", &["it is a method: `shape()`"]),
        ("t @ t", &["`a.matmul(&b)?`"]),
        ("model.cfg.n_layers", &["`model.config()`"]),
        ("model.config().n_layers", &[]),
        ("model.forward(3)?", &["a prompt is a text"]),
        (
            "model.run_with_hooks(\"Once\", (\"hook_embed\", |v: &Tensor, _: &HookPoint| v * 0.))?",
            &["`Hooks::new().add("],
        ),
        (
            "model.run_with_cache(\"Once\", 5)?",
            &["`{integer}` chooses no hook points", "`()` for every"],
        ),
        (
            "import torch",
            &["cell [36]:1:8", "found `torch`", "this looks like Python"],
        ),
        ("def f(x): return x", &["this looks like Python"]),
        ("let f = lambda x: x;", &["`|x| x / 2.`"]),
        ("let s = f\"{t}\";", &["`format!("]),
        (
            "torch.zeros(3)",
            &["`Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?`"],
        ),
        ("for i in range(3) { }", &["a range is `0..3`"]),
        ("len(t)", &["`list.len()`"]),
        ("let x =", &["cell [43]:1:8", "found the end of the cell"]),
        ("heatmap(&t)", &["`PlotOptions::new()`"]),
        ("line(&[(\"t\", &t)], 3)", &["`PlotOptions::new()`"]),
        ("model.generate(\"Once\", 10)", &["`&Generate::new(20)`"]),
        ("model.generate(\"Once\")", &["`&Generate::new(20)`"]),
        // Errors of a cell that ran.
        (
            "(&t + t.i(0)?)?",
            &["shape mismatch in add", "`a.broadcast_add(&b)?`"],
        ),
        (
            "t.to_dtype(DType::U32)?.exp()?",
            &["`t.to_dtype(DType::F32)?`"],
        ),
        // A mistake elsewhere is told beside one of syntax.
        (
            "let a: i32 = \"one\";\nlet b = missing\nlet c = 3;",
            &["cell [50]:2:16", "cell [50]:1:14"],
        ),
    ]);
}

/// What the table of PyTorch's methods gives for each, as a cell.
#[test]
fn methods_of_pytorch_are_found_under_their_names_here() {
    let methods = [
        ("argsort()", "t.arg_sort_last_dim(true)?"),
        ("cpu()", "t.to_device(&Device::Cpu)?"),
        ("cuda()", "t.to_device(&Device::best())?"),
        ("double()", "t.to_dtype(DType::F64)?"),
        ("float()", "t.to_dtype(DType::F32)?"),
        ("masked_fill(0.)", "mask.where_cond(&value, &t)?"),
        ("numel()", "t.elem_count()"),
        ("numpy()", "t.flatten_all()?.to_vec1::<f32>()?"),
        ("size()", "t.dims()"),
        ("softmax(1)", "softmax(&t)?"),
        ("sort()", "t.sort_last_dim(true)?"),
        ("std(0)", "t.var(0)?.sqrt()?"),
        ("to(\"cpu\")", "t.to_dtype(DType::F64)?"),
        ("to_vec()?", "t.flatten_all()?.to_vec1::<f32>()?"),
        ("tolist()", "t.flatten_all()?.to_vec1::<f32>()?"),
        ("topk(1)", "t.sort_last_dim(false)?"),
        ("view((4, 1))", "t.reshape((2, ()))?"),
        ("sum_all()?.item()", "t.sum_all()?.to_scalar::<f32>()?"),
    ];
    let begin = "let t = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;\n\
                 let (mask, value) = (t.gt(2.)?, t.zeros_like()?);";
    let cells: Vec<(String, Vec<&str>)> = methods
        .iter()
        .flat_map(|(torch, here)| {
            let said = here.trim_start_matches("t.sum_all()?");
            [
                (format!("t.{torch}"), vec![said]),
                (format!("{here};"), Vec::new()),
            ]
        })
        .collect();
    let mut cases: Vec<Case<'_>> = vec![(begin, &[])];
    cases.extend(
        cells
            .iter()
            .map(|(cell, said)| (cell.as_str(), said.as_slice())),
    );
    check(&cases);
}

#[test]
fn what_is_wrong_with_the_last_expression_is_said_once() {
    check(&[
        (
            "heatmap(3)",
            &["argument #2 of type `PlotOptions` is missing"],
        ),
        ("let v = vec![1]; v.item()", &["no method named `item`"]),
    ]);
    let mut front_end = FrontEnd::start();
    for cell in ["heatmap(3)", "let v = vec![1]; v.item()"] {
        let said = traceback(&mut front_end, cell);
        assert!(!said.contains("Debug"), "{cell}: {said}");
    }
}
