//! What readers of Python write at first: tensors, results and hooks as the prelude has them instead.

use super::compile_error::Shown;
use super::diagnostic::{Diagnostic, quoted};

const RESULT: &str = "`std::result::Result<";
const NUMBERS: &[&str] = &["f32", "f64", "i32", "i64", "u8", "u32", "u64", "usize"];

/// Methods of PyTorch's tensors under other names: PyTorch's, and what is written here.
const METHODS: &[(&str, &str)] = &[
    ("argsort", "t.arg_sort_last_dim(true)?"),
    ("cpu", "t.to_device(&Device::Cpu)?"),
    ("cuda", "t.to_device(&Device::best())?"),
    ("double", "t.to_dtype(DType::F64)?"),
    ("float", "t.to_dtype(DType::F32)?"),
    ("item", "t.to_scalar::<f32>()?"),
    ("masked_fill", "mask.where_cond(&value, &t)?"),
    ("numel", "t.elem_count()"),
    ("numpy", "t.flatten_all()?.to_vec1::<f32>()?"),
    ("size", "t.dims()"),
    ("softmax", "softmax(&t)?"),
    ("sort", "t.sort_last_dim(true)?"),
    ("std", "t.var(0)?.sqrt()?"),
    ("to", "t.to_device(&device)?` or `t.to_dtype(DType::F64)?"),
    ("to_vec", "t.flatten_all()?.to_vec1::<f32>()?"),
    ("tolist", "t.flatten_all()?.to_vec1::<f32>()?"),
    ("topk", "t.sort_last_dim(false)?"),
    ("view", "t.reshape((2, ()))?"),
];

/// Names of Python that mean nothing here.
const NAMES: &[(&str, &str)] = &[
    (
        "len",
        "how many there are is a method: `list.len()`; of a tensor `t.dim(0)?`",
    ),
    ("np", TENSORS),
    (
        "plt",
        "figures are made by `line`, `bar`, `histogram`, `heatmap` and `scatter`; Shift-Tab on one shows how",
    ),
    ("range", "a range is `0..3`"),
    ("str", "a text of a value is `format!(\"{value}\")`"),
    ("torch", TENSORS),
];

const TENSORS: &str = "tensors are made by `Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?` and the like, and calculate in \
     their methods";

/// A sentence for a name that Python has.
pub(super) fn name(name: &str) -> Option<String> {
    let known = NAMES.iter().find(|(python, _)| *python == name)?;
    Some(known.1.to_owned())
}

/// A sentence for an error that such a habit leads to.
pub(super) fn sentence(code: &str, diagnostic: &Diagnostic, shown: &mut Shown) -> Option<String> {
    let message = diagnostic.message.as_str();
    let text = match code {
        "E0608" => index(message)?.to_owned(),
        "E0277" if message.contains("`usize: std::ops::Neg`") => {
            shown.notes.clear();
            "dimensions are counted from 0, and the last is `D::Minus1`; `t.at((0, -1))?` is the part of a \
             tensor at an index that counts from the end"
                .to_owned()
        }
        "E0277" if message.contains("Tensor` is not an iterator") => {
            shown.notes.clear();
            "go through the rows with `for row in 0..t.dim(0)? { let row = t.i(row)?; … }`, or through numbers \
             with `t.to_vec1::<f32>()?`"
                .to_owned()
        }
        "E0277" if message.contains(": Borrow<ferrolens::Tensor>`") => {
            shown.notes.clear();
            match quoted(message).and_then(|bound| bound.split_once(": "))?.0 {
                "{integer}" => {
                    "tensors are calculated with `f64`: write a point, `2.` for `2`".to_owned()
                }
                number if NUMBERS.contains(&number) => {
                    "tensors are calculated with `f64`: write `as f64` behind the number".to_owned()
                }
                _ => return None,
            }
        }
        "E0277" if message.contains("`Hooks: From<") => {
            shown.notes.clear();
            "hooks are a list: `Hooks::new().add(\"blocks.0.hook_resid_post\", |value, _| value * 0.)`"
                .to_owned()
        }
        "E0277" if message.contains("`Input: From<") => {
            shown.notes.clear();
            "a prompt is a text, a list of texts, token ids (`vec![1u32, 2]`) or a tensor of them".to_owned()
        }
        "E0277" | "E0369" if message.contains(RESULT) && is_calculated(message) => {
            shown.notes.clear();
            "what may have failed comes out of its `Result` with `?`, step by step: `(&a * 2.)? + 1.`".to_owned()
        }
        "E0369" if message.contains("ferrolens::Tensor`") => {
            let method = compared(message)?;
            format!(
                "tensors are compared element by element, `a.{method}(&b)?`; a single number comes out with \
                 `t.to_scalar::<f32>()?`"
            )
        }
        "E0308" if is_number_for_tensor(diagnostic) => {
            shown.notes.clear();
            "a number comes out of a tensor of one with `t.to_scalar::<f32>()?`, several with \
             `t.to_vec1::<f32>()?`"
                .to_owned()
        }
        "E0308" if is_result_for_value(diagnostic) && !shown.suggests("`?`") => {
            "what may have failed comes out of its `Result` with `?`: `&t.t()?`".to_owned()
        }
        "E0368" if message.contains("ferrolens::Tensor`") => {
            shown.notes.clear();
            "a tensor is never changed in place: make a new one, `let t = (&t + 1.)?;`".to_owned()
        }
        "E0061" | "E0308" if options(diagnostic).is_some() => options(diagnostic)?.to_owned(),
        "E0061" if diagnostic.points_at("get") && is_point_in_two(diagnostic) => {
            shown.notes.clear();
            "a hook point in two parts is a tuple: `cache.get((\"resid_post\", 0))?`".to_owned()
        }
        "E0061" if message.ends_with("but 0 arguments were supplied") && is_of_tensors(diagnostic) => {
            let over = ["max", "mean", "min", "sum"];
            let method = over.iter().find(|method| diagnostic.points_at(method))?;
            shown.notes.clear();
            format!("over all entries it is `t.{method}_all()?`, over a dimension `t.{method}(0)?`")
        }
        "E0599" if message.ends_with("found for struct `ferrolens::Tensor` in the current scope") => {
            let torch = quoted(message)?;
            let (_, here) = METHODS.iter().find(|(method, _)| *method == torch)?;
            shown.notes.clear();
            format!("here it is `{here}`")
        }
        "E0609" if message == "no field `T` on type `ferrolens::Tensor`" => {
            "the transpose is `t.t()?`".to_owned()
        }
        "E0599" if message.contains("ActivationCache`") && names_a_point(message) => {
            "an activation is found by its hook point: `cache[\"blocks.0.hook_resid_post\"]`, \
             `cache[(\"resid_post\", 0)]`, or with `?` in place of a panic `cache.get((\"resid_post\", 0))?`"
                .to_owned()
        }
        "E0609" if message == "no field `cfg` on type `ferrolens::model::HookedTransformer`" => {
            "it is a method: `model.config()`".to_owned()
        }
        "E0615" if shown.notes.is_empty() => {
            format!("it is a method: `{}()`", quoted(message)?)
        }
        _ => return None,
    };
    Some(text)
}

