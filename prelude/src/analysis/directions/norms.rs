//! How long the vectors are that latents write, and how they lie to what latents read.

use super::nearest::LatentRanking;
use super::unit::unit_rows;
use crate::error::{Error, Result};
use crate::sae::Sae;
use candle_core::{DType, Tensor};

impl Sae {
    /// The norm of each latent's row of `W_dec`, `[d_sae]` of `f32`.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn decoder_norms(&self) -> Result<Tensor> {
        Ok(self.W_dec.to_dtype(DType::F32)?.sqr()?.sum(1)?.sqrt()?)
    }

    /// The `k` latents that write the longest vectors: pillars, in the words of the NSAE post, where
    /// norms are not fixed to 1.
    ///
    /// # Errors
    /// There is no room for the norms.
    pub fn pillar_vectors(&self, k: usize) -> Result<LatentRanking> {
        let norms: Vec<f32> = self.decoder_norms()?.to_vec1()?;
        Ok(LatentRanking::largest("norm", &norms, k, None))
    }

    /// The cosine of what each latent reads with what it writes, `[d_sae]` of `f32` (SAELens's
    /// `encoder_decoder_cosine_sim`).
    ///
    /// # Errors
    /// The autoencoder writes vectors of another width than it reads, or its weights are not finite.
    pub fn encoder_decoder_cosines(&self) -> Result<Tensor> {
        if self.cfg.d_in != self.cfg.d_out {
            return Err(Error::new(format!(
                "{} reads {} entries and writes {}, so what it reads and writes have no cosine.",
                self.name(),
                self.cfg.d_in,
                self.cfg.d_out
            )));
        }
        let reads = unit_rows("the columns of W_enc", &self.W_enc.t()?)?;
        let writes = unit_rows("the rows of W_dec", &self.W_dec)?;
        Ok((reads * writes)?.sum(1)?)
    }
}
