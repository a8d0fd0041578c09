//! Where an intervention acts in an activation: prompts, positions, heads, neurons.

use super::indices::Indices;
use crate::error::{Error, Result};
use crate::math::set_at;
use crate::model::{HookPoint, Site};
use candle_core::{Device, Tensor};
use std::fmt;

/// Where an intervention acts; nothing means everywhere.
#[derive(Clone, Default)]
pub(super) struct Place {
    pub(super) rows: Option<Indices>,
    pub(super) positions: Option<Indices>,
    pub(super) heads: Option<Indices>,
    pub(super) neurons: Option<Indices>,
}

impl Place {
    /// The place in one activation.
    ///
    /// # Errors
    /// It is not there.
    pub(super) fn choose(&self, value: &Tensor, point: &HookPoint) -> Result<Chosen> {
        let dims = value.dims().to_vec();
        let layout = Layout::of(point, dims.len());
        let mut entries = vec![None; dims.len()];
        let mut choose = |indices: &Option<Indices>, noun: &str, dim: usize| -> Result<()> {
            if let Some(indices) = indices {
                entries[dim] = Some(indices.of(noun, dim, &dims, point)?);
            }
            Ok(())
        };
        choose(&self.rows, "prompt", 0)?;
        choose(&self.positions, "position", layout.position)?;
        choose(&self.neurons, "neuron", dims.len().saturating_sub(1))?;
        if self.heads.is_some() {
            let head = layout.head.ok_or_else(|| {
                Error::new(format!(
                    "the activation at `{point}`, {dims:?}, has no heads: what heads mix is at \
                     `blocks.{layer}.attn.hook_z`, what they write at \
                     `blocks.{layer}.attn.hook_result`.",
                    layer = point.layer().unwrap_or(0)
                ))
            })?;
            choose(&self.heads, "head", head)?;
        }
        Ok(Chosen {
            point: *point,
            within: self.heads.is_some() || self.neurons.is_some(),
            dims,
            layout,
            entries,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen = [
            ("prompts", &self.rows),
            ("positions", &self.positions),
            ("heads", &self.heads),
            ("neurons", &self.neurons),
        ];
        for (noun, indices) in chosen {
            if let Some(indices) = indices {
                write!(f, ", {noun}: {indices}")?;
            }
        }
        Ok(())
    }
}

/// Which dimension is which.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Positions; those of queries in scores and patterns.
    pub(super) position: usize,
    head: Option<usize>,
}

impl Layout {
    fn of(point: &HookPoint, rank: usize) -> Self {
        let behind = point.dims_behind_pos();
        Self {
            position: rank.saturating_sub(behind),
            head: match point.site() {
                Site::Pattern | Site::AttnScores => Some(1),
                _ if behind == 3 => Some(rank.saturating_sub(2)),
                _ => None,
            },
        }
    }
}

/// Where an intervention acts in one activation.
pub(super) struct Chosen {
    point: HookPoint,
    dims: Vec<usize>,
    within: bool,
    layout: Layout,
    /// The entries of each dimension; nothing for all.
    entries: Vec<Option<Vec<u32>>>,
}

impl Chosen {
    pub(super) fn point(&self) -> &HookPoint {
        &self.point
    }

    /// The shape of the whole activation.
    pub(super) fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether only some heads or neurons are chosen.
    pub(super) fn is_within_position(&self) -> bool {
        self.within
    }

    /// How many entries of a dimension are chosen.
    pub(super) fn count(&self, dim: usize) -> usize {
        match &self.entries[dim] {
            Some(entries) => entries.len(),
            None => self.dims[dim],
        }
    }

    /// The chosen entries of a dimension.
    pub(super) fn entries(&self, dim: usize) -> Vec<u32> {
        match &self.entries[dim] {
            Some(entries) => entries.clone(),
            None => (0..self.dims[dim] as u32).collect(),
        }
    }

    /// Whether only some entries of a dimension are chosen.
    pub(super) fn is_at_some(&self, dim: usize) -> bool {
        self.entries[dim].is_some()
    }

    /// The chosen part of a tensor of the activation's shape.
    pub(super) fn gather(&self, whole: &Tensor) -> Result<Tensor> {
        self.gather_of(whole, |_| true)
    }

    /// The same of a tensor in which one dimension is as chosen already.
    pub(super) fn gather_but(&self, done: usize, whole: &Tensor) -> Result<Tensor> {
        self.gather_of(whole, |dim| dim != done)
    }

    /// The same of a tensor in which this dimension and the prompts are as chosen already.
    pub(super) fn gather_within(&self, done: usize, whole: &Tensor) -> Result<Tensor> {
        self.gather_of(whole, |dim| dim != done && dim != 0)
    }

    fn gather_of(&self, whole: &Tensor, wanted: impl Fn(usize) -> bool) -> Result<Tensor> {
        let mut part = whole.clone();
        for (dim, entries) in self.entries.iter().enumerate() {
            if let Some(entries) = entries
                && wanted(dim)
            {
                part = select(&part, dim, entries)?;
            }
        }
        Ok(part)
    }

    /// The chosen part of a tensor that broadcasts to the activation's shape.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn gather_broadcast(&self, what: &str, given: &Tensor) -> Result<Tensor> {
        let whole = given.broadcast_as(self.dims.as_slice()).map_err(|_| {
            Error::new(format!(
                "{what} of shape {:?} does not fit the activation at `{}`, which is {:?}.",
                given.dims(),
                self.point,
                self.dims
            ))
        })?;
        self.gather(&whole)
    }

    /// The activation with another part.
    pub(super) fn put(&self, whole: &Tensor, part: &Tensor) -> Result<Tensor> {
        self.put_from(0, whole, part)
    }

    fn put_from(&self, first: usize, whole: &Tensor, part: &Tensor) -> Result<Tensor> {
        let chosen = self.entries.iter().enumerate().skip(first);
        let Some((dim, entries)) = chosen
            .filter_map(|(dim, entries)| Some((dim, entries.as_ref()?)))
            .next()
        else {
            return Ok(part.clone());
        };
        let inner = self.put_from(dim + 1, &select(whole, dim, entries)?, part)?;
        let (first, last) = (entries.first().copied(), entries.last().copied());
        if let (Some(first), Some(last)) = (first, last)
            && entries.windows(2).all(|pair| pair[0] + 1 == pair[1])
        {
            return set_at(whole, dim, first as usize..last as usize + 1, inner);
        }
        // Each entry of the new tensor comes from the old one or from the part behind it.
        let size = self.dims[dim];
        let mut from: Vec<u32> = (0..size as u32).collect();
        for (at, entry) in entries.iter().enumerate() {
            from[*entry as usize] = (size + at) as u32;
        }
        select(&Tensor::cat(&[whole, &inner], dim)?, dim, &from)
    }
}

/// Some entries of a dimension, in this order.
pub(super) fn select(tensor: &Tensor, dim: usize, entries: &[u32]) -> Result<Tensor> {
    if let [first, ..] = entries
        && entries.windows(2).all(|pair| pair[0] + 1 == pair[1])
    {
        return Ok(tensor.narrow(dim, *first as usize, entries.len())?);
    }
    let ids = Tensor::new(entries, &Device::Cpu)?.to_device(tensor.device())?;
    Ok(tensor.contiguous()?.index_select(&ids, dim)?)
}