/// Options that are missing, or something else in their place.
fn options(diagnostic: &Diagnostic) -> Option<&'static str> {
    let has = |start: &str, kind: &str| {
        let labels = diagnostic
            .spans
            .iter()
            .filter_map(|span| span.label.as_deref());
        labels
            .into_iter()
            .any(|label| label.contains(&format!("{start}`{kind}`")))
    };
    if has("of type ", "PlotOptions") || has("expected ", "PlotOptions") {
        return Some(
            "`PlotOptions::new()` is for a plain figure, `.title(\"…\")` and the like say more",
        );
    }
    if has("of type ", "&Generate") || has("expected ", "&Generate") {
        return Some(
            "`&Generate::new(20)` is for 20 new tokens, `.temperature(0.7)` and the like say more",
        );
    }
    None
}

/// Whether the method that is missing is named as hook points are.
fn names_a_point(message: &str) -> bool {
    let name = quoted(message).unwrap_or_default();
    ["attn", "block", "hook", "mlp", "pattern", "resid"]
        .iter()
        .any(|part| name.contains(part))
}

/// Whether a number is one argument too many.
fn is_point_in_two(diagnostic: &Diagnostic) -> bool {
    let labels = diagnostic
        .spans
        .iter()
        .filter_map(|span| span.label.as_deref());
    labels
        .into_iter()
        .any(|label| label.starts_with("unexpected argument #2 of type `{integer}`"))
}

/// Whether the compiler points into the source of tensors for what is called.
fn is_of_tensors(diagnostic: &Diagnostic) -> bool {
    let spans = diagnostic.children.iter().flat_map(|child| &child.spans);
    spans
        .into_iter()
        .any(|span| span.file_name.ends_with("/tensor.rs"))
}

/// The message is that a value has no `[…]`.
fn index(message: &str) -> Option<&'static str> {
    Some(if message.contains("Tensor`") {
        "a part of a tensor is `t.at(0)?`, `t.at((0, -1))?` or `t.at((.., 2..5))?`"
    } else if message.contains(RESULT) {
        "what may have failed comes out of its `Result` with `?`: write it before the `[`"
    } else if message.contains("Shape`") {
        "the sizes as a list are `t.dims()`"
    } else {
        return None;
    })
}

/// Whether the message is about an operator.
fn is_calculated(message: &str) -> bool {
    ["cannot ", "binary operation"]
        .iter()
        .any(|start| message.starts_with(start))
}

/// The method of tensors for an operator that they lack.
fn compared(message: &str) -> Option<&'static str> {
    Some(match quoted(message)? {
        "==" => "eq",
        "!=" => "ne",
        "<" => "lt",
        "<=" => "le",
        ">" => "gt",
        ">=" => "ge",
        _ => return None,
    })
}

/// Whether something that may have failed stands where its value is wanted.
fn is_result_for_value(diagnostic: &Diagnostic) -> bool {
    let labels = diagnostic
        .spans
        .iter()
        .filter_map(|span| span.label.as_deref());
    labels.into_iter().any(|label| {
        label
            .split_once(", found ")
            .is_some_and(|(expected, found)| {
                found.trim_start_matches(['`', '&']).starts_with("Result<")
                    && !expected.contains("Result<")
            })
    })
}

fn is_number_for_tensor(diagnostic: &Diagnostic) -> bool {
    let is = |label: &str| {
        label.ends_with("found `Tensor`")
            && quoted(label).is_some_and(|expected| NUMBERS.contains(&expected))
    };
    let labels = diagnostic
        .spans
        .iter()
        .filter_map(|span| span.label.as_deref());
    labels.into_iter().any(is)
}
