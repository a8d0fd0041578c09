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
        let mut prompt = self.prepare(&input, input.is_text().then_some(PaddingSide::Left))?;
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

        let end = match options.stop_at_eos {
            true => self.tokenizer().ok().and_then(|tokenizer| tokenizer.eos()),
            false => None,
        };
        let mut sampler = Sampler::new(options.temperature, options.top_k, options.seed);
        sampler = sampler.top_p(options.top_p);
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
                let token = match (ended[row], end) {
                    (true, Some(end)) => end,
                    _ => sampler.sample(logits)?,
                };
                ended[row] |= Some(token) == end;
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
    seed: u64,
    stop_at_eos: bool,
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
            seed: 0,
            stop_at_eos: true,
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
            .field("seed", &self.seed)
            .field("stop_at_eos", &self.stop_at_eos)
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
