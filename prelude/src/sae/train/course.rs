//! A training that is measured on its way.

use super::trainer::{LONG, SaeTrainer};
use crate::emit::Progress;
use crate::error::{Error, Result};
use crate::sae::metrics::{SaeComparison, SaeEvaluation};
use std::fmt;

/// What became of autoencoders in the course of their training, on texts that they were not trained on: by
/// [`SaeTrainer::run_measured`].
#[derive(Clone, PartialEq)]
pub struct TrainingCourse {
    /// What kind is trained.
    pub kind: String,
    /// The steps after which was measured.
    pub steps: Vec<u64>,
    /// What was measured then, a row a hook point.
    pub measured: Vec<SaeComparison>,
}

impl SaeTrainer {
    /// Takes the steps that are left of those planned, and stops `looks` times on its way, the last time at
    /// the end, to measure the autoencoders on other texts. The log of a training knows only the batch that
    /// it was trained on, with the noise of the step; here is what they do in the model.
    ///
    /// ```
    /// use ferrolens::data::Corpus;
    /// use ferrolens::model::HookedTransformer;
    /// use ferrolens::sae::metrics::SaeEvaluation;
    /// use ferrolens::sae::train::{ActivationSource, SaeTrainer, TrainConfig};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let source = ActivationSource::of_text(&model, "blocks.*.hook_resid_post", ["Once upon a time"])?;
    /// let held_out = Corpus::new(&model, ["Lily saw a cat."])?;
    /// let evaluation = SaeEvaluation::new(&model, &held_out)?;
    /// let mut trainer = SaeTrainer::new(source, TrainConfig::relu(256).steps(6).batch_size(4))?;
    /// let course = trainer.run_measured("ReLU", &evaluation, 3)?;
    /// assert_eq!(course.steps, [2, 4, 6]);
    /// assert_eq!(course.values("norm ratio", "blocks.1.hook_resid_post")?.len(), 3);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`SaeTrainer::run`] and [`SaeEvaluation::measure`]; there are more looks than steps, or none.
    pub fn run_measured(
        &mut self,
        kind: impl Into<String>,
        evaluation: &SaeEvaluation,
        looks: usize,
    ) -> Result<TrainingCourse> {
        let first = self.step();
        let left = self.config().steps.saturating_sub(first);
        let looks = looks as u64;
        if looks == 0 || looks > left {
            return Err(Error::new(format!(
                "a training with {left} steps left cannot be looked at {looks} times: give 1 to {left}, or \
                 plan more steps."
            )));
        }
        let mut course = TrainingCourse {
            kind: kind.into(),
            steps: Vec::new(),
            measured: Vec::new(),
        };
        let mut line = Progress::new(usize::try_from(left).ok())
            .labelled("training and measuring, steps")
            .after(LONG);
        for look in 1..=looks {
            let until = first + left * look / looks;
            let outcome = self.advance(until - self.step(), &mut line);
            self.pause();
            outcome?;
            let measured = evaluation.measure_quietly(&course.kind, self.saes()?)?;
            course.steps.push(self.step());
            course.measured.push(measured);
        }
        Ok(course)
    }
}

impl TrainingCourse {
    /// What was measured last.
    ///
    /// # Errors
    /// Nothing was measured.
    pub fn last(&self) -> Result<SaeComparison> {
        let last = self.measured.last().cloned();
        last.ok_or_else(|| Error::new("the course is empty: make one with `run_measured`."))
    }

    /// A measure at a hook point after each of the steps: see
    /// [`MeasuredSae::value`](crate::sae::metrics::MeasuredSae::value).
    ///
    /// # Errors
    /// There is no such hook point or measure.
    pub fn values(&self, measure: &str, hook_point: &str) -> Result<Vec<f64>> {
        let of = |measured: &SaeComparison| measured.get(&self.kind, hook_point)?.value(measure);
        self.measured.iter().map(of).collect()
    }
}

impl fmt::Debug for TrainingCourse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let saes = self.measured.first().map_or(0, |first| first.rows.len());
        write!(
            f,
            "TrainingCourse of {saes} autoencoders of kind {:?}, measured after {:?} steps",
            self.kind, self.steps
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Corpus;
    use crate::model::HookedTransformer;
    use crate::sae::train::{ActivationSource, TrainConfig};

    #[test]
    fn it_ends_where_the_plan_ends_and_changes_nothing() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let hook = "blocks.0.hook_mlp_out";
        let source = ActivationSource::of_text(&model, hook, ["Once upon a time"]).unwrap();
        let corpus = Corpus::new(&model, ["Lily saw a cat."]).unwrap();
        let evaluation = SaeEvaluation::new(&model, &corpus).unwrap();
        let config = TrainConfig::nsae(64, 0.1, 0.01).steps(7).batch_size(4);
        let trainer = || SaeTrainer::new(source.clone(), config.clone()).unwrap();
        let (mut looked_at, mut alone) = (trainer(), trainer());
        let course = looked_at.run_measured("NSAE", &evaluation, 3).unwrap();
        alone.run_to_end().unwrap();
        assert_eq!(course.steps, [2, 4, 7]);
        let last = evaluation
            .measure([("NSAE", [alone.sae().unwrap()])])
            .unwrap();
        assert_eq!(course.last().unwrap(), last);
        assert_eq!(
            course.values("L0", hook).unwrap()[2],
            last.rows[0].activations.l0
        );
        let over = looked_at.run_measured("NSAE", &evaluation, 1).unwrap_err();
        assert!(over.to_string().contains("0 steps left"), "{over}");
        let wrong = course.values("L0", "blocks.0.hook_mlp_uot").unwrap_err();
        assert!(
            wrong.to_string().contains("blocks.0.hook_mlp_out"),
            "{wrong}"
        );
    }
}
