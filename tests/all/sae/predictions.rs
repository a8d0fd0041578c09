//! The steps of the published notebook on circuits in a two-layer model: ablations, attributions, losses.

use super::sweeps::{RUNS, Workflow, workflow};
use crate::golden::{PROCESSED, assert_close};
use candle_core::{DType, Device, Tensor};
use ferrolens::analysis::{AnswerTable, Inactive, Predictions};
use ferrolens::data::Corpus;
use ferrolens::intervene::{Intervention, Removal};
use ferrolens::sae::Sae;
use ferrolens::sae::train::{ActivationSource, Penalty, SaeTrainer, TrainConfig};
use std::collections::HashMap;

struct Steps {
    of: Workflow,
    first: Sae,
    second: Sae,
    recorded: HashMap<String, Tensor>,
    directions: Vec<u32>,
    answer: u32,
}

fn steps() -> Steps {
    let of = workflow();
    let said = of.golden.json("golden.json");
    let ids = said["directions"].as_array().unwrap();
    Steps {
        first: of.encoder(RUNS[0].0, RUNS[0].1),
        second: of.encoder(RUNS[1].0, RUNS[1].1),
        recorded: of.golden.tensors("golden.safetensors"),
        directions: ids.iter().map(|id| id.as_u64().unwrap() as u32).collect(),
        answer: said["answer_token"].as_u64().unwrap() as u32,
        of,
    }
}

impl Steps {
    fn predictions(&self, prompts: usize) -> Predictions {
        let prompts = self.of.corpus.take(prompts).unwrap();
        Predictions::new(&self.of.model, &prompts).unwrap()
    }

    fn removal(&self, latents: &[u32]) -> Intervention {
        Intervention::remove_latents(&self.second, latents, Removal::AtOnce).unwrap()
    }

    /// The prompts cut so that the position in question is this one of each.
    fn at(&self, positions: impl IntoIterator<Item = usize>) -> Predictions {
        let ends: Vec<(usize, usize)> =
            positions.into_iter().map(|at| at + 1).enumerate().collect();
        let prompts = self.of.corpus.up_to(&ends).unwrap();
        Predictions::new(&self.of.model, &prompts).unwrap()
    }
}

