//! The names that a notebook imports: `use ferrolens::prelude::*;`.
//!
//! One a line, grouped by the question that they answer.

// What is a tensor, and where does it live?
pub use candle_core::D;
pub use candle_core::DType;
pub use candle_core::Device;
pub use candle_core::IndexOp;
pub use candle_core::Tensor;

// What does the model compute, and where can I look inside?
pub use crate::model::ActivationCache;
pub use crate::model::All;
pub use crate::model::Best as _;
pub use crate::model::Config;
pub use crate::model::HookPoint;
pub use crate::model::HookedTransformer;
pub use crate::model::LoadOptions;
pub use crate::model::NamesFilter;
pub use crate::model::Run;
pub use crate::model::model_names;

// What if it computed something else?
pub use crate::intervene::ErrorTerm;
pub use crate::intervene::Intervention;
pub use crate::intervene::Removal;
pub use crate::intervene::Restore;
pub use crate::intervene::Strength;
pub use crate::math::Slice as _;
pub use crate::math::Span;
pub use crate::math::set_at;
pub use crate::math::set_slice;
pub use crate::model::Hooks;

// What did that do further down?
pub use crate::analysis::Downstream;
pub use crate::analysis::EffectComparison;
pub use crate::analysis::Effects;
pub use crate::analysis::Norms;
pub use crate::math::Estimate;
pub use crate::math::LinearFit;

// How far does the output move when an activation is pushed, and what is washed out?
pub use crate::analysis::Direction;
pub use crate::analysis::LayerHorizon;
pub use crate::analysis::Readout;
pub use crate::analysis::Sensitivity;
pub use crate::analysis::SensitivityCurves;

// Which latents are active, and what do they write?
pub use crate::analysis::ActiveLatents;
pub use crate::sae::Gate;
pub use crate::sae::RunWithSaes as _;
pub use crate::sae::Sae;
pub use crate::sae::SaeConfig;
pub use crate::sae::SaeLoadOptions;
pub use crate::sae::SaeSplice;
pub use crate::sae::TopActs;
pub use crate::sae::sae_releases;
pub use crate::sae::train::ActivationSource;
pub use crate::sae::train::Penalty;
pub use crate::sae::train::SaeTrainer;
pub use crate::sae::train::TrainConfig;
pub use crate::sae::train::TrainingCourse;

// How good is an autoencoder, and what are its directions like?
pub use crate::analysis::Composites;
pub use crate::analysis::CosineHistogram;
pub use crate::analysis::covariance_matched_directions;
pub use crate::analysis::isotropic_directions;
pub use crate::sae::metrics::LossMetrics;
pub use crate::sae::metrics::SaeComparison;
pub use crate::sae::metrics::SaeEvaluation;
pub use crate::sae::metrics::SaeMetrics;

// What are the latents active on, over a corpus?
pub use crate::analysis::Examples;
pub use crate::analysis::LatentDashboard;
pub use crate::analysis::LatentExamples;
pub use crate::analysis::LatentSweep;
pub use crate::analysis::Occurrences;
pub use crate::analysis::Sweep;
pub use crate::data::Activations;
pub use crate::data::Corpus;
pub use crate::data::CorpusOptions;
pub use crate::data::MixOptions;
pub use crate::data::MixingBuffer;
pub use crate::data::Packing;
pub use crate::data::Texts;

// Which parts wrote what, and what pulls where?
pub use crate::analysis::Composition;
pub use crate::analysis::DetectHead;
pub use crate::analysis::DetectionPattern;
pub use crate::analysis::ErrorMeasure;
pub use crate::analysis::HeadPattern;
pub use crate::analysis::PromptTest;
pub use crate::analysis::TestPrompt;
pub use crate::math::FactoredMatrix;
pub use crate::model::Answer;
pub use crate::model::BackwardPass;
pub use crate::model::ResidOptions;
pub use crate::model::ResidualStack;

// How likely is each?
pub use crate::math::log_softmax;
pub use crate::math::softmax;
pub use crate::math::top_k_of;

