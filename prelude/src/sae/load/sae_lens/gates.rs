//! The kinds of autoencoder that SAELens has, by its words for them.

use super::super::fields::Fields;
use super::super::weights::Weights;
use super::OWN;
use crate::error::{Error, Result};
use crate::sae::{BatchTopK, Gate, Gated, JumpRelu, Matryoshka, Nsae, TopK};

/// A kind, as the config says it.
pub(super) struct Kind {
    word: Word,
    pub(super) is_transcoder: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Standard,
    Tanh,
    Gated,
    JumpRelu,
    TopK,
    AbsTopK,
    BatchTopK,
    Matryoshka,
    Nsae,
}

/// All words, what they mean, and whether it is a transcoder's.
const WORDS: [(&str, Word, bool); 12] = [
    ("standard", Word::Standard, false),
    ("gated", Word::Gated, false),
    ("jumprelu", Word::JumpRelu, false),
    ("topk", Word::TopK, false),
    ("abstopk", Word::AbsTopK, false),
    ("batchtopk", Word::BatchTopK, false),
    ("matryoshka_batchtopk", Word::Matryoshka, false),
    ("transcoder", Word::Standard, true),
    ("skip_transcoder", Word::Standard, true),
    ("jumprelu_transcoder", Word::JumpRelu, true),
    ("jumprelu_skip_transcoder", Word::JumpRelu, true),
    ("nsae", Word::Nsae, false),
];

/// The kind that a config names.
///
/// # Errors
/// It is not known.
pub(super) fn kind(fields: &Fields) -> Result<Kind> {
    let architecture = fields.text("architecture")?;
    let architecture = architecture.as_deref().unwrap_or("standard");
    let short = architecture.strip_prefix(OWN);
    let found = WORDS
        .iter()
        .find(|(word, ..)| *word == short.unwrap_or(architecture));
    let Some((_, word, is_transcoder)) = found else {
        let known: Vec<&str> = WORDS.iter().map(|(word, ..)| *word).collect();
        return Err(Error::new(format!(
            "{}: autoencoders of the architecture `{architecture}` are not supported: {} are.",
            fields.origin(),
            known.join(", ")
        )));
    };
    // Own words say what the gate is; whether it is a transcoder follows from what it writes.
    let is_transcoder = match short {
        Some(_) => fields.has("d_out"),
        None => *is_transcoder,
    };
    let function = fields.first_text(&["activation_fn", "activation_fn_str"])?;
    let word = match (*word, function.as_deref()) {
        (Word::Standard, None | Some("relu")) => Word::Standard,
        (Word::Standard, Some("tanh-relu")) => Word::Tanh,
        (Word::Standard, Some("topk")) => Word::TopK,
        (Word::Standard, Some(other)) => {
            return Err(Error::new(format!(
                "{}: the activation function `{other}` is not supported: `relu`, `tanh-relu` and \
                 `topk` are.",
                fields.origin()
            )));
        }
        (word, _) => word,
    };
    Ok(Kind {
        word,
        is_transcoder,
    })
}

impl Kind {
    /// Gated ones have two biases of their own instead.
    pub(super) fn has_b_enc(&self) -> bool {
        self.word != Word::Gated
    }

    /// The gate, with the weights that only it has.
    ///
    /// # Errors
    /// A weight or a number is missing.
    pub(super) fn gate(
        &self,
        fields: &Fields,
        metadata: Option<&Fields>,
        weights: &Weights,
        d_sae: usize,
    ) -> Result<Gate> {
        let gate = self.alone(fields, weights, d_sae)?;
        if matches!(gate, Gate::Matryoshka(_)) {
            return Ok(gate);
        }
        Ok(match nested(metadata, d_sae) {
            Some(prefixes) => Gate::Matryoshka(Matryoshka {
                prefixes,
                inner: Box::new(gate),
            }),
            None => gate,
        })
    }

    /// The gate without what metadata may say about prefixes.
    fn alone(&self, fields: &Fields, weights: &Weights, d_sae: usize) -> Result<Gate> {
        let get = |name: &str| weights.get(name, &[d_sae]);
        let options = fields.object("activation_fn_kwargs")?;
        let k = match fields.number("k")? {
            Some(k) => Some(k),
            None => match &options {
                Some(options) => options.number("k")?,
                None => None,
            },
        };
        let need_k = || {
            k.ok_or_else(|| {
                Error::new(format!(
                    "{}: `k`, the number of latents that are active at a time, is missing.",
                    fields.origin()
                ))
            })
        };
        let rescale = fields.flag("rescale_acts_by_decoder_norm")?;
        let rescale_by_decoder_norm = rescale.unwrap_or(false);
        let batch_top_k = || -> Result<Gate> {
            let stored = weights.number("topk_threshold");
            Ok(Gate::BatchTopK(BatchTopK {
                k: need_k()?,
                threshold: stored.or(fields.number("topk_threshold")?),
                rescale_by_decoder_norm,
            }))
        };
        Ok(match self.word {
            Word::Standard => Gate::Relu,
            Word::Tanh => Gate::Nsae(Nsae { sigma: 0. }),
            Word::Nsae => Gate::Nsae(Nsae {
                sigma: fields.number("sigma")?.unwrap_or(0.),
            }),
            Word::Gated => Gate::Gated(Gated {
                r_mag: get("r_mag")?,
                b_mag: get("b_mag")?,
                b_gate: get("b_gate")?,
            }),
            Word::JumpRelu => {
                let threshold = match weights.has("log_threshold") {
                    true => get("log_threshold")?.exp()?,
                    false => get("threshold")?,
                };
                Gate::JumpRelu(JumpRelu { threshold })
            }
            Word::TopK | Word::AbsTopK => {
                let signed = match &options {
                    Some(options) => options.flag("signed")?.unwrap_or(false),
                    None => false,
                };
                Gate::TopK(TopK {
                    k: need_k()? as usize,
                    rescale_by_decoder_norm,
                    signed: signed || self.word == Word::AbsTopK,
                })
            }
            Word::BatchTopK => batch_top_k()?,
            Word::Matryoshka => {
                let widths = fields.value("matryoshka_widths").and_then(sizes);
                Gate::Matryoshka(Matryoshka {
                    prefixes: widths.unwrap_or_else(|| vec![d_sae]),
                    inner: Box::new(match weights.has("threshold") {
                        true => Gate::JumpRelu(JumpRelu {
                            threshold: get("threshold")?,
                        }),
                        false => batch_top_k()?,
                    }),
                })
            }
        })
    }
}

/// The prefixes that one which was trained with them, and saved as another kind, had.
fn nested(metadata: Option<&Fields>, d_sae: usize) -> Option<Vec<usize>> {
    let details = metadata?.value("training_architecture_details")?;
    let widths = sizes(details.get("matryoshka_widths")?)?;
    let rises = widths.windows(2).all(|pair| pair[0] < pair[1]);
    (rises && widths.last() == Some(&d_sae)).then_some(widths)
}

fn sizes(value: &serde_json::Value) -> Option<Vec<usize>> {
    let sizes = value.as_array()?.iter();
    let sizes = sizes.map(|size| usize::try_from(size.as_u64()?).ok());
    sizes
        .collect::<Option<Vec<_>>>()
        .filter(|sizes| !sizes.is_empty())
}
