//! Activations on disk, a file a batch.

use super::batches::TokenBatch;
use super::fingerprint::{Fingerprint, of_model};
use super::record::{Array, Record};
use crate::error::{Error, Result};
use crate::model::{HookPoint, HookedTransformer};
use candle_core::{DType, Device, Tensor};
use std::path::{Path, PathBuf};

/// The folder of one model and hook point.
#[derive(Clone, Debug)]
pub(super) struct Shards {
    folder: PathBuf,
    device: Device,
    dtype: DType,
}

impl Shards {
    /// # Errors
    /// The model is inside a scope of hooks or autoencoders.
    pub(super) fn new(model: &HookedTransformer, point: HookPoint, folder: &Path) -> Result<Self> {
        if model.is_in_scope() {
            return Err(Error::new(
                "activations of a model with hooks are not kept on disk, as a hook has no name to find \
                 them by: leave out the cache, or stream from the model without the hooks.",
            ));
        }
        Ok(Self {
            folder: folder.join(of_model(model, point)?.finish()),
            device: model.device(),
            dtype: model.dtype(),
        })
    }

    /// The activations of a batch, `[batch * pos, ..]`: those on disk, or else computed and written.
    ///
    /// # Errors
    /// They cannot be computed or written.
    pub(super) fn of(
        &self,
        batch: &TokenBatch,
        compute: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let path = self.path(batch);
        match Record::load(&path).and_then(|record| record.map(read).transpose()) {
            Ok(Some(rows)) => return Ok(rows.to_device(&self.device)?.to_dtype(self.dtype)?),
            Ok(None) => {}
            Err(error) => eprintln!(
                "{} is damaged ({error}): its activations are computed again.",
                path.display()
            ),
        }
        let rows = compute()?;
        record(&rows)?.save(&path)?;
        Ok(rows)
    }

    /// The file of a batch: it goes by its tokens.
    pub(super) fn path(&self, batch: &TokenBatch) -> PathBuf {
        let mut fingerprint = Fingerprint::new("batch");
        for row in &batch.rows {
            fingerprint.ids(row);
        }
        let name = format!("{}.safetensors", fingerprint.finish());
        self.folder.join(name)
    }
}

const VALUES: &str = "values";
const SHAPE: &str = "shape";

fn record(rows: &Tensor) -> Result<Record> {
    let values = rows.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    let mut record = Record::default();
    record.set(VALUES, Array::F32(values.flatten_all()?.to_vec1()?));
    let shape = rows.dims().iter().map(|size| *size as u64);
    record.set(SHAPE, Array::U64(shape.collect()));
    Ok(record)
}

fn read(record: Record) -> Result<Tensor> {
    let shape: Vec<usize> = record
        .u64(SHAPE)?
        .iter()
        .map(|size| *size as usize)
        .collect();
    Ok(Tensor::from_slice(
        record.f32(VALUES)?,
        shape,
        &Device::Cpu,
    )?)
}
