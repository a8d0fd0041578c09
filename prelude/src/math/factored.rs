//! A matrix kept as a product of two thin ones.

use crate::error::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use nalgebra::DMatrix;
use std::fmt;

/// `A B` for `A [.., left, rank]` and `B [.., rank, right]`, never multiplied out unless asked for: what
/// a head does is `W_V W_O`, of width `d_model` both ways and of rank `d_head` only.
///
/// Source: TransformerLens's `FactoredMatrix`, whose names these are. Leading dimensions are those of
/// layers and heads; singular values and eigenvalues are computed for each on the CPU, in `f64`.
///
/// ```
/// use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let OV = model.OV()?; // [layer, head, d_model, d_model]
/// let first = OV.get(0)?.get(3)?;
/// let singular_values = first.svd()?.S; // [d_head]
/// assert_eq!(singular_values.dims(), [model.config().d_head]);
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct FactoredMatrix {
    /// The left factor, `[.., left, rank]`.
    pub A: Tensor,
    /// The right factor, `[.., rank, right]`.
    pub B: Tensor,
}

/// A singular value decomposition: `U diag(S) Vh`.
#[derive(Clone, Debug)]
pub struct Svd {
    /// `[.., left, rank]`, with orthonormal columns.
    pub U: Tensor,
    /// The singular values, the largest first, `[.., rank]`.
    pub S: Tensor,
    /// `[.., rank, right]`, with orthonormal rows.
    pub Vh: Tensor,
}

/// Eigenvalues, which may be complex: `[.., rank]` each, the largest magnitude first.
#[derive(Clone, Debug)]
pub struct Eigenvalues {
    /// Real parts.
    pub re: Tensor,
    /// Imaginary parts.
    pub im: Tensor,
}

impl FactoredMatrix {
    /// The product of these two, whose leading dimensions must be the same.
    ///
    /// # Errors
    /// They do not fit together.
    pub fn new(A: &Tensor, B: &Tensor) -> Result<Self> {
        let (of_A, of_B) = (A.dims(), B.dims());
        let fits = match (of_A, of_B) {
            ([a @ .., _, inner], [b @ .., rank, _]) => a == b && inner == rank,
            _ => false,
        };
        if !fits {
            return Err(Error::new(format!(
                "factors of shapes {of_A:?} and {of_B:?} do not fit together: they must be \
                 [.., left, rank] and [.., rank, right] with the same leading dimensions."
            )));
        }
        Ok(Self {
            A: A.clone(),
            B: B.clone(),
        })
    }

    /// The shape of the product, `[.., left, right]`.
    pub fn dims(&self) -> Vec<usize> {
        let mut dims = self.A.dims().to_vec();
        dims.pop();
        dims.extend(self.B.dims().last());
        dims
    }

    /// The width of the thin side.
    pub fn rank(&self) -> usize {
        self.A.dims().last().copied().unwrap_or(0)
    }

    /// One of the first leading dimension, such as a layer and then a head.
    ///
    /// # Errors
    /// There is no such index, or no leading dimension.
    pub fn get(&self, index: usize) -> Result<Self> {
        match self.A.dims() {
            [leading, _, _, ..] if index < *leading => {
                Self::new(&self.A.get(index)?, &self.B.get(index)?)
            }
            _ => Err(Error::new(format!(
                "there is no index {index} in a factored matrix of shape {:?}.",
                self.dims()
            ))),
        }
    }

