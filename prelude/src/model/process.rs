//! Rewrites weights without changing probabilities, so that they are easier to read.
//!
//! Source: TransformerLens's `load_and_process_state_dict`; the order is its order.

mod rows;

pub(crate) use self::rows::Memory;

use self::rows::change_rows;
use super::config::{Activation, Config, Normalization, Positions};
use super::load::LoadOptions;
use super::transformer::HookedTransformer;
use super::weights::Weights;
use crate::error::{Error, Result};
use candle_core::{D, DType, Device, Tensor};

/// Which rewritings to do; nothing: where they apply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processing {
    pub(crate) fold_ln: Option<bool>,
    pub(crate) center_writing_weights: Option<bool>,
    pub(crate) center_unembed: Option<bool>,
    pub(crate) fold_value_biases: Option<bool>,
}

impl Processing {
    pub(crate) const ALL: Self = Self::each(None);
    pub(crate) const NONE: Self = Self::each(Some(false));

    /// Whether nothing is to be done.
    pub(crate) fn is_none(self) -> bool {
        let all = [
            self.fold_ln,
            self.center_writing_weights,
            self.center_unembed,
            self.fold_value_biases,
        ];
        all.iter().all(|on| *on == Some(false))
    }

    const fn each(on: Option<bool>) -> Self {
        Self {
            fold_ln: on,
            center_writing_weights: on,
            center_unembed: on,
            fold_value_biases: on,
        }
    }
}

impl HookedTransformer {
    /// The model as it would be had it been loaded with these options' folding and centring: another
    /// model, with weights of its own. For models made of weights at hand, and for a look at one model
    /// before and after. What has been folded stays so.
    ///
    /// ```
    /// use ferrolens::model::{HookedTransformer, LoadOptions};
    /// let raw = HookedTransformer::from_pretrained_no_processing("stories-2l")?;
    /// let folded = raw.process_weights(&LoadOptions::new().center_unembed(false))?;
    /// let (before, after) = (raw.loss("Once upon a time")?, folded.loss("Once upon a time")?);
    /// assert!((before - after).abs() < 1e-4);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rewriting was asked for that would change what the model predicts; there is no room.
    pub fn process_weights(&self, options: &LoadOptions) -> Result<Self> {
        let mut config = self.config();
        let mut weights = self.weights().clone().place(DType::F32, &Device::Cpu)?;
        process(
            &mut config,
            &mut weights,
            options.processing,
            Memory::Shared,
        )?;
        let weights = weights.place(self.dtype(), &self.device())?;
        Self::build(config, weights, self.tokenizer().ok())
    }
}

/// Rewrites the weights of a model, and its config where the rewriting changes a norm. The largest
/// matrices are rewritten in their own memory where nothing else holds the weights.
///
/// # Errors
/// A weight is missing, or a rewriting was asked for that would change what the model predicts.
pub(crate) fn process(
    config: &mut Config,
    weights: &mut Weights,
    processing: Processing,
    memory: Memory,
) -> Result<()> {
    let every_norm_centres =
        config.normalization.centres() && config.final_normalization().centres();
    let center_writing_weights = wanted(
        processing.center_writing_weights,
        every_norm_centres,
        || {
            format!(
                "`center_writing_weights` would change what {} predicts: not every norm of it is a \
                 LayerNorm, and RMSNorm (or no norm) does not subtract the mean. Leave it out.",
                config.model_name
            )
        },
    )?;
    let has_no_cap = config.output_logits_soft_cap.is_none();
    let center_unembed = wanted(processing.center_unembed, has_no_cap, || {
        format!(
            "`center_unembed` would change what {} predicts: it has a soft cap on its logits, which \
             softmax does not undo. Leave it out.",
            config.model_name
        )
    })?;
    if processing.fold_ln.unwrap_or(true) {
        fold_norms(config, weights, memory)?;
    }
    if center_writing_weights {
        self::center_writing_weights(config, weights, memory)?;
    }
    if center_unembed {
        self::center_unembed(weights, memory)?;
    }
    if processing.fold_value_biases.unwrap_or(true) {
        fold_value_biases(config, weights, center_writing_weights)?;
    }
    Ok(())
}

/// Whether to do a rewriting that applies only to some models.
fn wanted(asked: Option<bool>, applies: bool, reason: impl FnOnce() -> String) -> Result<bool> {
    match asked {
        Some(true) if !applies => Err(Error::new(reason())),
        Some(on) => Ok(on),
        None => Ok(applies),
    }
}

