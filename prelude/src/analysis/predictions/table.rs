//! What became of the answers, by condition and prompt.

use super::average::Average;
use crate::error::{Error, Result, suggestion};
use polars::prelude::{Column, DataFrame};
use std::fmt;

/// How well answers are predicted under several conditions; the first is `original`.
#[derive(Clone)]
pub struct AnswerTable {
    pub(super) conditions: Vec<(String, AnswerOutcomes)>,
}

/// How well each prompt's answer is predicted under one condition.
#[derive(Clone, Debug, Default)]
pub struct AnswerOutcomes {
    /// The log-probability of the answer, in nats: its loss is minus that.
    pub log_probs: Vec<f32>,
    /// Its logit.
    pub logits: Vec<f32>,
    /// How many tokens have a larger logit.
    pub ranks: Vec<u32>,
}

/// How a condition changes the prediction of the answers: means over the prompts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerChanges {
    /// Of the loss, in nats: positive where the answer is predicted worse.
    pub loss: Average,
    /// Of the log-probability, in nats.
    pub log_prob: Average,
    /// Of the logit.
    pub logit: Average,
    /// Of the rank: positive where more tokens are likelier.
    pub rank: Average,
}

impl AnswerTable {
    /// What the conditions are called.
    pub fn conditions(&self) -> Vec<String> {
        let names = self.conditions.iter();
        names.map(|(name, _)| name.clone()).collect()
    }

    /// The outcomes under one condition.
    ///
    /// # Errors
    /// There is no such condition.
    pub fn of(&self, condition: &str) -> Result<&AnswerOutcomes> {
        let found = self.conditions.iter().find(|(name, _)| name == condition);
        found.map(|(_, outcomes)| outcomes).ok_or_else(|| {
            let names = self.conditions.iter().map(|(name, _)| name);
            Error::new(format!(
                "no condition is called {condition:?}.{} `table.conditions()` lists them all.",
                suggestion(condition, names)
            ))
        })
    }

    /// `-log p(answer)` of each prompt, in nats.
    ///
    /// # Errors
    /// As [`AnswerTable::of`].
    pub fn losses(&self, condition: &str) -> Result<Vec<f32>> {
        let outcomes = self.of(condition)?;
        Ok(outcomes
            .log_probs
            .iter()
            .map(|log_prob| -log_prob)
            .collect())
    }

    /// The mean of the losses.
    ///
    /// # Errors
    /// As [`AnswerTable::of`].
    pub fn mean_loss(&self, condition: &str) -> Result<f64> {
        let losses = self.losses(condition)?;
        Ok(Average::of(losses.into_iter().map(f64::from)).mean)
    }

