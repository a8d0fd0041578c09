//! How long activations are: in a run, and over a corpus.

use crate::data::Corpus;
use crate::emit::check_interrupt;
use crate::error::{Error, Result};
use crate::math::Estimate;
use crate::model::{ActivationCache, HookPoint, HookedTransformer, IntoFilter, PointName};
use candle_core::{D, DType, Device, Tensor};
use polars::prelude::{Column, DataFrame};

/// How many tokens are run at a time.
const TOKEN_BUDGET: usize = 4096;

/// The Euclidean norms of activations, a row a hook point: `|x|` over the last dimension. The scale of a
/// LayerNorm (`ln1.hook_scale`), a single number a position, is its own norm.
///
/// ```
/// use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let norms = model.cache_only("Once upon a time", "blocks.*.hook_resid_post")?.norms()?;
/// assert_eq!(norms.values.dims(), [2, 1, 5]); // [point, batch, pos]
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Norms {
    /// The hook point of each row, in firing order.
    pub points: Vec<HookPoint>,
    /// `[point, batch, pos]` of a cache, `[point, token]` of a corpus; `f32`, on the CPU.
    pub values: Tensor,
}

impl ActivationCache {
    /// The norm of every vector that the cache holds: `[point, batch, pos]`.
    ///
    /// # Errors
    /// An activation is no vector a position (heads, scores, patterns), or the run kept nothing.
    pub fn norms(&self) -> Result<Norms> {
        let mut rows = Vec::with_capacity(self.len());
        for (point, value) in self.iter() {
            rows.push(norms_at(&point, &value, self.has_batch_dim())?);
        }
        if rows.is_empty() {
            return Err(Error::new(
                "the cache holds no activation, so there are no norms: keep some with \
                 `.cache(\"blocks.*.hook_resid_post\")`.",
            ));
        }
        Ok(Norms {
            points: self.keys(),
            values: Tensor::stack(&rows, 0)?,
        })
    }
}

impl HookedTransformer {
    /// The norms of the activations at these hook points, over all tokens of a corpus: `[point, token]`.
    ///
    /// ```
    /// use ferrolens::data::Corpus;
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let corpus = Corpus::new(&model, ["Once upon a time", "Lily saw a cat."])?;
    /// let scales = model.norms(&corpus, |name: &str| name.ends_with("hook_scale"))?;
    /// assert_eq!(scales.values.dims(), [5, corpus.tokens()]); // two LayerNorms a block, and the last
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`ActivationCache::norms`]; the filter means no hook point of the model.
    pub fn norms(&self, corpus: &Corpus, names_filter: impl IntoFilter) -> Result<Norms> {
        let filter = names_filter.into_filter();
        let mut points = Vec::new();
        let mut parts = Vec::new();
        for batch in corpus.batches(TOKEN_BUDGET)? {
            check_interrupt()?;
            let norms = self.cache_only(batch.input(), &filter)?.norms()?;
            // Behind the end of a prompt stands padding.
            for (row, length) in batch.lengths.iter().enumerate() {
                parts.push(norms.values.narrow(1, row, 1)?.narrow(2, 0, *length)?);
            }
            points = norms.points;
        }
        let parts: Vec<Tensor> = parts
            .iter()
            .map(|part| Ok(part.squeeze(1)?.contiguous()?))
            .collect::<Result<_>>()?;
        Ok(Norms {
            points,
            values: Tensor::cat(&parts, 1)?,
        })
    }
}

impl Norms {
    /// The norms at one hook point.
    ///
    /// # Errors
    /// It is not among them.
    pub fn get(&self, point: impl Into<PointName>) -> Result<Tensor> {
        let name = point.into().to_string();
        let at = self.points.iter().position(|point| point.name() == name);
        let at = at.ok_or_else(|| {
            let names: Vec<String> = self.points.iter().map(HookPoint::name).collect();
            Error::new(format!(
                "there are no norms of `{name}`.{} There are those of {}.",
                crate::error::suggestion(&name, &names),
                names.join(", ")
            ))
        })?;
        Ok(self.values.get(at)?)
    }

    /// Only those at hook points whose name holds the text.
    ///
    /// # Errors
    /// No name does.
    pub fn only(&self, text: &str) -> Result<Self> {
        let rows: Vec<u32> = (0u32..)
            .zip(&self.points)
            .filter(|(_, point)| point.name().contains(text))
            .map(|(row, _)| row)
            .collect();
        if rows.is_empty() {
            return Err(Error::new(format!(
                "no hook point of these norms has {text:?} in its name: look at `norms.points`."
            )));
        }
        let points = rows.iter().filter_map(|row| self.points.get(*row as usize));
        Ok(Self {
            points: points.copied().collect(),
            values: self
                .values
                .index_select(&Tensor::new(rows.as_slice(), &Device::Cpu)?, 0)?,
        })
    }

