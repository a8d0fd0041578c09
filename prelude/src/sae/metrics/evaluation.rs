//! Many autoencoders of one model measured on the same texts.

use super::comparison::{MeasuredSae, SaeComparison};
use super::losses::{Clean, LossMetrics, Outcome};
use super::reconstruction::SaeMetrics;
use crate::data::Corpus;
use crate::emit::{Progress, check_interrupt};
use crate::error::{Error, Result};
use crate::model::{HookPoint, HookedTransformer, Input};
use crate::sae::Sae;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

/// The most tokens that are run at a time: a run keeps a number for each of them and each word.
const TOKEN_BUDGET: usize = 2048;
/// A measurement that takes longer shows how far it is.
const LONG: Duration = Duration::from_secs(2);

/// Texts on which autoencoders of a model are measured: what they are made of ([`SaeMetrics`]) and what the
/// model loses with them in place ([`LossMetrics`]), the same numbers as from both, but with one clean run
/// for all autoencoders and two ablations a hook point, which are remembered from one measurement to the
/// next.
///
/// ```
/// use ferrolens::data::Corpus;
/// use ferrolens::model::HookedTransformer;
/// use ferrolens::sae::Sae;
/// use ferrolens::sae::metrics::SaeEvaluation;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let corpus = Corpus::new(&model, ["Lily saw a big cat.", "Tom had a red ball."])?;
/// let of = |release: &str| -> ferrolens::Result<Vec<Sae>> {
///     ["blocks.0.hook_mlp_out", "blocks.1.hook_resid_post"]
///         .into_iter()
///         .map(|hook| Sae::from_pretrained(release, hook))
///         .collect()
/// };
/// let (relu, nsae) = (of("stories-2l-relu")?, of("stories-2l-nsae")?);
///
/// let evaluation = SaeEvaluation::new(&model, &corpus)?.exclude_bos()?;
/// let measured = evaluation.measure([("ReLU", &relu), ("NSAE", &nsae)])?;
/// assert_eq!(measured.rows.len(), 4);
/// let at_the_end = measured.get("NSAE", "blocks.1.hook_resid_post")?;
/// assert!(at_the_end.activations.l0 > 0. && at_the_end.losses.kl_recon > 0.);
/// # Ok::<(), ferrolens::Error>(())
/// ```
pub struct SaeEvaluation {
    model: HookedTransformer,
    prompts: Vec<Input>,
    tokens: usize,
    excluded: Vec<u32>,
    /// What zeros and the mean do, batch by batch, at each hook point that was asked for.
    ablated: Mutex<BTreeMap<String, Vec<[Outcome; 2]>>>,
}

impl SaeEvaluation {
    /// These texts for this model. Prompts of one length are run together, so that nothing is padded.
    ///
    /// # Errors
    /// There is no text.
    pub fn new(model: &HookedTransformer, corpus: &Corpus) -> Result<Self> {
        let mut prompts = Vec::new();
        for batch in corpus.batches(TOKEN_BUDGET)? {
            let mut of_length: BTreeMap<usize, Vec<Vec<u32>>> = BTreeMap::new();
            for (row, length) in batch.rows.iter().zip(&batch.lengths) {
                let row = row.iter().copied().take(*length).collect();
                of_length.entry(*length).or_default().push(row);
            }
            // A single token predicts nothing.
            of_length.retain(|length, _| *length > 1);
            prompts.extend(of_length.into_values().map(Input::Ids));
        }
        if prompts.is_empty() {
            return Err(Error::new(
                "no text has two tokens, so there is nothing to predict: give longer ones.",
            ));
        }
        Ok(Self {
            model: model.clone(),
            prompts,
            tokens: corpus.tokens(),
            excluded: Vec::new(),
            ablated: Mutex::default(),
        })
    }

    /// Without the beginning-of-sequence token: as [`SaeEvaluation::exclude_tokens`] with it.
    ///
    /// # Errors
    /// The model has no tokenizer, or one without such a token.
    pub fn exclude_bos(self) -> Result<Self> {
        let bos = self.model.tokenizer()?.bos().ok_or_else(|| {
            Error::new(
                "the model's tokenizer has no beginning-of-sequence token: name the tokens to leave out \
                 with `.exclude_tokens([..])`.",
            )
        })?;
        Ok(self.exclude_tokens([bos]))
    }

