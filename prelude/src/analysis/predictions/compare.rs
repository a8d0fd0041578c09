//! The answers' log-probabilities, logits and ranks under hooks at the position that predicts them.

use super::Predictions;
use super::table::{AnswerOutcomes, AnswerTable};
use crate::error::{Error, Result};
use crate::intervene::{Intervention, Latents, Removal};
use crate::math::log_softmax;
use crate::model::Hooks;
use crate::sae::Sae;
use candle_core::{DType, Tensor};

impl Predictions {
    /// How well the answers are predicted as the model is (`original`), and under each of these
    /// conditions. Hooks act on the predicting position alone, whose activations are `[batch, 1, ..]`.
    ///
    /// # Errors
    /// Two conditions share a name; hooks fail, as where they ask for other positions.
    pub fn compare<N: Into<String>, H: Into<Hooks>>(
        &self,
        conditions: impl IntoIterator<Item = (N, H)>,
    ) -> Result<AnswerTable> {
        let mut table = AnswerTable {
            conditions: vec![("original".to_owned(), self.blank())],
        };
        let mut hooks = vec![Hooks::new()];
        for (name, some) in conditions {
            let name = name.into();
            if table.conditions.iter().any(|(other, _)| *other == name) {
                return Err(Error::new(format!(
                    "two conditions are called {name:?}: give each a name of its own (`original` is the \
                     model as it is)."
                )));
            }
            table.conditions.push((name, self.blank()));
            hooks.push(some.into());
        }
        self.each_step("predictions compared", |batch, answers, step| {
            for (hooks, (name, outcomes)) in hooks.iter().zip(&mut table.conditions) {
                let logits = step.run().hooks(hooks).logits_at(-1);
                let logits =
                    logits.map_err(|error| error.context(format!("condition {name:?}")))?;
                outcomes.take(batch, answers, &logits)?;
            }
            Ok(())
        })?;
        Ok(table)
    }

    /// The same with one condition a latent, called by its number: what the answers lose where it is
    /// removed from the predicting position.
    ///
    /// # Errors
    /// As [`Predictions::compare`] and [`Intervention::remove_latents`].
    pub fn compare_removals(&self, sae: &Sae, latents: impl Into<Latents>) -> Result<AnswerTable> {
        let mut conditions = Vec::new();
        for latent in latents.into().of(sae)? {
            let removal = Intervention::remove_latents(sae, latent, Removal::AtOnce)?;
            conditions.push((latent.to_string(), removal));
        }
        self.compare(conditions)
    }

    fn blank(&self) -> AnswerOutcomes {
        AnswerOutcomes {
            log_probs: vec![0.; self.len()],
            logits: vec![0.; self.len()],
            ranks: vec![0; self.len()],
        }
    }
}

impl AnswerOutcomes {
    /// Of these prompts' logits, `[batch, d_vocab]`.
    fn take(&mut self, batch: &[usize], answers: &[u32], logits: &Tensor) -> Result<()> {
        let logits = logits.to_dtype(DType::F32)?;
        let columns = Tensor::new(answers, logits.device())?.unsqueeze(1)?;
        let of_answers = logits.gather(&columns, 1)?; // [batch, 1]
        let larger = logits.broadcast_gt(&of_answers)?.to_dtype(DType::F32)?;
        let larger: Vec<f32> = larger.sum(1)?.to_vec1()?;
        let log_probs = log_softmax(&logits)?.gather(&columns, 1)?;
        let log_probs: Vec<f32> = log_probs.squeeze(1)?.to_vec1()?;
        let of_answers: Vec<f32> = of_answers.squeeze(1)?.to_vec1()?;
        for (row, prompt) in batch.iter().enumerate() {
            self.log_probs[*prompt] = log_probs[row];
            self.logits[*prompt] = of_answers[row];
            self.ranks[*prompt] = larger[row] as u32;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Corpus;
    use crate::model::HookedTransformer;

    fn predictions() -> Predictions {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let texts = [
            "Once upon a time",
            "Lily and Tom like to play",
            "The dog was",
        ];
        let prompts = Corpus::new(&model, texts).unwrap();
        Predictions::new(&model, &prompts).unwrap()
    }

    #[test]
    fn conditions_are_named_once_and_found_again() {
        let predictions = predictions();
        let zero = Intervention::zero("blocks.1.hook_mlp_out");
        let table = predictions.compare([("zero", &zero)]).unwrap();
        assert_eq!(table.conditions(), ["original", "zero"]);
        assert_eq!(table.summary().unwrap().height(), 2);
        assert_eq!(table.to_df().unwrap().height(), 6);
        let twice = predictions.compare([("zero", &zero), ("zero", &zero)]);
        assert!(twice.unwrap_err().to_string().contains("name of its own"));
        let unknown = table.losses("zeros").unwrap_err().to_string();
        assert!(unknown.contains("`zero`"), "{unknown}");
        let recovered = table.loss_recovered("zero", "original").unwrap();
        assert!((recovered - 1.).abs() < 1e-9);
        let elsewhere = zero.at(-2);
        let failed = predictions.compare([("two back", &elsewhere)]).unwrap_err();
        assert!(failed.to_string().contains("two back"), "{failed}");
    }

    #[test]
    fn losses_are_those_of_whole_runs() {
        let predictions = predictions();
        let nothing: [(&str, Hooks); 0] = [];
        let losses = predictions
            .compare(nothing)
            .unwrap()
            .losses("original")
            .unwrap();
        for (prompt, loss) in losses.iter().enumerate() {
            let ids = predictions.prompts.ids(prompt).unwrap();
            let whole = predictions.model.run(vec![ids]).loss_at(-1).unwrap();
            let whole: Vec<f32> = whole.to_vec1().unwrap();
            assert!((whole[0] - loss).abs() < 1e-4, "{prompt}: {whole:?} {loss}");
        }
    }
}