    /// The product, `[.., left, right]`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn AB(&self) -> Result<Tensor> {
        Ok(self.A.contiguous()?.matmul(&self.B.contiguous()?)?)
    }

    /// The product the other way round, `[.., rank, rank]`: it has the same eigenvalues but for zeros.
    ///
    /// # Errors
    /// The matrix is not square.
    pub fn BA(&self) -> Result<Tensor> {
        let dims = self.dims();
        if let [.., left, right] = dims.as_slice()
            && left != right
        {
            return Err(Error::new(format!(
                "a factored matrix of shape {dims:?} is not square, so it has no eigenvalues."
            )));
        }
        Ok(self.B.contiguous()?.matmul(&self.A.contiguous()?)?)
    }

    /// The first `k` rows and columns of the product, `[.., k, k]`: a look at a matrix too large to be
    /// multiplied out.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let corner = model.OV()?.get_corner(3)?; // [layer, head, 3, 3]
    /// assert_eq!(corner.dims()[2..], [3, 3]);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// Never for a matrix that [`FactoredMatrix::new`] made; a smaller one is its own corner.
    pub fn get_corner(&self, k: usize) -> Result<Tensor> {
        let (rows, columns) = (self.A.rank() - 2, self.B.rank() - 1);
        let A = self.A.narrow(rows, 0, k.min(self.A.dim(rows)?))?;
        let B = self.B.narrow(columns, 0, k.min(self.B.dim(columns)?))?;
        Ok(A.contiguous()?.matmul(&B.contiguous()?)?)
    }

    /// The same product with its singular values divided between the factors: `U sqrt(S)` and
    /// `sqrt(S) Vh`.
    ///
    /// # Errors
    /// Numbers that are not finite.
    pub fn make_even(&self) -> Result<Self> {
        let svd = self.svd()?;
        let half = svd.S.sqrt()?; // [.., rank]
        Self::new(
            &svd.U.broadcast_mul(&half.unsqueeze(D::Minus2)?)?,
            &svd.Vh.broadcast_mul(&half.unsqueeze(D::Minus1)?)?,
        )
    }

    /// The transpose, still factored.
    ///
    /// # Errors
    /// Never for a matrix that [`FactoredMatrix::new`] made.
    pub fn T(&self) -> Result<Self> {
        Self::new(
            &self.B.transpose(D::Minus2, D::Minus1)?,
            &self.A.transpose(D::Minus2, D::Minus1)?,
        )
    }

    /// The product with another factored matrix behind it, of the smaller rank of the two.
    ///
    /// # Errors
    /// The shapes do not fit together.
    pub fn matmul(&self, other: &Self) -> Result<Self> {
        let middle = self.B.contiguous()?.matmul(&other.A.contiguous()?)?; // [.., rank, rank]
        match self.rank() > other.rank() {
            true => Self::new(&self.A.contiguous()?.matmul(&middle)?, &other.B),
            false => Self::new(&self.A, &middle.matmul(&other.B.contiguous()?)?),
        }
    }

    /// The product with a matrix `[right, n]` behind it, for every leading index.
    ///
    /// # Errors
    /// The shapes do not fit together.
    pub fn matmul_right(&self, matrix: &Tensor) -> Result<Self> {
        Self::new(
            &self.A,
            &self
                .B
                .contiguous()?
                .broadcast_matmul(&matrix.contiguous()?)?,
        )
    }

    /// The product with a matrix `[n, left]` before it, for every leading index.
    ///
    /// # Errors
    /// The shapes do not fit together.
    pub fn matmul_left(&self, matrix: &Tensor) -> Result<Self> {
        Self::new(
            &matrix
                .contiguous()?
                .broadcast_matmul(&self.A.contiguous()?)?,
            &self.B,
        )
    }

    /// The Frobenius norm of each matrix, of the shape of the leading dimensions: the root of the sum
    /// of squares, through `A^T A` and `B B^T`, which are small.
    ///
    /// # Errors
    /// There is no room for the small products.
    pub fn norm(&self) -> Result<Tensor> {
        let (A, B) = (self.A.contiguous()?, self.B.contiguous()?);
        let of_A = A
            .transpose(D::Minus2, D::Minus1)?
            .contiguous()?
            .matmul(&A)?; // [.., rank, rank]
        let of_B = B.matmul(&B.transpose(D::Minus2, D::Minus1)?.contiguous()?)?;
        let squares = (of_A * of_B.transpose(D::Minus2, D::Minus1)?)?
            .sum(D::Minus1)?
            .sum(D::Minus1)?;
        Ok(squares.relu()?.sqrt()?)
    }

    /// The singular value decomposition of each matrix.
    ///
    /// # Errors
    /// The iteration does not converge, as with values that are not finite.
    pub fn svd(&self) -> Result<Svd> {
        let (leading, left, right) = self.sizes();
        let rank = self.rank().min(left).min(right);
        let (mut U, mut S, mut Vh) = (Vec::new(), Vec::new(), Vec::new());
        for (A, B) in self.matrices()? {
            // The decomposition of the small matrix between the two orthogonal ones.
            let (of_A, of_B) = (A.qr(), B.transpose().qr());
            let small = of_A.r() * of_B.r().transpose();
            let found = small.try_svd(true, true, f64::EPSILON, 0);
            let Some((u, v_t)) = found
                .as_ref()
                .and_then(|svd| Some((svd.u.as_ref()?, svd.v_t.as_ref()?)))
            else {
                return Err(not_finite());
            };
            let values = found.as_ref().map(|svd| svd.singular_values.clone());
            let Some(values) = values else {
                return Err(not_finite());
            };
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
            order.truncate(rank);
            let (u, v) = (of_A.q() * u, of_B.q() * v_t.transpose());
            S.extend(order.iter().map(|at| values[*at]));
            for row in 0..left {
                U.extend(order.iter().map(|at| u[(row, *at)]));
            }
            for at in &order {
                Vh.extend((0..right).map(|column| v[(column, *at)]));
            }
        }
        Ok(Svd {
            U: self.tensor(U, &leading, &[left, rank])?,
            S: self.tensor(S, &leading, &[rank])?,
            Vh: self.tensor(Vh, &leading, &[rank, right])?,
        })
    }

    /// The eigenvalues of each matrix that are not 0 for its rank alone: those of [`FactoredMatrix::BA`].
    ///
    /// # Errors
    /// The matrix is not square, or the iteration does not converge.
    pub fn eigenvalues(&self) -> Result<Eigenvalues> {
        let (leading, _, _) = self.sizes();
        let rank = self.rank();
        let (mut re, mut im) = (Vec::new(), Vec::new());
        for small in on_host(&self.BA()?)? {
            let schur = small.try_schur(f64::EPSILON, 0).ok_or_else(not_finite)?;
            let mut values: Vec<_> = schur.complex_eigenvalues().iter().copied().collect();
            values.sort_by(|a, b| {
                b.norm_sqr()
                    .total_cmp(&a.norm_sqr())
                    .then(b.im.total_cmp(&a.im))
            });
            re.extend(values.iter().map(|value| value.re));
            im.extend(values.iter().map(|value| value.im));
        }
        Ok(Eigenvalues {
            re: self.tensor(re, &leading, &[rank])?,
            im: self.tensor(im, &leading, &[rank])?,
        })
    }

    /// `diag(S) Vh`, `[.., rank, right]`: the matrix without the orthogonal factor on its left, which
    /// norms and angles on the right do not see.
    ///
    /// # Errors
    /// As [`FactoredMatrix::svd`].
    pub fn collapse_l(&self) -> Result<Tensor> {
        let svd = self.svd()?;
        Ok(svd.Vh.broadcast_mul(&svd.S.unsqueeze(D::Minus1)?)?)
    }

    /// `U diag(S)`, `[.., left, rank]`: the matrix without the orthogonal factor on its right.
    ///
    /// # Errors
    /// As [`FactoredMatrix::svd`].
    pub fn collapse_r(&self) -> Result<Tensor> {
        let svd = self.svd()?;
        Ok(svd.U.broadcast_mul(&svd.S.unsqueeze(D::Minus2)?)?)
    }

    fn sizes(&self) -> (Vec<usize>, usize, usize) {
        let mut leading = self.dims();
        let (right, left) = (leading.pop().unwrap_or(0), leading.pop().unwrap_or(0));
        (leading, left, right)
    }

    fn matrices(&self) -> Result<Vec<(DMatrix<f64>, DMatrix<f64>)>> {
        Ok(on_host(&self.A)?
            .into_iter()
            .zip(on_host(&self.B)?)
            .collect())
    }

    /// Numbers of all leading indices, of the factors' type on their device.
    fn tensor(&self, numbers: Vec<f64>, leading: &[usize], shape: &[usize]) -> Result<Tensor> {
        let shape = [leading, shape].concat();
        let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu)?;
        Ok(tensor
            .to_dtype(self.A.dtype())?
            .to_device(self.A.device())?)
    }
}

