//! What a model is made of: sizes, family, and the choices in which families differ.

use crate::error::{Error, Result};
use std::fmt;
use std::ops::Range;

/// The sizes and choices of a model, in TransformerLens's words.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The name it was loaded by, such as `gpt2` or `stories-2l`.
    pub model_name: String,
    /// The family, which decides where weights and choices come from.
    pub architecture: Architecture,
    /// Number of blocks.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of query heads in each block.
    pub n_heads: usize,
    /// Number of key and value heads, where there are fewer than query heads.
    pub n_key_value_heads: Option<usize>,
    /// Width of each head.
    pub d_head: usize,
    /// Number of neurons in each block's MLP; 0 where blocks have none.
    pub d_mlp: usize,
    /// Number of tokens in the vocabulary.
    pub d_vocab: usize,
    /// Number of logits; the vocabulary's size but for some toy models.
    pub d_vocab_out: usize,
    /// The longest prompt, in tokens.
    pub n_ctx: usize,
    /// The MLP's activation function.
    pub activation: Activation,
    /// How norms work, and whether their weights were folded into the matrices after them.
    pub normalization: Normalization,
    /// What norms add to the variance before its square root.
    pub eps: f64,
    /// What attention scores are divided by: `sqrt(d_head)` for most models, 1 for GPT-Neo.
    pub attn_scale: f64,
    /// Whether block `i` divides its attention scores by `i + 1` as well.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// How a model knows where its tokens stand.
    pub positions: Positions,
    /// For each layer how many positions a query sees, its own among them; nothing for all that
    /// came before. An empty list: all layers see all.
    pub attn_windows: Vec<Option<usize>>,
    /// Whether blocks have attention only, and no MLP.
    pub attn_only: bool,
    /// Whether attention and MLP read the same residual stream, side by side.
    pub parallel_attn_mlp: bool,
    /// Whether there is a norm behind attention and behind the MLP as well as before.
    pub use_normalization_before_and_after: bool,
    /// Whether queries and keys go through an RMSNorm of each head.
    pub use_qk_norm: bool,
    /// Whether the last norm is RMSNorm where the others are LayerNorm.
    pub final_rms: bool,
    /// Whether the MLP has a gate: `act(x W_gate) * (x W_in)`.
    pub gated_mlp: bool,
    /// `cap * tanh(scores / cap)` before the mask, where there is a cap.
    pub attn_scores_soft_cap: Option<f64>,
    /// `cap * tanh(logits / cap)`, where there is a cap.
    pub output_logits_soft_cap: Option<f64>,
    /// Whether text gets a beginning-of-sequence token in front when it becomes tokens.
    pub default_prepend_bos: bool,
}

impl Config {
    /// The config of a GPT-2 with these sizes and that family's choices: `d_head = d_model /
    /// n_heads`, `d_mlp = 4 d_model`, `gelu_new`, LayerNorm with `eps = 1e-5`.
    pub fn gpt2(
        n_layers: usize,
        d_model: usize,
        n_heads: usize,
        d_vocab: usize,
        n_ctx: usize,
    ) -> Self {
        let d_head = d_model / n_heads.max(1);
        Self {
            model_name: "custom".to_owned(),
            architecture: Architecture::Gpt2,
            n_layers,
            d_model,
            n_heads,
            n_key_value_heads: None,
            d_head,
            d_mlp: 4 * d_model,
            d_vocab,
            d_vocab_out: d_vocab,
            n_ctx,
            activation: Activation::GeluNew,
            normalization: Normalization::LayerNorm,
            eps: 1e-5,
            attn_scale: (d_head as f64).sqrt(),
            scale_attn_by_inverse_layer_idx: false,
            positions: Positions::Learned,
            attn_windows: Vec::new(),
            attn_only: false,
            parallel_attn_mlp: false,
            use_normalization_before_and_after: false,
            use_qk_norm: false,
            final_rms: false,
            gated_mlp: false,
            attn_scores_soft_cap: None,
            output_logits_soft_cap: None,
            default_prepend_bos: true,
        }
    }

    /// Number of key and value heads.
    pub fn key_value_heads(&self) -> usize {
        self.n_key_value_heads.unwrap_or(self.n_heads)
    }

    /// How the last norm works, before the unembedding.
    pub fn final_normalization(&self) -> Normalization {
        match self.normalization {
            Normalization::LayerNorm if self.final_rms => Normalization::Rms,
            Normalization::LayerNormPre if self.final_rms => Normalization::RmsPre,
            same => same,
        }
    }

