//! The residual stream taken apart, against TransformerLens, in every family.

use super::families::{FAMILIES, processed};
use crate::golden::{Golden, PROCESSED, assert_close};
use candle_core::{D, Tensor};
use ferrolens::model::{ActivationCache, Answer, HookedTransformer, ResidOptions, ResidualStack};
use serde_json::{Value, json};
use std::collections::HashMap;

struct Analysis {
    family: &'static str,
    model: HookedTransformer,
    tokens: Tensor,
    cache: ActivationCache,
    recorded: HashMap<String, Tensor>,
    labels: Value,
}

fn each(check: impl Fn(&Analysis)) {
    for family in ["gpt2"].into_iter().chain(FAMILIES) {
        println!("{family}");
        let golden = Golden::new(family);
        let model = processed(&golden);
        let tokens = golden.tensors("tl_processed.safetensors")["tokens"].clone();
        let (_, cache) = model.run_with_cache(&tokens, ()).unwrap();
        check(&Analysis {
            family,
            model,
            tokens,
            cache,
            recorded: golden.tensors("tl_analysis.safetensors"),
            labels: golden.json("tl_analysis_labels.json"),
        });
    }
}

impl Analysis {
    /// Compares a stack and its labels with those recorded under this name; whether any were.
    fn check(&self, name: &str, ours: impl FnOnce() -> ResidualStack) -> bool {
        let Some(theirs) = self.recorded.get(name) else {
            return false;
        };
        let ours = ours();
        let label = format!("{}, {name}", self.family);
        assert_close(&label, &ours.components, theirs, PROCESSED);
        assert_eq!(json!(ours.labels), self.labels["labels"][name], "{label}");
        true
    }

    fn full(&self, options: &ResidOptions) -> ResidualStack {
        self.cache.get_full_resid_decomposition(options).unwrap()
    }
}

#[test]
fn full_decompositions() {
    each(|analysis| {
        let heads = ResidOptions::new().expand_neurons(false);
        analysis.check("full/layer=-1,expand=0,pos=None", || analysis.full(&heads));
        let last = heads.clone().pos_slice(-1);
        assert!(analysis.check("full/layer=-1,expand=0,pos=-1", || analysis.full(&last)));
        let through = last.clone().apply_ln(true);
        let name = "full/layer=-1,expand=0,pos=-1,apply_ln";
        assert!(analysis.check(name, || analysis.full(&through)));
        let neurons = ResidOptions::new().pos_slice(-2).apply_ln(true);
        analysis.check("full/layer=-1,expand=1,pos=-2,apply_ln", || {
            analysis.full(&neurons)
        });
        let layer = (analysis.model.config().n_layers - 1).min(1) as isize;
        let before_mlp = heads.clone().layer(layer).mlp_input(true).apply_ln(true);
        let before_mlp = before_mlp.pos_slice(3);
        analysis.check("full/layer=1,mlp_input,apply_ln,expand=0,pos=3", || {
            analysis.full(&before_mlp)
        });
        let some = heads.clone().layer(1).pos_slice(2..5);
        analysis.check("full/layer=1,expand=0,pos=(2,5)", || analysis.full(&some));
    });
}

#[test]
fn layer_by_layer() {
    each(|analysis| {
        let config = analysis.model.config();
        let has_mid = !config.attn_only && !config.parallel_attn_mlp;
        let accumulated = ResidOptions::new().incl_mid(has_mid);
        let cache = &analysis.cache;
        analysis.check("accumulated/layer=-1", || {
            cache.accumulated_resid(&accumulated).unwrap()
        });
        let last = accumulated.clone().apply_ln(true).pos_slice(-1);
        let found = analysis.check("accumulated/layer=-1,apply_ln,pos=-1", || {
            cache.accumulated_resid(&last).unwrap()
        });
        assert!(found, "{}", analysis.family);
        analysis.check("decompose/layer=-1", || {
            cache.decompose_resid(&ResidOptions::new()).unwrap()
        });
        let layer = (config.n_layers - 1).min(1) as isize;
        let attn = ResidOptions::new().layer(layer).mlp_input(true).only_attn();
        analysis.check("decompose/layer=1,mlp_input,mode=attn", || {
            cache.decompose_resid(&attn).unwrap()
        });
        let last = ResidOptions::new().pos_slice(-1);
        assert!(analysis.check("heads/layer=-1,pos=-1", || {
            cache.stack_head_results(&last).unwrap()
        }));
    });
}

#[test]
fn parts_sum_to_what_the_layer_reads() {
    each(|analysis| {
        let config = analysis.model.config();
        if config.use_normalization_before_and_after || analysis.family.ends_with("shortformer") {
            return;
        }
        let options = ResidOptions::new().apply_ln(true);
        let parts = analysis.full(&options);
        let whole = match analysis.cache.contains("ln_final.hook_normalized") {
            true => analysis.cache["ln_final.hook_normalized"].clone(),
            false => analysis.cache[("resid_post", -1)].clone(),
        };
        let sum = parts.components.sum(0).unwrap();
        assert_close(analysis.family, &sum, &whole, PROCESSED);
    });
}

