//! Pairs of latents, one of which writes what the other reads, by their weights alone.

use super::sources::Reads;
use crate::analysis::directions::{blocks, unit_rows};
use crate::error::{Error, Result};
use crate::model::HookedTransformer;
use crate::sae::Sae;
use candle_core::{Device, Tensor};
use polars::prelude::{Column, DataFrame};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The most pairs that are kept.
const MOST: usize = 1_000_000;

/// Pairs of an earlier and a later latent, and the cosines of what the one writes to the residual stream
/// with what the other reads there; the largest first.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentLinks {
    /// The earlier and the later latent.
    pub pairs: Vec<(u32, u32)>,
    /// Their cosines.
    pub cosines: Vec<f32>,
}

impl LatentLinks {
    /// One row a pair: `upstream`, `downstream`, `cosine`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let (upstream, downstream): (Vec<u32>, Vec<u32>) = self.pairs.iter().copied().unzip();
        let columns = vec![
            Column::new("upstream".into(), upstream),
            Column::new("downstream".into(), downstream),
            Column::new("cosine".into(), &self.cosines),
        ];
        Ok(DataFrame::new(self.pairs.len(), columns)?)
    }
}

impl Sae {
    /// What each latent reads of the residual stream, `[d_sae, d_model]` of `f32`, before the norm:
    /// the columns of `W_enc`, or of `W_in W_enc` for `mlp.hook_post`, as if its neurons were linear.
    ///
    /// # Errors
    /// It reads neither the residual stream nor an MLP's neurons.
    pub fn reading_directions(&self, model: &HookedTransformer) -> Result<Tensor> {
        let point = self.hook_point(model)?;
        Reads::of(model, self, &point)?.directions(self)
    }

    /// The `k` pairs of one of this autoencoder's latents and one of a later one's with the largest
    /// cosine of what the one writes ([`Sae::residual_directions`]) with what the other reads
    /// ([`Sae::reading_directions`]). No matrix of all pairs is ever in memory.
    ///
    /// ```
    /// use ferrolens::{model::HookedTransformer, sae::Sae};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let early = Sae::from_pretrained("stories-2l-relu", "blocks.0.hook_mlp_out")?;
    /// let late = Sae::from_pretrained("stories-2l-relu", "blocks.1.mlp.hook_post")?;
    /// let links = early.links_to(&late, &model, 10)?;
    /// assert_eq!(links.to_df()?.height(), 10);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// No direct path leads from this one, or the other reads none.
    pub fn links_to(
        &self,
        later: &Sae,
        model: &HookedTransformer,
        k: usize,
    ) -> Result<LatentLinks> {
        if k == 0 || k > MOST {
            return Err(Error::new(format!(
                "{k} pairs cannot be kept: ask for 1 to {MOST}."
            )));
        }
        let on_host = |tensor: Tensor| -> Result<Tensor> { Ok(tensor.to_device(&Device::Cpu)?) };
        let all = 0..self.cfg.d_sae as u32;
        let written = on_host(self.residual_directions(model, all)?)?;
        let read = on_host(later.reading_directions(model)?)?;
        let written = unit_rows("what the earlier latents write", &written)?;
        let read = unit_rows("what the later latents read", &read)?;
        let mut best: BinaryHeap<Reverse<Link>> = BinaryHeap::with_capacity(k.min(4096));
        blocks(&written, &read, false, |start, _, products| {
            for (row, cosines) in products.iter().enumerate() {
                for (downstream, cosine) in cosines.iter().enumerate() {
                    let link = Link {
                        cosine: *cosine,
                        pair: ((start + row) as u32, downstream as u32),
                    };
                    if best.len() < k {
                        best.push(Reverse(link));
                    } else if best.peek().is_some_and(|worst| worst.0 < link) {
                        best.pop();
                        best.push(Reverse(link));
                    }
                }
            }
            Ok(())
        })?;
        let mut links: Vec<Link> = best.into_iter().map(|Reverse(link)| link).collect();
        links.sort_by(|a, b| b.cmp(a));
        Ok(LatentLinks {
            pairs: links.iter().map(|link| link.pair).collect(),
            cosines: links.iter().map(|link| link.cosine).collect(),
        })
    }
}

/// A pair; of equal cosines the smaller pair is the larger link.
#[derive(Clone, Copy, PartialEq)]
struct Link {
    cosine: f32,
    pair: (u32, u32),
}

impl Eq for Link {}

impl Ord for Link {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_cosine = self.cosine.total_cmp(&other.cosine);
        by_cosine.then_with(|| other.pair.cmp(&self.pair))
    }
}

impl PartialOrd for Link {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