    /// The mean changes against the original.
    ///
    /// # Errors
    /// As [`AnswerTable::of`].
    pub fn changes(&self, condition: &str) -> Result<AnswerChanges> {
        let (original, outcomes) = (self.of("original")?, self.of(condition)?);
        let minus =
            |a: &[f32], b: &[f32]| Average::of(a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
        let ranks = outcomes.ranks.iter().zip(&original.ranks);
        Ok(AnswerChanges {
            loss: minus(&original.log_probs, &outcomes.log_probs),
            log_prob: minus(&outcomes.log_probs, &original.log_probs),
            logit: minus(&outcomes.logits, &original.logits),
            rank: Average::of(ranks.map(|(now, was)| f64::from(*now) - f64::from(*was))),
        })
    }

    /// The conditions but the original, with their mean loss increases, the largest first.
    ///
    /// # Errors
    /// Never for a table that [`Predictions::compare`](super::Predictions::compare) returned.
    pub fn ranked(&self) -> Result<Vec<(String, Average)>> {
        let names = self.conditions.iter().map(|(name, _)| name).skip(1);
        let mut ranked = names
            .map(|name| Ok((name.clone(), self.changes(name)?.loss)))
            .collect::<Result<Vec<_>>>()?;
        ranked.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean));
        Ok(ranked)
    }

    /// By how much each prompt's loss is larger than the original one, in nats.
    ///
    /// # Errors
    /// As [`AnswerTable::of`].
    pub fn loss_increases(&self, condition: &str) -> Result<Vec<f32>> {
        let original = self.losses("original")?;
        let losses = self.losses(condition)?.into_iter();
        Ok(losses.zip(original).map(|(loss, was)| loss - was).collect())
    }

    /// `(baseline - condition) / (baseline - original)` of the mean losses: 1 where the condition loses
    /// nothing, 0 where it is worth no more than the baseline. Without meaning where the baseline predicts
    /// the answers better than the model does.
    ///
    /// # Errors
    /// As [`AnswerTable::of`].
    pub fn loss_recovered(&self, baseline: &str, condition: &str) -> Result<f64> {
        let baseline = self.mean_loss(baseline)?;
        Ok((baseline - self.mean_loss(condition)?) / (baseline - self.mean_loss("original")?))
    }

    /// A row a condition: `condition`, mean `loss`, and the mean changes of loss, log-probability, logit
    /// and rank against the original, each with the half-width of its 95 % interval behind it (`±`).
    ///
    /// # Errors
    /// There is no room for it.
    pub fn summary(&self) -> Result<DataFrame> {
        let mut names = Vec::new();
        let mut estimates: [Vec<Average>; 5] = Default::default();
        for (name, outcomes) in &self.conditions {
            let losses = outcomes.log_probs.iter();
            let changes = self.changes(name)?;
            let each = [
                Average::of(losses.map(|value| f64::from(-value))),
                changes.loss,
                changes.log_prob,
                changes.logit,
                changes.rank,
            ];
            names.push(name.clone());
            for (column, estimate) in estimates.iter_mut().zip(each) {
                column.push(estimate);
            }
        }
        let labels = [
            "loss",
            "loss increase",
            "log prob change",
            "logit change",
            "rank change",
        ];
        let mut columns = vec![Column::new("condition".into(), &names)];
        for (label, of) in labels.iter().zip(estimates) {
            let means: Vec<f64> = of.iter().map(|estimate| estimate.mean).collect();
            let sure: Vec<f64> = of.iter().map(|estimate| estimate.ci95).collect();
            columns.push(Column::new((*label).into(), means));
            columns.push(Column::new(format!("± {label}").into(), sure));
        }
        Ok(DataFrame::new(names.len(), columns)?)
    }

    /// A row a condition and prompt: `condition`, `prompt`, `loss`, `log prob`, `logit`, `rank`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let (mut names, mut prompts, mut ranks) = (vec![], vec![], vec![]);
        let (mut losses, mut log_probs, mut logits) = (vec![], vec![], vec![]);
        for (name, outcomes) in &self.conditions {
            names.extend(outcomes.ranks.iter().map(|_| name.clone()));
            prompts.extend(0..outcomes.ranks.len() as u64);
            losses.extend(outcomes.log_probs.iter().map(|log_prob| -log_prob));
            log_probs.extend_from_slice(&outcomes.log_probs);
            logits.extend_from_slice(&outcomes.logits);
            ranks.extend_from_slice(&outcomes.ranks);
        }
        let columns = vec![
            Column::new("condition".into(), &names),
            Column::new("prompt".into(), prompts),
            Column::new("loss".into(), losses),
            Column::new("log prob".into(), log_probs),
            Column::new("logit".into(), logits),
            Column::new("rank".into(), ranks),
        ];
        Ok(DataFrame::new(names.len(), columns)?)
    }
}

impl fmt::Debug for AnswerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnswerTable of")?;
        for (name, outcomes) in &self.conditions {
            let loss = outcomes.log_probs.iter().map(|value| f64::from(-value));
            write!(f, " {name}: {:.4} nats;", Average::of(loss).mean)?;
        }
        Ok(())
    }
}