    /// Without these tokens: they are not reconstructed, and nothing that was measured at them counts.
    #[must_use]
    pub fn exclude_tokens(mut self, tokens: impl Into<Vec<u32>>) -> Self {
        self.excluded.extend(tokens.into());
        self.ablated = Mutex::default();
        self
    }

    /// How many tokens the texts have.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// All of these autoencoders, each with the name of its kind: `[("ReLU", &saes), ("NSAE", &others)]`.
    ///
    /// # Errors
    /// One has no hook point that the model has, is a transcoder, or its activations hold NaN; the user
    /// stopped the cell.
    pub fn measure<N: AsRef<str>, S: AsRef<[Sae]>>(
        &self,
        kinds: impl IntoIterator<Item = (N, S)>,
    ) -> Result<SaeComparison> {
        let mut named = Vec::new();
        for (kind, saes) in kinds {
            let of_kind = saes.as_ref().iter();
            named.extend(of_kind.map(|sae| (kind.as_ref().to_owned(), sae.clone())));
        }
        let mut line = Progress::new(self.prompts.len() * named.len())
            .labelled("measuring autoencoders")
            .after(LONG);
        self.measure_all(named, |_| line.advance(1))
    }

    /// Those of one kind, where somebody else says how far it is.
    pub(in crate::sae) fn measure_quietly(
        &self,
        kind: &str,
        saes: Vec<Sae>,
    ) -> Result<SaeComparison> {
        let named = saes.into_iter().map(|sae| (kind.to_owned(), sae));
        self.measure_all(named.collect(), |_| ())
    }

    fn measure_all(
        &self,
        saes: Vec<(String, Sae)>,
        mut done: impl FnMut(usize),
    ) -> Result<SaeComparison> {
        let mut lanes = Vec::with_capacity(saes.len());
        for (kind, sae) in saes {
            lanes.push(SaeLane::new(&self.model, kind, sae, &self.excluded)?);
        }
        if lanes.is_empty() {
            return Err(Error::new(
                "there is no autoencoder to measure: give at least one, as in \
                 `measure([(\"ReLU\", &saes)])`.",
            ));
        }
        let points: Vec<HookPoint> = lanes.iter().map(|lane| lane.point).collect();
        for (batch, prompts) in self.prompts.iter().enumerate() {
            let run = self.model.run(prompts).cache(&points);
            let (logits, cache) = run.logits_and_cache()?;
            let clean = Clean::from_logits(&self.model, prompts.clone(), &self.excluded, &logits)?;
            let mask = clean.mask()?;
            for lane in &mut lanes {
                check_interrupt()?;
                let read = lane.sae.input_of(&cache.get(lane.point)?)?;
                lane.activations.update_where(&read, &mask)?;
                let ablated = self.ablated_at(lane, batch, &clean)?;
                lane.losses.add(&clean, ablated)?;
                done(batch);
            }
        }
        let rows: Result<Vec<MeasuredSae>> = lanes.iter().map(SaeLane::finish).collect();
        Ok(SaeComparison { rows: rows? })
    }

    /// What zeros and the mean do at an autoencoder's hook point, measured once.
    fn ablated_at(&self, lane: &SaeLane, batch: usize, clean: &Clean) -> Result<[Outcome; 2]> {
        let key = format!("{} {:?}", lane.point, lane.sae.cfg.hook_head_index);
        let known = || self.ablated.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(outcomes) = known().get(&key).and_then(|batches| batches.get(batch)) {
            return Ok(*outcomes);
        }
        let outcomes = lane.losses.ablated(clean)?;
        let mut known = known();
        let batches = known.entry(key).or_default();
        // Batches come in order; where two threads measure, the later one finds it there.
        if batches.len() == batch {
            batches.push(outcomes);
        }
        Ok(outcomes)
    }
}

/// One autoencoder as it is measured.
struct SaeLane {
    kind: String,
    sae: Sae,
    point: HookPoint,
    activations: SaeMetrics,
    losses: LossMetrics,
}

