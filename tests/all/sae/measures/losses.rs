//! What a model loses with an autoencoder in place.

use super::assert_near;
use crate::golden::{Golden, values};
use crate::sae::core::{KINDS, sae_lens};
use crate::sae::interventions::{gpt2, message, tokens};
use candle_core::{Device, IndexOp, Tensor};
use ferrolens::intervene::{ErrorTerm, Intervention};
use ferrolens::model::Hooks;
use ferrolens::sae::metrics::LossMetrics;
use ferrolens::sae::{Gate, Sae, SaeConfig};

#[test]
fn losses_of_every_kind_are_as_recorded() {
    let (model, tokens) = (gpt2(), tokens());
    for kind in KINDS {
        let (golden, sae) = sae_lens(kind);
        let recorded = &golden.tensors("golden.safetensors")["ce_clean_zero_recon"];
        let [clean, zero, recon] = values(recorded)[..] else {
            panic!("three losses");
        };
        let mut metrics = LossMetrics::new(&model, &sae).unwrap();
        for row in 0..2 {
            metrics.update(tokens.i(row).unwrap()).unwrap();
        }
        let report = metrics.finish().unwrap();
        assert_eq!((report.predictions, report.positions), (34, 36));
        assert_near(kind, report.clean, f64::from(clean), 1e-4);
        assert_near(kind, report.zero, f64::from(zero), 1e-4);
        assert_near(kind, report.recon, f64::from(recon), 1e-4);
    }
}

#[test]
fn sae_lens_s_evaluation_says_the_same() {
    let golden = Golden::new("sae");
    let evals = golden.json("evals.json");
    let tokens = golden.tensors("evals.safetensors");
    let bos = evals["bos"].as_u64().unwrap() as u32;
    let model = gpt2();
    for (case, theirs) in evals["cases"].as_object().unwrap() {
        let (kind, which) = case.split_once('/').unwrap();
        let mut metrics = LossMetrics::new(&model, &sae_lens(kind).1).unwrap();
        if which != "all" {
            metrics = metrics.exclude_tokens([bos]).unwrap();
        }
        for at in 0..2 {
            metrics.update(&tokens[&format!("tokens/{at}")]).unwrap();
        }
        let report = metrics.finish().unwrap();
        for (name, ours) in [
            ("ce_loss_without_sae", report.clean),
            ("ce_loss_with_ablation", report.zero),
            ("ce_loss_with_sae", report.recon),
            ("ce_loss_score", report.loss_recovered()),
            ("kl_div_with_ablation", report.kl_zero),
            ("kl_div_with_sae", report.kl_recon),
            ("kl_div_score", report.kl_recovered()),
        ] {
            let theirs = theirs[name].as_f64().unwrap();
            assert_near(&format!("{case}: {name}"), ours, theirs, 1e-3);
        }
        assert_eq!(report.to_df().unwrap().height(), 10);
    }
}

#[test]
fn padding_does_not_count() {
    let model = gpt2();
    let sae = sae_lens("standard").1;
    let mut one_by_one = LossMetrics::new(&model, &sae).unwrap();
    let texts = ["Once upon a time there was a girl", "The cat sat"];
    for text in texts {
        one_by_one.update(text).unwrap();
    }
    let mut together = LossMetrics::new(&model, &sae).unwrap();
    together.update(texts).unwrap();
    let (ours, theirs) = (together.finish().unwrap(), one_by_one.finish().unwrap());
    assert_eq!(ours.predictions, theirs.predictions);
    assert_eq!(ours.positions, theirs.positions);
    assert_near("recon", ours.recon, theirs.recon, 1e-5);
    assert_near("kl", ours.kl_recon, theirs.kl_recon, 1e-4);
}

