//! Prompts with the activations of a latent on each of their tokens.

use super::choice::Examples;
use super::latent::{Activating, ActivationHistogram};
use super::sweep::LatentSweep;
use super::walk::Walk;
use crate::data::{TokenBatch, Window};
use crate::emit::check_interrupt;
use crate::error::{Error, Result};
use crate::math::top_k_of;
use crate::model::Site;
use candle_core::{DType, Device, Tensor};
use polars::prelude::{Column, DataFrame};

/// How many prompts are run together.
const TOGETHER: usize = 8;

/// A prompt, and how active a latent is on each of its tokens.
#[derive(Clone, Debug)]
pub struct LatentExample {
    /// The prompt's number in the corpus, the position of its maximum and that.
    pub activating: Activating,
    /// The prompt's tokens as texts.
    pub tokens: Vec<String>,
    /// The activation on each, also at positions that the sweep left out.
    pub activations: Vec<f32>,
}

/// Prompts that activate one latent. In a notebook the tokens are coloured by the activation.
#[derive(Clone, Debug)]
pub struct LatentExamples {
    /// The latent.
    pub latent: u32,
    /// Its largest activation in the whole corpus: what full colour stands for.
    pub max: f32,
    /// The prompts.
    pub examples: Vec<LatentExample>,
}

/// One latent on one page.
#[derive(Clone, Debug)]
pub struct LatentDashboard {
    /// The autoencoder's name.
    pub sae: String,
    /// The share of tokens on which the latent is active.
    pub density: f64,
    /// Its mean activation over the tokens on which it is active.
    pub mean_when_active: f64,
    /// How its activations are spread.
    pub histogram: ActivationHistogram,
    /// The tokens that it raises most, and by how much; empty until [`LatentDashboard::logits`].
    pub raised: Vec<(String, f32)>,
    /// The tokens that it lowers most.
    pub lowered: Vec<(String, f32)>,
    /// The prompts that activate it.
    pub examples: LatentExamples,
}

impl LatentSweep {
    /// At most `count` prompts that activate a latent, with its activation on every token.
    ///
    /// # Errors
    /// As [`LatentSweep::choose`], or the model cannot be run on them.
    pub fn examples(&self, latent: u32, which: Examples, count: usize) -> Result<LatentExamples> {
        let chosen = self.choose(latent, which, count)?;
        let mut examples = Vec::with_capacity(chosen.len());
        for some in chosen.chunks(TOGETHER) {
            check_interrupt()?;
            examples.extend(self.read(latent, some)?);
        }
        Ok(LatentExamples {
            latent,
            max: self.of(latent)?.max,
            examples,
        })
    }

    /// Density, histogram and the strongest examples of a latent on one page.
    ///
    /// # Errors
    /// As [`LatentSweep::examples`].
    pub fn dashboard(&self, latent: u32, examples: usize) -> Result<LatentDashboard> {
        let found = self.of(latent)?;
        Ok(LatentDashboard {
            sae: self.sae().name(),
            density: found.active as f64 / self.tokens().max(1) as f64,
            mean_when_active: found.sum / found.active.max(1) as f64,
            histogram: found.histogram(),
            raised: Vec::new(),
            lowered: Vec::new(),
            examples: self.examples(latent, Examples::Top, examples)?,
        })
    }

    /// What one unit of a latent adds to the logit of every token if it goes straight to the
    /// unembedding, `[d_vocab]`: `W_dec[latent] W_U`, or `W_dec[latent] W_out W_U` where the autoencoder
    /// writes an MLP's neurons (`mlp.hook_post`). The final norm is left out.
    ///
    /// # Errors
    /// The latent is not there, or what it writes is neither of the two.
    pub fn logit_effects(&self, latent: u32) -> Result<Tensor> {
        let (model, sae) = (self.model(), self.sae());
        sae.check_latents(&[latent])?;
        let config = model.config();
        let row = sae.W_dec.narrow(0, latent as usize, 1)?; // [1, d_out]
        let row = row.to_device(&model.device())?.to_dtype(model.dtype())?;
        let point = self.hook_point();
        let written = match (point.site(), point.layer()) {
            (Site::Post, Some(layer)) if sae.cfg.d_out == config.d_mlp => {
                let shape = [config.d_mlp, config.d_model];
                row.matmul(
                    &model
                        .weights()
                        .get(&format!("blocks.{layer}.mlp.W_out"), &shape)?,
                )?
            }
            _ if sae.cfg.d_out == config.d_model => row,
            _ => {
                return Err(Error::new(format!(
                    "latents of {} write {} numbers at `{point}`, which is neither the residual stream \
                     ({}) nor an MLP's neurons: their effect on logits depends on the prompt.",
                    sae.name(),
                    sae.cfg.d_out,
                    config.d_model
                )));
            }
        };
        Ok(model.times_W_U(&written)?.squeeze(0)?)
    }

