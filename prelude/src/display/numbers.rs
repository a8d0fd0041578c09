//! Whatever holds numbers to be drawn.

use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use polars::prelude::{Column, DataType, Series};

/// A source of numbers for a plot: a tensor (flattened), a slice or vector, a polars series.
#[diagnostic::on_unimplemented(
    message = "`{Self}` holds no numbers to draw",
    label = "these are no numbers to draw",
    note = "write a tensor, a list of numbers (`&[1., 2.]`, `vec`), or a column of a table"
)]
pub trait Numbers {
    /// All numbers, in order.
    ///
    /// # Errors
    /// The values cannot be read from their device, or are not numbers.
    fn numbers(&self) -> Result<Vec<f64>>;
}

impl Numbers for Tensor {
    fn numbers(&self) -> Result<Vec<f64>> {
        let flat = self.to_device(&Device::Cpu)?.flatten_all()?;
        Ok(flat.to_dtype(DType::F64)?.to_vec1()?)
    }
}

impl Numbers for Series {
    fn numbers(&self) -> Result<Vec<f64>> {
        if !self.dtype().is_primitive_numeric() && !self.dtype().is_bool() {
            return Err(Error::new(format!(
                "the column {:?} holds {}, not numbers; choose another or cast it",
                self.name(),
                self.dtype(),
            )));
        }
        let floats = self.cast(&DataType::Float64)?;
        let values = floats.f64()?.iter();
        Ok(values.map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

impl Numbers for Column {
    fn numbers(&self) -> Result<Vec<f64>> {
        self.as_materialized_series().numbers()
    }
}

macro_rules! numbers_of {
    ($($number:ty),*) => {$(
        impl Numbers for [$number] {
            fn numbers(&self) -> Result<Vec<f64>> {
                #[allow(clippy::cast_precision_loss, clippy::cast_lossless)]
                Ok(self.iter().map(|&number| number as f64).collect())
            }
        }
    )*};
}

numbers_of!(f32, f64, i32, i64, u32, u64, usize);

impl<T> Numbers for Vec<T>
where
    [T]: Numbers,
{
    fn numbers(&self) -> Result<Vec<f64>> {
        self.as_slice().numbers()
    }
}

impl<T, const N: usize> Numbers for [T; N]
where
    [T]: Numbers,
{
    fn numbers(&self) -> Result<Vec<f64>> {
        self.as_slice().numbers()
    }
}

impl<T: Numbers + ?Sized> Numbers for &T {
    fn numbers(&self) -> Result<Vec<f64>> {
        (**self).numbers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::NamedFrom;

    #[test]
    fn every_source_gives_its_numbers() {
        let tensor = Tensor::new(&[[1_u32, 2], [3, 4]], &Device::Cpu).expect("a tensor");
        assert_eq!(tensor.numbers().expect("numbers"), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(vec![0.5_f32].numbers().expect("numbers"), [0.5]);
        assert_eq!([1_usize, 2].numbers().expect("numbers"), [1.0, 2.0]);
        let series = Series::new("x".into(), [Some(1_i64), None]);
        let numbers = series.numbers().expect("numbers");
        assert!(numbers[0] == 1.0 && numbers[1].is_nan());
        let texts = Series::new("name".into(), ["a"]);
        let message = texts.numbers().expect_err("texts").to_string();
        assert!(message.contains("\"name\" holds str"), "{message}");
    }
}
