//! Sparsity and reconstruction, from activations alone.

use super::activity::Activity;
use super::density::Density;
use super::report::SaeReport;
use super::spread::{Spread, on_host};
use crate::error::{Error, Result};
use crate::sae::Sae;
use candle_core::{DType, Tensor};
use std::fmt;

/// Below this, SAELens divides by 1 instead of by a norm.
const NO_NORM: f64 = 1e-4;

/// The measures of an autoencoder over activations that come in batches.
///
/// ```
/// use ferrolens::model::HookedTransformer;
/// use ferrolens::sae::metrics::SaeMetrics;
/// use ferrolens::sae::Sae;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
/// let mut metrics = SaeMetrics::new(&sae);
/// for text in ["Lily saw a big cat.", "Tom had a red ball."] {
///     let cache = model.cache_only(text, "blocks.1.hook_resid_pre")?;
///     metrics.update(&cache["blocks.1.hook_resid_pre"])?; // [batch, pos, d_in]
/// }
/// let report = metrics.finish()?;
/// println!("L0 {:.1}, explained variance {:.3}", report.l0, report.explained_variance);
/// # assert!(report.l0 > 0. && report.to_df()?.height() > 10);
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct SaeMetrics {
    sae: Sae,
    sums: Sums,
    active: Vec<u64>,
    inputs: Spread,
    residuals: Spread,
}

/// Sums over tokens.
#[derive(Clone, Default)]
struct Sums {
    tokens: u64,
    l0: f64,
    l1: f64,
    error: f64,
    spread_tokens: u64,
    relative_error: f64,
    norm_in: f64,
    norm_out: f64,
    norm_ratio: f64,
    squared_out: f64,
    product: f64,
    cosine: f64,
}

impl SaeMetrics {
    /// Nothing measured yet.
    pub fn new(sae: &Sae) -> Self {
        Self {
            sae: sae.clone(),
            sums: Sums::default(),
            active: vec![0; sae.cfg.d_sae],
            inputs: Spread::default(),
            residuals: Spread::default(),
        }
    }

    /// With these activations too, `[.., d_in]` as [`Sae::encode`] takes them.
    ///
    /// # Errors
    /// They do not fit the autoencoder, or hold NaN; a transcoder needs [`SaeMetrics::update_pair`].
    pub fn update(&mut self, x: &Tensor) -> Result<()> {
        if self.sae.is_transcoder() {
            return Err(Error::new(format!(
                "{} is a transcoder, which does not reconstruct what it reads: give both with \
                 `metrics.update_pair(&read, &written)?`.",
                self.sae.name()
            )));
        }
        self.add(x, x, None)
    }

    /// With these activations too, of tokens where `keep`, `[..]` without `d_in`, is not 0: without BOS
    /// and padding, for example.
    ///
    /// # Errors
    /// As [`SaeMetrics::update`], and a mask of another shape.
    pub fn update_where(&mut self, x: &Tensor, keep: &Tensor) -> Result<()> {
        self.add(x, x, Some(keep))
    }

    /// With what a transcoder reads, `[.., d_in]`, and what it is to write, `[.., d_out]`.
    ///
    /// # Errors
    /// As [`SaeMetrics::update`].
    pub fn update_pair(&mut self, x: &Tensor, target: &Tensor) -> Result<()> {
        self.add(x, target, None)
    }

    fn add(&mut self, x: &Tensor, target: &Tensor, keep: Option<&Tensor>) -> Result<()> {
        crate::emit::check_interrupt()?;
        let acts = self.sae.encode(x)?;
        let written = self.sae.decode_for(&acts, x)?;
        if written.elem_count() != target.elem_count() {
            return Err(Error::new(format!(
                "the target of shape {:?} is not what {} writes, {:?}.",
                target.dims(),
                self.sae.name(),
                written.dims()
            )));
        }
        let rows = |tensor: &Tensor, width: usize| -> Result<Tensor> {
            Ok(tensor.to_dtype(DType::F32)?.reshape(((), width))?)
        };
        let acts = rows(&acts, self.sae.cfg.d_sae)?;
        let written = rows(&written, self.sae.cfg.d_out)?;
        let target = rows(target, self.sae.cfg.d_out)?;
        let Some(keep) = keep else {
            return self.add_rows(&acts, &written, &target);
        };
        let (keep, tokens) = (on_host(&keep.flatten_all()?)?, acts.dim(0)?);
        if keep.len() != tokens {
            return Err(Error::new(format!(
                "a mask of {} entries does not fit {tokens} tokens: give one entry for each.",
                keep.len()
            )));
        }
        let kept = keep.iter().enumerate().filter(|(_, keep)| **keep != 0.);
        let kept: Vec<u32> = kept.map(|(row, _)| row as u32).collect();
        if kept.is_empty() {
            return Ok(());
        }
        let kept = Tensor::new(kept, x.device())?;
        let of = |rows: &Tensor| rows.contiguous()?.index_select(&kept, 0);
        self.add_rows(&of(&acts)?, &of(&written)?, &of(&target)?)
    }

