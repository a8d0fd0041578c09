//! Writing an autoencoder in SAELens's current format.

use super::autoencoder::Sae;
use super::encode::times;
use super::gate::{Gate, JumpRelu};
use super::load::sae_lens::{CONFIG, OWN, SPARSITY, WEIGHTS};
use crate::error::{Context, Result};
use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The version of SAELens whose format this is.
const VERSION: &str = "6.54.12";

impl Sae {
    /// Writes `cfg.json`, `sae_weights.safetensors` and, where it is known, `sparsity.safetensors` into a
    /// folder, which is made if need be. SAELens 6 reads them back to the same numbers, and so does
    /// [`Sae::load`]. Returns the folder.
    ///
    /// What SAELens has no word for is written as what computes the same, where there is such a thing:
    ///
    /// - batch-top-k with a threshold, and Matryoshka with that inside, as JumpReLU (SAELens does so too;
    ///   prefixes come back as those of a Matryoshka gate), decoder norms folded in where the gate
    ///   rescales by them;
    /// - an input bias of its own, and `b_dec` that a transcoder subtracts from its input, in the
    ///   encoder's biases.
    ///
    /// NSAE, batch-top-k without a threshold, and transcoders with a gate other than ReLU and JumpReLU are
    /// written under architectures that start with `ferrolens_`, which only [`Sae::load`] reads.
    ///
    /// ```no_run
    /// use ferrolens::sae::Sae;
    /// let sae = Sae::load("saes/blocks.8.hook_resid_pre")?;
    /// sae.save("copy")?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// Its fields were replaced by what does not fit, or the folder cannot be written: where the disk is
    /// full, what was there before stays.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<PathBuf> {
        self.check()?;
        let folder = folder.as_ref();
        let doing = || format!("saving {} in {}", self.name(), folder.display());
        let form = self.in_words_of_sae_lens().context(doing)?;
        let config = serde_json::to_vec_pretty(&Value::Object(form.config())).context(doing)?;
        std::fs::create_dir_all(folder).context(doing)?;
        write_tensors(&folder.join(WEIGHTS), form.tensors()?).context(doing)?;
        if let Some(sparsity) = &self.log_sparsity {
            let sparsity = HashMap::from([("sparsity".to_owned(), plain(sparsity)?)]);
            write_tensors(&folder.join(SPARSITY), sparsity).context(doing)?;
        }
        replace(&folder.join(CONFIG), |path| {
            Ok(std::fs::write(path, &config)?)
        })
        .context(doing)?;
        Ok(folder.to_owned())
    }

    /// An autoencoder that computes the same, of a kind that SAELens has, where there is one.
    fn in_words_of_sae_lens(&self) -> Result<Self> {
        let mut same = self.clone();
        if let Some((rescales, Some(_))) = threshold(&same.gate)
            && rescales
        {
            same = same.fold_W_dec_norm()?;
        }
        if let Some((_, Some(threshold))) = threshold(&same.gate) {
            let threshold = (Tensor::ones_like(&same.b_enc)? * threshold)?;
            let jump = Gate::JumpRelu(JumpRelu { threshold });
            same.gate = match same.gate {
                Gate::Matryoshka(mut gate) => {
                    gate.inner = Box::new(jump);
                    Gate::Matryoshka(gate)
                }
                _ => jump,
            };
        }
        let subtracted = match (&same.b_pre, same.cfg.apply_b_dec_to_input) {
            (Some(b_pre), _) => Some(b_pre.clone()),
            (None, true) if same.is_transcoder() => Some(same.b_dec.clone()),
            _ => None,
        };
        if let Some(bias) = subtracted {
            let shift = times(&bias.unsqueeze(0)?, &same.W_enc)?.squeeze(0)?; // [d_sae]
            same.b_enc = (&same.b_enc - &shift)?;
            shift_gate(&mut same.gate, &shift)?;
            same.b_pre = None;
            same.cfg.apply_b_dec_to_input = false;
        }
        Ok(same)
    }

    /// SAELens's word for the kind, or an own one.
    fn architecture(&self) -> String {
        let word = self.gate.architecture();
        let inner = match &self.gate {
            Gate::Matryoshka(gate) => &*gate.inner,
            gate => gate,
        };
        let skips = self.W_skip.is_some();
        let transcodes = self.is_transcoder() || skips;
        match (inner, transcodes, skips) {
            (Gate::Nsae(_) | Gate::BatchTopK(_), ..) => format!("{OWN}{word}"),
            (_, false, _) => word.to_owned(),
            (Gate::Relu, _, false) => "transcoder".to_owned(),
            (Gate::Relu, _, true) => "skip_transcoder".to_owned(),
            (Gate::JumpRelu(_), _, false) => "jumprelu_transcoder".to_owned(),
            (Gate::JumpRelu(_), _, true) => "jumprelu_skip_transcoder".to_owned(),
            _ => format!("{OWN}{word}"),
        }
    }

    fn config(&self) -> Map<String, Value> {
        let cfg = &self.cfg;
        let architecture = self.architecture();
        let mut config = Map::new();
        let mut set = |key: &str, value: Value| {
            config.insert(key.to_owned(), value);
        };
        set("architecture", json!(architecture));
        set("d_in", json!(cfg.d_in));
        set("d_sae", json!(cfg.d_sae));
        if self.is_transcoder() || self.W_skip.is_some() {
            set("d_out", json!(cfg.d_out));
        }
        set("dtype", json!(word_of(self.dtype())));
        set("device", json!("cpu"));
        set("apply_b_dec_to_input", json!(cfg.apply_b_dec_to_input));
        set(
            "normalize_activations",
            json!(cfg.normalize_activations.name()),
        );
        let reshape = match cfg.hook_z {
            true => "hook_z",
            false => "none",
        };
        set("reshape_activations", json!(reshape));
        let (inner, prefixes) = match &self.gate {
            Gate::Matryoshka(gate) => (&*gate.inner, Some(&gate.prefixes)),
            gate => (gate, None),
        };
        match inner {
            Gate::TopK(gate) => {
                set("k", json!(gate.k));
                set(
                    "rescale_acts_by_decoder_norm",
                    json!(gate.rescale_by_decoder_norm),
                );
            }
            Gate::BatchTopK(gate) => {
                set("k", json!(gate.k));
                set(
                    "rescale_acts_by_decoder_norm",
                    json!(gate.rescale_by_decoder_norm),
                );
            }
            Gate::Nsae(gate) => set("sigma", json!(gate.sigma)),
            _ => {}
        }
        set("metadata", Value::Object(self.about(prefixes)));
        config
    }

    /// What SAELens keeps as metadata.
    fn about(&self, prefixes: Option<&Vec<usize>>) -> Map<String, Value> {
        let cfg = &self.cfg;
        let mut about = cfg.metadata.clone();
        let mut set = |key: &str, value: Value| {
            about.insert(key.to_owned(), value);
        };
        // Without it, or with an older one, the keys would be read as older versions meant them.
        set("sae_lens_version", json!(VERSION));
        let said = [
            ("model_name", json!(cfg.model_name)),
            ("hook_name", json!(cfg.hook_name)),
            ("hook_name_out", json!(cfg.hook_name_out)),
            ("hook_head_index", json!(cfg.hook_head_index)),
            ("prepend_bos", json!(cfg.prepend_bos)),
        ];
        for (key, value) in said {
            if !value.is_null() {
                set(key, value);
            }
        }
        if let Some(prefixes) = prefixes {
            let details = json!({"matryoshka_widths": prefixes});
            set("training_architecture_details", details);
        }
        about
    }

    fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut weights = HashMap::new();
        let mut add = |name: &str, tensor: &Tensor| -> Result<()> {
            weights.insert(name.to_owned(), plain(tensor)?);
            Ok(())
        };
        add("W_enc", &self.W_enc)?;
        add("W_dec", &self.W_dec)?;
        add("b_dec", &self.b_dec)?;
        let is_gated = match &self.gate {
            Gate::Matryoshka(gate) => matches!(*gate.inner, Gate::Gated(_)),
            gate => matches!(gate, Gate::Gated(_)),
        };
        if !is_gated {
            add("b_enc", &self.b_enc)?;
        }
        for (name, tensor) in self.gate.weights() {
            add(name, tensor)?;
        }
        if let Some(W_skip) = &self.W_skip {
            add("W_skip", &W_skip.t()?)?;
        }
        Ok(weights)
    }
}

