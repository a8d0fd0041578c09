//! Prompts whose last position is pushed along directions, all lengths in one run.

use super::curves::{SensitivityCurve, SensitivityCurves};
use super::direction::{Direction, on_cpu};
use crate::analysis::directions::unit_rows;
use crate::analysis::last_step::{self, LastStep};
use crate::data::Corpus;
use crate::emit::{self, check_interrupt};
use crate::error::{Error, Result};
use crate::math::log_softmax;
use crate::model::{HookPoint, HookedTransformer, Hooks, PointName, Site};
use candle_core::{DType, Device, Tensor};
use std::fmt;

/// How many tokens are run together, and how many positions of keys and values a run holds.
const TOKENS: usize = 4096;

/// From how many pushed rows on it is said how far the work is.
const WORTH_A_LINE: usize = 20_000;

/// Prompts, and the place where the activation of their last position is pushed.
///
/// ```
/// use ferrolens::analysis::{Direction, Readout};
/// use ferrolens::data::Corpus;
/// use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let prompts = Corpus::new(&model, ["Once upon a time", "Lily saw a", "Tom was sad because"])?;
/// let sensitivity = model.sensitivity(&prompts, "blocks.0.hook_resid_post")?;
/// let lengths: Vec<f64> = (0..=4).map(|step| f64::from(step) / 4. * sensitivity.distance()).collect();
/// let directions = [("random", Direction::Isotropic), ("towards another", Direction::TowardsAnother)];
/// let curves = sensitivity.push(&directions, &lengths, 1)?;
/// println!("{}", curves.summary()?);
/// assert_eq!(curves.get("random")?.kl.len(), 3); // a row a prompt
/// assert!(curves.estimate("random", Readout::Kl, lengths[4])?.mean > 0.);
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct Sensitivity {
    model: HookedTransformer,
    prompts: Corpus,
    point: HookPoint,
    enters: Enters,
    activations: Tensor,
    distance: f64,
}

/// Where a run with a push begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enters {
    /// With the tokens; the push is a hook.
    Tokens,
    /// At the entrance of the push's layer; the push is a hook.
    Layer(usize),
    /// At the entrance of a layer, with the pushed stream.
    Pushed(usize),
}

impl HookedTransformer {
    /// These prompts, to be pushed at their last token, at this hook point: one with a vector of width
    /// `d_model` at each position, such as `blocks.3.hook_resid_pre`. To push elsewhere, cut the prompts
    /// ([`Corpus::up_to`]). Nothing before the last token changes, so runs begin at the push's layer,
    /// with the earlier tokens' keys and values.
    ///
    /// # Errors
    /// There is no such hook point, its activations have another shape, or a prompt is longer than the
    /// model reads.
    pub fn sensitivity(
        &self,
        prompts: &Corpus,
        hook_point: impl Into<PointName>,
    ) -> Result<Sensitivity> {
        let point = self.hook_point(hook_point)?;
        let config = self.config();
        if point.inner().is_some()
            || point.width(&config, false) != Some(config.d_model)
            || point.has_heads()
        {
            return Err(Error::new(format!(
                "`{point}` does not hold one vector of width {} at each position, so it cannot be pushed: \
                 choose a point of the residual stream, such as `blocks.0.hook_resid_post`.",
                config.d_model
            )));
        }
        for (prompt, length) in prompts.lengths().into_iter().enumerate() {
            if !(1..=config.n_ctx).contains(&length) {
                return Err(Error::new(format!(
                    "prompt {prompt} has {length} tokens, but {} reads 1 to {}: `corpus.select(..)` leaves \
                     prompts out.",
                    config.model_name, config.n_ctx
                )));
            }
        }
        let mut sensitivity = Sensitivity {
            model: self.clone(),
            prompts: prompts.clone(),
            point,
            enters: match (point.layer(), point.site()) {
                // What stands in a scope would be called twice, or not at all.
                _ if self.is_in_scope() => Enters::Tokens,
                (None, _) => Enters::Tokens,
                (Some(layer), Site::ResidPre) => Enters::Pushed(layer),
                (Some(layer), Site::ResidPost) => Enters::Pushed(layer + 1),
                (Some(layer), _) => Enters::Layer(layer),
            },
            activations: Tensor::zeros((1, 1), DType::F32, &Device::Cpu)?,
            distance: f64::NAN,
        };
        sensitivity.activations = sensitivity.last_activations(&point)?;
        sensitivity.distance = mean_distance(&sensitivity.activations)?;
        Ok(sensitivity)
    }
}

