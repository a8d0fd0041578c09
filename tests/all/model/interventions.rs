//! TransformerLens under hooks, intervention by intervention, in every family.

use super::families::{FAMILIES, processed};
use crate::golden::{Golden, PROCESSED, assert_close};
use candle_core::Tensor;
use ferrolens::math::{Span, set_at, set_slice};
use ferrolens::model::{HookedTransformer, Hooks};
use std::collections::HashMap;

struct Interventions {
    family: &'static str,
    model: HookedTransformer,
    tokens: Tensor,
    recorded: HashMap<String, Tensor>,
}

impl Interventions {
    fn new(family: &'static str) -> Self {
        let golden = Golden::new(family);
        Self {
            family,
            model: processed(&golden),
            tokens: golden.tensors("tl_processed.safetensors")["tokens"].clone(),
            recorded: golden.tensors("tl_interventions.safetensors"),
        }
    }

    /// Whether blocks have an MLP to intervene in.
    fn has_mlp(&self) -> bool {
        !self.model.config().attn_only
    }

    /// The middle layer, in which some interventions were recorded.
    fn mid(&self) -> isize {
        (self.model.config().n_layers - 1).min(1) as isize
    }

    /// Compares everything that was recorded under this name.
    fn check(&self, name: &str, hooks: &Hooks) {
        let prefix = format!("{name}/");
        let recorded = self.recorded.iter();
        let recorded =
            recorded.filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
        let mut compared = 0;
        for (what, theirs) in recorded {
            let label = format!("{}, {name}: {what}", self.family);
            let run = self.model.run(&self.tokens).hooks(hooks);
            let ours = match what.strip_prefix("cache/") {
                Some(point) => run.cache(point).cache_only().unwrap().get(point).unwrap(),
                None if what == "loss_per_token" => run.loss_per_token().unwrap(),
                None if what == "logits[:,-3:]" => {
                    let logits = run.logits().unwrap();
                    logits.narrow(1, logits.dim(1).unwrap() - 3, 3).unwrap()
                }
                None => continue,
            };
            assert_close(&label, &ours, theirs, PROCESSED);
            compared += 1;
        }
        assert!(
            compared > 0,
            "nothing was recorded for {name} in {}",
            self.family
        );
    }
}

fn each(check: impl Fn(&Interventions)) {
    for family in ["gpt2"].into_iter().chain(FAMILIES) {
        check(&Interventions::new(family));
    }
}

#[test]
fn zeroing() {
    each(|fixture| {
        let zero = Hooks::new().add(("attn_out", 0), |value, _| value.zeros_like());
        fixture.check("zero_attn_out_L0", &zero);
        let zero = Hooks::new().add(("z", 0), |value, _| set_at(value, 2, 1, 0.));
        fixture.check("zero_head_L0H1", &zero);
        let zero = Hooks::new().add(("pattern", 0), |value, _| set_at(value, 3, 0, 0.));
        fixture.check("pattern_no_bos_L0", &zero);
        if fixture.has_mlp() {
            let mid = fixture.mid();
            let zero = Hooks::new().add(("mlp_out", mid), |value, _| value.zeros_like());
            fixture.check("zero_mlp_out", &zero);
            let zero = Hooks::new().add(("post", mid), |value, _| set_at(value, 1, -2, 0.));
            fixture.check("zero_mlp_post_pos-2", &zero);
        }
    });
}

#[test]
fn mean_ablation() {
    each(|fixture| {
        if !fixture.has_mlp() {
            return;
        }
        let post = ("post", fixture.mid());
        let clean = fixture.model.cache_only(&fixture.tokens, post).unwrap();
        let mean = clean[post].mean((0, 1)).unwrap();
        let theirs = &fixture.recorded["mean_ablate_mlp_post_pos-2/mean"];
        assert_close("mean", &mean, theirs, PROCESSED);
        let hooks = Hooks::new().add(post, move |value, _| {
            set_slice(value, &[0.into(), (-2).into()], &mean)
        });
        fixture.check("mean_ablate_mlp_post_pos-2", &hooks);
    });
}

#[test]
fn steering_and_patching() {
    each(|fixture| {
        let resid_pre = ("resid_pre", fixture.mid());
        let vector = (&fixture.recorded["steer/vec"] * 2.).unwrap();
        let hooks = Hooks::new().add(resid_pre, move |value, _| {
            let pos = value.dim(1)?;
            let steered = value.narrow(1, 3, pos - 3)?.broadcast_add(&vector)?;
            set_at(value, 1, 3.., steered)
        });
        fixture.check("steer_resid_pre_from_pos3", &hooks);

        let clean = fixture
            .model
            .cache_only(&fixture.tokens, resid_pre)
            .unwrap();
        let clean = clean[resid_pre].get(0).unwrap().get(4).unwrap();
        let hooks = Hooks::new().add(resid_pre, move |value, _| {
            set_slice(value, &[1.into(), 4.into()], &clean)
        });
        fixture.check("patch_resid_pre_pos4_row0_into_row1", &hooks);
    });
}

#[test]
fn attention_knockout() {
    let hooks = Hooks::new().add(("attn_scores", 0), |value, _| {
        let at = [Span::all(), 0.into(), (5..).into(), 2.into()];
        set_slice(value, &at, f64::NEG_INFINITY)
    });
    each(|fixture| fixture.check("scores_knockout_L0H0", &hooks));
}

#[test]
fn hooks_on_one_point_run_in_order() {
    let twice = Hooks::new().add(("attn_out", 0), |value, _| value * 2.);
    let plus = Hooks::new().add(("attn_out", 0), |value, _| value + 1.);
    let half = Hooks::new().add(("attn_out", 0), |value, _| value * 0.5);
    each(|fixture| {
        fixture.check("order_mul2_then_add1", &twice.clone().and(&plus));
        fixture.check("order_add1_then_mul2", &plus.clone().and(&twice));
        // TransformerLens's outer context comes first.
        fixture.check("nested", &twice.clone().and(&plus));
        fixture.check("inplace_no_return", &half);
        fixture.check("after_contexts", &Hooks::new());
    });
}
