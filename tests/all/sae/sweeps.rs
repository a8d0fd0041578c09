//! Sweeps over a corpus, against what the published notebook finds.

// The papers' symbols are the names of weights.
#![allow(non_snake_case)]

use crate::golden::{Golden, PROCESSED, assert_close};
use candle_core::pickle::PthTensors;
use candle_core::{DType, Tensor};
use ferrolens::analysis::{Examples, Sweep};
use ferrolens::data::{Corpus, CorpusOptions, Packing, Texts};
use ferrolens::model::{HookedTransformer, LoadOptions};
use ferrolens::sae::{Gate, Sae, SaeConfig};

pub const RUNS: [(&str, &str); 2] = [
    ("18_morning_sun", "blocks.0.mlp.hook_post"),
    ("98_hardy_firefly", "blocks.1.mlp.hook_post"),
];

pub struct Workflow {
    pub golden: Golden,
    pub model: HookedTransformer,
    pub corpus: Corpus,
}

pub fn workflow() -> Workflow {
    let model = Golden::new("gpt_neo").model(LoadOptions::new());
    let golden = Golden::new("gpt_neo/workflow_001");
    let prompts = Texts::from_file(golden.path("prompts.json")).unwrap();
    let corpus = Corpus::new(&model, prompts).unwrap();
    Workflow {
        golden,
        model,
        corpus,
    }
}

impl Workflow {
    pub fn encoder(&self, run: &str, hook: &str) -> Sae {
        let path = self.golden.path(&format!("encoders/tiny/{run}.pt"));
        let file = PthTensors::new(path, None).unwrap();
        let weight = |name: &str| file.get(name).unwrap().unwrap();
        let (W_enc, W_dec) = (weight("W_enc"), weight("W_dec"));
        let (d_in, d_sae) = W_enc.dims2().unwrap();
        let cfg = SaeConfig::new(d_in, d_sae).hook_name(hook);
        Sae::new(
            cfg,
            W_enc,
            weight("b_enc"),
            W_dec,
            weight("b_dec"),
            Gate::Relu,
        )
        .unwrap()
    }
}

#[test]
fn maxima_and_their_positions_are_those_of_the_notebook() {
    let of = workflow();
    let lengths = of.golden.json("golden.json")["n_tokens"].clone();
    assert_eq!(serde_json::json!(of.corpus.lengths()), lengths);
    let recorded = of.golden.tensors("golden.safetensors");
    for (run, hook) in RUNS {
        let sae = of.encoder(run, hook);
        let sweep = Sweep::new()
            .keep_maxima()
            .skip_last(1)
            .token_budget(300)
            .no_cache();
        let sweep = sweep.run(&of.model, &sae, &of.corpus).unwrap();
        let maxima = sweep.max_activations().unwrap();
        let values = &recorded[&format!("{run}/max_activations")];
        assert_close(run, &maxima.values, values, PROCESSED);
        let positions = &recorded[&format!("{run}/max_activation_token_indices")];
        let theirs: Vec<Vec<u32>> = positions.to_dtype(DType::U32).unwrap().to_vec2().unwrap();
        let ours: Vec<Vec<u32>> = maxima.positions.to_vec2().unwrap();
        let values: Vec<Vec<f32>> = values.to_vec2().unwrap();
        let mut differ = 0;
        for (prompt, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            for (latent, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                // Two positions may be equally active to the last bit but one.
                differ += usize::from(ours != theirs && values[prompt][latent] > 0.);
                assert!(
                    values[prompt][latent] > 0. || ours == theirs,
                    "{prompt} {latent}"
                );
            }
        }
        assert!(differ <= 2, "{run}: {differ} positions differ");
        // The table of a latent's examples follows the recorded values.
        let latent = 386;
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*b][latent].total_cmp(&values[*a][latent]));
        let top = sweep.choose(latent as u32, Examples::Top, 3).unwrap();
        for (top, prompt) in top.iter().zip(order) {
            assert!((top.activation - values[prompt][latent]).abs() < PROCESSED);
        }
        let active = values.iter().filter(|values| values[latent] > 0.).count();
        let all = sweep.choose(latent as u32, Examples::Top, 1000).unwrap();
        assert_eq!(all.len(), active, "only prompts that activate it");
    }
}

#[test]
fn tokens_of_the_corpus_are_counted() {
    let of = workflow();
    let recorded = of.golden.tensors("golden.safetensors")["token_occurrences"].clone();
    let theirs: Vec<i64> = recorded.to_dtype(DType::I64).unwrap().to_vec1().unwrap();
    let mut ours: Vec<i64> = of
        .corpus
        .token_counts()
        .iter()
        .map(|count| *count as i64)
        .collect();
    ours.resize(theirs.len(), 0);
    assert_eq!(ours, theirs);
}

#[test]
fn batches_change_nothing() {
    let of = workflow();
    let (run, hook) = RUNS[1];
    let sae = of.encoder(run, hook);
    let with = |budget| {
        let sweep = Sweep::new().token_budget(budget).keep_maxima().no_cache();
        sweep.run(&of.model, &sae, &of.corpus).unwrap()
    };
    let (together, alone) = (with(100_000), with(1));
    let values = |of: &ferrolens::analysis::LatentSweep| of.max_activations().unwrap().values;
    assert_close("maxima", &values(&together), &values(&alone), 1e-4);
    for (a, b) in together.mean().iter().zip(alone.mean()) {
        assert!((a - b).abs() < 1e-5);
    }
    assert_eq!(together.tokens(), of.corpus.tokens() as u64);
    let x = of
        .model
        .cache_only(of.corpus.ids(3).unwrap(), hook)
        .unwrap()
        .get(hook)
        .unwrap();
    let acts = sae.encode(&x).unwrap();
    let largest: Tensor = acts.squeeze(0).unwrap().max(0).unwrap();
    assert_close(
        "prompt 3",
        &values(&together).get(3).unwrap(),
        &largest,
        1e-4,
    );
}

#[test]
fn rows_of_one_length_from_a_file() {
    let of = workflow();
    let prompts = Texts::from_file(of.golden.path("prompts.json")).unwrap();
    for packing in [Packing::SaeLens, Packing::TransformerLens] {
        let options = CorpusOptions::new().packing(packing).context(32);
        let rows = Corpus::with(&of.model, &prompts, options).unwrap();
        assert!(rows.lengths().iter().all(|tokens| *tokens == 32));
        let bos = of.model.tokenizer().unwrap().bos().unwrap();
        assert!((0..rows.len()).all(|row| rows.ids(row).unwrap()[0] == bos));
        let lost = of.corpus.tokens().abs_diff(rows.tokens());
        assert!(lost < 100, "{packing:?}: {lost}");
    }
}
