//! What a model is made of: sizes, family, and the choices in which families differ.

use crate::error::{Error, Result};
use std::fmt;

/// The sizes and choices of a model, in TransformerLens's words.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The name it was loaded by, such as `gpt2` or `stories-2l`.
    pub model_name: String,
    /// The family, which decides the forward pass.
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
    /// Number of neurons in each block's MLP.
    pub d_mlp: usize,
    /// Number of tokens in the vocabulary.
    pub d_vocab: usize,
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
            n_ctx,
            activation: Activation::GeluNew,
            normalization: Normalization::LayerNorm,
            eps: 1e-5,
            attn_scale: (d_head as f64).sqrt(),
            scale_attn_by_inverse_layer_idx: false,
            default_prepend_bos: true,
        }
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
        let key_value_heads = self.n_key_value_heads.unwrap_or(self.n_heads);
        if key_value_heads == 0 || !self.n_heads.is_multiple_of(key_value_heads) {
            return Err(Error::new(format!(
                "the config of {} has {} heads and {key_value_heads} key-value heads: the first \
                 must be a multiple of the second.",
                self.model_name, self.n_heads
            )));
        }
        Ok(())
    }
}

/// A family of models: one forward pass, one file in `arch/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// GPT-2 (Radford et al. 2019): learned positions, LayerNorm before attention and MLP.
    Gpt2,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gpt2 => "GPT-2",
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
            other => Err(Error::new(format!(
                "the activation function `{other}` is not known: gelu_new, gelu_pytorch_tanh, \
                 gelu, relu and silu are."
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
}