/// `norm(x) W + b` with the norm's `w` and `b` moved into `W` and `b`, and `W` centred over what it
/// reads where the norm has centred that.
fn fold_norms(config: &mut Config, weights: &mut Weights, memory: Memory) -> Result<()> {
    let folded = match config.normalization {
        Normalization::LayerNorm => Normalization::LayerNormPre,
        Normalization::Rms => Normalization::RmsPre,
        Normalization::LayerNormPre | Normalization::RmsPre | Normalization::None => return Ok(()),
    };
    for layer in 0..config.n_layers {
        let name = |name: &str| format!("blocks.{layer}.{name}");
        let ln1 = Folded::take(weights, &name("ln1"), config.normalization)?;
        for which in ["Q", "K", "V"] {
            let (weight, bias) = (format!("attn.W_{which}"), format!("attn.b_{which}"));
            ln1.fold_into(weights, &name(&weight), Some(&name(&bias)))?;
        }
        if config.attn_only {
            continue;
        }
        let ln2 = Folded::take(weights, &name("ln2"), config.normalization)?;
        ln2.fold_into(weights, &name("mlp.W_in"), Some(&name("mlp.b_in")))?;
        if config.gated_mlp {
            ln2.fold_into(weights, &name("mlp.W_gate"), None)?;
        }
        if config.activation == Activation::SoluLn && config.normalization.centres() {
            let inside = Folded::take(weights, &name("mlp.ln"), config.normalization)?;
            inside.fold_into(weights, &name("mlp.W_out"), Some(&name("mlp.b_out")))?;
        }
    }

    let ln_final = Folded::take(weights, "ln_final", config.final_normalization())?;
    let (matrix, memory) = take_unembedding(weights, memory)?; // [d_vocab, d_model]
    if let Some(b) = &ln_final.b {
        let through = matrix.matmul(&b.unsqueeze(1)?)?.squeeze(1)?; // [d_vocab]
        let bias = match weights.find("unembed.b_U", &[config.d_vocab_out])? {
            Some(bias) => (bias + through)?,
            None => through,
        };
        weights.set("unembed.b_U", bias);
    }
    let matrix = change_rows(&matrix, memory, |rows| {
        let rows = rows.broadcast_mul(&ln_final.w)?;
        match ln_final.centres {
            true => rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?),
            false => Ok(rows),
        }
    })?;
    weights.set("unembed.W_U", matrix.t()?); // [d_model, d_vocab]
    config.normalization = folded;
    Ok(())
}

/// The unembedding as `[d_vocab, d_model]`, which is how it mostly lies in memory, and whose memory it
/// is: a tied one is the embedding's.
fn take_unembedding(weights: &mut Weights, memory: Memory) -> Result<(Tensor, Memory)> {
    let name = "unembed.W_U";
    let is_alone = weights.is_alone(name);
    let turned = weights.take(name)?.t()?;
    let memory = match turned.is_contiguous() {
        true if !is_alone => Memory::Shared,
        true => memory,
        false => Memory::Own,
    };
    Ok((turned.contiguous()?, memory))
}

/// Norms replaced by the identity, after they were folded.
///
/// # Errors
/// There are norms that no matrix reads.
pub(crate) fn remove_norms(config: &mut Config, weights: &mut Weights) -> Result<()> {
    if config.use_normalization_before_and_after
        || config.use_qk_norm
        || config.activation == Activation::SoluLn
    {
        return Err(Error::new(format!(
            "{} has norms behind attention, inside its MLPs, or on queries and keys, which cannot \
             be folded into a matrix: its norms cannot be removed.",
            config.model_name
        )));
    }
    // The weights are those of a model that stays as it is.
    fold_norms(config, weights, Memory::Shared)?;
    // Beside an `eps` as large the variance of what a norm reads is nothing.
    const ONLY_EPS: f64 = 1e6;
    if config.normalization != Normalization::None && config.eps >= ONLY_EPS {
        let scale = config.eps.sqrt();
        let mut reading = vec!["unembed.W_U".to_owned()];
        for layer in 0..config.n_layers {
            let block = |name: &str| format!("blocks.{layer}.{name}");
            reading.extend(["attn.W_Q", "attn.W_K", "attn.W_V"].map(block));
            if !config.attn_only {
                reading.push(block("mlp.W_in"));
            }
            if config.gated_mlp {
                reading.push(block("mlp.W_gate"));
            }
        }
        for name in reading {
            weights.set(name.as_str(), (weights.any(&name)? / scale)?);
        }
    }
    config.normalization = Normalization::None;
    Ok(())
}

/// A norm's weights on their way into the matrices behind it.
struct Folded {
    w: Tensor,
    b: Option<Tensor>,
    centres: bool,
}

impl Folded {
    fn take(weights: &mut Weights, name: &str, kind: Normalization) -> Result<Self> {
        let centres = kind.centres();
        Ok(Self {
            w: weights.take(&format!("{name}.w"))?,
            b: match centres {
                true => Some(weights.take(&format!("{name}.b"))?),
                false => None,
            },
            centres,
        })
    }

    /// Moves the norm into the matrix that reads it, `[.., d_in, d_out]`, and its bias.
    fn fold_into(&self, weights: &mut Weights, matrix: &str, bias: Option<&str>) -> Result<()> {
        let W = weights.any(matrix)?;
        if let (Some(bias), Some(through)) = (bias, self.through(&W)?) {
            weights.set(bias, (weights.any(bias)? + through)?);
        }
        weights.set(matrix, self.applied_to(&W)?);
        Ok(())
    }

