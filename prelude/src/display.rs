//! What values look like: the only room that knows about colours, HTML and axis titles.
//!
//! | I want to… | use |
//! | --- | --- |
//! | show a value in the middle of a cell | [`display()`] |
//! | show HTML, Markdown, an image | [`Html`], [`Markdown`], [`Latex`], [`Svg`], [`Png`], [`Jpeg`], [`Json`] |
//! | plot a tensor | [`heatmap`], [`line`](line()), [`bar`], [`scatter`], [`scatter_groups`], [`histogram`], [`boxes`] |
//! | colour tokens by a value | [`coloured_tokens`] |
//! | see how far a loop is | [`progress`](progress()) |
//! | show how far other work is | [`Progress`] |
//! | let the reader move something | [`widgets`] |
//! | see a training as it runs | [`LiveTraining`] |
//! | have plots in an exported page without a network | [`init_plotly`] |
//!
//! Tensors, data frames, series and plotly's [`Plot`](plotly::Plot) show themselves.

mod attributions;
mod comparisons;
mod effects;
mod escape;
mod figure;
mod handle;
mod latents;
mod legacy;
mod library;
mod media;
mod norms;
mod numbers;
mod plots;
mod prompts;
mod reports;
mod sensitivity;
mod static_picture;
mod tables;
mod tensors;
mod text;
mod tokens;
mod training;
mod variables;
mod verdicts;
pub mod widgets;

pub use crate::emit::{Progress, ProgressIter, progress};
pub use handle::{DisplayHandle, clear_output, display};
pub use library::init_plotly;
pub use media::{Html, Javascript, Jpeg, Json, Latex, Markdown, Png, Svg};
pub use numbers::Numbers;
pub use plots::{
    ColourScale, Normalise, PlotOptions, bar, boxes, heatmap, histogram, line, scatter,
    scatter_groups, token_label,
};
pub use tokens::{ColouredTokens, coloured_tokens};
pub use training::LiveTraining;
