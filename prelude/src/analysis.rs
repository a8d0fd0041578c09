//! Questions about a model, answered as labelled data. What the answers look like is `display`'s.

mod components;
mod composition;
mod heads;
pub mod latents;
mod prompt;

pub use composition::Composition;
pub use heads::{DetectHead, ErrorMeasure, HeadPattern, detection_pattern};
pub use latents::{
    Activating, ActivationHistogram, Examples, LatentDashboard, LatentExample, LatentExamples,
    LatentSweep, MaxActivations, Occurrences, Sweep, TokenOccurrences,
};
pub use prompt::{AnswerToken, PromptTest, TestPrompt, TopToken};