    /// What `b` comes to behind the matrix `[.., d_model, d_out]`: `[.., d_out]`.
    fn through(&self, matrix: &Tensor) -> Result<Option<Tensor>> {
        let Some(b) = &self.b else {
            return Ok(None);
        };
        let b = b.unsqueeze(0)?; // [1, d_model]
        Ok(Some(match matrix.rank() {
            2 => b.matmul(matrix)?.squeeze(0)?,
            _ => {
                let heads = matrix.dim(0)?;
                let b = b.unsqueeze(0)?.repeat((heads, 1, 1))?; // [head, 1, d_model]
                b.matmul(&matrix.contiguous()?)?.squeeze(1)?
            }
        }))
    }

    /// The matrix `[.., d_model, d_out]` with `w` in it, centred where the norm centres.
    fn applied_to(&self, matrix: &Tensor) -> Result<Tensor> {
        let matrix = matrix.broadcast_mul(&self.w.unsqueeze(1)?)?;
        if !self.centres {
            return Ok(matrix);
        }
        let mean = match matrix.rank() {
            2 => mean_of_rows(&matrix)?,
            _ => matrix.mean_keepdim(D::Minus2)?,
        };
        Ok(matrix.broadcast_sub(&mean)?)
    }
}

/// Everything that writes to the residual stream, minus its mean over `d_model`.
fn center_writing_weights(config: &Config, weights: &mut Weights, memory: Memory) -> Result<()> {
    let mut names = vec!["embed.W_E".to_owned()];
    if config.positions == Positions::Learned {
        names.push("pos_embed.W_pos".to_owned());
    }
    for layer in 0..config.n_layers {
        let writing: &[&str] = match config.attn_only {
            true => &["attn.W_O", "attn.b_O"],
            false => &["attn.W_O", "attn.b_O", "mlp.W_out", "mlp.b_out"],
        };
        for name in writing {
            names.push(format!("blocks.{layer}.{name}"));
        }
    }
    for name in names {
        let memory = match weights.is_alone(&name) {
            true => memory,
            false => Memory::Shared,
        };
        let tensor = weights.take(&name)?;
        let centred = |rows: &Tensor| rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?);
        let tensor = match tensor.rank() {
            2 => change_rows(&tensor, memory, centred)?,
            _ => centred(&tensor)?,
        };
        weights.set(name, tensor);
    }
    Ok(())
}

/// The unembedding minus its mean over the vocabulary.
fn center_unembed(weights: &mut Weights, memory: Memory) -> Result<()> {
    let (matrix, memory) = take_unembedding(weights, memory)?; // [d_vocab, d_model]
    let mean = mean_of_rows(&matrix)?; // [1, d_model]
    let centred = change_rows(&matrix, memory, |rows| rows.broadcast_sub(&mean))?;
    weights.set("unembed.W_U", centred.t()?);
    if let Ok(bias) = weights.any("unembed.b_U") {
        let mean = bias.mean_keepdim(0)?;
        weights.set("unembed.b_U", bias.broadcast_sub(&mean)?);
    }
    Ok(())
}

/// `b_O + sum over heads of b_V W_O`: every query takes each head's value bias exactly once.
fn fold_value_biases(config: &Config, weights: &mut Weights, centred: bool) -> Result<()> {
    for layer in 0..config.n_layers {
        let name = |name: &str| format!("blocks.{layer}.attn.{name}");
        let b_V = weights.any(&name("b_V"))?; // [key-value head, d_head]
        let W_O = weights.any(&name("W_O"))?; // [head, d_head, d_model]
        let sharing = config.n_heads / config.key_value_heads();
        let (shared, d_head) = b_V.dims2()?;
        let of_heads = b_V.unsqueeze(1)?.broadcast_as((shared, sharing, d_head))?;
        let of_heads = of_heads.flatten(0, 1)?; // [head, d_head]
        let through = of_heads.unsqueeze(1)?.matmul(&W_O.contiguous()?)?; // [head, 1, d_model]
        let mut b_O = (weights.any(&name("b_O"))? + through.sum((0, 1))?)?;
        if centred {
            b_O = b_O.broadcast_sub(&b_O.mean_keepdim(0)?)?;
        }
        weights.set(name("b_O"), b_O);
        weights.set(name("b_V"), b_V.zeros_like()?);
    }
    Ok(())
}

/// The mean over the first dimension, `[rows, columns]` to `[1, columns]`.
///
/// As a matrix product: candle's sum over the first dimension of a large matrix is slow.
fn mean_of_rows(matrix: &Tensor) -> candle_core::Result<Tensor> {
    let rows = matrix.dim(0)?;
    let weights = Tensor::full(1. / rows as f64, (1, rows), matrix.device())?;
    weights.to_dtype(matrix.dtype())?.matmul(matrix)
}