impl SaeLane {
    fn new(model: &HookedTransformer, kind: String, sae: Sae, excluded: &[u32]) -> Result<Self> {
        if sae.is_transcoder() {
            return Err(Error::new(format!(
                "{} is a transcoder, which does not reconstruct what it reads: measure it with \
                 `SaeMetrics::update_pair` and `LossMetrics`.",
                sae.name()
            )));
        }
        let mut losses = LossMetrics::new(model, &sae)?;
        if !excluded.is_empty() {
            losses = losses.exclude_tokens(excluded)?;
        }
        Ok(Self {
            kind,
            point: sae.hook_point(model)?,
            activations: SaeMetrics::new(&sae),
            losses,
            sae,
        })
    }

    fn finish(&self) -> Result<MeasuredSae> {
        Ok(MeasuredSae {
            kind: self.kind.clone(),
            hook_point: self.point.name(),
            activations: self.activations.finish()?,
            losses: self.losses.finish()?,
        })
    }
}

impl fmt::Debug for SaeEvaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.model.config().model_name;
        write!(f, "SaeEvaluation on {} tokens of {model}", self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> (HookedTransformer, [Sae; 2]) {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let of = |release, hook| Sae::from_pretrained(release, hook).unwrap();
        let saes = [
            of("stories-2l-relu", "blocks.1.hook_resid_post"),
            of("stories-2l-nsae", "blocks.0.hook_mlp_out"),
        ];
        (model, saes)
    }

    fn close(found: f64, expected: f64) {
        let off = (found - expected).abs();
        assert!(
            off <= 1e-4 * expected.abs() + 1e-7,
            "{found} is not {expected}"
        );
    }

    #[test]
    fn it_is_what_both_metrics_say_prompt_by_prompt() {
        let (model, saes) = both();
        let texts = [
            "Lily saw a big cat.",
            "Tom had a red ball. He ran.",
            "Once upon a time, there was a girl.",
        ];
        let corpus = Corpus::new(&model, texts).unwrap();
        for exclude in [false, true] {
            let mut evaluation = SaeEvaluation::new(&model, &corpus).unwrap();
            if exclude {
                evaluation = evaluation.exclude_bos().unwrap();
            }
            // The second time from what is remembered.
            for _ in 0..2 {
                let measured = evaluation.measure([("a", &saes)]).unwrap();
                for (sae, row) in saes.iter().zip(&measured.rows) {
                    let mut losses = LossMetrics::new(&model, sae).unwrap();
                    let mut activations = SaeMetrics::new(sae);
                    if exclude {
                        losses = losses.exclude_bos().unwrap();
                    }
                    for text in texts {
                        losses.update(text).unwrap();
                        let point = sae.hook_point(&model).unwrap();
                        let cache = model.cache_only(text, point).unwrap();
                        let x = cache.get(point).unwrap();
                        let first = usize::from(exclude);
                        let x = x.narrow(1, first, x.dim(1).unwrap() - first).unwrap();
                        activations.update(&x).unwrap();
                    }
                    let (losses, activations) =
                        (losses.finish().unwrap(), activations.finish().unwrap());
                    close(row.losses.clean, losses.clean);
                    close(row.losses.zero, losses.zero);
                    close(row.losses.recon, losses.recon);
                    close(row.losses.kl_recon, losses.kl_recon);
                    close(row.losses.kl_zero, losses.kl_zero);
                    assert_eq!(row.losses.positions, losses.positions);
                    close(row.activations.l0, activations.l0);
                    close(row.activations.norm_ratio, activations.norm_ratio);
                    close(
                        row.activations.explained_variance,
                        activations.explained_variance,
                    );
                    assert_eq!(row.hook_point, sae.hook_point(&model).unwrap().name());
                }
            }
        }
    }

    #[test]
    fn nothing_to_measure_is_an_error() {
        let (model, saes) = both();
        let corpus = Corpus::new(&model, ["Lily saw a big cat."]).unwrap();
        let evaluation = SaeEvaluation::new(&model, &corpus).unwrap();
        let none = evaluation.measure([("a", &saes[..0])]).unwrap_err();
        assert!(none.to_string().contains("at least one"), "{none}");
        let one = Corpus::from_tokens(vec![vec![3]], None).unwrap();
        let short = SaeEvaluation::new(&model, &one).unwrap_err();
        assert!(short.to_string().contains("two tokens"), "{short}");
    }
}