    /// Each row over its mean, so that rows of different sizes can be seen beside each other.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn over_mean(&self) -> Result<Self> {
        let rows = self.points.len();
        let flat = self.values.reshape((rows, ()))?;
        let means = flat.mean_keepdim(1)?;
        Ok(Self {
            points: self.points.clone(),
            values: flat.broadcast_div(&means)?.reshape(self.values.shape())?,
        })
    }

    /// Names and numbers of each row, as a histogram takes them.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn series(&self) -> Result<Vec<(String, Tensor)>> {
        let rows = self.points.iter().enumerate();
        rows.map(|(row, point)| Ok((point.name(), self.values.get(row)?.flatten_all()?)))
            .collect()
    }

    /// `|x| / (|x clean| + 1e-9)`, where these norms are those of a run that was changed.
    ///
    /// # Errors
    /// The norms are not of the same hook points and positions.
    pub fn ratio(&self, clean: &Norms) -> Result<Tensor> {
        self.check_like(clean)?;
        Ok((&self.values / (&clean.values + 1e-9)?)?)
    }

    /// `(|x| - |x clean|) / ((|x| + |x clean|) / 2)`, between -2 and 2; 0 where both are 0.
    ///
    /// # Errors
    /// As [`Norms::ratio`].
    pub fn relative_difference(&self, clean: &Norms) -> Result<Tensor> {
        self.check_like(clean)?;
        let middle = ((&self.values + &clean.values)? / 2.)?;
        let middle = middle.maximum(f64::from(f32::MIN_POSITIVE))?;
        Ok(((&self.values - &clean.values)? / middle)?)
    }

    /// The norms of one prompt at one position (-1: the last) beside those of a clean run, a row a hook
    /// point: `hook_point`, `clean`, `corrupted`, `difference`, `ratio`.
    ///
    /// # Errors
    /// As [`Norms::ratio`]; there are several prompts, or there is no such position.
    pub fn compare_at(&self, clean: &Norms, position: isize) -> Result<DataFrame> {
        let ratio = self.ratio(clean)?;
        let &[_, 1, positions] = self.values.dims() else {
            return Err(Error::new(format!(
                "norms of shape {:?} are not those of one prompt, [point, 1, pos]: run one prompt at a \
                 time.",
                self.values.dims()
            )));
        };
        let at = match position < 0 {
            true => positions.checked_add_signed(position),
            false => Some(position.unsigned_abs()),
        };
        let at = at.filter(|at| *at < positions).ok_or_else(|| {
            Error::new(format!(
                "position {position} is not there: the prompt has {positions} tokens, 0 to {}.",
                positions.saturating_sub(1)
            ))
        })?;
        let column = |name: &str, values: &Tensor| -> Result<Column> {
            let values: Vec<f32> = values.narrow(2, at, 1)?.flatten_all()?.to_vec1()?;
            Ok(Column::new(name.into(), values))
        };
        let names: Vec<String> = self.points.iter().map(HookPoint::name).collect();
        let columns = vec![
            Column::new("hook_point".into(), names),
            column("clean", &clean.values)?,
            column("corrupted", &self.values)?,
            column("difference", &(&self.values - &clean.values)?)?,
            column("ratio", &ratio)?,
        ];
        Ok(DataFrame::new(self.points.len(), columns)?)
    }

    /// One row a hook point: `hook_point`, `mean`, `std` (with `n - 1`), `relative_std` (`std / mean`),
    /// `least`, `most`, `count`.
    ///
    /// # Errors
    /// No norm is finite.
    pub fn to_df(&self) -> Result<DataFrame> {
        let (mut estimates, mut least, mut most) = (Vec::new(), Vec::new(), Vec::new());
        for (_, values) in self.series()? {
            let values: Vec<f64> = values.to_dtype(DType::F64)?.to_vec1()?;
            least.push(values.iter().copied().fold(f64::INFINITY, f64::min));
            most.push(values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            estimates.push(Estimate::of_mean(&values)?);
        }
        let of = |pick: fn(&Estimate) -> f64| estimates.iter().map(pick).collect::<Vec<f64>>();
        let names: Vec<String> = self.points.iter().map(HookPoint::name).collect();
        let counts: Vec<u64> = estimates.iter().map(|each| each.count as u64).collect();
        let columns = vec![
            Column::new("hook_point".into(), names),
            Column::new("mean".into(), of(|each| each.mean)),
            Column::new("std".into(), of(|each| each.std)),
            Column::new("relative_std".into(), of(|each| each.std / each.mean)),
            Column::new("least".into(), least),
            Column::new("most".into(), most),
            Column::new("count".into(), counts),
        ];
        Ok(DataFrame::new(self.points.len(), columns)?)
    }

    /// # Errors
    /// The norms are not of the same hook points and positions.
    pub(crate) fn check_like(&self, clean: &Norms) -> Result<()> {
        if self.points == clean.points && self.values.dims() == clean.values.dims() {
            return Ok(());
        }
        Err(Error::new(format!(
            "norms of {} hook points, {:?}, and of {} hook points, {:?}, cannot be compared: keep the same \
             activations of the same prompts in both runs.",
            self.points.len(),
            self.values.dims(),
            clean.points.len(),
            clean.values.dims()
        )))
    }
}

/// The norms of `[batch, pos, d]`, or `[pos, d]`, as `[batch, pos]` on the CPU.
fn norms_at(point: &HookPoint, value: &Tensor, has_batch_dim: bool) -> Result<Tensor> {
    let value = match has_batch_dim {
        true => value.clone(),
        false => value.unsqueeze(0)?,
    };
    if value.rank() != 3 {
        return Err(Error::new(format!(
            "the activation at `{point}`, {:?}, is not one vector a position: leave it out of the filter, \
             or take the norm yourself with `x.sqr()?.sum(D::Minus1)?.sqrt()?`.",
            value.dims()
        )));
    }
    let squares = value.to_dtype(DType::F32)?.sqr()?.sum(D::Minus1)?;
    Ok(squares.sqrt()?.to_device(&Device::Cpu)?)
}

#[cfg(test)]
mod tests;