#[test]
fn directions_and_attributions() {
    each(|analysis| {
        let Analysis {
            model,
            cache,
            recorded,
            tokens,
            ..
        } = analysis;
        let pos = tokens.dim(1).unwrap();
        let answers = tokens.narrow(1, 1, pos - 1).unwrap();
        let name = "tokens_to_residual_directions/toks[:,1:]";
        if let Some(theirs) = recorded.get(name) {
            let ours = model.tokens_to_residual_directions(&answers).unwrap();
            assert_close(name, &ours, theirs, PROCESSED);
        }
        let stack = analysis.full(&ResidOptions::new().expand_neurons(false).pos_slice(-1));
        let stack = stack.components;
        let ours = cache.apply_ln_to_stack(&stack, -1, false, -1).unwrap();
        assert_close(
            "apply_ln_to_stack",
            &ours,
            &recorded["apply_ln_to_stack/full,pos=-1"],
            PROCESSED,
        );
        let of = |at: usize| Answer::from(tokens.narrow(1, at, 1).unwrap().squeeze(1).unwrap());
        let ours = cache.logit_attrs(&stack, of(0), Some(of(1)), -1).unwrap();
        assert_close(
            "logit_attrs",
            &ours,
            &recorded["logit_attrs/full,pos=-1"],
            PROCESSED,
        );

        // The attributions of prompt 0's last token, as the notebooks compute them.
        let prompt = tokens
            .narrow(0, 0, 1)
            .unwrap()
            .narrow(1, 0, pos - 1)
            .unwrap();
        let answer = tokens.get(0).unwrap().get(pos - 1).unwrap();
        let answer = answer
            .to_dtype(candle_core::DType::U32)
            .unwrap()
            .to_scalar::<u32>()
            .unwrap();
        let (_, cache) = model.run_with_cache(&prompt, ()).unwrap();
        let options = ResidOptions::new().expand_neurons(false).pos_slice(-1);
        let parts = cache.get_full_resid_decomposition(&options).unwrap();
        let ours = cache
            .logit_attrs(&parts.components, answer, None, -1)
            .unwrap();
        let ours = ours.squeeze(D::Minus1).unwrap();
        assert_close("seed_DLA", &ours, &recorded["seed_DLA/prompt0"], PROCESSED);
    });
}

#[test]
fn stacked_weights_have_transformer_lenss_shapes() {
    each(|analysis| {
        let model = &analysis.model;
        let shapes = analysis.labels["stack_shapes"].as_object().unwrap();
        assert!(shapes.len() >= 10);
        for (name, theirs) in shapes {
            let ours = match name.as_str() {
                "W_E" => model.W_E(),
                "W_U" => model.W_U(),
                "W_pos" => model.W_pos(),
                "W_Q" => model.W_Q(),
                "W_K" => model.W_K(),
                "W_V" => model.W_V(),
                "W_O" => model.W_O(),
                "W_in" => model.W_in(),
                "W_out" => model.W_out(),
                "b_Q" => model.b_Q(),
                "b_K" => model.b_K(),
                "b_V" => model.b_V(),
                "b_O" => model.b_O(),
                "b_in" => model.b_in(),
                "b_out" => model.b_out(),
                other => panic!("`{other}` is not compared"),
            };
            assert_eq!(
                json!(ours.unwrap().dims()),
                *theirs,
                "{}, {name}",
                analysis.family
            );
        }
    });
}

#[test]
fn wrong_questions_are_answered_with_the_reason() {
    let model = super::processed();
    let (_, cache) = model.run_with_cache([1u32, 2, 3], ()).unwrap();
    let error = cache
        .accumulated_resid(&ResidOptions::new().layer(9))
        .unwrap_err();
    assert!(
        error.to_string().contains("layer 9 does not exist"),
        "{error}"
    );
    let error = cache
        .accumulated_resid(&ResidOptions::new().pos_slice(7))
        .unwrap_err();
    assert!(error.to_string().contains("has 3 entries"), "{error}");
    let error = cache
        .stack_head_results(&ResidOptions::new().layer(0))
        .unwrap_err();
    assert!(
        error.to_string().contains("choose a later layer"),
        "{error}"
    );
    let stack = cache.decompose_resid(&ResidOptions::new()).unwrap();
    let error = cache
        .apply_ln_to_stack(&stack.components, -1, false, 0..2)
        .unwrap_err();
    assert!(
        error.to_string().contains("does not fit the scale"),
        "{error}"
    );
    let few = model
        .cache_only([1u32, 2, 3], "blocks.0.hook_resid_pre")
        .unwrap();
    let error = few.decompose_resid(&ResidOptions::new()).unwrap_err();
    assert!(error.to_string().contains("hook_embed"), "{error}");
    let error = model.tokens_to_residual_directions(9999u32).unwrap_err();
    assert!(
        error.to_string().contains("outside the vocabulary"),
        "{error}"
    );
}
