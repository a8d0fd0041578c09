//! The checks of the lessons `notebooks/10_lesson_first_hooks.ipynb` and `11_lesson_saes.ipynb`.
//!
//! A lesson asks; an answer goes to the check of its exercise, and what comes back is a [`Verdict`]: right, or what is
//! wrong with it. A check computes what it compares with from the model that it was given, so that it holds for any
//! model, and looks for the usual slips: another position, another hook point, a sum in place of a mean.
//!
//! | lesson | checks |
//! | --- | --- |
//! | 10, first hooks | [`FirstHooks`] |
//! | 11, sparse autoencoders | [`FirstSaes`] |

mod first_hooks;
mod first_saes;
mod tensors;
mod verdict;

pub use first_hooks::FirstHooks;
pub use first_saes::FirstSaes;
pub use verdict::Verdict;

#[cfg(test)]
mod tests;
