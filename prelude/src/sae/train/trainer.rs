//! The training itself: steps, logs, checkpoints.

use super::buffer::Buffer;
use super::config::TrainConfig;
use super::history::{self, LogFile, Metrics, Observer};
use super::lane::{Lane, Updated};
use super::source::ActivationSource;
use super::{backward, checkpoint};
use crate::emit::{Progress, check_interrupt};
use crate::error::{Error, Result, suggestion};
use crate::model::{HookedTransformer, IntoFilter};
use crate::sae::Sae;
use candle_core::{Device, Tensor};
use polars::prelude::DataFrame;
use serde_json::{Map, Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A training that takes longer shows how far it is.
pub(super) const LONG: Duration = Duration::from_secs(2);

/// Trains one autoencoder, or one for each of several hook points on the same forward passes.
///
/// It keeps everything: a cell that is stopped leaves the trainer as it was after its last whole step, and
/// [`SaeTrainer::run`] goes on.
///
/// ```
/// use ferrolens::model::HookedTransformer;
/// use ferrolens::sae::train::{SaeTrainer, TrainConfig};
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let texts = ["Once upon a time there was a cat.", "The dog ran home to his mom."];
/// let config = TrainConfig::relu(256).l1(1e-3).batch_size(16).learning_rate(1e-3).log_every(5);
///
/// let mut trainer = SaeTrainer::for_hook(&model, "blocks.0.hook_mlp_out", &texts, config)?;
/// trainer.run(10)?;
/// let sae = trainer.sae()?;
/// assert_eq!(sae.cfg.hook_name.as_deref(), Some("blocks.0.hook_mlp_out"));
/// assert_eq!(trainer.history()?.height(), 2);
///
/// trainer.run(10)?; // goes on; `sae` is what it was
/// assert_eq!(trainer.step(), 20);
/// # Ok::<(), ferrolens::Error>(())
/// ```
pub struct SaeTrainer {
    pub(super) config: TrainConfig,
    pub(super) source: ActivationSource,
    pub(super) lanes: Vec<Lane>,
    pub(super) buffer: Buffer,
    /// Steps done.
    pub(super) step: u64,
    pub(super) history: Vec<Metrics>,
    /// Seconds trained.
    pub(super) seconds: f64,
    /// Steps and seconds at the last log.
    last_log: (u64, f64),
    observers: Vec<Box<dyn Observer>>,
    logs: Vec<LogFile>,
    checkpoints: Option<(PathBuf, u64)>,
}

impl SaeTrainer {
    /// A training on the activations of a model at one hook point, over texts: see
    /// [`ActivationSource::of_text`].
    ///
    /// # Errors
    /// There is no text, the model does not have the hook point, the name means several of them, or the
    /// config asks for something impossible.
    pub fn for_hook<T: AsRef<str>>(
        model: &HookedTransformer,
        hook: impl IntoFilter,
        texts: impl IntoIterator<Item = T>,
        config: TrainConfig,
    ) -> Result<Self> {
        config.check()?;
        let source = ActivationSource::of_text(model, hook, texts)?;
        if source.hooks().len() > 1 {
            return Err(Error::new(format!(
                "this means {} hook points ({}): name one of them, or train all with \
                 `SaeTrainer::for_hooks`.",
                source.hooks().len(),
                source.hooks().join(", ")
            )));
        }
        Self::new(source, config)
    }

    /// Trainings at several hook points at once, such as `"blocks.*.hook_resid_post"` or a list of names:
    /// each batch of text goes through the model once.
    ///
    /// # Errors
    /// As [`SaeTrainer::for_hook`].
    pub fn for_hooks<T: AsRef<str>>(
        model: &HookedTransformer,
        names_filter: impl IntoFilter,
        texts: impl IntoIterator<Item = T>,
        config: TrainConfig,
    ) -> Result<Self> {
        config.check()?;
        Self::new(
            ActivationSource::of_text(model, names_filter, texts)?,
            config,
        )
    }

    /// A training on any activations, on the CPU or on the device of the activations.
    ///
    /// # Errors
    /// The config asks for something impossible.
    pub fn new(source: ActivationSource, config: TrainConfig) -> Result<Self> {
        config.check()?;
        let device = source.device();
        let lane = |(index, place)| Lane::new(&config, place, index, &device);
        let lanes = source.places().iter().enumerate().map(lane);
        let lanes = lanes.collect::<Result<Vec<Lane>>>()?;
        Ok(Self {
            config,
            source,
            lanes,
            buffer: Buffer::new(),
            step: 0,
            history: Vec::new(),
            seconds: 0.,
            last_log: (0, 0.),
            observers: Vec::new(),
            logs: Vec::new(),
            checkpoints: None,
        })
    }

    /// Starts from the weights of an autoencoder instead of random ones, for the only hook point or the one
    /// that the autoencoder names. Its decoder's bias stays what it is.
    ///
    /// # Errors
    /// It is of another size or kind than the config's, or steps were taken already.
    pub fn start_from(&mut self, sae: &Sae) -> Result<()> {
        if self.step > 0 {
            return Err(Error::new(format!(
                "{} steps were taken already: make a new trainer and start that one from {}.",
                self.step,
                sae.name()
            )));
        }
        let index = match (&self.lanes.len(), &sae.cfg.hook_name) {
            (1, _) => 0,
            (_, Some(hook)) => self.index(hook)?,
            _ => {
                return Err(Error::new(format!(
                    "{} does not say for which hook point it is: set `sae.cfg.hook_name` to one of \
                     {}.",
                    sae.name(),
                    self.source.hooks().join(", ")
                )));
            }
        };
        let (lanes, config) = (&mut self.lanes, &self.config);
        match lanes.get_mut(index) {
            Some(lane) => lane.start_from(config, sae),
            None => Ok(()),
        }
    }

    /// Calls `observer` (a closure over [`Metrics`], or a `display::LiveTraining`) with what is logged.
    pub fn on_log(&mut self, observer: impl Observer + 'static) {
        self.observers.push(Box::new(observer));
    }

    /// Writes what is logged to a file as well: CSV where its name ends so, else a JSON object a line.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn log_to(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.logs.push(LogFile::open(path.as_ref())?);
        Ok(())
    }

    /// Saves a checkpoint into this folder every so many steps, each over the one before it.
    ///
    /// # Errors
    /// `every` is 0.
    pub fn checkpoint_to(&mut self, folder: impl AsRef<Path>, every: u64) -> Result<()> {
        if every == 0 {
            return Err(Error::new(
                "a checkpoint every 0 steps cannot be had: give at least 1.",
            ));
        }
        self.checkpoints = Some((folder.as_ref().to_owned(), every));
        Ok(())
    }

    /// Takes so many more steps.
    ///
    /// # Errors
    /// The user stopped the cell, the loss is not finite, the activations do not fit, or a log or checkpoint
    /// cannot be written. The trainer stays as it was after its last whole step.
    pub fn run(&mut self, steps: u64) -> Result<()> {
        let mut line = Progress::new(usize::try_from(steps).ok())
            .labelled("training, steps")
            .after(LONG);
        let outcome = self.advance(steps, &mut line);
        drop(line);
        self.pause();
        outcome
    }

    /// Takes so many more steps, and says so on a line that may be another's too.
    pub(super) fn advance(&mut self, steps: u64, line: &mut Progress) -> Result<()> {
        for _ in 0..steps {
            self.one_step()?;
            line.advance(1);
        }
        Ok(())
    }

    /// Tells observers that there are no more steps for now.
    pub(super) fn pause(&mut self) {
        for observer in &mut self.observers {
            observer.on_pause();
        }
    }

    /// Takes the steps that are left of those planned in the config.
    ///
    /// # Errors
    /// As [`SaeTrainer::run`].
    pub fn run_to_end(&mut self) -> Result<()> {
        self.run(self.config.steps.saturating_sub(self.step))
    }

    fn one_step(&mut self) -> Result<()> {
        check_interrupt()?;
        let started = Instant::now();
        let config = &self.config;
        let rows = config.batch_size;
        self.buffer.fill(&mut self.source, config)?;
        for (lane, rows) in self.lanes.iter_mut().zip(&self.buffer.rows) {
            if !lane.state.started {
                lane.start(config, rows)?;
            }
        }
        let mut batches = Vec::with_capacity(self.lanes.len());
        for (lane, batch) in self.lanes.iter().zip(self.buffer.next(rows)?) {
            batches.push(scaled(&batch, lane.state.factor)?);
        }
        // All losses first: where one is not finite, none of the weights change.
        let mut outcomes = Vec::with_capacity(self.lanes.len());
        for (lane, batch) in self.lanes.iter().zip(&batches) {
            outcomes.push(lane.pass(config, batch, self.step)?);
        }
        let mut updates = Vec::with_capacity(self.lanes.len());
        for ((lane, outcome), batch) in self.lanes.iter_mut().zip(&mut outcomes).zip(&batches) {
            updates.push(lane.update(config, outcome, self.step, rows)?);
            lane.resample(config, batch, self.step)?;
        }
        self.buffer.serve(rows);
        self.step += 1;
        self.seconds += started.elapsed().as_secs_f64();
        if self.step.is_multiple_of(self.config.log_every) {
            self.log(&batches, &outcomes, &updates)?;
        }
        if let Some((folder, every)) = &self.checkpoints
            && self.step.is_multiple_of(*every)
        {
            checkpoint::save(self, folder)?;
        }
        Ok(())
    }

    fn log(
        &mut self,
        batches: &[Tensor],
        outcomes: &[backward::Outcome],
        updates: &[Updated],
    ) -> Result<()> {
        let config = &self.config;
        let steps = self.step - self.last_log.0;
        let seconds = (self.seconds - self.last_log.1).max(1e-9);
        let tokens = (steps * config.batch_size as u64) as f64;
        let mut logged = Vec::with_capacity(self.lanes.len());
        let of_lanes = self.lanes.iter().zip(batches).zip(outcomes).zip(updates);
        for (((lane, batch), outcome), update) in of_lanes {
            let mean = batch.mean_keepdim(0)?;
            let spread = backward::total(&batch.broadcast_sub(&mean)?.sqr()?)?;
            let error = outcome.losses.squared_error * config.batch_size as f64;
            let dead = lane.activity.dead(config.dead_after).len();
            logged.push(Metrics {
                hook: lane.place.hook.clone(),
                step: self.step,
                tokens: self.step * config.batch_size as u64,
                loss: outcome.losses.total(),
                squared_error: outcome.losses.squared_error,
                other_errors: outcome.losses.other_errors,
                penalty: outcome.losses.penalty,
                auxiliary: outcome.losses.auxiliary,
                l0: outcome.sums.l0(),
                l1: outcome.sums.l1(),
                explained_variance: 1. - error / spread,
                alive: 1. - dead as f64 / config.d_sae as f64,
                dead,
                learning_rate: update.learning_rate,
                penalty_scale: lane.penalty_scale(config, self.step - 1),
                gradient_norm: update.gradient_norm,
                tokens_per_second: tokens / seconds,
                seconds: self.seconds,
            });
        }
        self.last_log = (self.step, self.seconds);
        for metrics in &logged {
            for observer in &mut self.observers {
                observer.on_log(metrics);
            }
            for log in &mut self.logs {
                log.write(metrics)?;
            }
        }
        self.history.extend(logged);
        Ok(())
    }

    /// The autoencoder as it is now, for the activations that the model has: the only one, where there are
    /// not several hook points. Later steps leave it as it is.
    ///
    /// # Errors
    /// There are several hook points.
    pub fn sae(&self) -> Result<Sae> {
        match self.lanes.as_slice() {
            [only] => self.finished(only),
            several => Err(Error::new(format!(
                "there are {} autoencoders: take one with `trainer.sae_at(\"{}\")?`, or all with \
                 `trainer.saes()?`.",
                several.len(),
                several.first().map_or("", |lane| lane.place.hook.as_str())
            ))),
        }
    }

    /// The autoencoder of this hook point as it is now.
    ///
    /// # Errors
    /// None is trained there.
    pub fn sae_at(&self, hook: &str) -> Result<Sae> {
        match self.lanes.get(self.index(hook)?) {
            Some(lane) => self.finished(lane),
            None => self.sae(),
        }
    }

    /// All autoencoders as they are now, in the order of [`SaeTrainer::hooks`].
    ///
    /// # Errors
    /// There is no memory for a copy.
    pub fn saes(&self) -> Result<Vec<Sae>> {
        self.lanes.iter().map(|lane| self.finished(lane)).collect()
    }

    fn finished(&self, lane: &Lane) -> Result<Sae> {
        let mut sae = lane.sae(&self.config)?;
        let (model_name, dataset) = self.source.names();
        sae.cfg.model_name = model_name;
        sae.cfg.metadata = self.metadata(dataset)?;
        Ok(sae)
    }

    /// What is written into the config of an autoencoder about its training.
    fn metadata(&self, dataset: Option<String>) -> Result<Map<String, Value>> {
        let config = &self.config;
        let mut metadata = Map::new();
        if let Some(dataset) = dataset {
            metadata.insert("dataset_path".into(), Value::String(dataset));
        }
        let known = json!({
            "training_steps": self.step,
            "training_tokens": self.step * config.batch_size as u64,
            "train_batch_size_tokens": config.batch_size,
            "lr": config.learning_rate,
            "seed": config.seed,
            "training": serde_json::to_value(config)?,
        });
        if let Value::Object(known) = known {
            metadata.extend(known);
        }
        Ok(metadata)
    }

    fn index(&self, hook: &str) -> Result<usize> {
        let found = self.lanes.iter().position(|lane| lane.place.hook == hook);
        found.ok_or_else(|| {
            let hooks = self.source.hooks();
            Error::new(format!(
                "no autoencoder is trained at `{hook}`.{} There is one at: {}.",
                suggestion(hook, &hooks),
                hooks.join(", ")
            ))
        })
    }

    /// What was logged, as a table with a row a hook point and log: see [`Metrics`] for its columns.
    ///
    /// # Errors
    /// There is no memory for the table.
    pub fn history(&self) -> Result<DataFrame> {
        history::table(&self.history)
    }

    /// What was logged, from the first to the last.
    pub fn metrics(&self) -> Vec<Metrics> {
        self.history.clone()
    }

    /// The hook points.
    pub fn hooks(&self) -> Vec<String> {
        self.source.hooks()
    }

    /// The config.
    pub fn config(&self) -> TrainConfig {
        self.config.clone()
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Saves weights, what the optimiser remembers, and what the buffer still holds, into a folder that is
    /// complete or not there.
    ///
    /// # Errors
    /// The folder cannot be written; one that was there before stays.
    pub fn save_checkpoint(&self, folder: impl AsRef<Path>) -> Result<()> {
        checkpoint::save(self, folder.as_ref())
    }

    /// Goes on where a checkpoint was saved, from a trainer with the same config and data: on the CPU each
    /// weight will be, to the last bit, what it would have become without the stop. The numbers of planned
    /// steps and of steps between logs may differ.
    ///
    /// # Errors
    /// There is no whole checkpoint in the folder, or it is of another config, hook point or data.
    pub fn load_checkpoint(&mut self, folder: impl AsRef<Path>) -> Result<()> {
        checkpoint::load(self, folder.as_ref())?;
        self.last_log = (self.step, self.seconds);
        Ok(())
    }

    pub(super) fn device(&self) -> Device {
        self.source.device()
    }
}

impl fmt::Debug for SaeTrainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SaeTrainer({}: d_sae {}, step {} of {}",
            self.hooks().join(", "),
            self.config.d_sae,
            self.step,
            self.config.steps
        )?;
        match self.history.last() {
            Some(last) => write!(
                f,
                "; loss {:.4}, L0 {:.1}, explained variance {:.3})",
                last.loss, last.l0, last.explained_variance
            ),
            None => f.write_str(")"),
        }
    }
}