/// Whether a gate of batch-top-k rescales by decoder norms, and its threshold.
fn threshold(gate: &Gate) -> Option<(bool, Option<f64>)> {
    match gate {
        Gate::BatchTopK(gate) => Some((gate.rescale_by_decoder_norm, gate.threshold)),
        Gate::Matryoshka(gate) => threshold(&gate.inner),
        _ => None,
    }
}

/// Takes what the encoder adds for a bias of the input out of a gate's own biases.
fn shift_gate(gate: &mut Gate, shift: &Tensor) -> Result<()> {
    match gate {
        Gate::Gated(gate) => {
            gate.b_gate = (&gate.b_gate - shift)?;
            gate.b_mag = (&gate.b_mag - (shift * gate.r_mag.exp()?)?)?;
            Ok(())
        }
        Gate::Matryoshka(gate) => shift_gate(&mut gate.inner, shift),
        _ => Ok(()),
    }
}

/// A tensor on the CPU, without gradients, its values in order.
fn plain(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.detach().to_device(&Device::Cpu)?.contiguous()?)
}

/// torch's word for a type.
fn word_of(dtype: DType) -> &'static str {
    match dtype {
        DType::BF16 => "bfloat16",
        DType::F16 => "float16",
        DType::F64 => "float64",
        _ => "float32",
    }
}

fn write_tensors(path: &Path, tensors: HashMap<String, Tensor>) -> Result<()> {
    replace(path, |path| {
        Ok(candle_core::safetensors::save(&tensors, path)?)
    })
}

/// Writes a file beside its place and moves it there, so that a half-written one is never found.
fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = write(&partial).and_then(|()| Ok(std::fs::rename(&partial, path)?));
    if written.is_err() {
        // What is left of it is of no use; that it could not be written is the error.
        std::fs::remove_file(&partial).ok();
    }
    written
}
