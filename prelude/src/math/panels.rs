//! Products of activations with a weight, `x W + b`, on the CPU.
//!
//! A product with few rows is as fast as the weight can be read. Where `W` lies in memory row by row or
//! column by column, each of its blocks is gathered from a thousand places first; as panels, 64 columns
//! together, it is read from front to back. The product of a panel is the crate `gemm`'s, which candle
//! multiplies with too.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

/// How many columns a panel has.
const WIDTH: usize = 64;
/// How many rows are multiplied with a panel while it is near.
const ROWS: usize = 256;
/// The fewest rows that are worth a task of their own.
const FEWEST_ROWS: usize = 16;
/// Below this many multiplications one core is faster than waking the others.
const WORTH_SHARING: usize = 48 * 48 * 256;

/// A matrix `[d_in, d_out]` of `f32` on the CPU that no gradient is wanted for.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    values: Tensor,
    order: Order,
    d_in: usize,
    d_out: usize,
}

/// How the matrix lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Panel behind panel, each `[d_in, 64]`; the last may be narrower.
    Panels,
    /// `[d_out, d_in]`: the memory of another weight. Each panel is made when it is needed.
    Transposed,
}

impl Panels {
    /// A copy of a matrix, as panels; nothing for one that is not `f32` on the CPU, or tracked for gradients.
    pub(crate) fn of(matrix: &Tensor) -> Result<Option<Self>> {
        if !super::is_plain(matrix) || matrix.rank() != 2 {
            return Ok(None);
        }
        let (d_in, d_out) = matrix.dims2()?;
        let mut values = vec![0f32; d_in * d_out];
        {
            let (storage, layout) = matrix.storage_and_layout();
            let (Storage::Cpu(CpuStorage::F32(from)), [down, right]) = (&*storage, layout.stride())
            else {
                return Ok(None);
            };
            let from = &from[layout.start_offset()..];
            let panels = values.par_chunks_mut(WIDTH * d_in).enumerate();
            panels.for_each(|(panel, to)| {
                let first = panel * WIDTH;
                let width = to.len() / d_in;
                for (row, to) in to.chunks_mut(width).enumerate() {
                    for (column, to) in (first..).zip(to) {
                        *to = from[row * down + column * right];
                    }
                }
            });
        }
        Ok(Some(Self {
            values: Tensor::from_vec(values, d_in * d_out, matrix.device())?,
            order: Order::Panels,
            d_in,
            d_out,
        }))
    }

    /// A matrix that is the transpose of what lies in memory row by row, where it lies; nothing where
    /// [`Panels::of`] has nothing, or it lies otherwise.
    pub(crate) fn transposed(matrix: &Tensor) -> Result<Option<Self>> {
        if !super::is_plain(matrix) || matrix.rank() != 2 {
            return Ok(None);
        }
        let (d_in, d_out) = matrix.dims2()?;
        let values = matrix.t()?;
        Ok(values.is_contiguous().then_some(Self {
            values,
            order: Order::Transposed,
            d_in,
            d_out,
        }))
    }

    pub(crate) fn d_in(&self) -> usize {
        self.d_in
    }

    pub(crate) fn d_out(&self) -> usize {
        self.d_out
    }

    /// The first `columns` columns from `first` on, `[d_in, columns]`: a copy.
    pub(crate) fn columns(&self, first: usize, columns: usize) -> Result<Tensor> {
        if self.order == Order::Transposed {
            return self.values.narrow(0, first, columns)?.t()?.contiguous();
        }
        let copied = self.with_values(|values| {
            let mut copy = vec![0f32; self.d_in * columns];
            let rows = copy.par_chunks_mut(columns).enumerate();
            rows.with_min_len(WIDTH).for_each(|(row, copy)| {
                let mut at = 0;
                while at < columns {
                    let (panel, inside) = ((first + at) / WIDTH, (first + at) % WIDTH);
                    let (start, width) = self.panel(panel);
                    let count = (width - inside).min(columns - at);
                    let from = start + row * width + inside;
                    copy[at..at + count].copy_from_slice(&values[from..from + count]);
                    at += count;
                }
            });
            copy
        })?;
        Tensor::from_vec(copied, (self.d_in, columns), self.values.device())
    }

