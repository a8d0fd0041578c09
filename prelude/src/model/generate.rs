//! Continuing a prompt token by token.

use super::hooks::Hooks;
use super::input::Input;
use super::parts::KeyValueCache;
use super::run::{Run, checkpoint};
use super::tokenizer::{PaddingSide, Tokenizer};
use super::transformer::HookedTransformer;
use crate::error::{Error, Result};
use crate::math::Sampler;
use candle_core::{DType, Tensor};
use std::fmt;
use std::io::Write;
use std::sync::Arc;

impl HookedTransformer {
    /// Continues a prompt, or each prompt of a batch. Texts of different lengths are padded in front.
    ///
    /// Keys and values of the text so far are kept, so that each step computes one position only.
    /// Under hooks every step runs over the whole text instead, and hooks see all positions at
    /// each: see [`Generate::use_past_kv_cache`].
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
        let side = match input.is_text() {
            true => Some(PaddingSide::Left),
            false => options.padding_side,
        };
        let mut prompt = self.prepare(&input, side, options.prepend_bos)?;
        let mut rows: Vec<Vec<u32>> = prompt.tokens.to_vec2()?;
        let prompt_length = prompt.tokens.dim(1)?;
        let (n_ctx, room) = (self.config().n_ctx, prompt_length + options.max_new_tokens);
        if room > n_ctx {
            return Err(Error::new(format!(
                "a prompt of {prompt_length} tokens and {} new ones do not fit into n_ctx = \
                 {n_ctx}: ask for at most {} new tokens.",
                options.max_new_tokens,
                n_ctx - prompt_length
            )));
        }
        let mut stream = match &options.stream {
            Some(print) => Some(Stream::new(self, print, &rows)?),
            None => None,
        };

        let of_tokenizer = || self.tokenizer().ok().and_then(|tokenizer| tokenizer.eos());
        let ends: Vec<u32> = match (options.stop_at_eos, options.eos_token_id.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => of_tokenizer().into_iter().collect(),
            (true, false) => options.eos_token_id.clone(),
        };
        // What fills the row of a text that has ended.
        let end = match options.stop_at_eos {
            true => of_tokenizer().or(ends.first().copied()),
            false => None,
        };
        let mut sampler = Sampler::new(options.temperature, options.top_k, options.seed);
        sampler = sampler
            .top_p(options.top_p)
            .freq_penalty(options.freq_penalty);
        let has_hooks = !options.hooks.is_empty() || !self.scope().is_empty();
        let keeps_keys = options.use_past_kv_cache.unwrap_or(!has_hooks);
        let mut past = keeps_keys.then(|| KeyValueCache::new(self.config().n_layers, room));
        let mut unseen = prompt.clone();
        let mut ended = vec![false; rows.len()];
        for _ in 0..options.max_new_tokens {
            checkpoint()?;
            let run = Run::on_prompt(self.clone(), unseen, past.take());
            let (logits, seen) = run.hooks(&options.hooks).logits_at_and_past(-1)?; // [batch, d_vocab]
            past = seen;
            let logits = logits.to_dtype(DType::F32)?.to_vec2::<f32>()?;
            let mut next = Vec::with_capacity(rows.len());
            for (row, logits) in logits.iter().enumerate() {
                let first = prompt.first.as_ref().map_or(0, |first| first[row]);
                let token = match (ended[row], end) {
                    (true, Some(end)) => end,
                    _ => {
                        let so_far = rows[row].get(first..).unwrap_or_default();
                        sampler.sample_after(logits, so_far)?
                    }
                };
                ended[row] |= ends.contains(&token);
                rows[row].push(token);
                next.push(token);
            }
            if let Some(stream) = &mut stream {
                stream.show(&rows)?;
            }
            let next = Tensor::from_vec(next, (rows.len(), 1), &self.device())?;
            prompt.tokens = Tensor::cat(&[&prompt.tokens, &next], 1)?;
            unseen = prompt.clone();
            if keeps_keys {
                unseen.tokens = next;
            }
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

/// What prints text as it grows.
type Print = Arc<dyn Fn(&str) + Send + Sync>;

/// The text of the one prompt, printed as it grows.
struct Stream<'a> {
    tokenizer: Tokenizer,
    print: &'a Print,
    shown: String,
}

impl<'a> Stream<'a> {
    fn new(model: &HookedTransformer, print: &'a Print, rows: &[Vec<u32>]) -> Result<Self> {
        if rows.len() != 1 {
            return Err(Error::new(format!(
                "only one text can be shown as it grows, but the batch has {}: generate them one \
                 by one, or leave out `.stream()`.",
                rows.len()
            )));
        }
        let mut stream = Self {
            tokenizer: model.tokenizer()?,
            print,
            shown: String::new(),
        };
        stream.show(rows)?;
        Ok(stream)
    }