fn scaled(x: &Tensor, factor: f64) -> Result<Tensor> {
    match factor == 1. {
        true => Ok(x.clone()),
        false => Ok((x * factor)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::fake;

    fn trainer() -> SaeTrainer {
        let values: Vec<f32> = (0..64 * 8u32)
            .map(|n| ((n * 7919) % 101) as f32 / 50. - 1.)
            .collect();
        let x = Tensor::from_vec(values, (64, 8), &Device::Cpu).unwrap();
        let source = ActivationSource::of_tensor("blocks.0.hook_mlp_out", &x).unwrap();
        SaeTrainer::new(source, TrainConfig::relu(16).batch_size(16)).unwrap()
    }

    fn encoder(trainer: &SaeTrainer) -> Vec<f32> {
        let W_enc = trainer.sae().unwrap().W_enc;
        W_enc.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_stopped_training_keeps_what_it_has_and_goes_on() {
        let mut through = trainer();
        through.run(20).unwrap();
        let mut stopped = trainer();
        stopped.run(8).unwrap();
        let (result, _) = fake::with_stop(|| stopped.run(12));
        assert!(result.unwrap_err().to_string().starts_with("interrupted"));
        assert_eq!(stopped.step(), 8);
        stopped.run(12).unwrap();
        assert_eq!(encoder(&through), encoder(&stopped));
    }
}
