//! Named weights of a model, taken out one by one with their shapes checked.

use super::parts::View;
use crate::error::{Error, Result, suggestion};
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, HashMap};

/// Tensors under TransformerLens's names (`blocks.0.attn.W_Q`), and where they came from.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    origin: String,
    /// What was odd about them, a sentence each.
    warnings: Vec<String>,
    tensors: BTreeMap<String, Kept>,
}

#[derive(Clone, Debug)]
enum Kept {
    Tensor(Tensor),
    /// A part of the model has it, in a layout of its own.
    View(View),
}

impl Kept {
    fn tensor(&self) -> Result<Tensor> {
        match self {
            Self::Tensor(tensor) => Ok(tensor.clone()),
            Self::View(view) => Ok(view.tensor()?),
        }
    }

    fn dims(&self) -> Vec<usize> {
        match self {
            Self::Tensor(tensor) => tensor.dims().to_vec(),
            Self::View(view) => view.dims(),
        }
    }
}

impl Weights {
    /// Weights whose errors will name `origin`, a file or whatever else they came from.
    pub(crate) fn new(origin: impl Into<String>, tensors: HashMap<String, Tensor>) -> Self {
        Self {
            origin: origin.into(),
            warnings: Vec::new(),
            tensors: tensors
                .into_iter()
                .map(|(name, tensor)| (name, Kept::Tensor(tensor)))
                .collect(),
        }
    }

    /// The tensor of this name, which must have this shape.
    ///
    /// # Errors
    /// The tensor is absent or has another shape.
    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(self.missing(name, &format!("of shape {shape:?}")));
        };
        if tensor.dims() != shape {
            return Err(Error::new(format!(
                "{}: the tensor `{name}` has shape {:?}, but the config asks for {shape:?}.",
                self.origin,
                tensor.dims()
            )));
        }
        tensor.tensor()
    }

    /// The tensor of this name where there is one.
    ///
    /// # Errors
    /// The tensor has another shape.
    pub(crate) fn find(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        match self.tensors.contains_key(name) {
            true => self.get(name, shape).map(Some),
            false => Ok(None),
        }
    }

    /// Says what was odd about them.
    pub(crate) fn set_warnings(&mut self, warnings: Vec<String>) {
        self.warnings = warnings;
    }

    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Puts a tensor under a name, in the place of any that had it.
    pub(crate) fn set(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.tensors.insert(name.into(), Kept::Tensor(tensor));
    }

    /// [`Weights::set`] for what lies in a layout of its own.
    pub(crate) fn set_view(&mut self, name: String, view: View) {
        self.tensors.insert(name, Kept::View(view));
    }

    /// The tensor of this name, whatever its shape.
    ///
    /// # Errors
    /// The tensor is absent.
    pub(crate) fn any(&self, name: &str) -> Result<Tensor> {
        let found = self.tensors.get(name);
        found.map_or_else(|| Err(self.missing(name, "of any shape")), Kept::tensor)
    }

    /// Takes a tensor out.
    ///
    /// # Errors
    /// The tensor is absent.
    pub(crate) fn take(&mut self, name: &str) -> Result<Tensor> {
        let found = self.tensors.remove(name);
        found.map_or_else(
            || Err(self.missing(name, "of any shape")),
            |kept| kept.tensor(),
        )
    }

    /// Whether the second tensor is the transpose of the first, in the same memory.
    pub(crate) fn are_tied(&self, first: &str, second: &str) -> bool {
        let (Some(Kept::Tensor(first)), Some(Kept::Tensor(second))) =
            (self.tensors.get(first), self.tensors.get(second))
        else {
            return false;
        };
        let (first, first_layout) = first.storage_and_layout();
        let (second, second_layout) = second.storage_and_layout();
        std::ptr::eq(&*first, &*second)
            && first_layout
                .dims()
                .iter()
                .eq(second_layout.dims().iter().rev())
    }

    /// Whether no other of these tensors lies in the memory of this one.
    pub(crate) fn is_alone(&self, name: &str) -> bool {
        let Some(Kept::Tensor(tensor)) = self.tensors.get(name) else {
            return true;
        };
        let (tensor, _) = tensor.storage_and_layout();
        let mut others = self.tensors.iter().filter(|(other, _)| *other != name);
        !others.any(|(_, other)| match other {
            Kept::Tensor(other) => std::ptr::eq(&*tensor, &*other.storage_and_layout().0),
            Kept::View(_) => false,
        })
    }

    fn missing(&self, name: &str, shape: &str) -> Error {
        let suggestion = suggestion(name, self.tensors.keys());
        Error::new(format!(
            "{}: the tensor `{name}` {shape} is missing.{suggestion}",
            self.origin
        ))
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// The tensors among them, and how many numbers the others have: those lie side by side, `f32` on the CPU.
    pub(crate) fn in_memory(&self) -> (Vec<&Tensor>, usize) {
        let (mut tensors, mut numbers) = (Vec::new(), 0);
        for kept in self.tensors.values() {
            match kept {
                Kept::Tensor(tensor) => tensors.push(tensor),
                Kept::View(view) => numbers += view.dims().iter().product::<usize>(),
            }
        }
        (tensors, numbers)
    }

    /// The same weights, of this type on this device, one after the other, so that no more than one is
    /// there twice. A tied unembedding stays tied.
    ///
    /// # Errors
    /// The type is not a floating-point one, or the device has no room.
    pub(crate) fn place(mut self, dtype: DType, device: &Device) -> Result<Self> {
        check_dtype(dtype)?;
        let (embedding, unembedding) = ("embed.W_E", "unembed.W_U");
        let tied = self.are_tied(embedding, unembedding);
        if tied {
            self.tensors.remove(unembedding);
        }
        let names: Vec<String> = self.tensors.keys().cloned().collect();
        for name in names {
            let tensor = self.take(&name)?;
            self.set(name, tensor.to_dtype(dtype)?.to_device(device)?);
        }
        if tied {
            let transposed = self.any(embedding)?.t()?;
            self.set(unembedding, transposed);
        }
        Ok(self)
    }
}

/// Checks that weights can have this type.
///
/// # Errors
/// It is not a floating-point one.
pub(crate) fn check_dtype(dtype: DType) -> Result<()> {
    match dtype {
        DType::F32 | DType::F64 | DType::BF16 | DType::F16 => Ok(()),
        other => Err(Error::new(format!(
            "weights cannot have the type {other:?}: use DType::F32, F64, BF16 or F16."
        ))),
    }
}
