//! How much heads of earlier layers feed heads of later ones.

use crate::error::Result;
use crate::math::FactoredMatrix;
use crate::model::HookedTransformer;
use candle_core::Tensor;

/// Which side of a later head reads what an earlier one wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composition {
    /// Its queries.
    Q,
    /// Its keys.
    K,
    /// Its values.
    V,
}

impl HookedTransformer {
    /// The composition scores of all pairs of heads, `[layer, head, later layer, its head]`; 0 where the
    /// second is not in a later layer: `|W_OV M| / (|W_OV| |M|)` in Frobenius norms, `M` being the
    /// later head's `W_QK`, its transpose, or its `W_OV`.
    ///
    /// Source: Elhage et al. 2021, as TransformerLens's `all_composition_scores` has it.
    ///
    /// ```
    /// use ferrolens::{analysis::Composition, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let scores = model.all_composition_scores(Composition::K)?; // [layer, head, layer, head]
    /// assert_eq!(scores.dims()[0], model.config().n_layers);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn all_composition_scores(&self, mode: Composition) -> Result<Tensor> {
        let (n_layers, heads) = (self.config().n_layers, self.config().n_heads);
        let earlier = self.OV()?;
        let later: FactoredMatrix = match mode {
            Composition::Q => self.QK()?,
            Composition::K => self.QK()?.T()?,
            Composition::V => self.OV()?,
        };
        let (of_earlier, of_later) = (earlier.norm()?, later.norm()?); // [layer, head] each
        // Without their outer orthogonal factors the products are small, and their norms the same.
        let left = earlier.collapse_l()?; // [layer, head, rank, d_model]
        let right = later.collapse_r()?; // [layer, head, d_model, rank]
        let mut rows = Vec::with_capacity(n_layers);
        for from in 0..n_layers {
            let mut scores = Vec::with_capacity(n_layers);
            for to in 0..n_layers {
                if from >= to {
                    scores.push(Tensor::zeros((heads, heads), left.dtype(), left.device())?);
                    continue;
                }
                let (left, right) = (left.get(from)?.unsqueeze(1)?, right.get(to)?.unsqueeze(0)?);
                let product = left.contiguous()?.broadcast_matmul(&right.contiguous()?)?; // [head, head, rank, rank]
                let norms = product.sqr()?.sum((2, 3))?.sqrt()?;
                let earlier = of_earlier.get(from)?.unsqueeze(1)?;
                let later = of_later.get(to)?.unsqueeze(0)?;
                scores.push(norms.broadcast_div(&earlier)?.broadcast_div(&later)?);
            }
            rows.push(Tensor::stack(&scores, 1)?); // [head, later layer, its head]
        }
        Ok(Tensor::stack(&rows, 0)?)
    }
}