    /// Single columns, each as a row: `[columns.len(), d_in]`.
    ///
    /// # Errors
    /// There is no such column.
    pub(crate) fn some_columns(&self, columns: &[u32]) -> Result<Tensor> {
        if let Some(column) = columns
            .iter()
            .find(|column| **column as usize >= self.d_out)
        {
            bail!(
                "there is no column {column} in a matrix with {}",
                self.d_out
            )
        }
        let picked = self.with_values(|values| {
            let mut picked = Vec::with_capacity(columns.len() * self.d_in);
            for column in columns.iter().map(|column| *column as usize) {
                match self.order {
                    Order::Transposed => {
                        let row = &values[column * self.d_in..(column + 1) * self.d_in];
                        picked.extend_from_slice(row);
                    }
                    Order::Panels => {
                        let (start, width) = self.panel(column / WIDTH);
                        let first = start + column % WIDTH;
                        let down = values[first..].iter().step_by(width);
                        picked.extend(down.take(self.d_in));
                    }
                }
            }
            picked
        })?;
        Tensor::from_vec(picked, (columns.len(), self.d_in), self.values.device())
    }

    /// `x W + b`: `[.., d_in]` to `[.., d_out]`. Differentiable in `x`.
    ///
    /// # Errors
    /// The widths do not fit, or `x` or the bias is not `f32` on the CPU.
    pub(crate) fn times(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        if x.dims().last() != Some(&self.d_in) {
            bail!(
                "a tensor of shape {:?} cannot be multiplied by a matrix of shape {:?}",
                x.dims(),
                [self.d_in, self.d_out]
            )
        }
        let (inside, behind) = match bias.filter(|bias| bias.track_op()) {
            Some(bias) => (None, Some(bias)),
            None => (bias, None),
        };
        let product = Product {
            matrix: self.clone(),
            bias: inside.map(Tensor::to_vec1).transpose()?,
        };
        let x = x.contiguous()?;
        let y = match x.track_op() {
            true => x.apply_op1(product)?,
            false => x.apply_op1_no_bwd(&product)?,
        };
        match behind {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// Where a panel begins, and how wide it is.
    fn panel(&self, panel: usize) -> (usize, usize) {
        let first = panel * WIDTH;
        (first * self.d_in, WIDTH.min(self.d_out - first))
    }

    fn with_values<R>(&self, function: impl FnOnce(&[f32]) -> R) -> Result<R> {
        let (storage, layout) = self.values.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
                Ok(function(&values[start..end]))
            }
            _ => bail!("a weight is not f32 on the CPU"),
        }
    }

