//! What an intervention does further down: to norms, to latents, to predictions.
//!
//! | I want to know… | use |
//! | --- | --- |
//! | what one kind of intervention does, prompt by prompt | [`Downstream::effects`], [`Effects`] |
//! | which of several kinds does least | [`Effects::compare`], [`EffectComparison`] |

mod comparison;
mod downstream;

pub use comparison::{EffectComparison, EffectRow};
pub use downstream::Downstream;

use crate::error::{Error, Result, suggestion};
use crate::math::Estimate;
use polars::prelude::{Column, DataFrame};

/// What interventions of one kind did, a number a prompt and measure. It displays as its summary.
///
/// | measure | what it is, at the last position |
/// | --- | --- |
/// | `norm ratio, <point>` | the norm over `the clean norm + 1e-9` |
/// | `norm change, <point>` | how far that ratio is from 1 |
/// | `latents changed, <point>` | `\|a - a clean\| / \|a clean\|`, with the activations of all latents; NaN where none was active |
/// | `error added, <point>` | `\|x - x̂\| / \|x\|`, less that of the clean run: large where the activation is unlike those that the autoencoder was trained on |
/// | `KL` | `KL(clean ‖ changed)` of the next token, in nats |
/// | `loss added` | `-log p(the row's last token)`, less that of the clean run, in nats |
#[derive(Clone, Debug, PartialEq)]
pub struct Effects {
    /// What was done.
    pub name: String,
    /// What was measured.
    pub measures: Vec<Measure>,
}

/// A number a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// What the numbers are.
    pub name: String,
    /// One a prompt.
    pub values: Vec<f64>,
}

impl Measure {
    fn empty(name: String) -> Self {
        Self {
            name,
            values: Vec::new(),
        }
    }
}

impl Effects {
    /// A measure's number for each prompt.
    ///
    /// # Errors
    /// There is no such measure; the error names the nearest.
    pub fn get(&self, measure: &str) -> Result<Vec<f64>> {
        let found = self.measures.iter().find(|each| each.name == measure);
        found.map(|each| each.values.clone()).ok_or_else(|| {
            let names = self.measures.iter().map(|each| each.name.clone());
            unknown("measured", measure, &names.collect::<Vec<_>>())
        })
    }

    /// A measure's mean over prompts, with its interval.
    ///
    /// # Errors
    /// As [`Effects::get`]; no number is finite.
    pub fn estimate(&self, measure: &str) -> Result<Estimate> {
        Estimate::of_mean(&self.get(measure)?)
    }

    /// These against others on the same prompts.
    ///
    /// # Errors
    /// They were measured on other prompts, or something else was measured.
    pub fn compare(&self, others: &[&Effects]) -> Result<EffectComparison> {
        EffectComparison::new(self, others)
    }

    /// One row a prompt: `prompt`, and a column a measure.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let prompts = self.measures.first().map_or(0, |first| first.values.len());
        let ids: Vec<u32> = (0..prompts as u32).collect();
        let mut columns = vec![Column::new("prompt".into(), ids)];
        for measure in &self.measures {
            columns.push(Column::new(measure.name.as_str().into(), &measure.values));
        }
        Ok(DataFrame::new(prompts, columns)?)
    }

    /// One row a measure: `measure`, `mean`, `std` (with `n - 1`), and the ends of the mean's 95 %
    /// interval, `low` and `high`.
    ///
    /// # Errors
    /// A measure has no finite number.
    pub fn summary(&self) -> Result<DataFrame> {
        let estimates: Vec<Estimate> = self
            .measures
            .iter()
            .map(|measure| Estimate::of_mean(&measure.values))
            .collect::<Result<_>>()?;
        let names: Vec<&str> = self
            .measures
            .iter()
            .map(|each| each.name.as_str())
            .collect();
        let of = |pick: fn(&Estimate) -> f64| estimates.iter().map(pick).collect::<Vec<f64>>();
        let columns = vec![
            Column::new("measure".into(), names),
            Column::new("mean".into(), of(|each| each.mean)),
            Column::new("std".into(), of(|each| each.std)),
            Column::new("low".into(), of(|each| each.low)),
            Column::new("high".into(), of(|each| each.high)),
        ];
        Ok(DataFrame::new(estimates.len(), columns)?)
    }
}

/// The error about a name that is none of these.
fn unknown(what_was_done: &str, name: &str, names: &[String]) -> Error {
    Error::new(format!(
        "`{name}` was not {what_was_done}.{} There are {}.",
        suggestion(name, names),
        names.join("; ")
    ))
}

#[cfg(test)]
mod tests;
