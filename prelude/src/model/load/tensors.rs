//! A checkpoint's tensors by name, whatever kind of file they are in.

use crate::error::{Context, Error, Result, suggestion};
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Mutex;

/// One file of tensors.
pub(crate) trait TensorFile: Send {
    /// The names of all tensors.
    fn names(&self) -> Vec<String>;

    /// The shape of the tensor of this name, where there is one.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// The tensor of this name, of any floating-point type, on the CPU.
    ///
    /// # Errors
    /// It is missing or damaged, or holds no numbers with a fraction.
    fn read(&self, name: &str) -> Result<Tensor>;
}

/// The tensors of one checkpoint, and which of them have been asked for.
pub(super) struct Tensors {
    files: Vec<(String, Box<dyn TensorFile>)>,
    file_of: HashMap<String, usize>,
    asked: Mutex<BTreeSet<String>>,
    warnings: Mutex<Vec<String>>,
    dtype: DType,
    device: Device,
}

impl Tensors {
    /// The tensors of these files, each with its name for error messages.
    pub(super) fn of(files: Vec<(String, Box<dyn TensorFile>)>) -> Self {
        let mut file_of = HashMap::new();
        for (index, (_, file)) in files.iter().enumerate() {
            file_of.extend(file.names().into_iter().map(|name| (name, index)));
        }
        Self {
            files,
            file_of,
            asked: Mutex::default(),
            warnings: Mutex::default(),
            dtype: DType::F32,
            device: Device::Cpu,
        }
    }

    /// The same tensors, each given out of this type and on this device: what needs no processing goes
    /// straight to where it will be.
    pub(super) fn placed_on(mut self, dtype: DType, device: &Device) -> Self {
        self.dtype = dtype;
        self.device = device.clone();
        self
    }

    /// Zeros where a family has none of a kind of weight that TransformerLens's models all have.
    ///
    /// # Errors
    /// The device has no room.
    pub(super) fn zeros(&self, shape: &[usize]) -> Result<Tensor> {
        Ok(Tensor::zeros(shape, self.dtype, &self.device)?)
    }

    /// Whether there is a tensor of this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.file_of.contains_key(name)
    }

    /// The shape of the tensor of this name, where there is one.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (_, file) = self.files.get(*self.file_of.get(name)?)?;
        file.shape(name)
    }

    /// Where the tensors come from, for an error message.
    pub(super) fn origin(&self) -> String {
        let names: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }

    /// The tensor of this name and shape: `f32` on the CPU, unless [`Tensors::placed_on`] said otherwise.
    ///
    /// # Errors
    /// It is missing, has another shape, or cannot be read.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let file = self
            .file_of
            .get(name)
            .and_then(|index| self.files.get(*index));
        let Some((origin, file)) = file else {
            let suggestion = suggestion(name, self.file_of.keys());
            return Err(Error::new(format!(
                "{}: the tensor `{name}` of shape {shape:?} is missing.{suggestion}",
                self.origin()
            )));
        };
        let doing = || format!("{origin}: the tensor `{name}`");
        let tensor = read_checked(file.as_ref(), name, shape).context(doing)?;
        if !tensor
            .sum_all()?
            .to_dtype(DType::F32)?
            .to_scalar::<f32>()?
            .is_finite()
        {
            lock(&self.warnings).push(format!(
                "{}: it holds values that are not finite (NaN or infinity), so what the model \
                 computes from it will not be either.",
                doing()
            ));
        }
        lock(&self.asked).insert(name.to_owned());
        Ok(tensor.to_dtype(self.dtype)?.to_device(&self.device)?)
    }

    /// What was odd about the tensors that were asked for, a sentence each.
    pub(super) fn warnings(&self) -> Vec<String> {
        lock(&self.warnings).clone()
    }

    /// Checks that the checkpoint holds nothing that the model has no place for, as it would where
    /// the config describes a smaller model. Layers that were left out on purpose may be there.
    ///
    /// # Errors
    /// There is such a tensor; the error names some.
    pub(super) fn check_all_used(&self, layers_left_out: Range<usize>) -> Result<()> {
        let asked = lock(&self.asked);
        let is_left_out = |name: &str| {
            let mut numbers = name.split('.').filter_map(|part| part.parse().ok());
            numbers.any(|layer: usize| layers_left_out.contains(&layer))
        };
        let is_left =
            |name: &&String| !asked.contains(*name) && !is_buffer(name) && !is_left_out(name);
        let mut left: Vec<&String> = self.file_of.keys().filter(is_left).collect();
        left.sort();
        let Some(first) = left.first() else {
            return Ok(());
        };
        let shown: Vec<String> = left
            .iter()
            .take(3)
            .map(|name| format!("`{name}`"))
            .collect();
        let more = match left.len().saturating_sub(shown.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let origin = self
            .file_of
            .get(*first)
            .and_then(|index| self.files.get(*index));
        Err(Error::new(format!(
            "{}: the model has no place for {}{more}: config.json describes another model than \
             these weights are of. Where they are not needed, load with \
             `LoadOptions::new().allow_extra_weights(true)`.",
            origin.map(|(name, _)| name.as_str()).unwrap_or_default(),
            shown.join(", "),
        )))
    }
}

/// The tensor of this name and shape as `f32`.
///
/// # Errors
/// It is missing or damaged, or has another shape.
pub(super) fn read_checked(file: &dyn TensorFile, name: &str, shape: &[usize]) -> Result<Tensor> {
    check_shape(file.shape(name).unwrap_or_default(), shape)?;
    Ok(file.read(name)?.to_dtype(DType::F32)?)
}

fn check_shape(found: Vec<usize>, asked: &[usize]) -> Result<()> {
    if found == asked {
        return Ok(());
    }
    let is_turned = found.iter().rev().eq(asked.iter());
    let hint = match is_turned {
        true => " It looks transposed.",
        false => "",
    };
    Err(Error::new(format!(
        "it has shape {found:?}, but the config asks for {asked:?}.{hint}"
    )))
}

/// What checkpoints hold beside weights: masks and angles, which a model makes itself.
fn is_buffer(name: &str) -> bool {
    const BUFFERS: [&str; 10] = [
        ".attn.bias",
        ".attn.masked_bias",
        ".attention.bias",
        ".attention.masked_bias",
        ".attn.mask",
        ".attn.IGNORE",
        ".rotary_emb.inv_freq",
        ".attn.rotary_sin",
        ".attn.rotary_cos",
        "rope_freqs.weight",
    ];
    BUFFERS.iter().any(|buffer| name.ends_with(buffer))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}
