//! Transformers with named hook points: load one, run it, look inside, change what it computes.
//!
//! The vocabulary is TransformerLens's. A model is immutable; hooks and caches belong to one run.

// The field's symbols (W_Q, b_O) are the names of weights.
#![allow(non_snake_case)]

mod arch;
mod backward;
mod cache;
mod config;
mod filter;
mod generate;
mod hooks;
mod input;
pub(crate) mod load;
mod loss;
mod names;
mod padded;
mod parts;
mod pass;
mod process;
mod residual;
mod run;
mod splice;
mod text;
mod tokenizer;
mod transformer;
mod weight_access;
mod weights;

pub use cache::ActivationCache;
pub use config::{
    Activation, Architecture, Config, Normalization, Positions, Rotary, RotaryScaling,
};
pub use filter::{All, IntoFilter, NamesFilter};
pub use generate::{Generate, Generation};
pub use hooks::{HookOutput, Hooks};
pub use input::Input;
pub use load::{Best, LoadOptions, default_device, model_names};
pub use names::{HookPoint, Inner, PointName, Site, get_act_name};
pub(crate) use padded::Padded;
pub(crate) use parts::KeyValueCache;
pub(crate) use pass::Step;
pub use residual::{Answer, ResidOptions, ResidualStack};
pub use run::{BackwardPass, Run};
pub(crate) use splice::{Seen, Splice};
pub use text::Occurrence;
pub use tokenizer::{PaddingSide, TokenOptions, Tokenizer};
pub use transformer::HookedTransformer;