    /// How norms behind attention and behind the MLP work, where there are any. They are never folded,
    /// as no matrix reads them alone.
    pub(crate) fn normalization_behind(&self) -> Normalization {
        match self.normalization.centres() {
            true => Normalization::LayerNorm,
            false => Normalization::Rms,
        }
    }

    /// How many positions this layer's queries see; nothing for all that came before.
    pub fn attn_window(&self, layer: usize) -> Option<usize> {
        self.attn_windows.get(layer).copied().flatten()
    }

    /// Makes this the config of the model's first layers; which are left out.
    ///
    /// # Errors
    /// There are not as many, or none is left.
    pub(crate) fn keep_layers(&mut self, layers: usize) -> Result<Range<usize>> {
        if !(1..=self.n_layers).contains(&layers) {
            return Err(Error::new(format!(
                "first_n_layers is {layers}, but {} has {} layers: keep 1 to {}.",
                self.model_name, self.n_layers, self.n_layers
            )));
        }
        let left_out = layers..self.n_layers;
        self.n_layers = layers;
        self.attn_windows.truncate(layers);
        Ok(left_out)
    }

    /// Checks that the sizes can belong to one model.
    ///
    /// # Errors
    /// A size of zero, or fewer key-value heads than divide the query heads evenly.
    pub(crate) fn validate(&self) -> Result<()> {
        let sizes = [
            ("d_model", self.d_model),
            ("n_heads", self.n_heads),
            ("d_head", self.d_head),
            ("d_vocab", self.d_vocab),
            ("d_vocab_out", self.d_vocab_out),
            ("n_ctx", self.n_ctx),
        ];
        for (name, size) in sizes {
            if size == 0 {
                return Err(Error::new(format!(
                    "the config of {} has {name} = 0: every size must be at least 1.",
                    self.model_name
                )));
            }
        }
        if !self.attn_windows.is_empty() && self.attn_windows.len() != self.n_layers {
            return Err(Error::new(format!(
                "the config of {} says how far {} layers look back, but the model has {}.",
                self.model_name,
                self.attn_windows.len(),
                self.n_layers
            )));
        }
        let key_value_heads = self.key_value_heads();
        if key_value_heads == 0 || !self.n_heads.is_multiple_of(key_value_heads) {
            return Err(Error::new(format!(
                "the config of {} has {} heads and {key_value_heads} key-value heads: the first \
                 must be a multiple of the second.",
                self.model_name, self.n_heads
            )));
        }
        if let Positions::Rotary(rotary) = &self.positions
            && (rotary.dim == 0 || rotary.dim > self.d_head || !rotary.dim.is_multiple_of(2))
        {
            return Err(Error::new(format!(
                "the config of {} turns {} of the {} numbers of a head by position: it must be an \
                 even number of them.",
                self.model_name, rotary.dim, self.d_head
            )));
        }
        Ok(())
    }
}

/// How a model knows where its tokens stand.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Positions {
    /// A learned vector a position, added to the token's embedding.
    Learned,
    /// Queries and keys are turned by angles that grow with the position.
    Rotary(Rotary),
    /// A learned vector a position, which queries and keys read beside the residual stream (Press et
    /// al. 2021, arXiv 2012.15832).
    Shortformer,
}

/// A rotary position embedding (Su et al. 2021, arXiv 2104.09864).
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// How many numbers of each head are turned, from the first.
    pub dim: usize,
    /// Whether neighbours turn together, as in the paper; otherwise number `i` turns with number
    /// `i + dim / 2`.
    pub adjacent_pairs: bool,
    /// The base of the frequencies, 10,000 in the paper.
    pub base: f64,
    /// How frequencies are stretched for longer contexts.
    pub scaling: RotaryScaling,
}

/// How the frequencies of a rotary embedding are stretched.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RotaryScaling {
    /// They are not.
    None,
    /// All by the same factor.
    Linear {
        /// By how much positions are divided.
        factor: f64,
    },
    /// Llama 3.1's: slow frequencies by the factor, fast ones not, those between in part.
    Llama3 {
        /// By how much slow frequencies are divided.
        factor: f64,
        /// Wavelengths longer than the original context over this are slow.
        low_freq_factor: f64,
        /// Wavelengths shorter than the original context over this are fast.
        high_freq_factor: f64,
        /// The context that the model was first trained on.
        original_n_ctx: f64,
    },
}

