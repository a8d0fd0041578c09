//! A weight that activations are multiplied with.

use super::linear;
use crate::error::Result;
use crate::math::Panels;
use crate::model::weights::Weights;
use candle_core::{Result as CandleResult, Tensor};
use std::ops::Range;

/// `[d_in, d_out]`, laid out so that products with it are fast.
#[derive(Clone, Debug)]
pub(crate) enum Matrix {
    Panels(Panels),
    /// On another device, of another type, or trained: a copy would not follow it.
    Plain(Tensor),
}

impl Matrix {
    /// The weight of this name, of which `weights` afterwards hold a view, so that nothing is in memory
    /// twice.
    ///
    /// # Errors
    /// The weight is missing or has another shape.
    pub(crate) fn new(
        weights: &mut Weights,
        name: impl Into<String>,
        shape: [usize; 2],
    ) -> Result<Self> {
        let name = name.into();
        let weight = weights.get(&name, &shape)?;
        let matrix = Self::of(&weight)?;
        matrix.show(weights, name, 0..shape[1], Shown::Matrix)?;
        Ok(matrix)
    }

    /// A copy of a weight, but where it is trained.
    pub(crate) fn of(weight: &Tensor) -> CandleResult<Self> {
        if let Some(panels) = Panels::of(weight)? {
            return Ok(Self::Panels(panels));
        }
        Ok(Self::Plain(match weight.track_op() {
            true => weight.clone(),
            false => fast_layout(weight)?,
        }))
    }

    /// The transpose of a weight that other parts need as it is: in the same memory.
    pub(crate) fn tied(weight: &Tensor) -> CandleResult<Self> {
        Ok(match Panels::transposed(weight)? {
            Some(panels) => Self::Panels(panels),
            None => Self::Plain(weight.clone()),
        })
    }

    /// `x W + b`, `[.., d_in]` to `[.., d_out]`.
    pub(crate) fn times(&self, x: &Tensor, bias: Option<&Tensor>) -> CandleResult<Tensor> {
        match self {
            Self::Panels(panels) => panels.times(x, bias),
            Self::Plain(weight) => linear(x, weight, bias),
        }
    }

    /// The weight, `[d_in, d_out]`: a copy where it lies in panels.
    pub(crate) fn tensor(&self) -> CandleResult<Tensor> {
        match self {
            Self::Panels(panels) => panels.columns(0, panels.d_out()),
            Self::Plain(weight) => Ok(weight.clone()),
        }
    }

    /// Single columns, each as a row: `[columns.len(), d_in]`.
    pub(crate) fn some_columns(&self, columns: &[u32]) -> CandleResult<Tensor> {
        match self {
            Self::Panels(panels) => panels.some_columns(columns),
            Self::Plain(weight) => {
                let columns = Tensor::new(columns, weight.device())?;
                weight.t()?.contiguous()?.index_select(&columns, 0)
            }
        }
    }

    /// Has `weights` hold some of its columns by this name, in the shape that the weight has.
    pub(crate) fn show(
        &self,
        weights: &mut Weights,
        name: String,
        columns: Range<usize>,
        shown: Shown,
    ) -> CandleResult<()> {
        match self {
            Self::Panels(panels) => weights.set_view(
                name,
                View {
                    panels: panels.clone(),
                    columns,
                    shown,
                },
            ),
            Self::Plain(weight) if weight.track_op() => {}
            Self::Plain(weight) => {
                let turned = weight.narrow(1, columns.start, columns.len())?.t()?; // [count, d_in]
                let (count, d_in) = turned.dims2()?;
                let tensor = match shown {
                    Shown::Matrix => turned.t()?,
                    Shown::HeadsOut { d_head } => {
                        let by_head = turned.reshape((count / d_head, d_head, d_in))?;
                        by_head.transpose(1, 2)?
                    }
                    Shown::HeadsIn { d_head } => {
                        let by_head = turned.reshape((count, d_in / d_head, d_head))?;
                        by_head.permute((1, 2, 0))?
                    }
                };
                weights.set(name, tensor);
            }
        }
        Ok(())
    }
}

/// A matrix `[d_in, d_out]`, laid out in memory as `[d_out, d_in]`: candle's product of a few rows with it
/// is then up to twice as fast on the CPU.
fn fast_layout(weight: &Tensor) -> CandleResult<Tensor> {
    weight.t()?.contiguous()?.t()
}

/// What a weight looks like by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown {
    /// `[d_in, d_out]`.
    Matrix,
    /// Columns are heads side by side: `[head, d_in, d_head]`.
    HeadsOut { d_head: usize },
    /// Rows are heads one below the other: `[head, d_head, d_out]`.
    HeadsIn { d_head: usize },
}

/// A weight that lies in panels, with others or alone; each look at it is a copy.
#[derive(Clone, Debug)]
pub(crate) struct View {
    panels: Panels,
    columns: Range<usize>,
    shown: Shown,
}

impl View {
    pub(crate) fn tensor(&self) -> CandleResult<Tensor> {
        let (first, count) = (self.columns.start, self.columns.len());
        let columns = self.panels.columns(first, count)?; // [d_in, count]
        let d_in = self.panels.d_in();
        match self.shown {
            Shown::Matrix => Ok(columns),
            Shown::HeadsOut { d_head } => columns
                .reshape((d_in, count / d_head, d_head))?
                .transpose(0, 1)?
                .contiguous(),
            Shown::HeadsIn { d_head } => columns.reshape((d_in / d_head, d_head, count)),
        }
    }

    pub(crate) fn dims(&self) -> Vec<usize> {
        let (d_in, count) = (self.panels.d_in(), self.columns.len());
        match self.shown {
            Shown::Matrix => vec![d_in, count],
            Shown::HeadsOut { d_head } => vec![count / d_head, d_in, d_head],
            Shown::HeadsIn { d_head } => vec![d_in / d_head, d_head, count],
        }
    }
}
