//! Several kinds of intervention side by side, on the same prompts.

use super::{Effects, unknown};
use crate::error::{Error, Result};
use crate::math::Estimate;
use polars::prelude::{Column, DataFrame};

/// Kinds of intervention beside one that they are compared with, the baseline. It displays as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectComparison {
    /// The name of what the others are compared with.
    pub baseline: String,
    /// A row a measure and kind, the baseline's first.
    pub rows: Vec<EffectRow>,
}

/// One measure of one kind of intervention.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectRow {
    /// What was measured.
    pub measure: String,
    /// What was done.
    pub intervention: String,
    /// The mean over prompts.
    pub estimate: Estimate,
    /// That mean over the baseline's, prompt by prompt paired; 1 for the baseline. NaN where the
    /// baseline's mean is 0.
    pub relative: Estimate,
}

impl EffectComparison {
    pub(super) fn new(baseline: &Effects, others: &[&Effects]) -> Result<Self> {
        let mut rows = Vec::new();
        for measure in &baseline.measures {
            for effects in std::iter::once(&baseline).chain(others) {
                let values = effects
                    .get(&measure.name)
                    .map_err(|error| error.context(format!("comparing {:?}", effects.name)))?;
                if values.len() != measure.values.len() {
                    return Err(Error::new(format!(
                        "{:?} was measured on {} prompts and {:?} on {}: measure both on the same.",
                        effects.name,
                        values.len(),
                        baseline.name,
                        measure.values.len()
                    )));
                }
                rows.push(EffectRow {
                    measure: measure.name.clone(),
                    intervention: effects.name.clone(),
                    estimate: Estimate::of_mean(&values)?,
                    relative: match Estimate::of_mean(&measure.values)?.mean {
                        0. => Estimate::unknown(),
                        _ => Estimate::of_ratio(&values, &measure.values)?,
                    },
                });
            }
        }
        Ok(Self {
            baseline: baseline.name.clone(),
            rows,
        })
    }

    /// These measures only, in this order.
    ///
    /// # Errors
    /// One is not among them; the error names the nearest.
    pub fn only<S: AsRef<str>>(&self, measures: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut rows = Vec::new();
        for measure in measures {
            let measure = measure.as_ref();
            let before = rows.len();
            let of_measure = self.rows.iter().filter(|row| row.measure == measure);
            rows.extend(of_measure.cloned());
            if rows.len() == before {
                return Err(unknown("measured", measure, &self.measures()));
            }
        }
        Ok(Self {
            baseline: self.baseline.clone(),
            rows,
        })
    }

    /// The row of a measure and a kind of intervention.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, measure: &str, intervention: &str) -> Result<EffectRow> {
        let of_measure = self.only([measure])?.rows;
        let names: Vec<String> = of_measure
            .iter()
            .map(|row| row.intervention.clone())
            .collect();
        let mut rows = of_measure.into_iter();
        rows.find(|row| row.intervention == intervention)
            .ok_or_else(|| unknown("compared", intervention, &names))
    }

    /// The measures, in order.
    pub fn measures(&self) -> Vec<String> {
        once_each(self.rows.iter().map(|row| &row.measure))
    }

    /// The kinds of intervention, the baseline first.
    pub fn interventions(&self) -> Vec<String> {
        once_each(self.rows.iter().map(|row| &row.intervention))
    }

    /// One row a measure, one column a kind: the mean and how far its 95 % interval goes to either side, as
    /// text, `0.120 ± 0.008`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn table(&self) -> Result<DataFrame> {
        let measures = self.measures();
        let mut columns = vec![Column::new("measure".into(), &measures)];
        for name in self.interventions() {
            let of_kind = self.rows.iter().filter(|row| row.intervention == name);
            let cells: Vec<String> = of_kind
                .map(|row| {
                    let Estimate { mean, .. } = row.estimate;
                    format!("{mean:.3} ± {:.3}", row.estimate.half_width())
                })
                .collect();
            columns.push(Column::new(name.as_str().into(), cells));
        }
        Ok(DataFrame::new(measures.len(), columns)?)
    }

    /// One row a measure and kind: `measure`, `intervention`, `mean` with the ends of its 95 % interval,
    /// `low` and `high`, and `relative` (the mean over the baseline's) with its ends.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let of = |pick: fn(&EffectRow) -> f64| self.rows.iter().map(pick).collect::<Vec<f64>>();
        let text = |pick: fn(&EffectRow) -> &str| self.rows.iter().map(pick).collect::<Vec<&str>>();
        let columns = vec![
            Column::new("measure".into(), text(|row| &row.measure)),
            Column::new("intervention".into(), text(|row| &row.intervention)),
            Column::new("mean".into(), of(|row| row.estimate.mean)),
            Column::new("low".into(), of(|row| row.estimate.low)),
            Column::new("high".into(), of(|row| row.estimate.high)),
            Column::new("relative".into(), of(|row| row.relative.mean)),
            Column::new("relative_low".into(), of(|row| row.relative.low)),
            Column::new("relative_high".into(), of(|row| row.relative.high)),
        ];
        Ok(DataFrame::new(self.rows.len(), columns)?)
    }
}

fn once_each<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut each: Vec<String> = Vec::new();
    for name in names {
        if !each.contains(name) {
            each.push(name.clone());
        }
    }
    each
}
