//! A value in the activation's place that does not depend on it, and multiples of it.

use super::edit::{Edit, fitted};
use super::intervention::Intervention;
use super::place::Chosen;
use super::source::Source;
use crate::error::Result;
use crate::math::Fill;
use crate::model::IntoFilter;
use candle_core::{DType, Tensor};
use std::fmt;

impl Intervention {
    /// Zeros in the activation's place: zero ablation.
    pub fn zero(on: impl IntoFilter) -> Self {
        Self::new(on, Replace(Fill::Number(0.)))
    }

    /// A number, or a tensor that broadcasts to the activation, in its place: `[d_model]`, `[pos,
    /// d_model]`, `[head, d_head]`, ...
    pub fn replace(on: impl IntoFilter, value: impl Into<Fill>) -> Self {
        Self::new(on, Replace(value.into()))
    }

    /// The mean of recorded activations over their prompts and positions in the activation's place: mean
    /// ablation. Padding counts where there is any. It is taken anew in every run: for many runs, or for
    /// a mean of your own, such as that of each position, use [`Intervention::replace`].
    ///
    /// ```
    /// use ferrolens::{intervene::Intervention, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let usual = model.cache_only(["Lily saw a cat.", "Tom had a red ball."], "blocks.1.hook_mlp_out")?;
    /// let ablation = Intervention::mean("blocks.1.hook_mlp_out", &usual).at(2..);
    /// let loss = model.run("Once upon a time").hooks(&ablation).loss()?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    pub fn mean(on: impl IntoFilter, recorded: impl Into<Source>) -> Self {
        Self::new(on, Mean(recorded.into()))
    }

    /// The activation times a factor.
    pub fn scale(on: impl IntoFilter, factor: f64) -> Self {
        Self::new(on, Scale(factor))
    }
}

struct Replace(Fill);

impl Edit for Replace {
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        match &self.0 {
            Fill::Number(number) => {
                let number = Tensor::new(*number, part.device())?.to_dtype(part.dtype())?;
                Ok(number.broadcast_as(part.shape())?.contiguous()?)
            }
            Fill::Tensor(tensor) => {
                let tensor = fitted("the value", tensor, part, chosen)?;
                // Some heads or neurons of their own: a value for just these.
                match tensor.dims() == part.dims() {
                    true => Ok(tensor),
                    false => chosen.gather_broadcast("the value", &tensor),
                }
            }
        }
    }
}

impl fmt::Debug for Replace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fill::Number(number) if *number == 0. => f.write_str("zero ablation"),
            Fill::Number(number) => write!(f, "replacing by {number}"),
            Fill::Tensor(tensor) => write!(f, "replacing by a tensor {:?}", tensor.dims()),
        }
    }
}

struct Mean(Source);

impl Edit for Mean {
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let recorded = self.0.batch_at(chosen, part)?.to_dtype(DType::F32)?;
        let mean = recorded.mean_keepdim((0, chosen.layout().position))?;
        chosen.gather_broadcast("the mean", &mean.to_dtype(part.dtype())?)
    }
}

impl fmt::Debug for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mean ablation from {:?}", self.0)
    }
}

struct Scale(f64);

impl Edit for Scale {
    fn apply(&self, part: &Tensor, _: &Chosen) -> Result<Tensor> {
        Ok((part * self.0)?)
    }
}

impl fmt::Debug for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scaling by {}", self.0)
    }
}