fn tensor(values: impl IntoIterator<Item = f32>) -> Tensor {
    let values: Vec<f32> = values.into_iter().collect();
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn column(table: &Tensor, at: usize) -> Tensor {
    table.narrow(1, at, 1).unwrap().squeeze(1).unwrap()
}

fn losses(table: &AnswerTable, condition: &str) -> Tensor {
    tensor(table.losses(condition).unwrap())
}

#[test]
fn what_encoders_make_of_activations() {
    let of = steps();
    for ((run, _), sae) in RUNS.iter().zip([&of.first, &of.second]) {
        let recorded = |name: &str| of.recorded[&format!("{run}/{name}")].clone();
        let x = recorded("forward/x");
        let acts = sae.encode(&x).unwrap();
        assert_close(
            "activations",
            &acts,
            &recorded("forward/mid_acts"),
            PROCESSED,
        );
        let made = sae.forward(&x).unwrap();
        assert_close(
            "reconstruction",
            &made,
            &recorded("forward/x_reconstruct"),
            PROCESSED,
        );
        let one = sae.forward(&x.get(x.dim(0).unwrap() - 2).unwrap()).unwrap();
        assert_close(
            "of one vector",
            &one,
            &recorded("forward_1d/x_reconstruct"),
            PROCESSED,
        );
    }
}

#[test]
fn losses_of_encoders_in_training() {
    let of = steps();
    let penalties = [
        vec![(Penalty::L1, 1e-4)],
        vec![(Penalty::Sqrt, 1e-4), (Penalty::HoyerSquare, 1.5e-4)],
    ];
    for ((run, hook), (sae, penalties)) in RUNS
        .iter()
        .zip([&of.first, &of.second].into_iter().zip(penalties))
    {
        let x = &of.recorded[&format!("{run}/forward/x")];
        let rows = x.dim(0).unwrap();
        let (mut squared_error, mut penalty) = (0., 0.);
        for row in 0..rows {
            // A training mixes what it reads: of one row it can only make that row.
            let source = ActivationSource::of_tensor(*hook, &x.narrow(0, row, 1).unwrap()).unwrap();
            let config = TrainConfig::relu(sae.cfg.d_sae).penalties(penalties.clone());
            let config = config.batch_size(1).steps(1).log_every(1);
            let mut trainer = SaeTrainer::new(source, config).unwrap();
            trainer.start_from(sae).unwrap();
            trainer.run(1).unwrap();
            squared_error += trainer.metrics()[0].squared_error / rows as f64;
            penalty += trainer.metrics()[0].penalty;
        }
        let recorded: Vec<f32> = of.recorded[&format!("{run}/forward/loss_l2_l1")]
            .to_vec1()
            .unwrap();
        // The notebook's penalties are sums over the batch, its error is a mean.
        let theirs = [
            f64::from(recorded[1]),
            recorded[2..].iter().map(|term| f64::from(*term)).sum(),
        ];
        for (ours, theirs) in [squared_error, penalty].into_iter().zip(theirs) {
            assert!(
                (ours - theirs).abs() < 1e-4 * theirs,
                "{run}: {ours} {theirs}"
            );
        }
    }
}

#[test]
fn the_strongest_latents_of_a_prompt() {
    let of = steps();
    let ids = of.of.corpus.ids(0).unwrap();
    let point = of.second.hook_point(&of.of.model).unwrap();
    let x = of
        .of
        .model
        .cache_only(ids, point)
        .unwrap()
        .get(point)
        .unwrap();
    let sums = of
        .second
        .encode(&x)
        .unwrap()
        .sum(1)
        .unwrap()
        .squeeze(0)
        .unwrap();
    let top = ferrolens::math::top_k_of(&sums.to_vec1::<f32>().unwrap(), 3);
    let latents: Vec<u32> = top.iter().map(|(latent, _)| *latent as u32).collect();
    assert_eq!(latents, of.directions);
}

#[test]
fn cosines_of_what_is_written_with_what_is_read() {
    let of = steps();
    let all = of.first.cfg.d_sae * of.second.cfg.d_sae;
    let links = of.first.links_to(&of.second, &of.of.model, all).unwrap();
    assert_eq!(links.pairs.len(), all);
    // The notebook looks only at pairs on and below the diagonal (`tril`).
    let below = links
        .pairs
        .iter()
        .zip(&links.cosines)
        .filter(|((up, down), _)| down <= up);
    let below: Vec<_> = below.take(10).collect();
    let cosines = tensor(below.iter().map(|(_, cosine)| **cosine));
    assert_close("cosines", &cosines, &of.recorded["cosine/top_values"], 1e-5);
    let d_sae = of.second.cfg.d_sae as i64;
    let places = below
        .iter()
        .map(|((up, down), _)| i64::from(*up) * d_sae + i64::from(*down));
    let recorded: Vec<i64> = of.recorded["cosine/top_flat_indices"].to_vec1().unwrap();
    assert_eq!(places.collect::<Vec<_>>(), recorded);
    let few = of.first.links_to(&of.second, &of.of.model, 7).unwrap();
    assert_eq!(few.pairs, links.pairs[..7]);
}

#[test]
fn losses_and_activations_under_ablation() {
    let of = steps();
    let table = &of.recorded["ablation_table"];
    let predictions = of.predictions(12);
    let conditions = [
        ("one", of.removal(&of.directions[..1])),
        ("three", of.removal(&of.directions)),
    ];
    let compared = predictions.compare(conditions).unwrap();
    for (at, condition) in ["original", "one", "three"].into_iter().enumerate() {
        assert_close(
            condition,
            &losses(&compared, condition),
            &column(table, at),
            PROCESSED,
        );
    }
    let everywhere = of.removal(&of.directions[..1]);
    let (mut whole, mut without) = (vec![], vec![]);
    for prompt in 0..12 {
        let run = || of.of.model.run(vec![of.of.corpus.ids(prompt).unwrap()]);
        whole.push(run().loss().unwrap());
        without.push(run().hooks(&everywhere).loss().unwrap());
    }
    assert_close("mean loss", &tensor(whole), &column(table, 3), PROCESSED);
    assert_close("everywhere", &tensor(without), &column(table, 4), PROCESSED);
    // One latent of the first layer moves one of the second, at the last position of each prompt: a token
    // behind it, whichever, makes that the position in question.
    let rows = (0..12).map(|prompt| [of.of.corpus.ids(prompt).unwrap(), vec![0]].concat());
    let longer = Corpus::from_tokens(rows.collect(), None).unwrap();
    let longer = Predictions::new(&of.of.model, &longer).unwrap();
    let (up, down) = (of.directions[1], of.directions[0]);
    let effects = longer
        .upstream_effects(&of.first, &of.second, Some(down))
        .unwrap();
    let before = longer.activations(&of.second).unwrap();
    let before = column(&before.values, down as usize);
    assert_close("before", &before, &column(table, 5), PROCESSED);
    let mut after: Vec<f32> = before.to_vec1().unwrap(); // where the first is not active
    for effect in effects
        .effects
        .iter()
        .filter(|effect| effect.upstream == up)
    {
        after[effect.prompt] = effect.after;
    }
    assert_close("after", &tensor(after), &column(table, 6), PROCESSED);
}

#[test]
fn log_probabilities_logits_and_ranks_of_an_answer() {
    let of = steps();
    let table = &of.recorded["eval_ablation_token_rank"];
    let predictions = of.predictions(12).of_token(of.answer).unwrap();
    let compared = predictions
        .compare([("three", of.removal(&of.directions))])
        .unwrap();
    for (at, condition) in ["original", "three"].into_iter().enumerate() {
        let outcomes = compared.of(condition).unwrap();
        let ours = [
            outcomes.log_probs.clone(),
            outcomes.logits.clone(),
            outcomes.ranks.iter().map(|rank| *rank as f32).collect(),
        ];
        for (measure, ours) in ours.into_iter().enumerate() {
            let name = format!("{condition}, measure {measure}");
            assert_close(
                &name,
                &tensor(ours),
                &column(table, 2 * measure + at),
                PROCESSED,
            );
        }
    }
}

#[test]
fn baselines_reconstruction_and_loss_recovered() {
    let of = steps();
    let said = of.of.golden.json("golden.json");
    let point = RUNS[1].1;
    let model = &of.of.model;
    let mut sum: Option<Tensor> = None;
    for prompt in 0..10 {
        let x = model
            .cache_only(of.of.corpus.ids(prompt).unwrap(), point)
            .unwrap();
        let mean = x.get(point).unwrap().squeeze(0).unwrap().mean(0).unwrap();
        sum = Some(sum.map_or(mean.clone(), |sum| (sum + mean).unwrap()));
    }
    let mean = (sum.unwrap() / 10.).unwrap();
    assert_close(
        "mean activation",
        &mean,
        &of.recorded["mean_activation"],
        PROCESSED,
    );
    let conditions = [
        ("mean", Intervention::replace(point, &mean)),
        ("zero", Intervention::zero(point)),
        ("three", of.removal(&of.directions)),
        (
            "reconstruction",
            Intervention::reconstruct(&of.second, ferrolens::intervene::ErrorTerm::Dropped)
                .unwrap(),
        ),
    ];
    let compared = of.predictions(24).compare(conditions).unwrap();
    let recorded = &of.recorded["loss_recovered/losses"];
    let summary = compared.summary().unwrap();
    for (at, condition) in compared.conditions().into_iter().enumerate() {
        assert_close(
            &condition,
            &losses(&compared, &condition),
            &column(recorded, at),
            PROCESSED,
        );
        let number = |key: &str| said[key][at].as_f64().unwrap();
        let cell = |name: &str| {
            summary
                .column(name)
                .unwrap()
                .f64()
                .unwrap()
                .get(at)
                .unwrap()
        };
        assert!((cell("loss") - number("means")).abs() < 1e-4, "{condition}");
        assert!(
            (cell("± loss") - number("ci95")).abs() < 1e-4,
            "{condition}"
        );
    }
    let recovered = compared.loss_recovered("zero", "reconstruction").unwrap();
    assert!(
        (recovered - said["loss_recovered"].as_f64().unwrap()).abs() < 1e-3,
        "{recovered}"
    );
}

#[test]
fn what_components_add_to_the_answer() {
    let of = steps();
    let said = of.of.golden.json("golden.json");
    let parts = of.predictions(8).attributions().unwrap();
    assert_eq!(serde_json::json!(parts.labels), said["DLA_labels"]);
    let mean = parts.values.mean(0).unwrap();
    assert_close("components", &mean, &of.recorded["DLA"], PROCESSED);
    let asked = of.predictions(8).of_token(of.answer).unwrap();
    let split = asked.reconstruction_attributions(&of.second).unwrap();
    let mean = split.values.mean(0).unwrap();
    let recorded = &of.recorded["MLP_reconstruct_remainder_DLA"];
    assert_close(
        "activation, reconstruction, remainder",
        &mean,
        recorded,
        PROCESSED,
    );
}

#[test]
fn which_components_activate_a_latent() {
    let of = steps();
    let said = of.of.golden.json("golden.json");
    let latent = of.directions[0];
    let places = &of.recorded[&format!("{}/max_activation_token_indices", RUNS[1].0)];
    let places: Vec<i64> = column(places, latent as usize).to_vec1().unwrap();
    let strongest = of.at(places.iter().take(6).map(|place| *place as usize));
    let six = of.of.corpus.take(6).unwrap();
    let mean = of.of.model.mean_neuron_inputs(1, &six).unwrap();
    assert_close(
        "means",
        &mean,
        &of.recorded["DFA/mean_componentwise_mlp"],
        PROCESSED,
    );
    for (name, inactive) in [("zero", Inactive::Zero), ("mean", Inactive::Mean(mean))] {
        let sources = strongest
            .latent_sources(&of.second, latent, &inactive)
            .unwrap();
        assert_eq!(serde_json::json!(sources.labels), said["DFA_labels"]);
        let ours = sources.values.mean(0).unwrap();
        assert_close(name, &ours, &of.recorded[&format!("DFA/{name}")], PROCESSED);
    }
}

#[test]
fn latents_that_are_active_together() {
    let of = steps();
    let acts = of.predictions(24).activations(&of.second).unwrap();
    let recorded = &of.recorded["corrcoef_input"];
    for (at, latent) in of.directions.iter().enumerate() {
        let active = column(&acts.values, *latent as usize).gt(0.1f32).unwrap();
        let active = active.to_dtype(DType::F32).unwrap();
        assert_close("active", &active, &column(recorded, at), 0.);
    }
    let correlations: Vec<Vec<f32>> = acts
        .correlations(&of.directions, 0.1)
        .unwrap()
        .to_vec2()
        .unwrap();
    let recorded: Vec<Vec<f32>> = of.recorded["corrcoef"].to_vec2().unwrap();
    for (ours, theirs) in correlations.concat().into_iter().zip(recorded.concat()) {
        // NaN was recorded as -9.
        let same = (ours.is_nan() && theirs == -9.) || (ours - theirs).abs() < 1e-5;
        assert!(same, "{ours} {theirs}");
    }
}

#[test]
fn tokens_that_a_latent_boosts() {
    let of = steps();
    let model = &of.of.model;
    let tokens = of.second.top_tokens(model, of.directions[0], 15).unwrap();
    let ids: Vec<i64> = tokens
        .promoted
        .iter()
        .map(|token| i64::from(token.token))
        .collect();
    assert_eq!(
        ids,
        of.recorded["boosts/top_tokens"].to_vec1::<i64>().unwrap()
    );
    let weights = tensor(tokens.promoted.iter().map(|token| token.weight));
    assert_close(
        "boosts",
        &weights,
        &of.recorded["boosts/top_values"],
        PROCESSED,
    );
    let texts: Vec<&str> = tokens
        .promoted
        .iter()
        .map(|token| token.text.as_str())
        .collect();
    assert_eq!(
        serde_json::json!(texts),
        of.of.golden.json("golden.json")["boosts_str_tokens"]
    );

    let all = 0..of.second.cfg.d_sae as u32;
    let weights = column(
        &of.second.logit_weights(model, all).unwrap(),
        of.answer as usize,
    );
    assert_close("direct", &weights, &of.recorded["direction_dla"], PROCESSED);
    let predictions = of.predictions(24);
    let acts = predictions.activations(&of.second).unwrap();
    let count = of.second.cfg.d_sae;
    let effects = acts
        .direct_effects(&of.second, &predictions, of.answer, count)
        .unwrap();
    let mut scaled = vec![0f32; count];
    for (latent, effect) in effects.latents.iter().zip(&effects.values) {
        scaled[*latent as usize] = *effect;
    }
    let recorded = &of.recorded["activation_scaled_direction_dla"];
    assert_close("scaled by activation", &tensor(scaled), recorded, PROCESSED);
}

#[test]
fn losses_wherever_a_latent_is_active_are_those_of_whole_runs() {
    let of = steps();
    let sweep = ferrolens::analysis::Sweep::new().no_cache();
    let sweep = sweep.run(&of.of.model, &of.second, &of.of.corpus).unwrap();
    let latent = of.directions[0];
    let found = sweep.loss_increases(latent, 0.).unwrap();
    let removal = of.removal(&[latent]);
    let active = found.positions.iter().filter(|found| found.prompt == 3);
    let active: Vec<_> = active.collect();
    assert!(!active.is_empty());
    let run = || of.of.model.run(vec![of.of.corpus.ids(3).unwrap()]);
    let clean: Vec<Vec<f32>> = run().loss_per_token().unwrap().to_vec2().unwrap();
    let without: Vec<Vec<f32>> = run()
        .hooks(&removal)
        .loss_per_token()
        .unwrap()
        .to_vec2()
        .unwrap();
    for found in active {
        assert!((found.loss - clean[0][found.position]).abs() < PROCESSED);
        assert!((found.loss_without - without[0][found.position]).abs() < PROCESSED);
        assert!(found.activation > 0.);
    }
    let strong = sweep.loss_increases(latent, 0.5).unwrap();
    assert!(strong.positions.len() < found.positions.len());
    let largest = found.largest(3);
    assert!(largest.positions[0].increase() >= largest.positions[2].increase());
    assert_eq!(largest.to_df().unwrap().height(), 3);
}
