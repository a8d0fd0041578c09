//! What does not fit is a sentence that names both sides.

use super::{gpt2, message, ones, standard, tokens};
use crate::sae::core::sae_lens;
use candle_core::{DType, Device, Tensor};
use ferrolens::intervene::{ErrorTerm, Intervention, Removal, Restore};
use ferrolens::model::Hooks;

fn run(hooks: impl Into<Hooks>) -> String {
    message(gpt2().run(tokens()).hooks(hooks).logits())
}

fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn an_autoencoder_that_does_not_fit_the_hook_point() {
    let mut sae = standard();
    sae.cfg.hook_name = Some("blocks.0.mlp.hook_post".into());
    let reconstruct = Intervention::reconstruct(&sae, ErrorTerm::Dropped).unwrap();
    says(
        &run(&reconstruct),
        &[
            "blocks.0.mlp.hook_post",
            "width 32",
            "width 128",
            &sae.name(),
        ],
    );
    sae.cfg.hook_name = Some("blocks.1.hook_resid_prae".into());
    let unknown = message(Intervention::reconstruct(&sae, ErrorTerm::Dropped));
    says(
        &unknown,
        &["hook_resid_prae", "hook_resid_pre`", &sae.name()],
    );
    sae.cfg.hook_name = Some("blocks.7.hook_resid_pre".into());
    let elsewhere = Intervention::reconstruct(&sae, ErrorTerm::Dropped).unwrap();
    says(&run(&elsewhere), &["blocks.7.hook_resid_pre"]);
    sae.cfg.hook_name = None;
    let nowhere = message(Intervention::remove_latents(&sae, 3, Removal::AtOnce));
    says(&nowhere, &["sae.cfg.hook_name = Some("]);
    sae.cfg.hook_name = Some("blocks.0.ln2.hook_normalized".into());
    sae.cfg.hook_name_out = Some("blocks.0.hook_mlp_out".into());
    let transcoder = message(Intervention::remove_latents(&sae, 3, Removal::AtOnce));
    says(&transcoder, &["transcoder"]);
}

#[test]
fn latents_that_are_not_there() {
    let sae = standard();
    let set = |latents: Vec<i32>| {
        message(Intervention::set_latents(
            &sae,
            latents,
            0.,
            ErrorTerm::Kept,
        ))
    };
    says(&set(vec![3, 192]), &["latent 192", "0 to 191"]);
    says(&set(vec![-1]), &["latent -1", "0 to 191"]);
    says(&set(vec![]), &["at least one"]);
    says(&set(vec![3, 4, 3]), &["latent 3", "twice"]);
    let values = Intervention::set_latents(&sae, [3, 4], [1.], ErrorTerm::Kept);
    says(&message(values), &["1 values for 2 latents"]);
    let tensor = ones(&[5]);
    let set = Intervention::set_latents(&sae, [3, 4], &tensor, ErrorTerm::Kept).unwrap();
    says(&run(&set), &["[5]", "[2, 18, 2]"]);
    for kind in ["gated", "topk"] {
        let sae = sae_lens(kind).1;
        let in_turn = Intervention::remove_latents(&sae, 3, Removal::OneAfterAnother);
        says(&message(in_turn), &[kind, "Removal::AtOnce"]);
    }
    let heads = Intervention::remove_latents(&sae, 3, Removal::AtOnce).unwrap();
    says(&run(heads.neurons(3)), &["whole activations"]);
}

#[test]
fn places_that_are_not_there() {
    let zero = || Intervention::zero("blocks.0.hook_mlp_out");
    says(
        &run(zero().at(18)),
        &[
            "index 18",
            "blocks.0.hook_mlp_out",
            "18 positions",
            "0 to 17",
        ],
    );
    says(&run(zero().at(-19)), &["index -19"]);
    says(&run(zero().at([0; 0])), &["no positions", "at least one"]);
    says(&run(zero().rows(2)), &["2 prompts"]);
    says(&run(zero().heads(0)), &["no heads", "blocks.0.attn.hook_z"]);
    says(
        &run(Intervention::zero(("z", 1)).heads(9)),
        &["index 9", "heads"],
    );
    says(&run(zero().neurons(32)), &["index 32", "neurons"]);
    says(
        &run(Intervention::zero("blocks.0.hook_mlp_ot")),
        &["hook_mlp_out"],
    );
}

#[test]
fn directions_that_do_not_fit() {
    let point = "blocks.0.hook_mlp_out";
    let wide = ones(&[33]);
    says(
        &run(Intervention::steer(point, &wide, 1.).unwrap()),
        &["[33]", "[2, 18, 32]", point],
    );
    says(
        &run(Intervention::project_out(point, &wide).unwrap()),
        &["33", "32]", point],
    );
    let zero = wide.zeros_like().unwrap();
    says(
        &message(Intervention::project_out(point, &zero)),
        &["all 0"],
    );
    let length = ferrolens::intervene::Strength::Length(1.);
    says(
        &message(Intervention::steer(point, &zero, length)),
        &["direction is 0"],
    );
    let nan = (&wide * f64::NAN).unwrap();
    says(&message(Intervention::steer(point, &nan, 1.)), &["NaN"]);
    says(&message(Intervention::project_out(point, &nan)), &["NaN"]);
    let ids = Tensor::ones(32, DType::U32, &Device::Cpu).unwrap();
    says(
        &run(Intervention::replace(point, &ids)),
        &["U32", point, "F32"],
    );
    let cube = ones(&[1, 1, 32]);
    says(
        &message(Intervention::project_out(point, &cube)),
        &["[1, 1, 32]", "[n, d]"],
    );
}

#[test]
fn recordings_that_do_not_fit() {
    let (model, point) = (gpt2(), "blocks.0.hook_mlp_out");
    let cache = model.cache_only(tokens(), point).unwrap();
    let elsewhere = Intervention::patch("blocks.1.hook_mlp_out", &cache);
    says(
        &run(&elsewhere),
        &["blocks.1.hook_mlp_out", "does not hold"],
    );
    let patch = |dims: &[usize]| Intervention::patch(point, ones(dims));
    says(&run(patch(&[1, 12, 32])), &["12 positions", "patch_from"]);
    says(&run(patch(&[1, 12, 32]).at(14)), &["12 positions"]);
    says(&run(patch(&[3, 18, 32])), &["3 prompts", "2"]);
    says(
        &run(patch(&[2, 18, 31])),
        &["[2, 18, 31]", "[2, 18, 32]", point],
    );
    let uneven = Intervention::patch_from(point, &cache, [1, 2, 3]).at([1, 2]);
    says(&run(&uneven), &["3 positions", "of 2"]);
    let short = Intervention::resample(point, ones(&[4, 12, 32]), 0);
    says(&run(&short), &["12 positions", "has 18"]);
    let restored = |restore| run(Intervention::restore(point, restore));
    says(&restored(Restore::Norm(f64::NAN)), &["NaN is not a norm"]);
    says(
        &restored(Restore::NormOf(ones(&[2, 17, 32]))),
        &["[2, 17, 32]"],
    );
    let mean = ones(&[32]).zeros_like().unwrap();
    says(&restored(Restore::AlongMean(mean)), &["mean is 0"]);
}