impl Sensitivity {
    /// The activations that are pushed, as they are in a clean run: `[prompt, d_model]` of `f32` on the
    /// CPU.
    pub fn activations(&self) -> &Tensor {
        &self.activations
    }

    /// The mean distance between the activations of two different prompts; NaN for a single prompt.
    pub fn distance(&self) -> f64 {
        self.distance
    }

    /// Where they are pushed.
    pub fn point(&self) -> HookPoint {
        self.point
    }

    /// How many prompts there are.
    pub fn len(&self) -> usize {
        self.prompts.len()
    }

    /// Whether there are none: never, as a corpus holds at least one prompt.
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty()
    }

    pub(super) fn model(&self) -> &HookedTransformer {
        &self.model
    }

    /// Pushes every prompt's activation `x` to `x + length · v / |v|`, for each named kind of direction
    /// `v` and each length, and reads the output at the same position: see [`SensitivityCurves`].
    ///
    /// # Errors
    /// The lengths are not finite, not negative and increasing; a direction is 0, is not finite or does
    /// not fit; a kind has no name of its own.
    pub fn push<N: AsRef<str>>(
        &self,
        directions: &[(N, Direction)],
        lengths: &[f64],
        seed: u64,
    ) -> Result<SensitivityCurves> {
        let directions = directions.iter();
        let directions: Vec<(&str, &Direction)> = directions
            .map(|(name, direction)| (name.as_ref(), direction))
            .collect();
        self.push_all(&directions, lengths, seed)
    }

    fn push_all(
        &self,
        directions: &[(&str, &Direction)],
        lengths: &[f64],
        seed: u64,
    ) -> Result<SensitivityCurves> {
        check_lengths(lengths)?;
        let mut kinds = Vec::with_capacity(directions.len());
        let mut curves: Vec<SensitivityCurve> = Vec::with_capacity(directions.len());
        for (at, (name, direction)) in directions.iter().enumerate() {
            if curves.iter().any(|other| other.name == *name) {
                return Err(Error::new(format!(
                    "two kinds of direction are called {name:?}: give each a name of its own."
                )));
            }
            let in_kind = |error: Error| error.context(format!("the directions {name:?}"));
            // Kinds draw independently.
            let seed = seed.wrapping_add(at as u64 * 0x9e37_79b9);
            let ways = direction.ways(self, seed).map_err(in_kind)?;
            let units = unit_rows("the directions", &ways).map_err(in_kind)?;
            let reach: Vec<f32> = ways.sqr()?.sum(1)?.sqrt()?.to_vec1()?;
            if let Some(prompt) = reach.iter().position(|norm| *norm == 0.) {
                return Err(in_kind(Error::new(format!(
                    "that of prompt {prompt} is 0, so there is nowhere to push to: leave the prompt out, \
                     or take another direction."
                ))));
            }
            kinds.push(units);
            curves.push(SensitivityCurve {
                name: (*name).to_owned(),
                kl: vec![Vec::new(); self.len()],
                l2: vec![Vec::new(); self.len()],
                reach: reach.into_iter().map(f64::from).collect(),
            });
        }
        if curves.is_empty() {
            return Err(Error::new(
                "there are no directions to push along: give some, such as (\"random\", \
                 Direction::Isotropic).",
            ));
        }
        let rows = self.len() * lengths.len() * kinds.len();
        let mut line = (rows >= WORTH_A_LINE)
            .then(|| emit::Progress::new(rows).labelled(format!("pushing {}", self.point)));
        for batch in last_step::batches(&self.prompts.lengths(), TOKENS) {
            let clean = Clean::of(self, &batch)?;
            for (units, curve) in kinds.iter().zip(&mut curves) {
                clean.push(self, units, lengths, curve)?;
                if let Some(line) = &mut line {
                    line.advance(batch.len() * lengths.len());
                }
            }
        }
        if let Some(line) = &mut line {
            line.end();
        }
        Ok(SensitivityCurves {
            point: self.point,
            lengths: lengths.to_vec(),
            distance: self.distance,
            kinds: curves,
        })
    }

    /// The activations at another hook point, at the last position: `[prompt, width]` of `f32` on the
    /// CPU.
    pub(super) fn last_activations(&self, point: &HookPoint) -> Result<Tensor> {
        let (mut order, mut parts) = (Vec::new(), Vec::new());
        for batch in last_step::batches(&self.prompts.lengths(), TOKENS) {
            check_interrupt()?;
            let rows: Vec<&[u32]> = batch.iter().map(|at| self.prompts.row(*at)).collect();
            let step = LastStep::of(&self.model, &rows)?;
            let x = step.run().cache(point.name()).cache_only()?.get(*point)?; // [batch, 1, width]
            parts.push(on_cpu(&x.reshape((batch.len(), ()))?)?);
            order.extend(batch);
        }
        let mut places = vec![0u32; order.len()];
        for (place, prompt) in order.into_iter().enumerate() {
            places[prompt] = place as u32;
        }
        let all = Tensor::cat(&parts, 0)?;
        Ok(all.index_select(&Tensor::new(places, &Device::Cpu)?, 0)?)
    }
}

