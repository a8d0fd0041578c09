//! Tensors as text: shape, dtype, device, and the values rounded as PyTorch prints them.

use crate::emit::{Bundle, Rich, text};
use crate::error::Result;
use candle_core::{DType, Device, DeviceLocation, Tensor};

/// With more elements than this only the edges are shown, and only they leave the device.
const MOST_ELEMENTS: usize = 1000;
/// How many items stand at each edge of a dimension that is cut.
const EDGE: usize = 3;
/// The longest value on one line, in characters.
const LONGEST_LINE: usize = 100;
/// The longest line of values.
const LINE_WIDTH: usize = 92;

impl Rich for Tensor {
    fn bundle(&self) -> Bundle {
        text(describe(self))
    }
}

fn describe(tensor: &Tensor) -> String {
    let device = device_name(tensor.device());
    let head = format!(
        "Tensor {:?} {} {device}",
        tensor.dims(),
        tensor.dtype().as_str()
    );
    match values(tensor) {
        Ok(values) => format!("{head}\n{values}"),
        Err(error) => format!("{head}\n(its values cannot be read: {error})"),
    }
}

/// The device as PyTorch writes it, e.g. `cuda:0`.
pub(super) fn device_name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// The beginning of the values, on one line; nothing where they cannot be read.
pub(super) fn one_line(tensor: &Tensor) -> String {
    let values = values(tensor).unwrap_or_default();
    let words = values.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = words.replace("[ ", "[");
    match words.char_indices().nth(LONGEST_LINE) {
        Some((cut, _)) => format!("{}…", &words[..cut]),
        None => words,
    }
}

fn values(tensor: &Tensor) -> Result<String> {
    let cut = tensor.elem_count() > MOST_ELEMENTS;
    let shown = if cut { edges(tensor)? } else { tensor.clone() };
    let integers = tensor.dtype().is_int();
    let dtype = if integers { DType::I64 } else { DType::F64 };
    // The cast happens on the CPU: not every device has every dtype.
    let flat = shown
        .to_device(&Device::Cpu)?
        .flatten_all()?
        .to_dtype(dtype)?;
    let cells = if integers {
        flat.to_vec1::<i64>()?.iter().map(i64::to_string).collect()
    } else {
        floats(&flat.to_vec1::<f64>()?)
    };
    let width = cells.iter().map(String::len).max().unwrap_or(0);
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>width$}")).collect();
    let lines = Lines {
        cut,
        full: tensor.dims(),
    };
    Ok(lines.nest(shown.dims(), &cells, 0))
}

/// The first and last items of every dimension that is too long. The longest dimension is cut
/// first, so that little is copied.
fn edges(tensor: &Tensor) -> Result<Tensor> {
    let mut edges = tensor.clone();
    let mut longest_first: Vec<(usize, usize)> =
        tensor.dims().iter().copied().enumerate().collect();
    longest_first.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    for (dim, size) in longest_first {
        if size > 2 * EDGE {
            let first = edges.narrow(dim, 0, EDGE)?;
            let last = edges.narrow(dim, size - EDGE, EDGE)?;
            edges = Tensor::cat(&[first, last], dim)?;
        }
    }
    Ok(edges)
}

/// All values in one notation: whole numbers as `2.`, four decimals, or powers of ten where the
/// magnitudes lie too far apart.
fn floats(values: &[f64]) -> Vec<String> {
    let sizes = || {
        values
            .iter()
            .map(|value| value.abs())
            .filter(|size| size.is_finite() && *size > 0.0)
    };
    let largest = sizes().fold(0.0, f64::max);
    let smallest = sizes().fold(f64::INFINITY, f64::min);
    let whole = sizes().all(|size| size.fract() == 0.0);
    let powers = largest > 0.0
        && (largest / smallest > 1000.0 || largest > 1e8 || smallest < 1e-4)
        && !(whole && largest <= 1e8);
    values
        .iter()
        .map(|value| match value {
            value if value.is_nan() => "NaN".to_owned(),
            value if value.is_infinite() => (if *value > 0.0 { "inf" } else { "-inf" }).to_owned(),
            value if powers => format!("{value:.4e}"),
            value if whole => format!("{value:.0}."),
            value => format!("{value:.4}"),
        })
        .collect()
}

struct Lines<'a> {
    cut: bool,
    /// The dimensions before they were cut.
    full: &'a [usize],
}