// What does one prediction come from, and what if a part were not there?
pub use crate::analysis::AnswerTable;
pub use crate::analysis::Average;
pub use crate::analysis::Inactive;
pub use crate::analysis::LossIncreases;
pub use crate::analysis::Predictions;
pub use crate::analysis::UpstreamEffects;

// What are the tokens, and what comes next?
pub use crate::model::Generate;
pub use crate::model::Generation;
pub use crate::model::Occurrence;
pub use crate::model::PaddingSide;
pub use crate::model::TokenOptions;
pub use crate::model::Tokenizer;

// What went wrong?
pub use crate::Error;
pub use crate::Result;

// How do I show this?
pub use crate::display::DisplayHandle;
pub use crate::display::Html;
pub use crate::display::Javascript;
pub use crate::display::Jpeg;
pub use crate::display::Json;
pub use crate::display::Latex;
pub use crate::display::LiveTraining;
pub use crate::display::Markdown;
pub use crate::display::Png;
pub use crate::display::Svg;
pub use crate::display::clear_output;
pub use crate::display::display;
pub use crate::display::progress;
pub use crate::emit::Bundle;
pub use crate::emit::Rich;

// How do I let the reader move something?
pub use crate::display::Progress;
pub use crate::display::widgets::AsDebug;
pub use crate::display::widgets::Control;
pub use crate::display::widgets::Interact;
pub use crate::display::widgets::Output;
pub use crate::display::widgets::Widget;
pub use crate::display::widgets::accordion;
pub use crate::display::widgets::button;
pub use crate::display::widgets::checkbox;
pub use crate::display::widgets::dropdown;
pub use crate::display::widgets::float_log_slider;
pub use crate::display::widgets::float_progress;
pub use crate::display::widgets::float_slider;
pub use crate::display::widgets::hbox;
pub use crate::display::widgets::html;
pub use crate::display::widgets::int_progress;
pub use crate::display::widgets::int_slider;
pub use crate::display::widgets::interact;
pub use crate::display::widgets::label;
pub use crate::display::widgets::link;
pub use crate::display::widgets::output;
pub use crate::display::widgets::selection_slider;
pub use crate::display::widgets::tab;
pub use crate::display::widgets::text_field;
pub use crate::display::widgets::textarea;
pub use crate::display::widgets::toggle_buttons;
pub use crate::display::widgets::vbox;

// What does it look like as a figure?
pub use crate::display::ColourScale;
pub use crate::display::Normalise;
pub use crate::display::Numbers;
pub use crate::display::PlotOptions;
pub use crate::display::bar;
pub use crate::display::boxes;
pub use crate::display::coloured_tokens;
pub use crate::display::heatmap;
pub use crate::display::histogram;
pub use crate::display::init_plotly;
pub use crate::display::line;
pub use crate::display::scatter;
pub use crate::display::scatter_groups;
pub use plotly::Layout;
pub use plotly::Plot;

// How do I work with tables?
pub use polars::df;
pub use polars::prelude::Column;
pub use polars::prelude::DataFrame;
pub use polars::prelude::IntoLazy;
pub use polars::prelude::LazyFrame;
pub use polars::prelude::NamedFrom;
pub use polars::prelude::Series;
pub use polars::prelude::SortMultipleOptions;
pub use polars::prelude::col;
pub use polars::prelude::lit;

// How do I ask the reader, and stop when they ask?
pub use crate::emit::check_interrupt;
pub use crate::emit::input;
pub use crate::emit::password;

// How long does it take?
pub use crate::timeit;

// Where is the rest of a library?
pub use candle_core;
pub use candle_nn;
pub use candle_transformers;
pub use plotly;
pub use polars;
pub use rand;
pub use rayon;
pub use serde_json;
pub use tokenizers;

// How is the last expression of a cell shown?
pub use crate::emit::EvcxrDisplay as _;
pub use crate::emit::IntoLast as _;
pub use crate::emit::LastRich as _;
