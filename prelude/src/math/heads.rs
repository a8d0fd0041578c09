//! The two matrix products of attention, head by head, on the CPU.
//!
//! Each head is a small product of its own: here cores take heads and blocks of queries, where candle has
//! them share each product. Queries, keys and values are read where they lie, and what lies behind the
//! diagonal is left out. The products are the crate `gemm`'s.

use super::rows::is_plain;
use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;

/// How many queries are multiplied at once.
const BLOCK: usize = 128;
/// Below this many multiplications one core is faster than waking the others.
const WORTH_SHARING: usize = 48 * 48 * 256;

/// Whether tensors `[batch, pos, head, d_head]` can be multiplied here.
pub(crate) fn are_plain(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| {
        is_plain(tensor)
            && tensor.rank() == 4
            && tensor.stride().last() == Some(&1)
            && tensor.dims().iter().all(|size| *size > 0)
    })
}

/// `q k^T`, `[batch, head, query, key]`, for queries `[batch, query, head, d_head]` and keys `[batch, key,
/// head, d_head]`; query heads may share keys. A query sees `past` keys, those before it and its own: what
/// lies behind is not multiplied, and may be anything that is finite.
///
/// Only for what [`are_plain`].
pub(crate) fn scores(q: &Tensor, k: &Tensor, past: usize) -> Result<Tensor> {
    let (batch, queries, heads, d_head) = q.dims4()?;
    let (_, keys, shared, _) = k.dims4()?;
    check(q, k)?;
    let mut out = vec![0f32; batch * heads * queries * keys];
    let to = Target(out.as_mut_ptr());
    with_values(q, |q, of_q| {
        with_values(k, |k, of_k| {
            for_each_block(batch * heads, queries, d_head * keys, |of, first, count| {
                let (row, head) = (of / heads, of % heads);
                let seen = (past + first + count).min(keys);
                let q = &q[of_q.at(row, first, head)..];
                let k = &k[of_k.at(row, 0, head * shared / heads)..];
                // SAFETY: reads `count` rows of `d_head` numbers of `q` and `seen` of `k`, as far apart as
                // positions are, all inside the two slices; writes `seen` numbers in each of `count` rows of
                // `out`, which are this block's alone. `out` outlives the call.
                unsafe {
                    gemm::gemm(
                        count,
                        seen,
                        d_head,
                        to.at((of * queries + first) * keys),
                        1,
                        keys.cast_signed(),
                        false,
                        q.as_ptr(),
                        1,
                        of_q.pos.cast_signed(),
                        k.as_ptr(),
                        of_k.pos.cast_signed(),
                        1,
                        0f32,
                        1f32,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
            });
        })
    })??;
    Tensor::from_vec(out, (batch, heads, queries, keys), q.device())
}

/// `pattern v`, `[batch, query, head, d_head]`, for a pattern `[batch, head, query, key]` and values
/// `[batch, key, head, d_head]`; query heads may share values. With `past`, a query's pattern is 0 behind so
/// many keys, those before it and its own.
///
/// Only for what [`are_plain`].
pub(crate) fn mix(pattern: &Tensor, v: &Tensor, past: Option<usize>) -> Result<Tensor> {
    let (batch, heads, queries, keys) = pattern.dims4()?;
    let (_, of_keys, shared, d_head) = v.dims4()?;
    if of_keys != keys || v.dim(0)? != batch || heads % shared != 0 {
        bail!(
            "a pattern of shape {:?} does not fit values of shape {:?}",
            pattern.dims(),
            v.dims()
        )
    }
    let pattern = pattern.contiguous()?;
    let mut out = vec![0f32; batch * queries * heads * d_head];
    let to = Target(out.as_mut_ptr());
    with_values(&pattern, |pattern, _| {
        with_values(v, |v, of_v| {
            for_each_block(batch * heads, queries, d_head * keys, |of, first, count| {
                let (row, head) = (of / heads, of % heads);
                let seen = past.map_or(keys, |past| (past + first + count).min(keys));
                let pattern = &pattern[(of * queries + first) * keys..];
                let v = &v[of_v.at(row, 0, head * shared / heads)..];
                // SAFETY: reads `count` rows of `seen` numbers of the pattern, `keys` apart, and `seen` rows
                // of `d_head` numbers of `v`, as far apart as positions are, all inside the two slices;
                // writes `d_head` numbers for each of `count` queries of one head, which are this block's
                // alone. `out` outlives the call.
                unsafe {
                    gemm::gemm(
                        count,
                        d_head,
                        seen,
                        to.at(((row * queries + first) * heads + head) * d_head),
                        1,
                        (heads * d_head).cast_signed(),
                        false,
                        pattern.as_ptr(),
                        1,
                        keys.cast_signed(),
                        v.as_ptr(),
                        1,
                        of_v.pos.cast_signed(),
                        0f32,
                        1f32,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
            });
        })
    })??;
    Tensor::from_vec(out, (batch, queries, heads, d_head), v.device())
}

fn check(q: &Tensor, k: &Tensor) -> Result<()> {
    let (of_q, of_k) = (q.dims4()?, k.dims4()?);
    if of_q.0 != of_k.0 || of_q.3 != of_k.3 || of_q.2 % of_k.2 != 0 {
        bail!(
            "queries of shape {:?} do not fit keys of shape {:?}",
            q.dims(),
            k.dims()
        )
    }
    Ok(())
}

/// Calls `function(product, first query, queries)` for the blocks of so many products.
fn for_each_block(
    products: usize,
    queries: usize,
    work_of_a_query: usize,
    function: impl Fn(usize, usize, usize) + Send + Sync,
) {
    let blocks = queries.div_ceil(BLOCK);
    let one = |at: usize| {
        let (product, first) = (at / blocks, at % blocks * BLOCK);
        function(product, first, BLOCK.min(queries - first));
    };
    let work = (products * queries).saturating_mul(work_of_a_query);
    match work >= WORTH_SHARING {
        true => (0..products * blocks).into_par_iter().for_each(one),
        false => (0..products * blocks).for_each(one),
    }
}

/// How far apart in memory things lie.
#[derive(Clone, Copy)]
struct Steps {
    batch: usize,
    pos: usize,
    head: usize,
}

impl Steps {
    fn of(layout: &Layout) -> Self {
        match layout.stride() {
            [batch, pos, head, _] => Self {
                batch: *batch,
                pos: *pos,
                head: *head,
            },
            _ => Self {
                batch: 0,
                pos: 0,
                head: 0,
            },
        }
    }

    fn at(self, row: usize, pos: usize, head: usize) -> usize {
        row * self.batch + pos * self.pos + head * self.head
    }
}

fn with_values<R>(tensor: &Tensor, function: impl FnOnce(&[f32], Steps) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Ok(function(
            &values[layout.start_offset()..],
            Steps::of(layout),
        )),
        _ => bail!("attention is not f32 on the CPU"),
    }
}

/// Where blocks write, each to places of its own.
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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn random(shape: &[usize]) -> Tensor {
        Tensor::randn(0f32, 1., shape, &Device::Cpu).unwrap()
    }

    fn repeated(x: &Tensor, heads: usize) -> Tensor {
        let shared = x.dim(2).unwrap();
        let ids: Vec<u32> = (0..heads)
            .map(|head| (head * shared / heads) as u32)
            .collect();
        let ids = Tensor::new(ids, &Device::Cpu).unwrap();
        x.contiguous().unwrap().index_select(&ids, 2).unwrap()
    }

    /// 1 where a query sees a key.
    fn seen(queries: usize, keys: usize) -> Tensor {
        let past = keys - queries;
        let seen = |at: usize| f32::from(u8::from(at % keys <= past + at / keys));
        let values: Vec<f32> = (0..queries * keys).map(seen).collect();
        Tensor::from_vec(values, (1, 1, queries, keys), &Device::Cpu).unwrap()
    }

    fn close(found: &Tensor, wanted: &Tensor) {
        assert_eq!(found.dims(), wanted.dims());
        let difference = (found - wanted).unwrap().abs().unwrap();
        let most = difference.flatten_all().unwrap().max(0).unwrap();
        assert!(most.to_scalar::<f32>().unwrap() < 1e-4);
    }

    #[test]
    fn they_are_the_products() {
        for (batch, queries, past, heads, shared, d_head) in [
            (1, 1, 0, 1, 1, 4),
            (2, 5, 3, 4, 2, 8),
            (1, 300, 0, 3, 3, 16),
            (2, 130, 70, 6, 1, 48),
        ] {
            let keys = past + queries;
            // As a fused projection leaves them: side by side.
            let all = random(&[batch, keys, heads + 2 * shared, d_head]);
            let q = all
                .narrow(2, 0, heads)
                .unwrap()
                .narrow(1, past, queries)
                .unwrap();
            let k = all.narrow(2, heads, shared).unwrap();
            let v = all.narrow(2, heads + shared, shared).unwrap();
            assert!(are_plain(&[&q, &k, &v]));
            let mask = seen(queries, keys);
            let found = scores(&q, &k, past).unwrap().broadcast_mul(&mask).unwrap();
            let by_head = |x: &Tensor| x.transpose(1, 2).unwrap().contiguous().unwrap();
            let k = by_head(&repeated(&k, heads));
            let wanted = by_head(&q).matmul(&k.t().unwrap()).unwrap();
            close(&found, &wanted.broadcast_mul(&mask).unwrap());

            let pattern = random(&[batch, heads, queries, keys]);
            let of = |pattern: &Tensor| {
                let z = pattern.matmul(&by_head(&repeated(&v, heads))).unwrap();
                z.transpose(1, 2).unwrap().contiguous().unwrap()
            };
            close(&mix(&pattern, &v, None).unwrap(), &of(&pattern));
            let causal = pattern.broadcast_mul(&mask).unwrap();
            close(&mix(&causal, &v, Some(past)).unwrap(), &of(&causal));
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let q = random(&[1, 3, 4, 8]);
        assert!(scores(&q, &random(&[1, 3, 3, 8]), 0).is_err());
        assert!(scores(&q, &random(&[2, 3, 4, 8]), 0).is_err());
        assert!(mix(&random(&[1, 4, 3, 5]), &q, None).is_err());
        assert!(!are_plain(&[&q.to_dtype(DType::F64).unwrap()]));
        assert!(!are_plain(&[&q.transpose(2, 3).unwrap()]));
    }
}
