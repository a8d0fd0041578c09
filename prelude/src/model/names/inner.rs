//! The points inside an autoencoder, spelled as in SAELens.

/// An activation inside an autoencoder that stands at a hook point: `hook_sae_acts_post` in
/// `blocks.0.hook_resid_pre.hook_sae_acts_post`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Inner {
    /// What the autoencoder reads, `[batch, pos, d_in]`.
    SaeInput,
    /// What its gate reads, `[batch, pos, d_sae]`.
    SaeActsPre,
    /// Its latents' activations, `[batch, pos, d_sae]`.
    SaeActsPost,
    /// What it writes, before its normalization is undone, `[batch, pos, d_out]`.
    SaeRecons,
    /// With an error term: what the clean reconstruction misses, in the shape of the activation.
    SaeError,
    /// What goes on, in the shape of the activation.
    SaeOutput,
}

impl Inner {
    const ALL: [Self; 6] = [
        Self::SaeInput,
        Self::SaeActsPre,
        Self::SaeActsPost,
        Self::SaeRecons,
        Self::SaeError,
        Self::SaeOutput,
    ];

    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::SaeInput => "hook_sae_input",
            Self::SaeActsPre => "hook_sae_acts_pre",
            Self::SaeActsPost => "hook_sae_acts_post",
            Self::SaeRecons => "hook_sae_recons",
            Self::SaeError => "hook_sae_error",
            Self::SaeOutput => "hook_sae_output",
        }
    }

    /// Whether it has one vector a position, also where the activation has one a head.
    pub(super) fn is_flat(self) -> bool {
        !matches!(self, Self::SaeError | Self::SaeOutput)
    }

    /// `blocks.0.hook_resid_pre.hook_sae_input` is `blocks.0.hook_resid_pre` and `SaeInput`.
    pub(super) fn split(name: &str) -> Option<(&str, Self)> {
        let (outer, suffix) = name.trim().rsplit_once('.')?;
        let mut all = Self::ALL.into_iter();
        Some((outer, all.find(|inner| inner.suffix() == suffix)?))
    }
}