#[test]
fn the_mean_is_that_of_the_batch_or_one_given() {
    let (model, tokens) = (gpt2(), tokens());
    let sae = sae_lens("standard").1;
    let point = "blocks.1.hook_resid_pre";
    let x = model.cache_only(&tokens, point).unwrap()[point].clone();
    let mean = x.mean((0, 1)).unwrap();
    let mut of_batch = LossMetrics::new(&model, &sae).unwrap();
    of_batch.update(&tokens).unwrap();
    let mut given = LossMetrics::new(&model, &sae).unwrap().mean(&mean);
    given.update(&tokens).unwrap();
    let (of_batch, given) = (of_batch.finish().unwrap(), given.finish().unwrap());
    assert_near("mean", of_batch.mean, given.mean, 1e-5);
    let hooks = Intervention::mean(point, &x);
    let by_hand = model.run(&tokens).hooks(&hooks).loss().unwrap();
    assert_near("mean", of_batch.mean, f64::from(by_hand), 1e-5);
    assert!((of_batch.mean - of_batch.zero).abs() > 1e-3);
}

#[test]
fn what_cannot_be_measured_is_a_sentence() {
    let model = gpt2();
    let mut sae = sae_lens("standard").1;
    let mut metrics = LossMetrics::new(&model, &sae).unwrap();
    assert!(message(metrics.finish()).contains("metrics.update(prompts)?"));
    let one = Tensor::new(&[[5u32]], &Device::Cpu).unwrap();
    assert!(message(metrics.update(&one)).contains("longer"));
    sae.cfg.hook_name = Some("blocks.1.mlp.hook_post".into());
    let wide = message(LossMetrics::new(&model, &sae));
    assert!(wide.contains("width 32") && wide.contains("128"), "{wide}");
    sae.cfg.hook_name = None;
    assert!(message(LossMetrics::new(&model, &sae)).contains("hook_name"));
}

#[test]
fn a_transcoder_s_place_is_where_it_writes() {
    let (model, tokens) = (gpt2(), tokens());
    let mut sae = sae_lens("standard_no_bdec_input").1;
    sae.cfg.hook_name = Some("blocks.1.ln2.hook_normalized".into());
    sae.cfg.hook_name_out = Some("blocks.1.hook_mlp_out".into());
    let mut metrics = LossMetrics::new(&model, &sae).unwrap();
    metrics.update(&tokens).unwrap();
    let report = metrics.finish().unwrap();
    let loss = |hooks: Hooks| f64::from(model.run(&tokens).hooks(hooks).loss().unwrap());
    let zero = loss(Intervention::zero("blocks.1.hook_mlp_out").hooks());
    assert_near("zero", report.zero, zero, 1e-5);
    let read = model
        .cache_only(&tokens, "blocks.1.ln2.hook_normalized")
        .unwrap();
    let written = sae.forward(&read["blocks.1.ln2.hook_normalized"]).unwrap();
    let recon = loss(Intervention::patch("blocks.1.hook_mlp_out", &written).hooks());
    assert_near("recon", report.recon, recon, 1e-5);
    assert!((zero - recon).abs() > 1e-3);
}

#[test]
fn of_one_head_only_that_is_ablated() {
    let (model, tokens) = (gpt2(), tokens());
    let whole = sae_lens("standard_no_bdec_input").1;
    let d_head = model.config().d_head;
    let part =
        |tensor: &Tensor, dim: usize| tensor.narrow(dim, 0, d_head).unwrap().contiguous().unwrap();
    let mut cfg = SaeConfig::new(d_head, 192).hook_name("blocks.1.attn.hook_z");
    cfg.hook_head_index = Some(2);
    let sae = Sae::new(
        cfg,
        part(&whole.W_enc, 0),
        whole.b_enc.clone(),
        part(&whole.W_dec, 1),
        part(&whole.b_dec, 0),
        Gate::Relu,
    )
    .unwrap();
    let mut metrics = LossMetrics::new(&model, &sae).unwrap();
    metrics.update(&tokens).unwrap();
    let report = metrics.finish().unwrap();
    let loss = |hooks: Hooks| f64::from(model.run(&tokens).hooks(hooks).loss().unwrap());
    let zero = loss(Intervention::zero(("z", 1)).heads(2).hooks());
    assert_near("zero", report.zero, zero, 1e-5);
    let recon = loss(
        Intervention::reconstruct(&sae, ErrorTerm::Dropped)
            .unwrap()
            .hooks(),
    );
    assert_near("recon", report.recon, recon, 1e-5);
    let z = model.cache_only(&tokens, ("z", 1)).unwrap();
    let mean = loss(Intervention::mean(("z", 1), &z).heads(2).hooks());
    assert_near("mean", report.mean, mean, 1e-5);
}
