//! Several trainings on the same activations.

use super::config::TrainConfig;
use super::source::ActivationSource;
use super::trainer::{LONG, SaeTrainer};
use crate::emit::Progress;
use crate::error::{Error, Result};
use crate::sae::Sae;

impl SaeTrainer {
    /// Trains with each of these configs to its end, one after the other, on the same activations: with
    /// several penalties, the points of a Pareto curve. What comes back goes into
    /// [`SaeEvaluation::measure`](crate::sae::metrics::SaeEvaluation::measure): a name and an autoencoder for
    /// each hook point of the source, config by config; names may repeat. With
    /// [`ActivationSource::in_memory`] the model runs once for all.
    ///
    /// ```
    /// use ferrolens::data::Corpus;
    /// use ferrolens::model::HookedTransformer;
    /// use ferrolens::sae::metrics::SaeEvaluation;
    /// use ferrolens::sae::train::{ActivationSource, SaeTrainer, TrainConfig};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let source = ActivationSource::of_text(&model, "blocks.1.hook_resid_post", ["Once upon a time"])?;
    /// let config = |l1: f64| TrainConfig::relu(256).l1(l1).steps(5).batch_size(4);
    /// let configs = [("ReLU", config(0.1)), ("ReLU", config(10.))];
    /// let swept = SaeTrainer::sweep(&source.in_memory()?, configs)?;
    ///
    /// let held_out = Corpus::new(&model, ["Lily saw a cat."])?;
    /// let measured = SaeEvaluation::new(&model, &held_out)?.measure(swept)?;
    /// assert_eq!(measured.values("ReLU", "L0")?.len(), 2);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`SaeTrainer::new`] and [`SaeTrainer::run`], with the name of the config; there is none.
    pub fn sweep<N: Into<String>>(
        source: &ActivationSource,
        configs: impl IntoIterator<Item = (N, TrainConfig)>,
    ) -> Result<Vec<(String, Vec<Sae>)>> {
        let configs = configs
            .into_iter()
            .map(|(name, config)| (name.into(), config));
        let configs: Vec<(String, TrainConfig)> = configs.collect();
        // All are looked at before the first one is trained.
        for (name, config) in &configs {
            config
                .check()
                .map_err(|error| error.context(format!("{name:?}")))?;
        }
        if configs.is_empty() {
            return Err(Error::new(
                "there is no config to train with: give at least one, as in `[(\"ReLU\", config)]`.",
            ));
        }
        let steps: u64 = configs.iter().map(|(_, config)| config.steps).sum();
        let mut line = Progress::new(usize::try_from(steps).ok())
            .labelled(format!("{} trainings, steps", configs.len()))
            .after(LONG);
        let mut swept = Vec::with_capacity(configs.len());
        for (name, config) in configs {
            let saes = trained(source, config, &mut line);
            swept.push((
                name.clone(),
                saes.map_err(|error| error.context(format!("{name:?}")))?,
            ));
        }
        Ok(swept)
    }
}

/// The trainer ends here: what its optimiser remembers is larger than what comes out.
fn trained(
    source: &ActivationSource,
    config: TrainConfig,
    line: &mut Progress,
) -> Result<Vec<Sae>> {
    let steps = config.steps;
    let mut trainer = SaeTrainer::new(source.clone(), config)?;
    trainer.advance(steps, line)?;
    trainer.saes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HookedTransformer;

    fn weights(sae: &Sae) -> Vec<f32> {
        sae.W_dec.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn each_is_what_it_would_be_alone_and_memory_changes_only_the_order() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let hooks = ["blocks.0.attn.hook_z", "blocks.1.hook_resid_post"];
        let texts = ["Once upon a time there was a cat.", "Tom ran home."];
        let source = ActivationSource::of_text(&model, hooks, texts).unwrap();
        let kept = source.clone().in_memory().unwrap();
        assert_eq!(kept.len(), source.len());
        let config = |l1: f64| TrainConfig::relu(32).l1(l1).steps(6).batch_size(8);
        let configs = [("a", config(0.1)), ("b", config(1.))];
        let swept = SaeTrainer::sweep(&kept, configs.clone()).unwrap();
        for ((name, saes), (expected, config)) in swept.iter().zip(configs) {
            let mut alone = SaeTrainer::new(kept.clone(), config).unwrap();
            alone.run_to_end().unwrap();
            assert_eq!(name, expected);
            assert!(saes[0].cfg.hook_z);
            for (sae, alone) in saes.iter().zip(alone.saes().unwrap()) {
                assert_eq!(weights(sae), weights(&alone));
            }
        }
        let none: [(&str, TrainConfig); 0] = [];
        assert!(SaeTrainer::sweep(&source, none).is_err());
        let wrong = [("odd", config(0.1).batch_size(0))];
        let message = SaeTrainer::sweep(&source, wrong).unwrap_err().to_string();
        assert!(message.starts_with("\"odd\": batch_size is 0"), "{message}");
    }

    #[test]
    fn what_is_kept_is_what_the_model_gives() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let hook = "blocks.0.hook_mlp_out";
        let rows = vec![vec![3u32, 4, 5, 6], vec![7, 8], vec![9, 10, 11, 12]];
        let source = ActivationSource::of_tokens(&model, hook, rows.clone()).unwrap();
        let mut kept = source.in_memory().unwrap();
        let config = TrainConfig::relu(1);
        let found = kept.batch(0, &config).unwrap().unwrap().remove(0);
        let mut norms: Vec<f32> = found.sqr().unwrap().sum(1).unwrap().to_vec1().unwrap();
        let mut expected: Vec<f32> = Vec::new();
        for row in rows {
            let x = model.cache_only(row, hook).unwrap().get(hook).unwrap();
            let squares = x.sqr().unwrap().sum(2).unwrap().flatten_all().unwrap();
            expected.extend(squares.to_vec1::<f32>().unwrap());
        }
        norms.sort_by(f32::total_cmp);
        expected.sort_by(f32::total_cmp);
        assert_eq!(norms.len(), 10);
        for (a, b) in norms.iter().zip(&expected) {
            assert!((a / b - 1.).abs() < 1e-4, "{a} is not {b}");
        }
        let function = ActivationSource::from_fn([("x", 4)], |_| Ok(None)).unwrap();
        let message = function.in_memory().unwrap_err().to_string();
        assert!(message.contains("may have no end"), "{message}");
    }
}
