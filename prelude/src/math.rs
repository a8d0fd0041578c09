//! Numbers that know no model: kernels for the CPU, slices, top-k, sampling.

mod activation;
mod exp;
pub(crate) mod gradient;
mod rows;
mod sample;
mod slice;
mod softmax;

pub use activation::gelu_new;
pub(crate) use rows::is_plain;
pub use sample::{Sampler, top_k_of};
pub use slice::{Fill, Span, set_at, set_slice};
pub(crate) use softmax::{causal_scores, causal_softmax};
pub use softmax::{log_softmax, log_sum_exp, softmax};
