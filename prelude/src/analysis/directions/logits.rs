//! Which tokens latents promote and suppress, by their direct path to the logits.

use crate::error::{Error, Result};
use crate::intervene::Latents;
use crate::math::top_k_of;
use crate::model::{HookPoint, HookedTransformer, Site};
use crate::sae::Sae;
use candle_core::{DType, Tensor};
use polars::prelude::{Column, DataFrame};

/// The tokens that a latent makes likelier and less likely.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentTokens {
    /// The latent.
    pub latent: u32,
    /// The tokens with the largest weights, the largest first.
    pub promoted: Vec<TokenWeight>,
    /// The tokens with the smallest weights, the smallest first.
    pub suppressed: Vec<TokenWeight>,
}

/// A token, and how much a latent adds to its logit when it is active by 1.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenWeight {
    /// Its id.
    pub token: u32,
    /// Its text; the id where the model has no tokenizer.
    pub text: String,
    /// What is added to its logit, before the final norm's scale.
    pub weight: f32,
}

impl LatentTokens {
    /// One row a rank: `promoted`, `weight`, `suppressed`, `weight of suppressed`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let texts = |of: &[TokenWeight]| -> Vec<String> {
            of.iter().map(|token| token.text.clone()).collect()
        };
        let weights =
            |of: &[TokenWeight]| -> Vec<f32> { of.iter().map(|token| token.weight).collect() };
        let columns = vec![
            Column::new("promoted".into(), texts(&self.promoted)),
            Column::new("weight".into(), weights(&self.promoted)),
            Column::new("suppressed".into(), texts(&self.suppressed)),
            Column::new("weight of suppressed".into(), weights(&self.suppressed)),
        ];
        Ok(DataFrame::new(self.promoted.len(), columns)?)
    }
}

impl Sae {
    /// What each of these latents adds to the logits when it is active by 1, along the direct path:
    /// `W_dec W_U`, `W_dec W_out W_U` for latents of `mlp.hook_post`, `W_dec W_O W_U` for those of
    /// `hook_z`. `[latents, d_vocab]` of `f32`, before the final norm's scale.
    ///
    /// Means over the vocabulary, to which probabilities are blind, are 0 where the model was processed
    /// (`center_unembed`).
    ///
    /// # Errors
    /// A latent that is not there, an autoencoder of a hook point from which there is no direct path, or
    /// of another width than the model's.
    pub fn logit_weights(
        &self,
        model: &HookedTransformer,
        latents: impl Into<Latents>,
    ) -> Result<Tensor> {
        let written = self.residual_directions(model, latents)?;
        let logits = model.times_W_U(&written.to_dtype(model.dtype())?)?;
        Ok(logits.to_dtype(DType::F32)?)
    }

    /// What each of these latents writes to the residual stream when it is active by 1, `[latents,
    /// d_model]` of `f32`.
    ///
    /// # Errors
    /// As [`Sae::logit_weights`].
    pub fn residual_directions(
        &self,
        model: &HookedTransformer,
        latents: impl Into<Latents>,
    ) -> Result<Tensor> {
        let latents = latents.into().of(self)?;
        let point = self.hook_point_out(model)?;
        let ids = Tensor::new(latents, &self.device())?;
        let rows = self.W_dec.index_select(&ids, 0)?.to_dtype(DType::F32)?;
        let rows = rows.to_device(&model.device())?; // [latents, d_out]
        let Some(out) = self.matrix_out(model, &point)? else {
            self.check_fits(model, &point, model.config().d_model)?;
            return Ok(rows);
        };
        self.check_fits(model, &point, out.dim(0)?)?;
        Ok(rows.matmul(&out)?)
    }

    /// The `k` tokens that a latent promotes most and the `k` that it suppresses most.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// use ferrolens::sae::Sae;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
    /// let tokens = sae.top_tokens(&model, 7, 5)?;
    /// println!("{}", tokens.to_df()?);
    /// assert!(tokens.promoted[0].weight > tokens.suppressed[0].weight);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Sae::logit_weights`].
    pub fn top_tokens(
        &self,
        model: &HookedTransformer,
        latent: u32,
        k: usize,
    ) -> Result<LatentTokens> {
        let weights: Vec<f32> = self.logit_weights(model, latent)?.squeeze(0)?.to_vec1()?;
        let negative: Vec<f32> = weights.iter().map(|weight| -weight).collect();
        let labelled = |token: usize, weight: f32| TokenWeight {
            token: token as u32,
            text: model
                .to_single_str_token(token as u32)
                .unwrap_or_else(|_| token.to_string()),
            weight,
        };
        let promoted = top_k_of(&weights, k).into_iter();
        let suppressed = top_k_of(&negative, k).into_iter();
        Ok(LatentTokens {
            latent,
            promoted: promoted
                .map(|(token, weight)| labelled(token, weight))
                .collect(),
            suppressed: suppressed
                .map(|(token, weight)| labelled(token, -weight))
                .collect(),
        })
    }

    /// The matrix between the hook point and the residual stream, `[d_out, d_model]` of `f32`; nothing
    /// where the point is in the stream or is added to it.
    pub(crate) fn matrix_out(
        &self,
        model: &HookedTransformer,
        point: &HookPoint,
    ) -> Result<Option<Tensor>> {
        let layer = point.layer().unwrap_or(0);
        let matrix = match point.site() {
            Site::Embed
            | Site::PosEmbed
            | Site::ResidPre
            | Site::ResidMid
            | Site::ResidPost
            | Site::AttnOut
            | Site::MlpOut
            | Site::Result => return Ok(None),
            Site::Post => model.weight(&format!("blocks.{layer}.mlp.W_out"))?,
            Site::Z => {
                let of_heads = model.weight(&format!("blocks.{layer}.attn.W_O"))?; // [head, d_head, d_model]
                match self.cfg.hook_head_index {
                    Some(head) if head < of_heads.dim(0)? => of_heads.get(head)?,
                    _ => of_heads.flatten(0, 1)?,
                }
            }
            _ => {
                return Err(Error::new(format!(
                    "{} writes at `{point}`, from which no direct path leads to the logits: there is one \
                     from the residual stream, `hook_attn_out`, `hook_mlp_out`, `mlp.hook_post` and \
                     `attn.hook_z`.",
                    self.name()
                )));
            }
        };
        Ok(Some(matrix.to_dtype(DType::F32)?.contiguous()?))
    }

    fn check_fits(&self, model: &HookedTransformer, point: &HookPoint, width: usize) -> Result<()> {
        match self.cfg.d_out == width {
            true => Ok(()),
            false => Err(Error::new(format!(
                "{} writes activations of width {}, but those of `{point}` in {} are {width} wide: it was \
                 trained on another model or hook point.",
                self.name(),
                self.cfg.d_out,
                model.config().model_name
            ))),
        }
    }
}
