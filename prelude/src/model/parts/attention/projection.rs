//! Queries, keys and values from what attention reads.

use super::name;
use crate::error::Result;
use crate::model::config::Config;
use crate::model::parts::{Matrix, Shown, linear};
use crate::model::weights::Weights;
use candle_core::{Result as CandleResult, Tensor};

/// `x W_Q + b_Q`, `x W_K + b_K` and `x W_V + b_V`, in one product where that is possible.
#[derive(Debug)]
pub(super) struct Projection {
    weights: Fused,
    /// `[head, d_head]`, for queries, keys and values; keys and values may have fewer heads.
    biases: [Tensor; 3],
}

#[derive(Debug)]
enum Fused {
    /// All heads of the three side by side: `[d_model, heads * d_head]` and `[heads * d_head]`.
    Together(Matrix, Tensor),
    /// `[head, d_model, d_head]` each. They are being trained: a fused copy would not follow them.
    Apart([Tensor; 3]),
}

impl Projection {
    pub(super) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        let (d_model, d_head) = (config.d_model, config.d_head);
        let shared = config.key_value_heads();
        let get = |which: &str, heads: usize| -> Result<(Tensor, Tensor)> {
            let weight = name(&format!("W_{which}"), layer);
            let bias = name(&format!("b_{which}"), layer);
            Ok((
                weights.get(&weight, &[heads, d_model, d_head])?,
                weights.get(&bias, &[heads, d_head])?,
            ))
        };
        let each = [
            get("Q", config.n_heads)?,
            get("K", shared)?,
            get("V", shared)?,
        ];
        let trained = |(weight, bias): &(Tensor, Tensor)| weight.track_op() || bias.track_op();
        if each.iter().any(trained) {
            let [(q, b_q), (k, b_k), (v, b_v)] = each;
            return Ok(Self {
                weights: Fused::Apart([q, k, v]),
                biases: [b_q, b_k, b_v],
            });
        }

        let turned = |(weight, _): &(Tensor, Tensor)| weight.transpose(1, 2)?.flatten(0, 1);
        let turned: Vec<Tensor> = each.iter().map(turned).collect::<CandleResult<_>>()?;
        let fused = Tensor::cat(&turned, 0)?.t()?; // [d_model, heads * d_head]
        let fused = Matrix::of(&fused)?;
        let biases = each.map(|(_, bias)| bias);
        let flat: Vec<Tensor> = biases
            .iter()
            .map(Tensor::flatten_all)
            .collect::<CandleResult<_>>()?;
        // From here on the separate matrices are views of the fused one.
        let mut start = 0;
        for (bias, which) in biases.iter().zip(["W_Q", "W_K", "W_V"]) {
            let columns = start..start + bias.elem_count();
            start = columns.end;
            fused.show(
                weights,
                name(which, layer),
                columns,
                Shown::HeadsOut { d_head },
            )?;
        }
        Ok(Self {
            weights: Fused::Together(fused, Tensor::cat(&flat, 0)?),
            biases,
        })
    }

    /// Number of query heads.
    pub(super) fn n_heads(&self) -> usize {
        self.biases[0].dims().first().copied().unwrap_or(0)
    }

    /// Number of heads that keys and values have.
    pub(super) fn n_key_value_heads(&self) -> usize {
        self.biases[1].dims().first().copied().unwrap_or(0)
    }

    /// `[batch, pos, d_model]` to three times `[batch, pos, head, d_head]`.
    pub(super) fn forward(&self, x: &Tensor) -> CandleResult<[Tensor; 3]> {
        let (batch, pos, _) = x.dims3()?;
        let (heads, d_head) = self.biases[0].dims2()?;
        let shared = self.n_key_value_heads();
        let each = match &self.weights {
            Fused::Apart(each) => each,
            Fused::Together(weight, bias) => {
                let all = weight.times(x, Some(bias))?; // [batch, pos, heads * d_head]
                let all = all.reshape((batch, pos, heads + 2 * shared, d_head))?;
                return Ok([
                    all.narrow(2, 0, heads)?,
                    all.narrow(2, heads, shared)?,
                    all.narrow(2, heads + shared, shared)?,
                ]);
            }
        };
        let one = |weight: &Tensor, bias: &Tensor| {
            let heads = bias.dim(0)?;
            let weight = weight.permute((1, 0, 2))?.flatten(1, 2)?; // [d_model, head * d_head]
            linear(x, &weight, Some(&bias.flatten_all()?))?.reshape((batch, pos, heads, d_head))
        };
        let ([q, k, v], [b_q, b_k, b_v]) = (each, &self.biases);
        Ok([one(q, b_q)?, one(k, b_k)?, one(v, b_v)?])
    }

    /// `[head, d_model, d_head]` each.
    fn by_head_weights(&self) -> CandleResult<[Tensor; 3]> {
        let fused = match &self.weights {
            Fused::Apart(each) => return Ok(each.clone()),
            Fused::Together(fused, _) => fused.tensor()?, // [d_model, heads * d_head]
        };
        let d_model = fused.dim(0)?;
        let mut start = 0;
        let mut next = |bias: &Tensor| {
            let (heads, d_head) = bias.dims2()?;
            let columns = fused.narrow(1, start, heads * d_head)?;
            start += heads * d_head;
            let by_head = columns.reshape((d_model, heads, d_head))?;
            by_head.transpose(0, 1)?.contiguous()
        };
        let [q, k, v] = &self.biases;
        Ok([next(q)?, next(k)?, next(v)?])
    }

    /// Three times `[batch, pos, head, d_model]` to three times `[batch, pos, head, d_head]`; keys and
    /// values may have inputs for every query head.
    pub(super) fn by_head(&self, inputs: &[Tensor; 3]) -> CandleResult<[Tensor; 3]> {
        let one = |input: &Tensor, weight: &Tensor, bias: &Tensor| {
            let (batch, pos, heads, _) = input.dims4()?;
            let weight = &for_every_head(weight.clone(), 0, heads)?;
            let bias = &for_every_head(bias.clone(), 0, heads)?;
            let rows = input.permute((2, 0, 1, 3))?.flatten(1, 2)?; // [head, batch * pos, d_model]
            let product = rows.matmul(weight)?; // [head, batch * pos, d_head]
            let product = product.reshape((heads, batch, pos, ()))?;
            product.permute((1, 2, 0, 3))?.broadcast_add(bias)
        };
        let ([q, k, v], [b_q, b_k, b_v]) = (self.by_head_weights()?, &self.biases);
        let [to_q, to_k, to_v] = inputs;
        Ok([
            one(to_q, &q, b_q)?,
            one(to_k, &k, b_k)?,
            one(to_v, &v, b_v)?,
        ])
    }
}

/// Keys or values of fewer heads, or their weights, each repeated for the query heads that share it:
/// dimension `dim` is `heads` afterwards.
pub(super) fn for_every_head(x: Tensor, dim: usize, heads: usize) -> CandleResult<Tensor> {
    let shared = x.dim(dim)?;
    if shared == heads {
        return Ok(x);
    }
    let mut repeated = x.dims().to_vec();
    repeated.insert(dim + 1, heads / shared);
    let repeated = x.unsqueeze(dim + 1)?.broadcast_as(repeated)?;
    repeated.flatten(dim, dim + 1)
}