impl fmt::Debug for Sensitivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Sensitivity of {} prompts at the last position of {}; two activations are {:.3} apart",
            self.len(),
            self.point,
            self.distance
        )
    }
}

/// A batch of prompts as they are without a push.
struct Clean<'a> {
    step: LastStep,
    prompts: &'a [usize],
    width: usize,
    /// What enters the layer at which runs begin, `[batch, 1, d_model]`.
    entering: Option<Tensor>,
    /// The last residual stream, `[batch, d_model]`.
    last: Tensor,
    /// `[batch, d_vocab]`.
    log_probabilities: Tensor,
}

impl<'a> Clean<'a> {
    fn of(this: &Sensitivity, prompts: &'a [usize]) -> Result<Self> {
        check_interrupt()?;
        let rows: Vec<&[u32]> = prompts.iter().map(|at| this.prompts.row(*at)).collect();
        let step = LastStep::of(&this.model, &rows)?;
        let entrance = match this.enters {
            Enters::Tokens => None,
            Enters::Layer(0) | Enters::Pushed(0) => Some("blocks.0.hook_resid_pre".to_owned()),
            Enters::Layer(layer) | Enters::Pushed(layer) => Some(stream(layer)),
        };
        let end = stream(this.model.config().n_layers);
        let kept: Vec<String> = entrance.iter().chain([&end]).cloned().collect();
        let (logits, cache) = step.run().cache(kept).logits_at_and_cache(-1)?;
        Ok(Self {
            step,
            prompts,
            width: rows.iter().map(|row| row.len()).max().unwrap_or(1),
            entering: entrance.map(|entrance| cache.get(entrance)).transpose()?,
            last: cache.get(end)?.squeeze(1)?,
            log_probabilities: log_softmax(&logits.to_dtype(DType::F32)?)?,
        })
    }

    /// Pushes the batch along its rows of `units`, `[prompt, d_model]`, by every length.
    fn push(
        &self,
        this: &Sensitivity,
        units: &Tensor,
        lengths: &[f64],
        curve: &mut SensitivityCurve,
    ) -> Result<()> {
        let pairs: Vec<(usize, f64)> = (0..self.prompts.len())
            .flat_map(|row| lengths.iter().map(move |length| (row, *length)))
            .collect();
        for pairs in pairs.chunks((TOKENS / self.width).max(16)) {
            check_interrupt()?;
            let prompts: Vec<u32> = pairs
                .iter()
                .map(|pair| self.prompts[pair.0] as u32)
                .collect();
            let by: Vec<f32> = pairs.iter().map(|pair| pair.1 as f32).collect();
            let units = units.index_select(&Tensor::new(prompts, &Device::Cpu)?, 0)?;
            let by = Tensor::new(by, &Device::Cpu)?.unsqueeze(1)?;
            let steps = units.broadcast_mul(&by)?.unsqueeze(1)?; // [row, 1, d_model]
            let steps = steps
                .to_device(&this.model.device())?
                .to_dtype(this.model.dtype())?;
            let rows: Vec<u32> = pairs.iter().map(|pair| pair.0 as u32).collect();
            let (kl, l2) = self.read(this, &rows, steps)?;
            for ((pair, kl), l2) in pairs.iter().zip(kl).zip(l2) {
                let prompt = self.prompts[pair.0];
                curve.kl[prompt].push(f64::from(kl));
                curve.l2[prompt].push(f64::from(l2));
            }
        }
        Ok(())
    }

