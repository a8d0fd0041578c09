//! Numbers that know no model: kernels for the CPU, slices, factored matrices, top-k, sampling, means with intervals, lines.

// The names of a decomposition are its symbols.
#![allow(non_snake_case)]

mod activation;
mod columns;
mod erf;
mod estimate;
mod exp;
mod factored;
pub(crate) mod gradient;
pub(crate) mod heads;
mod normalize;
mod panels;
mod regression;
mod row;
mod rows;
mod sample;
mod slice;
mod softmax;

pub use activation::{gelu, gelu_new, silu};
pub(crate) use columns::times_columns;
pub use estimate::Estimate;
pub use factored::{Eigenvalues, FactoredMatrix, Svd};
pub(crate) use normalize::Normalize;
pub(crate) use panels::Panels;
pub use regression::LinearFit;
pub(crate) use regression::shown as shown_p_value;
pub(crate) use rows::{is_plain, map_rows, rows_to, update_rows};
pub use sample::{Sampler, top_k_of};
pub use slice::{Fill, Slice, Span, Spans, set_at, set_slice};
pub(crate) use softmax::{causal_scores, causal_softmax};
pub use softmax::{log_softmax, log_sum_exp, softmax};