    /// `x W + b`, for rows of `d_in` numbers.
    fn product(&self, values: &[f32], x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let rows = x.len() / self.d_in;
        let mut out = vec![0f32; rows * self.d_out];
        let panels = self.d_out.div_ceil(WIDTH);
        let shares = x.len().saturating_mul(self.d_out) >= WORTH_SHARING;
        let block = match (shares, self.order) {
            (true, Order::Panels) => rows_of_a_task(rows, panels),
            _ => rows.max(1),
        };
        let blocks = rows.div_ceil(block);
        let to = Target(out.as_mut_ptr());
        let task = |task: usize| {
            let (panel, first_row) = (task / blocks, task % blocks * block);
            let (start, width) = self.panel(panel);
            let gathered = match self.order {
                Order::Panels => None,
                Order::Transposed => Some(turned(&values[start..start + width * self.d_in], width)),
            };
            let matrix = gathered
                .as_deref()
                .unwrap_or(&values[start..start + width * self.d_in]);
            let first = panel * WIDTH;
            let count = block.min(rows - first_row);
            let x = &x[first_row * self.d_in..(first_row + count) * self.d_in];
            if let Some(bias) = bias {
                for row in first_row..first_row + count {
                    // SAFETY: these `width` numbers of a row of `out` are this task's alone: tasks differ
                    // in the panel, and so in the columns, or in the rows. `out` outlives the tasks.
                    let part = unsafe {
                        std::slice::from_raw_parts_mut(to.at(row * self.d_out + first), width)
                    };
                    part.copy_from_slice(&bias[first..first + width]);
                }
            }
            // SAFETY: reads `count` rows of `d_in` numbers at `x` and `d_in` rows of `width` at `matrix`,
            // which are as long; writes, and with a bias reads, `width` numbers in each of `count` rows
            // of `out`, this task's own as above.
            unsafe {
                gemm::gemm(
                    count,
                    width,
                    self.d_in,
                    to.at(first_row * self.d_out + first),
                    1,
                    self.d_out.cast_signed(),
                    bias.is_some(),
                    x.as_ptr(),
                    1,
                    self.d_in.cast_signed(),
                    matrix.as_ptr(),
                    1,
                    width.cast_signed(),
                    1f32,
                    1f32,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        };
        let tasks = 0..panels * blocks;
        match shares {
            true => tasks.into_par_iter().for_each(task),
            false => tasks.for_each(task),
        }
        out
    }

    /// `g W^T`, for rows of `d_out` numbers.
    fn product_with_transpose(&self, values: &[f32], g: &[f32]) -> Vec<f32> {
        let rows = g.len() / self.d_out;
        let mut out = vec![0f32; rows * self.d_in];
        let parts = self.d_in.div_ceil(WIDTH);
        let to = Target(out.as_mut_ptr());
        let task = |part: usize| {
            let first = part * WIDTH;
            let columns = WIDTH.min(self.d_in - first);
            for panel in 0..self.d_out.div_ceil(WIDTH) {
                let (start, width) = self.panel(panel);
                // An entry of the panel's transpose: how far to the next row of `g W^T`'s factor, and to
                // its next column.
                let (from, down, right) = match self.order {
                    Order::Panels => (&values[start + first * width..], 1_usize, width),
                    Order::Transposed => (&values[start + first..], self.d_in, 1),
                };
                // SAFETY: reads `rows` times `width` numbers of `g`, `d_out` apart, and `width` times
                // `columns` of the panel, which has `d_in` of its rows and at least `first + columns` are
                // that many; reads and writes `columns` numbers in each row of `out`, which are this task's
                // alone, as tasks differ in the columns. `out` outlives the tasks.
                unsafe {
                    gemm::gemm(
                        rows,
                        columns,
                        width,
                        to.at(first),
                        1,
                        self.d_in.cast_signed(),
                        true,
                        g.as_ptr().add(panel * WIDTH),
                        1,
                        self.d_out.cast_signed(),
                        from.as_ptr(),
                        right.cast_signed(),
                        down.cast_signed(),
                        1f32,
                        1f32,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
            }
        };
        match g.len().saturating_mul(self.d_in) >= WORTH_SHARING {
            true => (0..parts).into_par_iter().for_each(task),
            false => (0..parts).for_each(task),
        }
        out
    }
}

/// How many rows a task takes, so that there is work for all cores.
fn rows_of_a_task(rows: usize, panels: usize) -> usize {
    let wanted = 3 * rayon::current_num_threads();
    let blocks = wanted.div_ceil(panels).max(rows.div_ceil(ROWS));
    rows.div_ceil(blocks).max(FEWEST_ROWS).min(rows).max(1)
}

/// A panel `[d_in, width]` from its transpose.
fn turned(from: &[f32], width: usize) -> Vec<f32> {
    /// So many numbers of each row lie in one line of the cache.
    const LINE: usize = 16;
    let d_in = from.len() / width;
    let mut to = vec![0f32; from.len()];
    for start in (0..d_in).step_by(LINE) {
        let end = (start + LINE).min(d_in);
        for (column, row) in from.chunks(d_in).enumerate() {
            for at in start..end {
                to[at * width + column] = row[at];
            }
        }
    }
    to
}

/// Where tasks write, each to places of its own.
struct Target(*mut f32);

// SAFETY: a number; what is written through it is said where it is written.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    fn at(&self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

struct Product {
    matrix: Panels,
    bias: Option<Vec<f32>>,
}

impl Product {
    fn wide(layout: &Layout, width: usize) -> Shape {
        let mut dims = layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = width;
        }
        Shape::from_dims(&dims)
    }
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("a product with a weight needs contiguous f32 numbers on the CPU"),
    }
}

impl CustomOp1 for Product {
    fn name(&self) -> &'static str {
        "product with a weight"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = numbers(storage, layout)?;
        let bias = self.bias.as_deref();
        if bias.is_some_and(|bias| bias.len() != self.matrix.d_out) {
            bail!("the bias is not as wide as the product")
        }
        let matrix = &self.matrix;
        let out = matrix.with_values(|values| matrix.product(values, x, bias))?;
        Ok((CpuStorage::F32(out), Self::wide(layout, matrix.d_out)))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let of_x = Transpose(self.matrix.clone());
        gradient.contiguous()?.apply_op1_no_bwd(&of_x).map(Some)
    }
}

/// The product with the transpose.
struct Transpose(Panels);

impl CustomOp1 for Transpose {
    fn name(&self) -> &'static str {
        "product with the transpose of a weight"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let g = numbers(storage, layout)?;
        let matrix = &self.0;
        let out = matrix.with_values(|values| matrix.product_with_transpose(values, g))?;
        Ok((CpuStorage::F32(out), Product::wide(layout, matrix.d_in)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    fn random(shape: &[usize]) -> Tensor {
        Tensor::randn(0f32, 1., shape, &Device::Cpu).unwrap()
    }

    fn check(found: &Tensor, wanted: &Tensor) {
        assert_eq!(found.dims(), wanted.dims());
        let found = found.to_dtype(DType::F64).unwrap();
        let difference = (found - wanted).unwrap().abs().unwrap();
        let difference = difference
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar::<f64>()
            .unwrap();
        assert!(difference < 1e-4, "{difference} in {:?}", wanted.dims());
    }

    fn exact(x: &Tensor, matrix: &Tensor) -> Tensor {
        let x = x.to_dtype(DType::F64).unwrap();
        x.broadcast_matmul(&matrix.to_dtype(DType::F64).unwrap())
            .unwrap()
    }

    #[test]
    fn it_is_the_product_in_every_shape_and_order() {
        for (d_in, d_out) in [(1, 1), (7, 63), (64, 64), (100, 65), (33, 300), (300, 20)] {
            let bias = random(&[d_out]);
            for matrix in [
                random(&[d_in, d_out]),
                random(&[d_out, d_in]).t().unwrap(),
                random(&[d_in, d_out + 3]).narrow(1, 2, d_out).unwrap(),
            ] {
                let mut layouts = vec![Panels::of(&matrix).unwrap().unwrap()];
                layouts.extend(Panels::transposed(&matrix).unwrap());
                for panels in layouts {
                    for rows in [1, 5, 35, 700] {
                        let x = random(&[rows, d_in]);
                        let wanted = exact(&x, &matrix);
                        check(&panels.times(&x, None).unwrap(), &wanted);
                        let bias64 = bias.to_dtype(DType::F64).unwrap();
                        let wanted = wanted.broadcast_add(&bias64).unwrap();
                        check(&panels.times(&x, Some(&bias)).unwrap(), &wanted);
                    }
                    let batch = random(&[2, 3, d_in]);
                    check(
                        &panels.times(&batch, None).unwrap(),
                        &exact(&batch, &matrix),
                    );
                    let turned = random(&[d_in, 9]).t().unwrap();
                    check(
                        &panels.times(&turned, None).unwrap(),
                        &exact(&turned, &matrix),
                    );
                }
            }
        }
    }

    #[test]
    fn any_columns_are_the_matrix() {
        let matrix = random(&[50, 200]);
        let panels = Panels::of(&matrix).unwrap().unwrap();
        let rows = Panels::transposed(&matrix.t().unwrap().contiguous().unwrap().t().unwrap());
        for panels in [panels, rows.unwrap().unwrap()] {
            for (first, count) in [(0, 200), (0, 64), (63, 2), (128, 72), (199, 1)] {
                let found = panels.columns(first, count).unwrap();
                assert!(found.is_contiguous());
                let wanted = matrix.narrow(1, first, count).unwrap();
                check(&found, &wanted.to_dtype(DType::F64).unwrap());
            }
            let ids = [199, 0, 64, 63, 64];
            let found = panels.some_columns(&ids).unwrap();
            let ids = Tensor::new(&ids, &Device::Cpu).unwrap();
            let wanted = matrix.index_select(&ids, 1).unwrap().t().unwrap();
            check(&found, &wanted.to_dtype(DType::F64).unwrap());
            assert_eq!(panels.some_columns(&[]).unwrap().dims(), [0, 50]);
            assert!(panels.some_columns(&[200]).is_err());
        }
    }

    #[test]
    fn gradients_are_those_of_the_product() {
        for (d_in, d_out, rows) in [(100, 130, 7), (300, 65, 40)] {
            let matrix = random(&[d_out, d_in]).t().unwrap();
            let layouts = [Panels::of(&matrix), Panels::transposed(&matrix)];
            for panels in layouts.map(|panels| panels.unwrap().unwrap()) {
                let x = Var::from_tensor(&random(&[2, rows, d_in])).unwrap();
                let bias = Var::from_tensor(&random(&[d_out])).unwrap();
                let weight = random(&[2, rows, d_out]);
                let y = panels.times(x.as_tensor(), Some(bias.as_tensor())).unwrap();
                let loss = (y * &weight).unwrap().sum_all().unwrap();
                let gradients = loss.backward().unwrap();
                let of_x = gradients.get(x.as_tensor()).unwrap();
                check(of_x, &exact(&weight, &matrix.t().unwrap()));
                let of_bias = gradients.get(bias.as_tensor()).unwrap();
                let wanted = weight.sum((0, 1)).unwrap();
                check(of_bias, &wanted.to_dtype(DType::F64).unwrap());
            }
        }
    }

    #[test]
    fn what_is_trained_or_no_f32_has_no_panels() {
        let matrix = random(&[4, 5]);
        let trained = Var::from_tensor(&matrix).unwrap();
        assert!(Panels::of(trained.as_tensor()).unwrap().is_none());
        let wide = matrix.to_dtype(DType::F64).unwrap();
        assert!(Panels::of(&wide).unwrap().is_none());
        assert!(
            Panels::transposed(&matrix).unwrap().is_none(),
            "it lies row by row"
        );
        let panels = Panels::of(&matrix).unwrap().unwrap();
        assert!(panels.times(&random(&[3, 5]), None).is_err());
        assert!(panels.times(&wide.t().unwrap(), None).is_err());
    }
}