impl Lines<'_> {
    /// The brackets of dimension `depth` round the cells of `dims`.
    fn nest(&self, dims: &[usize], cells: &[String], depth: usize) -> String {
        let Some((&size, inner)) = dims.split_first() else {
            return cells.first().cloned().unwrap_or_default();
        };
        let gap = self.cut && self.full.get(depth).is_some_and(|full| *full > size);
        if inner.is_empty() {
            return self.row(cells, gap, depth);
        }
        let step = inner.iter().product::<usize>();
        let indent = " ".repeat(depth + 1);
        let separator = format!(",{}{indent}", "\n".repeat(inner.len()));
        let mut parts: Vec<String> = (0..size)
            .map(|i| self.nest(inner, &cells[i * step..(i + 1) * step], depth + 1))
            .collect();
        if gap {
            parts.insert(EDGE, "...".to_owned());
        }
        format!("[{}]", parts.join(&separator))
    }

    fn row(&self, cells: &[String], gap: bool, depth: usize) -> String {
        let mut parts = cells.to_vec();
        if gap {
            parts.insert(EDGE, "...".to_owned());
        }
        let width = parts.first().map_or(0, String::len) + 2;
        let on_a_line = (LINE_WIDTH.saturating_sub(depth + 1) / width.max(1)).max(1);
        let indent = format!(",\n{}", " ".repeat(depth + 1));
        let lines: Vec<String> = parts
            .chunks(on_a_line)
            .map(|chunk| chunk.join(", "))
            .collect();
        format!("[{}]", lines.join(&indent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tensor: &Tensor) -> String {
        tensor.bundle()["text/plain"]
            .as_str()
            .expect("text")
            .to_owned()
    }

    fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
        Tensor::from_slice(values, shape, &Device::Cpu).expect("a tensor")
    }

    #[test]
    fn small_tensors_are_shown_whole() {
        assert_eq!(
            shown(&tensor(&[0.123_456, -1.0, 2.5, 10.0], &[2, 2])),
            "Tensor [2, 2] f32 cpu\n[[ 0.1235, -1.0000],\n [ 2.5000, 10.0000]]"
        );
        assert_eq!(
            shown(&tensor(&[3.0, -1.0], &[2])),
            "Tensor [2] f32 cpu\n[ 3., -1.]"
        );
        assert_eq!(shown(&tensor(&[0.5], &[])), "Tensor [] f32 cpu\n0.5000");
        assert_eq!(shown(&tensor(&[], &[0, 3])), "Tensor [0, 3] f32 cpu\n[]");
        let integers = Tensor::new(&[[1_u32, 20]], &Device::Cpu).expect("a tensor");
        assert_eq!(shown(&integers), "Tensor [1, 2] u32 cpu\n[[ 1, 20]]");
    }

    #[test]
    fn extremes_are_shown() {
        assert_eq!(
            shown(&tensor(
                &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.5],
                &[4]
            )),
            "Tensor [4] f32 cpu\n[   NaN,    inf,   -inf, 1.5000]"
        );
        assert_eq!(
            shown(&tensor(&[1e-7, 1.5], &[2])),
            "Tensor [2] f32 cpu\n[1.0000e-7,  1.5000e0]"
        );
    }

    #[test]
    fn big_tensors_show_their_edges() {
        let big = Tensor::arange(0_u32, 10_000, &Device::Cpu)
            .and_then(|flat| flat.reshape((100, 100)))
            .expect("a tensor");
        let text = shown(&big);
        assert!(
            text.starts_with(
                "Tensor [100, 100] u32 cpu\n[[   0,    1,    2, ...,   97,   98,   99],\n"
            ),
            "{text}"
        );
        assert!(text.contains("],\n ...,\n [9700,"), "{text}");
        assert!(text.ends_with("9997, 9998, 9999]]"), "{text}");
    }

    #[test]
    fn half_precision_and_blocks() {
        let half = tensor(&[1.5; 8], &[2, 2, 2])
            .to_dtype(DType::BF16)
            .expect("a cast");
        assert_eq!(
            shown(&half),
            "Tensor [2, 2, 2] bf16 cpu\n[[[1.5000, 1.5000],\n  [1.5000, 1.5000]],\n\n \
             [[1.5000, 1.5000],\n  [1.5000, 1.5000]]]"
        );
    }
}
