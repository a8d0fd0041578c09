//! What a model is run over: texts, tokens, batches, and the activations that come of them.
//!
//! | I want to… | use |
//! | --- | --- |
//! | read texts | [`Texts`] |
//! | have the model write them | [`Texts::written_by`] |
//! | have them as tokens of a model | [`Corpus`], [`CorpusOptions`], [`Packing`] |
//! | stream the activations of a hook point | [`Corpus::activations`] |
//! | train on them, mixed | [`Activations::mixed`], [`MixingBuffer`] |
//!
//! What takes long is kept on disk: in the folder that the environment variable `FERROLENS_CACHE`
//! names, else in `ferrolens` in the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`).

mod activations;
mod batches;
mod buffer;
mod corpus;
mod fingerprint;
mod options;
mod packing;
mod record;
mod shards;
mod store;
mod texts;
mod written;

pub use activations::{ActivationBatch, ActivationTensors, Activations};
pub use batches::{Batches, TokenBatch};
pub use buffer::{MixOptions, MixingBuffer};
pub use corpus::Corpus;
pub use options::{CorpusOptions, Packing};
pub use texts::{Split, Texts};

pub(crate) use activations::{by_position, chosen};
pub(crate) use batches::{Kept, Window};
pub(crate) use fingerprint::{Fingerprint, of_model};
pub(crate) use record::{Array, Record};
pub(crate) use store::cache_folder;
