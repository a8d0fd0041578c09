//! An autoencoder without some of its latents.

use super::autoencoder::Sae;
use crate::error::Result;
use candle_core::Tensor;

impl Sae {
    /// The same, but these latents write nothing: their rows of `W_dec` are 0. They are encoded as before,
    /// so that where latents compete for their place (top-k gates) no others take it.
    ///
    /// ```
    /// use ferrolens::sae::Sae;
    /// let sae = Sae::from_pretrained("stories-2l-nsae", "blocks.1.hook_resid_post")?;
    /// let longest = sae.pillar_vectors(10)?.latents;
    /// let without = sae.without_latents(&longest)?;
    /// let norms: Vec<f32> = without.decoder_norms()?.to_vec1()?;
    /// assert!(longest.iter().all(|latent| norms[*latent as usize] == 0.));
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such latent.
    pub fn without_latents(&self, latents: &[u32]) -> Result<Self> {
        if latents.is_empty() {
            return Ok(self.clone());
        }
        self.check_latents(latents)?;
        let mut kept = vec![1f32; self.cfg.d_sae];
        for latent in latents {
            if let Some(kept) = kept.get_mut(*latent as usize) {
                *kept = 0.;
            }
        }
        let kept = Tensor::new(kept, &self.device())?.to_dtype(self.W_dec.dtype())?;
        let mut without = self.clone();
        without.W_dec = self.W_dec.broadcast_mul(&kept.unsqueeze(1)?)?;
        Ok(without)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_what_they_wrote() {
        let sae = Sae::from_pretrained("stories-2l-relu", "blocks.0.hook_mlp_out").unwrap();
        let x = Tensor::randn(0f32, 4., (7, 256), &sae.device()).unwrap();
        let gone = [3, 900, 3];
        let without = sae.without_latents(&gone).unwrap();
        let acts = sae.encode_latents(&x, &[3, 900]).unwrap();
        let ids = Tensor::new(&[3u32, 900], &sae.device()).unwrap();
        let rows = sae.W_dec.index_select(&ids, 0).unwrap();
        let wrote = acts.matmul(&rows.to_dtype(acts.dtype()).unwrap()).unwrap();
        let left = (sae.forward(&x).unwrap() - without.forward(&x).unwrap()).unwrap();
        let off = (left - wrote).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f32>().unwrap() < 1e-3);
        assert!(sae.without_latents(&[5000]).is_err());
        assert!(sae.without_latents(&[]).is_ok());
    }
}