    /// KL and L2 of these rows of the batch with these steps added, `[row, 1, d_model]`.
    fn read(
        &self,
        this: &Sensitivity,
        rows: &[u32],
        steps: Tensor,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let n_layers = this.model.config().n_layers;
        let end = stream(n_layers);
        let from = match this.enters {
            Enters::Tokens => 0,
            Enters::Layer(layer) | Enters::Pushed(layer) => layer,
        };
        let ids = Tensor::new(rows, &Device::Cpu)?.to_device(&this.model.device())?;
        let repeated = self.step.rows(rows, from)?;
        let entering = match &self.entering {
            Some(entering) => Some(entering.index_select(&ids, 0)?),
            None => None,
        };
        let pushed = match (this.enters, &entering) {
            (Enters::Pushed(_), Some(entering)) => Some((entering + &steps)?),
            _ => None,
        };
        let by_hook = || {
            Hooks::new().add(this.point.name(), move |x: &Tensor, _: &HookPoint| {
                x + &steps
            })
        };
        let run = match (&pushed, &entering) {
            (Some(pushed), _) => repeated.run_from_layer(from, pushed),
            (None, Some(entering)) => repeated.run_from_layer(from, entering).hooks(by_hook()),
            (None, None) => repeated.run().hooks(by_hook()),
        };
        let (logits, last) = match pushed {
            // No block is left, so there is no hook point either.
            Some(pushed) if from == n_layers => (run.logits_at(-1)?, pushed),
            _ => {
                let (logits, cache) = run.cache(end.as_str()).logits_at_and_cache(-1)?;
                (logits, cache.get(end)?)
            }
        };
        let moved = (last.squeeze(1)? - self.last.index_select(&ids, 0)?)?;
        let l2 = moved.to_dtype(DType::F32)?.sqr()?.sum(1)?.sqrt()?;
        let clean = self.log_probabilities.index_select(&ids, 0)?;
        let new = log_softmax(&logits.to_dtype(DType::F32)?)?;
        let kl = (clean.exp()? * (clean - new)?)?.sum(1)?;
        Ok((kl.to_vec1()?, l2.to_vec1()?))
    }
}

/// The residual stream behind so many layers, at least one.
fn stream(layers: usize) -> String {
    format!("blocks.{}.hook_resid_post", layers.saturating_sub(1))
}

fn check_lengths(lengths: &[f64]) -> Result<()> {
    let fine = lengths
        .iter()
        .all(|length| length.is_finite() && *length >= 0.);
    match fine && !lengths.is_empty() && lengths.windows(2).all(|pair| pair[0] < pair[1]) {
        true => Ok(()),
        false => Err(Error::new(format!(
            "the lengths {lengths:?} cannot be pushed by: give some from 0 on, each longer than the one \
             before."
        ))),
    }
}

/// The mean distance of two different rows, `[n, d]`.
fn mean_distance(rows: &Tensor) -> Result<f64> {
    let rows: Vec<Vec<f32>> = rows.to_vec2()?;
    let (mut sum, mut pairs) = (0., 0u64);
    for (at, row) in rows.iter().enumerate() {
        for other in &rows[..at] {
            let squares = row.iter().zip(other).map(|(x, y)| f64::from(x - y).powi(2));
            sum += squares.sum::<f64>().sqrt();
            pairs += 1;
        }
    }
    Ok(sum / pairs as f64)
}
