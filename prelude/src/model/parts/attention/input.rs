//! What attention reads.

use super::Attention;
use crate::model::arch::On;
use crate::model::names::Site;
use crate::model::parts::Norm;
use crate::model::pass::{Pass, Step};
use candle_core::Tensor;

/// The normalized residual stream, as attention reads it.
pub(crate) enum AttentionInput {
    /// The same for queries, keys and values of all heads: `[batch, pos, d_model]`.
    Joint(Tensor),
    /// Queries', keys' and values' own for each head: `[batch, pos, head, d_model]` each, with as
    /// many heads as there are keys for keys and values, unless the run ungroups them.
    Split([Tensor; 3]),
}

/// Where queries, keys and values can be given inputs of their own.
const SPLIT: [Site; 4] = [Site::AttnIn, Site::QInput, Site::KInput, Site::VInput];

impl AttentionInput {
    /// Its hook points, in firing order.
    pub(crate) fn sites() -> Vec<(Site, On)> {
        SPLIT.iter().map(|site| (*site, On::Asked)).collect()
    }

    /// The residual stream through the norm before attention: one for all, unless a hook point asks
    /// for each head's own.
    pub(crate) fn new(
        resid_pre: &Tensor,
        ln1: &Norm,
        attn: &Attention,
        layer: usize,
        pass: &mut Pass,
    ) -> Step<Self> {
        if !SPLIT.iter().any(|site| pass.wants(*site, layer)) {
            let normalized = ln1.forward(resid_pre, layer, pass)?; // [batch, pos, d_model]
            return Ok(Self::Joint(normalized));
        }
        let (batch, pos, d_model) = resid_pre.dims3()?;
        let (heads, shared) = (attn.n_heads(), attn.n_key_value_heads());
        let every_head = (batch, pos, heads, d_model);
        let attn_in = resid_pre.unsqueeze(2)?.broadcast_as(every_head)?;
        let attn_in = pass.at(Site::AttnIn, layer, attn_in.contiguous()?)?; // [batch, pos, head, d_model]
        // Of the query heads that share keys and values, the first speaks for them.
        let of_groups = match heads == shared || pass.ungroups() {
            true => attn_in.clone(),
            false => {
                let groups = attn_in.reshape((batch, pos, shared, heads / shared, d_model))?;
                groups.narrow(3, 0, 1)?.squeeze(3)?.contiguous()?
            }
        };
        let q_input = pass.at(Site::QInput, layer, attn_in)?;
        let k_input = pass.at(Site::KInput, layer, of_groups.clone())?;
        let v_input = pass.at(Site::VInput, layer, of_groups)?;
        // As in TransformerLens, the norm's own points then come once for each of the three.
        pass.repeats(Site::Ln1Scale, layer, 3);
        pass.repeats(Site::Ln1Normalized, layer, 3);
        Ok(Self::Split([
            ln1.forward(&q_input, layer, pass)?, // [batch, pos, head, d_model]
            ln1.forward(&k_input, layer, pass)?,
            ln1.forward(&v_input, layer, pass)?,
        ]))
    }
}
