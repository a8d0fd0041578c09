//! The tensors of one file of an autoencoder, whatever kind of file it is.

use super::gunzip::gunzip;
use super::npz::Npz;
use super::source::Source;
use crate::error::{Context, Error, Result, suggestion};
use crate::model::load::pickle::Pickle;
use crate::model::load::safetensors::Safetensors;
use crate::model::load::source::Opened;
use crate::model::load::tensors::TensorFile;
use crate::model::load::torch_file::{Dtype, TorchFile};
use candle_core::{DType, Device, Tensor};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Cursor, Read, Seek};

/// The tensors of one file, and which of them have been asked for.
pub(super) struct Weights {
    file: Kind,
    name: String,
    origin: String,
    asked: RefCell<BTreeSet<String>>,
    warnings: RefCell<Vec<String>>,
}

enum Kind {
    Torch(Box<TorchFile>),
    Other(Box<dyn TensorFile>),
}

impl Weights {
    /// Opens a file by what it starts with, not by its name.
    ///
    /// # Errors
    /// There is none, or it is of no known kind, or damaged.
    pub(super) fn open(source: &Source, name: &str) -> Result<Self> {
        let origin = source.describe(name);
        let file = open(source.require(name)?, &origin)?;
        Ok(Self {
            file,
            name: name.to_owned(),
            origin,
            asked: RefCell::default(),
            warnings: RefCell::default(),
        })
    }

    /// The file's name, without its folder.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file, for an error message.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names = self.file().names();
        names.sort();
        names
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    pub(super) fn has_all(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.has(name))
    }

    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.file().shape(name)
    }

    /// The pickle behind the tensors, where the file is one.
    pub(super) fn pickle(&self) -> Option<&Pickle> {
        match &self.file {
            Kind::Torch(file) => Some(file.pickle()),
            Kind::Other(_) => None,
        }
    }

    /// A tensor of this shape, as `f32` on the CPU.
    ///
    /// # Errors
    /// It is missing, has another shape, or cannot be read.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let found = self.require_shape(name, &format!(" of shape {shape:?}"))?;
        if found != shape {
            let turned = found.iter().rev().eq(shape.iter());
            return Err(Error::new(format!(
                "{}: `{name}` has shape {found:?}, but the other weights and the config ask for \
                 {shape:?}.{}",
                self.origin,
                match turned {
                    true => " It looks transposed.",
                    false => "",
                }
            )));
        }
        self.any(name)
    }

    /// The transpose, of this shape, of a matrix that is stored the other way round.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub(super) fn turned(&self, name: &str, shape: [usize; 2]) -> Result<Tensor> {
        let [rows, columns] = shape;
        Ok(self.get(name, &[columns, rows])?.t()?.contiguous()?)
    }

    /// A tensor of whatever shape, as `f32` on the CPU.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub(super) fn any(&self, name: &str) -> Result<Tensor> {
        self.require_shape(name, "")?;
        let doing = || format!("{}: the tensor `{name}`", self.origin);
        let tensor = self.file().read(name).context(doing)?;
        let tensor = tensor.to_dtype(DType::F32)?.contiguous()?;
        if tensor.elem_count() > 0 && !tensor.sum_all()?.to_scalar::<f32>()?.is_finite() {
            self.warnings.borrow_mut().push(format!(
                "{}: it holds values that are not finite (NaN or infinity), so what is computed \
                 from it will not be either.",
                doing()
            ));
        }
        self.asked.borrow_mut().insert(name.to_owned());
        Ok(tensor)
    }

    /// The number that a tensor of one element is, whole or not.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match self.numbers(name)?.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// The values of a short tensor, of whole numbers or not.
    pub(super) fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        let shape = self.shape(name)?;
        if shape.len() > 1 || shape.iter().product::<usize>() > 1024 {
            return None;
        }
        let whole = match &self.file {
            Kind::Torch(file) => match file.read(name) {
                Ok((Dtype::I64, _, bytes)) => Some(whole_numbers(&bytes)),
                _ => None,
            },
            Kind::Other(_) => None,
        };
        let values = match whole {
            Some(values) => values,
            None => {
                let read = self.file().read(name).ok()?.to_dtype(DType::F64).ok()?;
                read.flatten_all().ok()?.to_vec1().ok()?
            }
        };
        self.asked.borrow_mut().insert(name.to_owned());
        Some(values)
    }

    /// Notes that a tensor needs not be read.
    pub(super) fn ignore(&self, name: &str) {
        self.asked.borrow_mut().insert(name.to_owned());
    }

    /// What was odd, a sentence each, among it the tensors that nothing asked for.
    pub(super) fn warnings(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        let mut warnings = self.warnings.borrow().clone();
        let mut left = self.names();
        left.retain(|name| !asked.contains(name));
        if !left.is_empty() {
            warnings.push(format!(
                "{}: nothing was done with {}.",
                self.origin,
                quoted(&left)
            ));
        }
        warnings
    }

    fn require_shape(&self, name: &str, wanted: &str) -> Result<Vec<usize>> {
        self.shape(name).ok_or_else(|| {
            let names = self.names();
            let suggestion = suggestion(name, &names);
            Error::new(format!(
                "{}: the tensor `{name}`{wanted} is missing.{suggestion} The file has {}.",
                self.origin,
                quoted(&names)
            ))
        })
    }

    fn file(&self) -> &dyn TensorFile {
        match &self.file {
            Kind::Torch(file) => file.as_ref(),
            Kind::Other(file) => file.as_ref(),
        }
    }
}

/// The first names of a list, as words of a sentence.
pub(super) fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(SHOWN) {
        0 if shown.is_empty() => "no tensors".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn open(opened: Opened, origin: &str) -> Result<Kind> {
    let doing = || origin.to_owned();
    let mut file: File = match opened {
        Opened::File(file) => file,
        // What the library brings is all of one kind.
        embedded @ Opened::Bytes(_) => {
            let opened = Safetensors::open(embedded).context(doing)?;
            return Ok(Kind::Other(Box::new(opened)));
        }
    };
    let mut head = Vec::new();
    file.by_ref().take(9).read_to_end(&mut head)?;
    file.rewind()?;
    if head.starts_with(&[0x1f, 0x8b]) {
        let bytes = gunzip(file).context(doing)?;
        let unpacked = TorchFile::open(origin.to_owned(), Cursor::new(bytes))?;
        return Ok(Kind::Torch(Box::new(unpacked)));
    }
    // A safetensors file starts with a length and the brace of its header.
    if origin.contains(".safetensors") || head.get(8) == Some(&b'{') {
        let opened = Safetensors::open(Opened::File(file)).context(doing)?;
        return Ok(Kind::Other(Box::new(opened)));
    }
    if head.starts_with(b"PK") && Npz::is_one(&file) {
        let npz = Npz::open(file).context(doing)?;
        return Ok(Kind::Other(Box::new(npz)));
    }
    let torch = TorchFile::open(origin.to_owned(), file)?;
    Ok(Kind::Torch(Box::new(torch)))
}

/// Little-endian 64-bit integers.
fn whole_numbers(bytes: &[u8]) -> Vec<f64> {
    let (numbers, _) = bytes.as_chunks::<8>();
    numbers
        .iter()
        .map(|bytes| i64::from_le_bytes(*bytes) as f64)
        .collect()
}

/// Zeros where a file leaves a bias out.
///
/// # Errors
/// There is no memory.
pub(super) fn zeros(size: usize) -> Result<Tensor> {
    Ok(Tensor::zeros(size, DType::F32, &Device::Cpu)?)
}
