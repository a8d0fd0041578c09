//! Questions about a model, answered as labelled data. What the answers look like is `display`'s.

mod components;
mod composition;
mod heads;
mod next_tokens;
mod prompt;

pub use composition::Composition;
pub use heads::{DetectHead, DetectionPattern, ErrorMeasure, HeadPattern, detection_pattern};
pub use prompt::{AnswerToken, Answers, PromptTest, TestPrompt, TopToken};
