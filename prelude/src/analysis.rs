//! Questions about a model, answered as labelled data. What the answers look like is `display`'s.

mod components;
mod composition;
pub mod directions;
pub mod effects;
mod heads;
mod horizon;
mod last_step;
pub mod latents;
mod next_tokens;
mod norms;
pub mod predictions;
mod prompt;
pub mod sensitivity;

pub use composition::Composition;
pub use directions::{
    Composites, CosineHistogram, DecoderCosines, LatentPairs, LatentRanking, LatentTokens,
    SparseCombination, TokenWeight, covariance, covariance_matched_directions,
    difference_directions, isotropic_directions,
};
pub use effects::{Downstream, EffectComparison, Effects};
pub use heads::{DetectHead, DetectionPattern, ErrorMeasure, HeadPattern, detection_pattern};
pub use horizon::{HorizonRow, LayerHorizon};
pub use latents::{
    Activating, ActivationHistogram, ActiveLatents, Examples, LatentDashboard, LatentExample,
    LatentExamples, LatentSweep, MaxActivations, Occurrences, Sweep, TokenOccurrences,
};
pub use norms::Norms;
pub use predictions::{
    ActivePosition, AnswerActivations, AnswerChanges, AnswerOutcomes, AnswerTable, Average,
    ComponentAttributions, Inactive, LatentLinks, LossIncreases, Predictions, TokenBoosts,
    UpstreamEffect, UpstreamEffects,
};
pub use prompt::{AnswerToken, Answers, PromptTest, TestPrompt, TopToken};
pub use sensitivity::{Direction, Readout, Sensitivity, SensitivityCurve, SensitivityCurves};
