//! Which components raise the answers' logits, or activate a latent.

use super::Predictions;
use super::average::Average;
use crate::error::{Error, Result};
use crate::model::{Answer, ResidOptions};
use crate::sae::Sae;
use candle_core::{DType, Tensor};
use polars::prelude::{Column, DataFrame};
use std::fmt;

/// What each component contributes to a number, in each prompt.
#[derive(Clone)]
pub struct ComponentAttributions {
    /// One label a component: `L0H3`, `1_mlp_out`, `embed`, `pos_embed`, `bias`, ...
    pub labels: Vec<String>,
    /// `[prompt, component]` of `f32`.
    pub values: Tensor,
}

impl Predictions {
    /// What each head, MLP, embedding and all attention biases together add to the answer's logit (direct
    /// logit attribution), through the final norm with the scale that it had. MLP by MLP; the bias of
    /// the unembedding is left out.
    ///
    /// # Errors
    /// The model has no such decomposition.
    pub fn attributions(&self) -> Result<ComponentAttributions> {
        let options = ResidOptions::new().expand_neurons(false).pos_slice(-1);
        let mut labels = Vec::new();
        let values = self.rows("prompts attributed", |answers, step| {
            let cache = step.run().cache(()).cache_only()?;
            let stack = cache.get_full_resid_decomposition(&options)?;
            let answers = Tensor::new(answers, &self.model.device())?;
            let attributions =
                cache.logit_attrs(&stack.components, Answer::Tokens(answers), None, -1)?;
            labels = stack.labels;
            Ok(attributions.t()?.to_dtype(DType::F32)?.contiguous()?) // [batch, component]
        })?;
        Ok(ComponentAttributions { labels, values })
    }

    /// What the activation that an autoencoder reads adds to the answer's logit along the direct path,
    /// and how that splits into reconstruction and remainder. Without the bias of an MLP's output.
    ///
    /// # Errors
    /// As [`Sae::logit_weights`].
    pub fn reconstruction_attributions(&self, sae: &Sae) -> Result<ComponentAttributions> {
        let point = sae.hook_point_out(&self.model)?;
        let out = sae.matrix_out(&self.model, &point)?;
        let names = ["activation", "reconstruction", "remainder"];
        let values = self.rows("prompts attributed", |answers, step| {
            let run = step
                .run()
                .cache([point.name(), "ln_final.hook_scale".into()]);
            let cache = run.cache_only()?;
            let x = sae.input_of(&cache.get(point)?)?;
            let whole = x.to_dtype(DType::F32)?.flatten_to(1)?.contiguous()?; // [batch, d]
            let made = sae.forward(&x)?.to_dtype(DType::F32)?.flatten_to(1)?;
            let parts = [whole.clone(), made.clone(), (whole - made)?];
            let parts = parts.iter().map(|part| match &out {
                Some(out) => Ok(part.matmul(out)?),
                None => Ok(part.clone()),
            });
            let parts = Tensor::stack(&parts.collect::<Result<Vec<_>>>()?, 0)?; // [3, batch, d_model]
            let answers = Tensor::new(answers, &self.model.device())?;
            let parts = parts.to_dtype(self.model.dtype())?;
            let attributions = cache.logit_attrs(&parts, Answer::Tokens(answers), None, -1)?;
            Ok(attributions.t()?.to_dtype(DType::F32)?.contiguous()?)
        })?;
        Ok(ComponentAttributions {
            labels: names.map(str::to_owned).to_vec(),
            values,
        })
    }
}

impl ComponentAttributions {
    /// Mean and 95 % interval of each component over the prompts.
    ///
    /// # Errors
    /// The values cannot be read.
    pub fn estimates(&self) -> Result<Vec<Average>> {
        let columns: Vec<Vec<f32>> = self.values.t()?.to_vec2()?;
        let of = |column: Vec<f32>| Average::of(column.into_iter().map(f64::from));
        Ok(columns.into_iter().map(of).collect())
    }

    /// The mean of each component over the prompts.
    ///
    /// # Errors
    /// The values cannot be read.
    pub fn means(&self) -> Result<Vec<f64>> {
        let estimates = self.estimates()?;
        Ok(estimates.iter().map(|estimate| estimate.mean).collect())
    }

    /// The mean of one component over the prompts.
    ///
    /// # Errors
    /// There is no such component.
    pub fn mean(&self, component: &str) -> Result<f64> {
        let at = self.labels.iter().position(|label| label == component);
        let estimates = self.estimates()?;
        let found = at.and_then(|at| estimates.get(at));
        found.map(|estimate| estimate.mean).ok_or_else(|| {
            Error::new(format!(
                "there is no component {component:?}: there are {}.",
                self.labels.join(", ")
            ))
        })
    }

    /// A row a component: `component`, `mean`, `± 95 %`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let estimates = self.estimates()?;
        let means: Vec<f64> = estimates.iter().map(|estimate| estimate.mean).collect();
        let sure: Vec<f64> = estimates.iter().map(|estimate| estimate.ci95).collect();
        let columns = vec![
            Column::new("component".into(), &self.labels),
            Column::new("mean".into(), means),
            Column::new("± 95 %".into(), sure),
        ];
        Ok(DataFrame::new(self.labels.len(), columns)?)
    }
}

impl fmt::Debug for ComponentAttributions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prompts = self.values.dims().first().copied().unwrap_or(0);
        write!(
            f,
            "ComponentAttributions({} components, {prompts} prompts)",
            self.labels.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::analysis::Predictions;
    use crate::data::Corpus;
    use crate::model::{HookedTransformer, Hooks};
    use crate::sae::Sae;

    #[test]
    fn attributions_sum_to_the_logit() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let texts = ["Once upon a time", "Lily and Tom like to play"];
        let predictions = Predictions::new(&model, &Corpus::new(&model, texts).unwrap()).unwrap();
        let parts = predictions.attributions().unwrap();
        let sums: Vec<f32> = parts.values.sum(1).unwrap().to_vec1().unwrap();
        let nothing: [(&str, Hooks); 0] = [];
        let table = predictions.compare(nothing).unwrap();
        let b_U: Vec<f32> = model.b_U().unwrap().to_vec1().unwrap();
        let answers = predictions.answers();
        for ((sum, logit), answer) in sums
            .iter()
            .zip(&table.of("original").unwrap().logits)
            .zip(answers)
        {
            // MLP biases are part of the MLPs.
            let whole = logit - b_U[answer as usize];
            assert!(
                (sum - whole).abs() < 2e-2 * whole.abs().max(1.),
                "{sum} {whole}"
            );
        }
        let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.mlp.hook_post").unwrap();
        let split = predictions.reconstruction_attributions(&sae).unwrap();
        let whole = split.mean("activation").unwrap();
        let parts = split.mean("reconstruction").unwrap() + split.mean("remainder").unwrap();
        assert!((whole - parts).abs() < 1e-3, "{whole} {parts}");
        let unknown = split.mean("error").unwrap_err().to_string();
        assert!(unknown.contains("remainder"), "{unknown}");
    }
}
