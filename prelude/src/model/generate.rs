//! Continuing a prompt token by token.

use super::hooks::Hooks;
use super::input::Input;
use super::run::{Run, checkpoint};
use super::tokenizer::PaddingSide;
use super::transformer::HookedTransformer;
use crate::error::{Error, Result};
use crate::math::Sampler;
use candle_core::{DType, Tensor};
use std::fmt;

impl HookedTransformer {
    /// Continues a prompt, or each prompt of a batch.
    ///
    /// Every step runs the model on the whole text so far (there is no key-value cache), so hooks
    /// see all positions at every step. Texts of different lengths are padded in front.
    ///
    /// ```
    /// use ferrolens::model::{Generate, HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let story = model.generate("Once upon a time", &Generate::new(20))?;
    /// println!("{story}");
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The prompt does not fit the model, the prompt and the new tokens are longer than `n_ctx`, or
    /// an option has no meaning.
    pub fn generate(&self, prompt: impl Into<Input>, options: &Generate) -> Result<Generation> {
        options.check()?;
        let input = prompt.into();
        // Texts of different lengths are padded in front, so that all end at the same position.
        let mut prompt = self.prepare(&input, input.is_text().then_some(PaddingSide::Left))?;
        let mut rows: Vec<Vec<u32>> = prompt.tokens.to_vec2()?;
        let prompt_length = prompt.tokens.dim(1)?;
        let n_ctx = self.config().n_ctx;
        if prompt_length + options.max_new_tokens > n_ctx {
            return Err(Error::new(format!(
                "a prompt of {prompt_length} tokens and {} new ones do not fit into n_ctx = \
                 {n_ctx}: ask for at most {} new tokens.",
                options.max_new_tokens,
                n_ctx - prompt_length
            )));
        }

        let end = match options.stop_at_eos {
            true => self.tokenizer().ok().and_then(|tokenizer| tokenizer.eos()),
            false => None,
        };
        let mut sampler = Sampler::new(options.temperature, options.top_k, options.seed);
        let mut ended = vec![false; rows.len()];
        for _ in 0..options.max_new_tokens {
            checkpoint()?;
            let run = Run::on_prompt(self.clone(), prompt.clone());
            let logits = run.hooks(&options.hooks).logits_at(-1)?; // [batch, d_vocab]
            let logits = logits.to_dtype(DType::F32)?.to_vec2::<f32>()?;
            let mut next = Vec::with_capacity(rows.len());
            for (row, logits) in logits.iter().enumerate() {
                let token = match (ended[row], end) {
                    (true, Some(end)) => end,
                    _ => sampler.sample(logits)?,
                };
                ended[row] |= Some(token) == end;
                rows[row].push(token);
                next.push(token);
            }
            let next = Tensor::from_vec(next, (rows.len(), 1), &self.device())?;
            prompt.tokens = Tensor::cat(&[&prompt.tokens, &next], 1)?;
            if ended.iter().all(|ended| *ended) {
                break;
            }
        }
        let texts = match self.tokenizer() {
            Ok(tokenizer) => rows
                .iter()
                .enumerate()
                .map(|(index, row)| {
                    let first = prompt.first.as_ref().map_or(0, |first| first[index]);
                    let real = row.get(first..).unwrap_or_default();
                    tokenizer.decode(skip_bos(real, tokenizer.bos()))
                })
                .collect::<Result<_>>()?,
            Err(_) => Vec::new(),
        };
        Ok(Generation {
            tokens: prompt.tokens,
            prompt_length,
            texts,
        })
    }
}

fn skip_bos(row: &[u32], bos: Option<u32>) -> &[u32] {
    match row {
        [first, rest @ ..] if Some(*first) == bos => rest,
        all => all,
    }
}

/// How to continue a prompt. By default the likeliest token is taken each time.
#[derive(Clone, Debug)]
pub struct Generate {
    max_new_tokens: usize,
    temperature: f64,
    top_k: Option<usize>,
    seed: u64,
    stop_at_eos: bool,
    hooks: Hooks,
}

impl Generate {
    /// Greedily, with at most this many new tokens, ending at the end-of-sequence token.
    pub fn new(max_new_tokens: usize) -> Self {
        Self {
            max_new_tokens,
            temperature: 0.,
            top_k: None,
            seed: 0,
            stop_at_eos: true,
            hooks: Hooks::new(),
        }
    }

    /// Draws tokens with probability `softmax(logits / temperature)`; 0 takes the likeliest.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Draws among the `k` likeliest tokens only.
    #[must_use]
    pub fn top_k(mut self, k: usize) -> Self {
        self.top_k = Some(k);
        self
    }

    /// The seed of the draws: the same seed gives the same text.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether to end at the end-of-sequence token.
    #[must_use]
    pub fn stop_at_eos(mut self, stop: bool) -> Self {
        self.stop_at_eos = stop;
        self
    }

    /// With these hooks in place at every step.
    #[must_use]
    pub fn hooks(mut self, hooks: &Hooks) -> Self {
        self.hooks = self.hooks.and(hooks);
        self
    }

    fn check(&self) -> Result<()> {
        if !(self.temperature >= 0. && self.temperature.is_finite()) {
            return Err(Error::new(format!(
                "the temperature is {}, but must be 0 or more.",
                self.temperature
            )));
        }
        if self.top_k == Some(0) {
            return Err(Error::new(
                "top_k is 0, which leaves no token: use 1 or more.",
            ));
        }
        Ok(())
    }
}

/// A prompt and its continuation. It prints as text.
#[derive(Clone, Debug)]
pub struct Generation {
    tokens: Tensor,
    prompt_length: usize,
    texts: Vec<String>,
}

impl Generation {
    /// The tokens of prompts and continuations, `[batch, pos]`; shorter prompts are padded in front.
    pub fn tokens(&self) -> Tensor {
        self.tokens.clone()
    }

    /// The tokens of the continuations alone, `[batch, new tokens]`.
    ///
    /// # Errors
    /// Never for a generation that [`HookedTransformer::generate`] returned.
    pub fn new_tokens(&self) -> Result<Tensor> {
        let new = self.tokens.dim(1)? - self.prompt_length;
        Ok(self.tokens.narrow(1, self.prompt_length, new)?)
    }

    /// The text of each prompt with its continuation, without the beginning-of-sequence token;
    /// none where the model has no tokenizer.
    pub fn texts(&self) -> Vec<String> {
        self.texts.clone()
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, text) in self.texts.iter().enumerate() {
            if index > 0 {
                f.write_str("\n---\n")?;
            }
            f.write_str(text)?;
        }
        Ok(())
    }
}
