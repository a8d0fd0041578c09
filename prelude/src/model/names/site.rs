//! The table of activations: every place where a name of a hook point is spelled.

use crate::model::config::Config;

macro_rules! sites {
    ($($(#[doc = $doc:literal])* $site:ident $place:ident $suffix:literal),* $(,)?) => {
        /// The activations that some model family computes, in the order in which they are computed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Site {
            $($(#[doc = $doc])* $site,)*
        }

        impl Site {
            pub(super) const ALL: &[Site] = &[$(Site::$site,)*];

            pub(super) fn suffix(self) -> &'static str {
                match self { $(Site::$site => $suffix,)* }
            }

            /// A line for every site: its name in a block, and what it is, with its shape.
            pub(crate) fn descriptions() -> Vec<String> {
                vec![$(format!("{}: {}", $suffix, concat!($($doc),*).trim()),)*]
            }

            pub(super) fn is_in_block(self) -> bool {
                match self { $(Site::$site => place::$place,)* }
            }
        }
    };
}

mod place {
    pub(super) const MODEL: bool = false;
    pub(super) const BLOCK: bool = true;
}

sites! {
    /// Token embeddings, `[batch, pos, d_model]`.
    Embed MODEL "hook_embed",
    /// Positional embeddings, `[batch, pos, d_model]`.
    PosEmbed MODEL "hook_pos_embed",
    /// Residual stream before the block, `[batch, pos, d_model]`.
    ResidPre BLOCK "hook_resid_pre",
    /// Opt-in: the residual stream as attention reads it, one copy a head, `[batch, pos, head, d_model]`.
    AttnIn BLOCK "hook_attn_in",
    /// Opt-in: the residual stream as the queries read it, `[batch, pos, head, d_model]`.
    QInput BLOCK "hook_q_input",
    /// Opt-in: the residual stream as the keys read it, `[batch, pos, head, d_model]`.
    KInput BLOCK "hook_k_input",
    /// Opt-in: the residual stream as the values read it, `[batch, pos, head, d_model]`.
    VInput BLOCK "hook_v_input",
    /// What the first norm divides by, `[batch, pos, 1]`.
    Ln1Scale BLOCK "ln1.hook_scale",
    /// The first norm before its `w` and `b`, `[batch, pos, d_model]`.
    Ln1Normalized BLOCK "ln1.hook_normalized",
    /// Queries, `[batch, pos, head, d_head]`.
    Q BLOCK "attn.hook_q",
    /// Keys, `[batch, pos, head, d_head]` (key-value heads where there are fewer).
    K BLOCK "attn.hook_k",
    /// Values, `[batch, pos, head, d_head]` (key-value heads where there are fewer).
    V BLOCK "attn.hook_v",
    /// Where queries are normalized: what the norm divides by, `[batch, pos, head, 1]`.
    QNormScale BLOCK "attn.q_norm.hook_scale",
    /// Where queries are normalized: the norm before its `w`, `[batch, pos, head, d_head]`.
    QNormNormalized BLOCK "attn.q_norm.hook_normalized",
    /// Where keys are normalized: what the norm divides by, `[batch, pos, head, 1]`.
    KNormScale BLOCK "attn.k_norm.hook_scale",
    /// Where keys are normalized: the norm before its `w`, `[batch, pos, head, d_head]`.
    KNormNormalized BLOCK "attn.k_norm.hook_normalized",
    /// Queries after the rotary embedding, `[batch, pos, head, d_head]`.
    RotQ BLOCK "attn.hook_rot_q",
    /// Keys after the rotary embedding, `[batch, pos, head, d_head]`.
    RotK BLOCK "attn.hook_rot_k",
    /// Attention scores after scaling and masking (masked: -inf), `[batch, head, query, key]`.
    AttnScores BLOCK "attn.hook_attn_scores",
    /// Attention probabilities, `[batch, head, query, key]`.
    Pattern BLOCK "attn.hook_pattern",
    /// Values mixed by the pattern, `[batch, pos, head, d_head]`.
    Z BLOCK "attn.hook_z",
    /// Opt-in: what each head writes, `[batch, pos, head, d_model]`.
    Result BLOCK "attn.hook_result",
    /// What the norm after attention divides by, `[batch, pos, 1]`.
    Ln1PostScale BLOCK "ln1_post.hook_scale",
    /// The norm after attention before its `w`, `[batch, pos, d_model]`.
    Ln1PostNormalized BLOCK "ln1_post.hook_normalized",
    /// Output of attention, `[batch, pos, d_model]`.
    AttnOut BLOCK "hook_attn_out",
    /// Residual stream between attention and MLP, `[batch, pos, d_model]`.
    ResidMid BLOCK "hook_resid_mid",
    /// Opt-in: the residual stream as the MLP reads it, `[batch, pos, d_model]`.
    MlpIn BLOCK "hook_mlp_in",
    /// What the second norm divides by, `[batch, pos, 1]`.
    Ln2Scale BLOCK "ln2.hook_scale",
    /// The second norm before its `w` and `b`, `[batch, pos, d_model]`.
    Ln2Normalized BLOCK "ln2.hook_normalized",
    /// Opt-in: what the MLP reads, behind its norm, `[batch, pos, d_model]`. Transcoders are trained on it.
    MlpHookIn BLOCK "mlp.hook_in",
    /// MLP before the activation function, `[batch, pos, d_mlp]`.
    Pre BLOCK "mlp.hook_pre",
    /// The linear half of a gated MLP, `[batch, pos, d_mlp]`.
    PreLinear BLOCK "mlp.hook_pre_linear",
    /// SoLU models: after the activation function and before its norm, `[batch, pos, d_mlp]`.
    Mid BLOCK "mlp.hook_mid",
    /// SoLU models: what the norm inside the MLP divides by, `[batch, pos, 1]`.
    MlpLnScale BLOCK "mlp.ln.hook_scale",
    /// SoLU models: the norm inside the MLP before its `w` and `b`, `[batch, pos, d_mlp]`.
    MlpLnNormalized BLOCK "mlp.ln.hook_normalized",
    /// MLP after the activation function, `[batch, pos, d_mlp]`.
    Post BLOCK "mlp.hook_post",
    /// Opt-in: what the MLP writes, before the norm behind it where there is one, `[batch, pos, d_model]`.
    MlpHookOut BLOCK "mlp.hook_out",
    /// What the norm after the MLP divides by, `[batch, pos, 1]`.
    Ln2PostScale BLOCK "ln2_post.hook_scale",
    /// The norm after the MLP before its `w`, `[batch, pos, d_model]`.
    Ln2PostNormalized BLOCK "ln2_post.hook_normalized",
    /// Output of the MLP, `[batch, pos, d_model]`.
    MlpOut BLOCK "hook_mlp_out",
    /// Residual stream after the block, `[batch, pos, d_model]`.
    ResidPost BLOCK "hook_resid_post",
    /// What the final norm divides by, `[batch, pos, 1]`.
    LnFinalScale MODEL "ln_final.hook_scale",
    /// The final norm before its `w` and `b`, `[batch, pos, d_model]`.
    LnFinalNormalized MODEL "ln_final.hook_normalized",
    /// Opt-in: input of the unembedding, `[batch, pos, d_model]`.
    UnembedIn MODEL "unembed.hook_in",
    /// Opt-in: the logits, `[batch, pos, d_vocab]`.
    UnembedOut MODEL "unembed.hook_out",
}

impl Site {
    /// The size of the last dimension; nothing where the prompt decides it, or where it is 1.
    pub(super) fn width(self, config: &Config) -> Option<usize> {
        match self {
            Site::Q
            | Site::K
            | Site::V
            | Site::QNormNormalized
            | Site::KNormNormalized
            | Site::RotQ
            | Site::RotK
            | Site::Z => Some(config.d_head),
            Site::Pre | Site::PreLinear | Site::Mid | Site::MlpLnNormalized | Site::Post => {
                Some(config.d_mlp)
            }
            Site::UnembedOut => Some(config.d_vocab),
            Site::AttnScores
            | Site::Pattern
            | Site::Ln1Scale
            | Site::QNormScale
            | Site::KNormScale
            | Site::Ln1PostScale
            | Site::Ln2Scale
            | Site::MlpLnScale
            | Site::Ln2PostScale
            | Site::LnFinalScale => None,
            _ => Some(config.d_model),
        }
    }

    /// Where positions stand among the dimensions, counted from the last: those of queries in scores
    /// and patterns.
    pub(crate) fn dims_behind_pos(self) -> usize {
        match self {
            Site::AttnIn
            | Site::QInput
            | Site::KInput
            | Site::VInput
            | Site::Q
            | Site::K
            | Site::V
            | Site::QNormScale
            | Site::QNormNormalized
            | Site::KNormScale
            | Site::KNormNormalized
            | Site::RotQ
            | Site::RotK
            | Site::Z
            | Site::Result => 3,
            _ => 2,
        }
    }

    pub(super) fn from_suffix(suffix: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|site| site.suffix() == suffix)
    }
}
