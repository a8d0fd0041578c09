//! Every function that takes a tensor, given tensors that it was not made for: an answer or an error, and never
//! a panic.

use candle_core::{DType, Device, IndexOp, Tensor, Var};
use ferrolens::Result;
use ferrolens::analysis::{
    CosineHistogram, covariance, covariance_matched_directions, difference_directions,
};
use ferrolens::display::{
    PlotOptions, bar, boxes, coloured_tokens, heatmap, histogram, line, scatter, scatter_groups,
};
use ferrolens::emit::Rich;
use ferrolens::intervene::{Intervention, Restore};
use ferrolens::lessons::{FirstHooks, FirstSaes};
use ferrolens::math::{
    FactoredMatrix, Slice, gelu, gelu_new, log_softmax, log_sum_exp, set_at, silu, softmax,
};
use ferrolens::model::{HookedTransformer, Hooks};
use ferrolens::sae::metrics::SaeMetrics;
use ferrolens::sae::train::{ActivationSource, SaeTrainer, TrainConfig};
use ferrolens::sae::{
    BatchTopK, Gate, Gated, JumpRelu, Matryoshka, Nsae, Sae, SaeConfig, TopActs, TopK,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

const CPU: Device = Device::Cpu;

/// A tensor of this shape in every type and in every shape near it, with values that are no numbers, and with
/// its numbers in another order in memory.
fn odd(shape: &[usize]) -> Vec<(String, Tensor)> {
    let normal = Tensor::randn(0f32, 1., shape, &CPU).unwrap();
    let mut found: Vec<(String, Tensor)> = Vec::new();
    for dtype in [
        DType::F32,
        DType::F64,
        DType::F16,
        DType::BF16,
        DType::U8,
        DType::U32,
        DType::I64,
    ] {
        found.push((
            format!("{dtype:?} {shape:?}"),
            normal.to_dtype(dtype).unwrap(),
        ));
    }
    for (name, value) in [
        ("NaN", f32::NAN),
        ("inf", f32::INFINITY),
        ("-inf", f32::NEG_INFINITY),
        ("0", 0.),
        ("largest", f32::MAX),
    ] {
        found.push((
            format!("{name} {shape:?}"),
            Tensor::full(value, shape, &CPU).unwrap(),
        ));
    }
    let mut shapes: Vec<Vec<usize>> = vec![vec![], vec![0], vec![1], vec![3], vec![1; 6]];
    for dim in 0..shape.len() {
        let mut sizes = shape.to_vec();
        sizes[dim] = 0;
        shapes.push(sizes.clone());
        sizes[dim] = shape[dim] + 1;
        shapes.push(sizes.clone());
        sizes.remove(dim);
        shapes.push(sizes);
    }
    for ones in 1..=2 {
        shapes.push([vec![1; ones], shape.to_vec()].concat());
    }
    for sizes in shapes {
        for dtype in [DType::F32, DType::U32, DType::BF16] {
            let tensor = Tensor::ones(sizes.as_slice(), dtype, &CPU).unwrap();
            found.push((format!("{dtype:?} {sizes:?}"), tensor));
        }
    }
    if let [.., rows, columns] = *shape {
        let turned = [&shape[..shape.len() - 2], &[columns, rows]].concat();
        let turned = Tensor::randn(0f32, 1., turned.as_slice(), &CPU).unwrap();
        let rank = shape.len();
        let turned = turned.transpose(rank - 2, rank - 1).unwrap();
        found.push((format!("transposed {shape:?}"), turned));
        let spread = Tensor::randn(0f32, 1., (1, columns), &CPU).unwrap();
        found.push((
            format!("broadcast {shape:?}"),
            spread.broadcast_as(shape).unwrap(),
        ));
    }
    found
}

type Work<'a> = (&'a str, Box<dyn Fn(&Tensor) -> Result<()> + 'a>);

/// Tries all, and tells of each panic and of each error without words.
fn check(shape: &[usize], works: &[Work<'_>]) {
    let mut wrong = Vec::new();
    for (kind, tensor) in odd(shape) {
        for (name, work) in works {
            match catch_unwind(AssertUnwindSafe(|| work(&tensor))) {
                Err(panic) => {
                    let said = panic.downcast_ref::<String>().cloned();
                    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).into()));
                    wrong.push(format!(
                        "{name} of {kind} panics: {}",
                        said.unwrap_or_default()
                    ));
                }
                Ok(Err(error)) if error.to_string().len() < 10 => {
                    wrong.push(format!("{name} of {kind} says only: {error}"));
                }
                Ok(_) => {}
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What a notebook would show.
fn shown(value: impl Rich) -> ferrolens::emit::Bundle {
    value.bundle()
}

/// A line of the list below.
macro_rules! work {
    ($name:literal, |$x:ident| $work:expr) => {
        (
            $name,
            Box::new(|$x: &Tensor| -> Result<()> {
                let _ = $work?;
                Ok(())
            }) as Box<dyn Fn(&Tensor) -> Result<()> + '_>,
        )
    };
}

#[test]
fn calculations() {
    let matrix = Tensor::randn(0f32, 1., (4, 4), &CPU).unwrap();
    let factored = FactoredMatrix::new(&matrix, &matrix).unwrap();
    check(
        &[2, 3, 4],
        &[
            work!("softmax", |x| softmax(x)),
            work!("log_softmax", |x| log_softmax(x)),
            work!("log_sum_exp", |x| log_sum_exp(x)),
            work!("gelu", |x| gelu(x)),
            work!("gelu_new", |x| gelu_new(x)),
            work!("silu", |x| silu(x)),
            work!("at", |x| x.at((0, -1))),
            work!("at a range", |x| x.at((.., -2.., 1))),
            work!("set", |x| x.set((.., -2..), 1.)),
            work!("set to itself", |x| x.set((0,), x)),
            work!("set_at", |x| set_at(x, 2, -1, 0.)),
            work!("TopActs::largest", |x| TopActs::largest(x, 2)),
            work!("show", |x| Ok::<_, ferrolens::Error>(x.bundle())),
        ],
    );
    check(
        &[4, 4],
        &[
            work!("FactoredMatrix::new", |x| FactoredMatrix::new(x, &matrix)
                .and_then(|product| product.svd().map(drop))),
            work!("FactoredMatrix::new, right", |x| FactoredMatrix::new(
                &matrix, x
            )),
            work!("matmul_right", |x| factored.matmul_right(x)),
            work!("matmul_left", |x| factored.matmul_left(x)),
            work!("CosineHistogram::within", |x| CosineHistogram::within(x, 5)),
            work!("CosineHistogram::between", |x| CosineHistogram::between(
                x, &matrix, 5
            )),
            work!("covariance", |x| covariance(x)),
            work!("covariance_matched_directions", |x| {
                covariance_matched_directions(x, 3, 1)
            }),
            work!("difference_directions", |x| difference_directions(x, 3, 1)),
        ],
    );
}

#[test]
fn pictures() {
    let options = PlotOptions::new;
    check(
        &[3, 4],
        &[
            work!("heatmap", |x| heatmap(x, options()).map(shown)),
            work!("line", |x| line(&[("x", x)], options()).map(shown)),
            work!("bar", |x| bar(&[("x", x)], options()).map(shown)),
            work!("boxes", |x| boxes(&[("x", x)], options()).map(shown)),
            work!("histogram", |x| histogram(&[("x", x)], options())
                .map(shown)),
            work!("scatter", |x| scatter(x, x, options()).map(shown)),
            work!("scatter_groups", |x| {
                scatter_groups(&[("x", x, x)], options()).map(shown)
            }),
            work!("x_values", |x| line(&[("x", x)], options().x_values(x)?)
                .map(shown)),
            work!("errors", |x| bar(&[("x", x)], options().errors(x)?)
                .map(shown)),
            work!("band", |x| line(&[("x", x)], options().band(x, x)?)
                .map(shown)),
            work!("colour_by", |x| scatter(x, x, options().colour_by(x)?)
                .map(shown)),
            work!("log_y", |x| histogram(
                &[("x", x)],
                options().log_y(true).log_x(true)
            )
            .map(shown)),
        ],
    );
    let tokens = ["a", "b", "c"];
    check(
        &[3],
        &[work!("coloured_tokens", |x| coloured_tokens(&tokens, x)
            .and_then(|shown| shown.measure("again", x))
            .map(|shown| shown.bundle()))],
    );
}

#[test]
fn models() {
    let model = &HookedTransformer::from_pretrained("stories-2l").unwrap();
    let (pos, width) = (5, model.config().d_model);
    let vocabulary = model.config().d_vocab;
    let ids = &[1u32, 2, 3, 4, 5];
    let hooked = move |x: &Tensor, point: &str| {
        let x = x.clone();
        let hooks = Hooks::new().add(point, move |_, _| x.clone());
        model.run_with_hooks(ids, hooks)
    };
    let intervened = |made: Intervention| model.run_with_hooks(ids, made);
    let (_, cache) = model.run_with_cache(ids, ()).unwrap();
    let cache = &cache;
    let answer = || model.to_single_token(" her");
    let lesson = FirstHooks::new(model, "Lily had a ball").unwrap();
    check(
        &[1, pos, width],
        &[
            work!("forward", |x| model.forward(x)),
            work!("loss", |x| model.loss(x)),
            work!("to_string", |x| model.to_string(x)),
            work!("a hook", |x| hooked(x, "blocks.0.hook_resid_post")),
            work!("a hook at the scale", |x| hooked(
                x,
                "blocks.0.ln1.hook_scale"
            )),
            work!("a hook at the pattern", |x| hooked(
                x,
                "blocks.0.attn.hook_pattern"
            )),
            work!("run_from_layer", |x| model.run_from_layer(1, x).logits()),
            work!("replace", |x| intervened(Intervention::replace(
                "blocks.0.hook_resid_post",
                x
            ))),
            work!("apply_ln_to_stack", |x| cache.apply_ln_to_stack(
                x,
                -1,
                false,
                ..
            )),
            work!("logit_attrs", |x| cache.logit_attrs(x, answer()?, None, ..)),
            work!("FirstHooks::residual", |x| lesson.residual(Some(x))),
        ],
    );
    check(
        &[width],
        &[
            work!("steer", |x| intervened(Intervention::steer(
                "blocks.0.hook_resid_post",
                x,
                4.
            )?)),
            work!("project_out", |x| intervened(Intervention::project_out(
                "blocks.0.hook_resid_post",
                x
            )?)),
            work!("along", |x| intervened(
                Intervention::zero("blocks.0.hook_resid_post")
                    .along(x)?
                    .restoring(Restore::CleanNorm)
            )),
        ],
    );
    check(
        &[1, pos, vocabulary],
        &[
            work!("loss_fn", |x| model.loss_fn(x, ids)),
            work!("loss_fn_per_token", |x| model.loss_fn_per_token(x, ids)),
            work!("logits_to_df", |x| model
                .logits_to_df(x, 3)
                .or_else(|_| model.logits_to_df(&x.i((0, 0))?, 3))),
            work!("a metric", |x| {
                let x = x.clone();
                model.run(ids).backward(move |_| Ok(x.clone()))
            }),
        ],
    );
}

/// A random autoencoder with one gate.
fn sae(gate: Gate, d_in: usize) -> Sae {
    let d_sae = 12;
    let weight = |rows, columns| Tensor::randn(0f32, 1., (rows, columns), &CPU).unwrap();
    let zeros = |size: usize| Tensor::zeros(size, DType::F32, &CPU).unwrap();
    Sae::new(
        SaeConfig::new(d_in, d_sae).hook_name("blocks.0.hook_resid_post"),
        weight(d_in, d_sae),
        zeros(d_sae),
        weight(d_sae, d_in),
        zeros(d_in),
        gate,
    )
    .unwrap()
}

#[test]
fn autoencoders() {
    let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
    let d_in = model.config().d_model;
    let twelve = |value: f32| Tensor::full(value, 12, &CPU).unwrap();
    let gates = [
        Gate::Relu,
        Gate::Gated(Gated {
            r_mag: twelve(0.1),
            b_mag: twelve(0.),
            b_gate: twelve(0.),
        }),
        Gate::JumpRelu(JumpRelu {
            threshold: twelve(0.2),
        }),
        Gate::TopK(TopK {
            signed: true,
            ..TopK::new(3)
        }),
        Gate::BatchTopK(BatchTopK {
            k: 2.,
            threshold: None,
            rescale_by_decoder_norm: true,
        }),
        Gate::Matryoshka(Matryoshka {
            prefixes: vec![4, 12],
            inner: Box::new(Gate::TopK(TopK::new(3))),
        }),
        Gate::Nsae(Nsae { sigma: 0.1 }),
    ];
    for gate in gates {
        let sae = &sae(gate, d_in);
        let lesson = FirstSaes::new(&model, sae, "Lily had a ball");
        check(
            &[1, 3, d_in],
            &[
                work!("encode", |x| sae.encode(x)),
                work!("pre_acts", |x| sae.pre_acts(x)),
                work!("encode_latents", |x| sae.encode_latents(x, &[0, 11])),
                work!("encode_top", |x| sae.encode_top(x, 2)),
                work!("forward", |x| sae.forward(x)),
                work!("error", |x| sae.error(x)),
                work!("active_latents", |x| sae.active_latents(x)),
                work!("latents_near", |x| sae.latents_near(&x.flatten_all()?, 3)),
                work!("decompose_direction", |x| sae
                    .decompose_direction(&x.at((0, 0))?, 3)),
                work!("composites", |x| sae.composites(x, 2, 2, 1)),
                work!("composites of rows", |x| sae.composites(&x.at(0)?, 2, 2, 1)),
                work!("compare_decoder_cosines", |x| sae.compare_decoder_cosines(
                    &x.at(0)?,
                    5,
                    1
                )),
                work!("SaeMetrics::update", |x| SaeMetrics::new(sae).update(x)),
                work!("SaeMetrics::update_where", |x| SaeMetrics::new(sae)
                    .update_where(x, x)),
                work!("SaeMetrics::update_pair", |x| SaeMetrics::new(sae)
                    .update_pair(x, x)),
                work!("input_of", |x| sae.put_back(x, &sae.input_of(x)?)),
                work!("FirstSaes::encoded", |x| match &lesson {
                    Ok(lesson) => lesson.encoded(Some(x)).map(drop),
                    Err(_) => Ok(()),
                }),
            ],
        );
        check(
            &[1, 3, 12],
            &[
                work!("decode", |x| sae.decode(x)),
                work!("decode_for", |x| sae.decode_for(x, x)),
                work!("decode_latents", |x| sae.decode_latents(x, &[0; 12])),
                work!("put_back", |x| sae.put_back(x, x)),
            ],
        );
    }
}

/// Two steps of training on these activations.
fn trained(x: &Tensor, config: TrainConfig) -> Result<()> {
    let source = ActivationSource::of_tensor("x", x)?;
    SaeTrainer::new(source, config.batch_size(4))?.run(2)?;
    Ok(())
}

/// The gradient of the sum of what is calculated from a tensor that is trained.
fn differentiated(
    x: &Tensor,
    function: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<()> {
    let trained = Var::from_tensor(x)?;
    function(trained.as_tensor())?.sum_all()?.backward()?;
    Ok(())
}

#[test]
fn gradients() {
    check(
        &[2, 3, 4],
        &[
            work!("softmax", |x| differentiated(x, softmax)),
            work!("log_softmax", |x| differentiated(x, log_softmax)),
            work!("log_sum_exp", |x| differentiated(x, log_sum_exp)),
            work!("gelu", |x| differentiated(x, gelu)),
            work!("gelu_new", |x| differentiated(x, gelu_new)),
            work!("silu", |x| differentiated(x, silu)),
        ],
    );
}

#[test]
#[allow(non_snake_case)]
fn training() {
    check(
        &[8, 4],
        &[
            work!("ActivationSource::of_tensor", |x| {
                ActivationSource::of_tensor("x", x)
            }),
            work!("relu", |x| trained(x, TrainConfig::relu(6))),
            work!("gated", |x| trained(x, TrainConfig::gated(6))),
            work!("jump_relu", |x| trained(x, TrainConfig::jump_relu(6))),
            work!("top_k", |x| trained(x, TrainConfig::top_k(6, 2))),
            work!("batch_top_k", |x| trained(
                x,
                TrainConfig::batch_top_k(6, 1.5)
            )),
            work!("matryoshka", |x| trained(
                x,
                TrainConfig::matryoshka([2, 6], 1.5)
            )),
            work!("nsae", |x| trained(x, TrainConfig::nsae(6, 0.1, 0.1))),
        ],
    );
    let weight = Tensor::randn(0f32, 1., (4, 6), &CPU).unwrap();
    let decoder = Tensor::randn(0f32, 1., (6, 4), &CPU).unwrap();
    let (b_enc, b_dec) = (
        Tensor::zeros(6, DType::F32, &CPU).unwrap(),
        Tensor::zeros(4, DType::F32, &CPU).unwrap(),
    );
    let made = |W_enc: &Tensor, b_enc: &Tensor, W_dec: &Tensor, b_dec: &Tensor| {
        let (W_enc, b_enc, W_dec, b_dec) =
            (W_enc.clone(), b_enc.clone(), W_dec.clone(), b_dec.clone());
        let sae = Sae::new(SaeConfig::new(4, 6), W_enc, b_enc, W_dec, b_dec, Gate::Relu)?;
        sae.forward(&Tensor::ones((2, 4), DType::F32, &CPU)?)
    };
    check(
        &[4, 6],
        &[
            work!("W_enc", |x| made(x, &b_enc, &decoder, &b_dec)),
            work!("W_dec", |x| made(&weight, &b_enc, &x.t()?, &b_dec)),
            work!("W_skip", |x| made(&weight, &b_enc, &decoder, &b_dec)
                .and_then(|_| {
                    let sae = Sae::new(
                        SaeConfig::new(4, 6),
                        weight.clone(),
                        b_enc.clone(),
                        decoder.clone(),
                        b_dec.clone(),
                        Gate::Relu,
                    )?;
                    sae.with_skip(x.clone())
                })),
        ],
    );
    check(
        &[6],
        &[
            work!("b_enc", |x| made(&weight, x, &decoder, &b_dec)),
            work!("b_dec", |x| made(&weight, &b_enc, &decoder, x)),
        ],
    );
}
