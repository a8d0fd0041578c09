//! Training autoencoders on the activations of a model.
//!
//! | I want to… | use |
//! | --- | --- |
//! | train on a model and texts | [`SaeTrainer::for_hook`], [`SaeTrainer::for_hooks`] |
//! | train on activations that I have | [`SaeTrainer::new`] with an [`ActivationSource`] |
//! | choose a gate, a loss, a schedule | [`TrainConfig`] |
//! | train with several penalties, for a Pareto curve | [`SaeTrainer::sweep`] |
//! | measure on other texts while it trains | [`SaeTrainer::run_measured`], a [`TrainingCourse`] |
//! | train, stop, look, go on | [`SaeTrainer::run`], [`SaeTrainer::sae`], [`SaeTrainer::history`] |
//! | go on after the notebook was closed | [`SaeTrainer::save_checkpoint`], [`SaeTrainer::load_checkpoint`] |

mod adam;
mod auxiliary;
mod backward;
mod buffer;
mod checkpoint;
mod config;
mod course;
mod dead;
mod decoder;
mod entries;
mod gates;
mod history;
mod initial;
mod lane;
mod noise;
mod parameters;
mod penalty;
mod random;
mod schedule;
mod slices;
mod source;
mod sweep;
mod trainer;

pub use config::{
    BiasStart, DecoderNorm, GateTraining, JumpReluTraining, L0Loss, PenaltyScale, Resampling,
    TrainConfig,
};
pub use course::TrainingCourse;
pub use history::{Metrics, Observer};
pub use penalty::Penalty;
pub use schedule::Decay;
pub use source::ActivationSource;
pub use trainer::SaeTrainer;