impl Eigenvalues {
    /// How much a matrix copies what it reads: the sum of its eigenvalues over the sum of their
    /// magnitudes, between -1 and 1, of the shape of the leading dimensions (Elhage et al. 2021).
    ///
    /// # Errors
    /// There is no room for the sums.
    pub fn copying_score(&self) -> Result<Tensor> {
        let magnitudes = (self.re.sqr()? + self.im.sqr()?)?.sqrt()?;
        Ok((self.re.sum(D::Minus1)? / magnitudes.sum(D::Minus1)?)?)
    }
}

/// All matrices of a tensor `[.., rows, columns]`.
fn on_host(tensor: &Tensor) -> Result<Vec<DMatrix<f64>>> {
    let (rows, columns) = (tensor.dim(D::Minus2)?, tensor.dim(D::Minus1)?);
    let numbers = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let numbers = numbers.flatten_all()?.to_vec1::<f64>()?;
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(not_finite());
    }
    let of = |numbers: &[f64]| DMatrix::from_row_slice(rows, columns, numbers);
    Ok(numbers
        .chunks_exact((rows * columns).max(1))
        .map(of)
        .collect())
}

fn not_finite() -> Error {
    Error::new("the matrix holds values that are not finite, so it cannot be decomposed.")
}

impl fmt::Debug for FactoredMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FactoredMatrix({:?}, rank {})", self.dims(), self.rank())
    }
}
