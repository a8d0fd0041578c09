//! What the layers of one run share: where its tokens stand, what they may see, and the keys and values
//! of the tokens before them.

use super::mask::AttentionMask;
use super::rotary::{Angles, Rotary};
use candle_core::{Result, Tensor};
use candle_nn::kv_cache::KvCache;

/// The positions of one run. They may go on where an earlier run ended.
#[derive(Debug)]
pub(crate) struct Sequence {
    mask: AttentionMask,
    angles: Option<Angles>,
    beside: Option<Tensor>,
    cache: Option<KeyValueCache>,
}

/// Keys and values of the positions that earlier runs have seen, for each layer. Keys are kept as
/// attention compares them, turned by their positions.
#[derive(Clone, Debug)]
pub(crate) struct KeyValueCache {
    layers: Vec<KvCache>,
    pos: usize,
}

impl KeyValueCache {
    /// Nothing seen yet; with room for this many positions before it has to grow.
    pub(crate) fn new(n_layers: usize, room: usize) -> Self {
        const POS: usize = 1;
        Self {
            layers: vec![KvCache::new(POS, room); n_layers],
            pos: 0,
        }
    }

    /// How many positions it has seen.
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// The same of these rows of the batch, with room for one position more; each may come several
    /// times. Layers before the first that is needed hold nothing.
    pub(crate) fn rows(&self, rows: &Tensor, from_layer: usize) -> Result<Self> {
        let mut new = Self::new(self.layers.len(), self.pos + 1);
        for (layer, old) in self.layers.iter().enumerate().skip(from_layer) {
            if let (Some(k), Some(v)) = (old.k()?, old.v()?) {
                // Runs append behind the positions that this cache counts.
                let of_rows = |x: Tensor| {
                    let seen = x.narrow(1, 0, self.pos)?.contiguous()?;
                    seen.index_select(rows, 0)
                };
                new.layers[layer].append(&of_rows(k)?, &of_rows(v)?)?;
            }
        }
        new.pos = self.pos;
        Ok(new)
    }
}

impl Sequence {
    /// `pos` positions behind those of the cache. `first` is the first real position of each row,
    /// counted from the row's start, where rows are padded on the left.
    pub(crate) fn new(pos: usize, first: Option<Vec<usize>>, cache: Option<KeyValueCache>) -> Self {
        let past = cache.as_ref().map_or(0, KeyValueCache::pos);
        Self {
            mask: AttentionMask::causal(past, pos, first),
            angles: None,
            beside: None,
            cache,
        }
    }

    /// How many positions the run has.
    pub(crate) fn pos(&self) -> usize {
        self.mask.pos()
    }

    /// How many positions there were before them.
    pub(crate) fn past(&self) -> usize {
        self.mask.past()
    }

    /// The first real position of each row, where rows are padded on the left.
    pub(crate) fn first(&self) -> Option<&[usize]> {
        self.mask.first()
    }

    /// Gives queries and keys something to read beside the residual stream, `[batch, pos, d_model]`.
    pub(crate) fn set_beside(&mut self, beside: Tensor) {
        self.beside = Some(beside);
    }

    pub(super) fn beside(&self) -> Option<&Tensor> {
        self.beside.as_ref()
    }

    pub(super) fn mask(&mut self) -> &mut AttentionMask {
        &mut self.mask
    }

    /// The angles of the run's positions. All layers of a model turn by the same.
    pub(super) fn angles(&mut self, rotary: &Rotary, like: &Tensor) -> Result<Angles> {
        if let Some(angles) = &self.angles {
            return Ok(angles.clone());
        }
        let angles = rotary.angles(self.past(), self.pos(), self.first(), like)?;
        self.angles = Some(angles.clone());
        Ok(angles)
    }

    /// A layer's keys and values behind those that it had before: `[batch, key, head, d_head]`.
    pub(super) fn remember(
        &mut self,
        layer: usize,
        k: Tensor,
        v: Tensor,
    ) -> Result<(Tensor, Tensor)> {
        match &mut self.cache {
            None => Ok((k, v)),
            Some(cache) => cache.layers[layer].append(&k.contiguous()?, &v.contiguous()?),
        }
    }

    /// The cache with this run's positions in it.
    pub(crate) fn into_cache(self) -> Option<KeyValueCache> {
        let pos = self.mask.past() + self.mask.pos();
        self.cache.map(|cache| KeyValueCache { pos, ..cache })
    }
}