    /// Activations `[n, d_sae]`, reconstructions and targets `[n, d_out]`.
    fn add_rows(&mut self, acts: &Tensor, written: &Tensor, target: &Tensor) -> Result<()> {
        if acts.dim(0)? == 0 {
            return Ok(());
        }
        let residual = (target - written)?;
        let errors = on_host(&residual.sqr()?.sum(1)?)?;
        if errors.iter().any(|error| !error.is_finite()) {
            return Err(Error::new(format!(
                "the activations, or what {} makes of them, hold NaN or infinite values: look at where \
                 they came from. This batch was left out.",
                self.sae.name()
            )));
        }
        let Activity { l0, l1, tokens } = Activity::of(acts)?;
        let squares_in = on_host(&target.sqr()?.sum(1)?)?;
        let squares_out = on_host(&written.sqr()?.sum(1)?)?;
        let products = on_host(&(target * written)?.sum(1)?)?;
        let distances = self.inputs.add(target)?;
        self.residuals.add(&residual)?;
        for (total, more) in self.active.iter_mut().zip(tokens) {
            *total += more;
        }
        let sums = &mut self.sums;
        for at in 0..errors.len() {
            let of = |values: &[f32]| f64::from(values[at]);
            let (norm_in, norm_out) = (of(&squares_in).sqrt(), of(&squares_out).sqrt());
            sums.tokens += 1;
            sums.l0 += of(&l0);
            sums.l1 += of(&l1);
            sums.error += of(&errors);
            // A batch of one token has no spread.
            if distances[at] > 0. {
                sums.spread_tokens += 1;
                sums.relative_error += of(&errors) / of(&distances);
            }
            sums.norm_in += norm_in;
            sums.norm_out += norm_out;
            sums.norm_ratio += norm_out / if norm_in < NO_NORM { 1. } else { norm_in };
            sums.squared_out += of(&squares_out);
            sums.product += of(&products);
            if norm_in > 0. && norm_out > 0. {
                sums.cosine += of(&products) / (norm_in * norm_out);
            }
        }
        Ok(())
    }

    /// The measures of all tokens so far. More may follow.
    ///
    /// # Errors
    /// There were no tokens.
    pub fn finish(&self) -> Result<SaeReport> {
        let sums = &self.sums;
        if sums.tokens == 0 {
            return Err(Error::new(
                "nothing was measured: give activations with `metrics.update(&x)?` first.",
            ));
        }
        let mean = |sum: f64| sum / sums.tokens as f64;
        // SAELens's words for activations that are all the same.
        let explained = |squares: f64| match mean(self.inputs.squares()) < 1e-10 {
            true if mean(squares) < 1e-10 => 1.,
            true => 0.,
            false => 1. - squares / self.inputs.squares(),
        };
        Ok(SaeReport {
            tokens: sums.tokens,
            l0: mean(sums.l0),
            l1: mean(sums.l1),
            l2: mean(sums.error),
            mse: mean(sums.error) / self.sae.cfg.d_out as f64,
            explained_variance: explained(sums.error),
            explained_variance_per_token: 1. - sums.relative_error / sums.spread_tokens as f64,
            fraction_of_variance_explained: explained(self.residuals.squares()),
            norm_in: mean(sums.norm_in),
            norm_out: mean(sums.norm_out),
            norm_ratio: mean(sums.norm_ratio),
            cosine: mean(sums.cosine),
            relative_reconstruction_bias: sums.squared_out / sums.product,
            density: Density::new(self.active.clone(), sums.tokens),
        })
    }
}

impl fmt::Debug for SaeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.sums.tokens;
        write!(f, "SaeMetrics of {} after {tokens} tokens", self.sae.name())
    }
}