impl Rotary {
    /// The angle by which each pair turns from one position to the next, `dim / 2` of them.
    pub(crate) fn frequencies(&self) -> Vec<f64> {
        let half = (self.dim / 2) as f64;
        let plain = (0..self.dim / 2).map(|pair| self.base.powf(-(pair as f64) / half));
        plain.map(|frequency| self.scaling.of(frequency)).collect()
    }
}

impl RotaryScaling {
    fn of(self, frequency: f64) -> f64 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_n_ctx,
            } => {
                let wavelengths = original_n_ctx * frequency / std::f64::consts::TAU;
                let smooth = (wavelengths - low_freq_factor) / (high_freq_factor - low_freq_factor);
                let smooth = smooth.clamp(0., 1.);
                (1. - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}

/// A family of models: where its config and its weights come from, one file in `load/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// GPT-2 (Radford et al. 2019): learned positions, LayerNorm before attention and MLP.
    Gpt2,
    /// GPT-Neo (Black et al. 2021): every other layer looks back over a window only.
    GptNeo,
    /// GPT-NeoX (Black et al. 2022) and Pythia: attention and MLP side by side, rotary positions.
    GptNeoX,
    /// Llama (Touvron et al. 2023) and SmolLM2.
    Llama,
    /// Mistral (Jiang et al. 2023): Llama that looks back over a window.
    Mistral,
    /// Qwen2 and Qwen2.5 (Qwen team 2024): Llama with biases on queries, keys and values.
    Qwen2,
    /// Qwen3 (Qwen team 2025): Llama with norms on queries and keys.
    Qwen3,
    /// Gemma (Gemma team 2024): Llama with scaled embeddings.
    Gemma,
    /// Gemma 2 (Gemma team 2024): norms also behind attention and MLP, soft caps.
    Gemma2,
    /// Models in TransformerLens's own format: Neel Nanda's gelu-1l, solu-2l, attn-only-3l, ..., and toy
    /// models.
    TransformerLens,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gpt2 => "GPT-2",
            Self::GptNeo => "GPT-Neo",
            Self::GptNeoX => "GPT-NeoX",
            Self::Llama => "Llama",
            Self::Gemma => "Gemma",
            Self::Gemma2 => "Gemma 2",
            Self::Mistral => "Mistral",
            Self::Qwen2 => "Qwen2",
            Self::Qwen3 => "Qwen3",
            Self::TransformerLens => "TransformerLens",
        })
    }
}

/// The activation function of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activation {
    /// `gelu_new`: the tanh approximation of GELU.
    GeluNew,
    /// GELU with the error function.
    Gelu,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`.
    Silu,
    /// `x softmax(x)`, over the neurons of a layer (Elhage et al. 2022).
    Solu,
    /// SoLU with a LayerNorm behind it.
    SoluLn,
}

impl Activation {
    /// The activation function that Hugging Face's configs call by this name.
    ///
    /// # Errors
    /// A name that no function here has.
    pub(crate) fn from_name(name: &str) -> Result<Self> {
        match name {
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Self::GeluNew),
            "gelu" => Ok(Self::Gelu),
            "relu" => Ok(Self::Relu),
            "silu" | "swish" => Ok(Self::Silu),
            "solu" => Ok(Self::Solu),
            "solu_ln" => Ok(Self::SoluLn),
            other => Err(Error::new(format!(
                "the activation function `{other}` is not known: gelu_new, gelu_pytorch_tanh, \
                 gelu, relu, silu, solu and solu_ln are."
            ))),
        }
    }
}

/// How a model's norms work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Normalization {
    /// LayerNorm: centre, divide by the standard deviation, scale by `w`, add `b`.
    LayerNorm,
    /// LayerNorm without `w` and `b`, which `fold_ln` put into the matrices behind it (`LNPre`).
    LayerNormPre,
    /// RMSNorm (Zhang and Sennrich 2019): divide by the root of the mean square, scale by `w`.
    Rms,
    /// RMSNorm without `w`, which `fold_ln` put into the matrices behind it (`RMSPre`).
    RmsPre,
    /// No norms at all: models trained without, or whose norms were removed.
    None,
}

impl Normalization {
    /// Whether the norm subtracts the mean, so that centring what it reads changes nothing.
    pub fn centres(self) -> bool {
        matches!(self, Self::LayerNorm | Self::LayerNormPre)
    }
}