    fn read(&self, latent: u32, some: &[Activating]) -> Result<Vec<LatentExample>> {
        let corpus = self.corpus();
        let prompts = some.iter().map(|activating| activating.prompt).collect();
        let batch = TokenBatch::of(&corpus, prompts);
        let walk = Walk {
            window: Window::default(),
            ..self.walk().clone()
        };
        let (rows, _) = walk.activations(&batch)?;
        let acts = walk.sae.encode_latents(&rows, &[latent])?;
        let acts = acts.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let acts: Vec<f32> = acts.flatten_all()?.to_vec1()?;
        let mut rest = acts.as_slice();
        let each = some.iter().zip(&batch.lengths);
        each.map(|(activating, length)| {
            let (here, later) = rest.split_at((*length).min(rest.len()));
            rest = later;
            Ok(LatentExample {
                activating: *activating,
                tokens: corpus.str_tokens(activating.prompt)?,
                activations: here.to_vec(),
            })
        })
        .collect()
    }
}

impl LatentDashboard {
    /// The same with the `count` tokens whose logits the latent raises and lowers most:
    /// `dashboard.logits(&model, &sweep.logit_effects(latent)?, 10)?`.
    ///
    /// # Errors
    /// The effects are not `[d_vocab]`, or the model has no tokenizer.
    pub fn logits(
        mut self,
        model: &crate::model::HookedTransformer,
        effects: &Tensor,
        count: usize,
    ) -> Result<Self> {
        let d_vocab = model.config().d_vocab;
        if effects.dims() != [d_vocab] {
            return Err(Error::new(format!(
                "effects on logits must be [{d_vocab}], one a token, but these are {:?}.",
                effects.dims()
            )));
        }
        let up: Vec<f32> = effects.to_dtype(DType::F32)?.to_vec1()?;
        let down: Vec<f32> = up.iter().map(|effect| -effect).collect();
        let named =
            |(token, effect): (usize, f32)| Ok((model.to_single_str_token(token as u32)?, effect));
        let of = |values: &[f32]| -> Result<Vec<(String, f32)>> {
            top_k_of(values, count).into_iter().map(named).collect()
        };
        self.raised = of(&up)?;
        self.lowered = of(&down)?;
        for (_, effect) in &mut self.lowered {
            *effect = -*effect;
        }
        Ok(self)
    }
}

impl LatentExamples {
    /// A row an example: `prompt`, `position`, `token` (at the maximum), `activation`, `text`.
    ///
    /// # Errors
    /// The table cannot be made.
    pub fn to_df(&self) -> Result<DataFrame> {
        let each = || self.examples.iter();
        let token = |example: &LatentExample| {
            let token = example.tokens.get(example.activating.position);
            token.cloned().unwrap_or_default()
        };
        let of = |part: fn(&Activating) -> u64| -> Vec<u64> {
            each().map(|example| part(&example.activating)).collect()
        };
        let tokens: Vec<String> = each().map(token).collect();
        let texts: Vec<String> = each().map(|example| example.tokens.concat()).collect();
        let values: Vec<f32> = each()
            .map(|example| example.activating.activation)
            .collect();
        let columns = vec![
            Column::new("prompt".into(), of(|top| top.prompt as u64)),
            Column::new("position".into(), of(|top| top.position as u64)),
            Column::new("token".into(), tokens),
            Column::new("activation".into(), values),
            Column::new("text".into(), texts),
        ];
        Ok(DataFrame::new(self.examples.len(), columns)?)
    }
}