    /// Prints what is new, but for a character of which only some bytes are there.
    fn show(&mut self, rows: &[Vec<u32>]) -> Result<()> {
        let row = rows.first().map(Vec::as_slice).unwrap_or_default();
        let text = self.tokenizer.decode(skip_bos(row, self.tokenizer.bos()))?;
        if text.ends_with('\u{fffd}') {
            return Ok(());
        }
        if let Some(new) = text.strip_prefix(self.shown.as_str())
            && !new.is_empty()
        {
            (self.print)(new);
        }
        self.shown = text;
        Ok(())
    }
}

fn skip_bos(row: &[u32], bos: Option<u32>) -> &[u32] {
    match row {
        [first, rest @ ..] if Some(*first) == bos => rest,
        all => all,
    }
}

/// How to continue a prompt. By default the likeliest token is taken each time.
#[derive(Clone)]
pub struct Generate {
    max_new_tokens: usize,
    temperature: f64,
    top_k: Option<usize>,
    top_p: Option<f64>,
    freq_penalty: f64,
    prepend_bos: Option<bool>,
    padding_side: Option<PaddingSide>,
    seed: u64,
    stop_at_eos: bool,
    eos_token_id: Vec<u32>,
    use_past_kv_cache: Option<bool>,
    stream: Option<Print>,
    hooks: Hooks,
}

impl Generate {
    /// Greedily, with at most this many new tokens, ending at the end-of-sequence token.
    pub fn new(max_new_tokens: usize) -> Self {
        Self {
            max_new_tokens,
            temperature: 0.,
            top_k: None,
            top_p: None,
            freq_penalty: 0.,
            prepend_bos: None,
            padding_side: None,
            seed: 0,
            stop_at_eos: true,
            eos_token_id: Vec::new(),
            use_past_kv_cache: None,
            stream: None,
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

    /// Draws among the likeliest tokens only whose probabilities sum to `p` (nucleus sampling).
    #[must_use]
    pub fn top_p(mut self, p: f64) -> Self {
        self.top_p = Some(p);
        self
    }

    /// Takes this from a token's logit, after the division by the temperature, for each time that it
    /// occurs in the text so far, the prompt and its beginning-of-sequence token among that; padding
    /// does not count.
    ///
    /// ```
    /// use ferrolens::model::{Generate, HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// // The likeliest token each time, the less so the more often it was there.
    /// let options = Generate::new(20).temperature(1.).top_k(1).freq_penalty(2.);
    /// println!("{}", model.generate("Once upon a time", &options)?);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    #[must_use]
    pub fn freq_penalty(mut self, penalty: f64) -> Self {
        self.freq_penalty = penalty;
        self
    }

    /// Whether text gets a beginning-of-sequence token in front, where the family's habit does not
    /// fit.
    #[must_use]
    pub fn prepend_bos(mut self, on: bool) -> Self {
        self.prepend_bos = Some(on);
        self
    }

    /// Says that rows of token ids are padded on this side, so that padding is not attended to. It can
    /// only be the left: a text goes on behind its last token. Texts are padded there anyway.
    #[must_use]
    pub fn padding_side(mut self, side: PaddingSide) -> Self {
        self.padding_side = Some(side);
        self
    }

    /// The seed of the draws: the same seed gives the same text.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same with a later seed.
    pub(crate) fn later_seed(mut self, later: usize) -> Self {
        self.seed = self.seed.wrapping_add(later as u64);
        self
    }

    /// Whether it has hooks, which have no name that a file could go by.
    pub(crate) fn has_hooks(&self) -> bool {
        !self.hooks.is_empty()
    }

    /// Whether to end at the end-of-sequence token.
    #[must_use]
    pub fn stop_at_eos(mut self, stop: bool) -> Self {
        self.stop_at_eos = stop;
        self
    }

    /// Ends at any of these tokens, in the place of the tokenizer's own end-of-sequence token.
    ///
    /// ```
    /// use ferrolens::model::{Generate, HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let options = Generate::new(40).eos_token_id([model.to_single_token(".")?]);
    /// let sentence = model.generate("Once upon a time", &options)?.to_string();
    /// assert!(sentence.ends_with('.'));
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    #[must_use]
    pub fn eos_token_id(mut self, tokens: impl IntoIterator<Item = u32>) -> Self {
        self.eos_token_id = tokens.into_iter().collect();
        self
    }

    /// Whether each step computes the newest position only, from kept keys and values. Hooks then
    /// see that one position (scores and patterns: one query, all keys), but for the first step, in
    /// which they see the prompt. Without a word it is so where there are no hooks.
    #[must_use]
    pub fn use_past_kv_cache(mut self, on: bool) -> Self {
        self.use_past_kv_cache = Some(on);
        self
    }

    /// Prints the text as it grows, the prompt first.
    #[must_use]
    pub fn stream(self) -> Self {
        self.stream_to(|text| {
            print!("{text}");
            // A closed stdout is no reason to stop.
            let _ = std::io::stdout().flush();
        })
    }

    /// Calls `print` with each new piece of the text as it grows, the prompt first.
    #[must_use]
    pub fn stream_to(mut self, print: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.stream = Some(Arc::new(print));
        self
    }

    /// With these hooks in place at every step.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Into<Hooks>) -> Self {
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
        if !self.freq_penalty.is_finite() || self.freq_penalty < 0. {
            return Err(Error::new(format!(
                "freq_penalty is {}, but must be 0 or more.",
                self.freq_penalty
            )));
        }
        if self.freq_penalty > 0. && self.temperature == 0. {
            return Err(Error::new(
                "freq_penalty changes nothing at temperature 0, as in TransformerLens: add \
                 `.temperature(1.)`, and `.top_k(1)` for the likeliest token after the penalty.",
            ));
        }
        if self.padding_side == Some(PaddingSide::Right) {
            return Err(Error::new(
                "a text goes on behind its last token, so it cannot be padded there: pad the rows with \
                 `TokenOptions::new().padding_side(PaddingSide::Left)`, and say the same here.",
            ));
        }
        if self.top_k == Some(0) {
            return Err(Error::new(
                "top_k is 0, which leaves no token: use 1 or more.",
            ));
        }
        if let Some(top_p) = self.top_p
            && !(top_p > 0. && top_p <= 1.)
        {
            return Err(Error::new(format!(
                "top_p is {top_p}, but must be more than 0 and at most 1."
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for Generate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generate")
            .field("max_new_tokens", &self.max_new_tokens)
            .field("temperature", &self.temperature)
            .field("top_k", &self.top_k)
            .field("top_p", &self.top_p)
            .field("freq_penalty", &self.freq_penalty)
            .field("prepend_bos", &self.prepend_bos)
            .field("padding_side", &self.padding_side)
            .field("seed", &self.seed)
            .field("stop_at_eos", &self.stop_at_eos)
            .field("eos_token_id", &self.eos_token_id)
            .field("use_past_kv_cache", &self.use_past_kv_cache)
            .field("hooks", &self.hooks)
            .finish_non_exhaustive()
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
