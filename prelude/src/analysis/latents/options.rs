//! What a sweep looks at, what it keeps, and where.

use super::latent::Latents;
use super::progress::{Storage, Where};
use super::sweep::LatentSweep;
use super::walk::Walk;
use crate::data::{Corpus, Window};
use crate::error::{Error, Result};
use crate::model::{HookedTransformer, PointName};
use crate::sae::Sae;
use std::path::Path;

/// A sweep that has not started: which latents, which positions, what to keep.
///
/// ```
/// use ferrolens::analysis::Sweep;
/// use ferrolens::data::Corpus;
/// use ferrolens::model::HookedTransformer;
/// use ferrolens::sae::Sae;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.0.hook_mlp_out")?;
/// let corpus = Corpus::new(&model, ["Once upon a time", "Lily saw a cat."])?;
/// let sweep = Sweep::new().top(5).no_cache().run(&model, &sae, &corpus)?;
/// assert_eq!(sweep.density().len(), sae.cfg.d_sae);
/// let most = sweep.top(3)?;
/// println!("{most:?}");
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sweep {
    hook_point: Option<PointName>,
    latents: Option<Vec<u32>>,
    top: usize,
    sample: usize,
    seed: u64,
    keep_maxima: bool,
    window: Window,
    token_budget: usize,
    storage: Storage,
}

impl Default for Sweep {
    fn default() -> Self {
        Self::new()
    }
}

impl Sweep {
    /// All latents, at all positions, with the 20 prompts that activate each most.
    pub fn new() -> Self {
        Self {
            hook_point: None,
            latents: None,
            top: 20,
            sample: 0,
            seed: 0,
            keep_maxima: false,
            window: Window::default(),
            token_budget: 4096,
            storage: Storage::default(),
        }
    }

    /// The hook point to read, where the autoencoder's config names none or another model's.
    #[must_use]
    pub fn hook_point(mut self, point: impl Into<PointName>) -> Self {
        self.hook_point = Some(point.into());
        self
    }

    /// These latents only, in this order.
    #[must_use]
    pub fn latents(mut self, latents: &[u32]) -> Self {
        self.latents = Some(latents.to_vec());
        self
    }

    /// How many prompts that activate it most are kept for each latent (20); each prompt counts with its
    /// maximum.
    #[must_use]
    pub fn top(mut self, prompts: usize) -> Self {
        self.top = prompts;
        self
    }

    /// How many of the prompts that activate it at all are kept for each latent (0): a uniform sample, for
    /// [`Examples`] from below the top. The same prompts in every order of the corpus.
    #[must_use]
    pub fn sample(mut self, prompts: usize) -> Self {
        self.sample = prompts;
        self
    }

    /// What the sample follows from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Keeps the maximum of every prompt and latent and where it is: 8 bytes for each pair, so 2.9 GB for
    /// 21,990 prompts and 16,384 latents.
    #[must_use]
    pub fn keep_maxima(mut self) -> Self {
        self.keep_maxima = true;
        self
    }

    /// Without the first positions of each prompt (0): 1 leaves out the beginning-of-sequence token, on
    /// which many latents are active as nowhere else.
    #[must_use]
    pub fn skip_first(mut self, positions: usize) -> Self {
        self.window.skip_first = positions;
        self
    }

    /// Without the last positions of each prompt (0). The field's notebooks leave out 1, whose next token
    /// nobody knows.
    #[must_use]
    pub fn skip_last(mut self, positions: usize) -> Self {
        self.window.skip_last = positions;
        self
    }

    /// How many tokens, with padding, the model runs on at a time (4096).
    #[must_use]
    pub fn token_budget(mut self, tokens: usize) -> Self {
        self.token_budget = tokens;
        self
    }

    /// Keeps progress and result in this folder, and not in the default one: `sweeps` in the folder that
    /// [`crate::data`] names.
    #[must_use]
    pub fn cache_in(mut self, folder: impl AsRef<Path>) -> Self {
        self.storage.place = Where::Folder(folder.as_ref().to_owned());
        self
    }

    /// Keeps nothing on disk. A sweep that is stopped still goes on in the same process.
    #[must_use]
    pub fn no_cache(mut self) -> Self {
        self.storage.place = Where::Nowhere;
        self
    }

    /// Writes progress after this many batches. Without it progress is written every 20 seconds or so.
    #[must_use]
    pub fn save_every(mut self, batches: usize) -> Self {
        self.storage.every = Some(batches.max(1));
        self
    }

    /// Goes over the corpus, or on from where it was stopped, or loads what an earlier sweep found.
    ///
    /// # Errors
    /// The autoencoder's hook point is unknown or of another width; a latent that there is none of; an
    /// interrupt, after which the next call goes on; a full disk, likewise.
    pub fn run(
        &self,
        model: &HookedTransformer,
        sae: &Sae,
        corpus: &Corpus,
    ) -> Result<LatentSweep> {
        if let Some(latents) = &self.latents {
            sae.check_latents(latents)?;
        }
        let walk = Walk {
            model: model.clone(),
            sae: sae.clone(),
            point: self.point(model, sae)?,
            corpus: corpus.clone(),
            latents: self.latents.clone(),
            window: self.window,
            token_budget: self.token_budget,
        };
        let empty = Latents::new(
            walk.width(),
            corpus.len(),
            self.top,
            (self.sample, self.seed),
            self.keep_maxima,
        );
        let found = walk.run(empty, "sweep", &self.storage)?;
        Ok(LatentSweep::new(walk, found, self.storage.clone()))
    }

    fn point(&self, model: &HookedTransformer, sae: &Sae) -> Result<crate::model::HookPoint> {
        use crate::model::IntoFilter;
        let point = match (&self.hook_point, &sae.cfg.hook_name) {
            (Some(point), _) => model.hook_point(point.clone())?,
            (None, Some(name)) => model.hook_point(name.as_str())?,
            (None, None) => {
                return Err(Error::new(format!(
                    "the config of {} names no hook point: name one with `.hook_point(..)`.",
                    sae.name()
                )));
            }
        };
        point.into_filter().resolve(model.offered())?;
        Ok(point)
    }
}
