//! Prompts as tokens of a model.

use super::batches::Batches;
use super::fingerprint::Fingerprint;
use super::options::{CorpusOptions, Packing};
use super::packing::pack;
use super::texts::Texts;
use crate::error::{Error, Result};
use crate::model::{HookedTransformer, Tokenizer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Prompts as rows of token ids, made once and shared by all clones.
///
/// ```
/// use ferrolens::data::{Corpus, CorpusOptions};
/// use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let corpus = Corpus::new(&model, ["Once upon a time", "Lily saw a cat."])?;
/// assert_eq!(corpus.len(), 2);
/// assert_eq!(corpus.text(1)?, "Lily saw a cat.");
///
/// let stories = vec!["Once upon a time there was a dog."; 20];
/// let rows = Corpus::with(&model, stories, CorpusOptions::new().packed().context(32))?;
/// assert!(rows.lengths().iter().all(|tokens| *tokens == 32));
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct Corpus {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    ids: Vec<u32>,
    /// Where in `ids` each row ends.
    ends: Vec<usize>,
    truncated: usize,
    tokenizer: Option<Tokenizer>,
    fingerprint: String,
}

impl Corpus {
    /// One row a text, cut to the model's `n_ctx`, with the model's habit of a beginning-of-sequence
    /// token.
    ///
    /// # Errors
    /// There is no text, or one without any token; the model has no tokenizer.
    pub fn new(model: &HookedTransformer, texts: impl Into<Texts>) -> Result<Self> {
        Self::with(model, texts, CorpusOptions::new())
    }

    /// Rows made as the options say.
    ///
    /// Texts longer than a row are cut ([`Corpus::truncated`] counts them), or go on in the next row
    /// where texts share rows.
    ///
    /// # Errors
    /// As [`Corpus::new`]; a context length that is 0 or more than the model's `n_ctx`, or texts that do
    /// not fill a single row.
    pub fn with(
        model: &HookedTransformer,
        texts: impl Into<Texts>,
        options: CorpusOptions,
    ) -> Result<Self> {
        let texts = texts.into();
        let tokenizer = model.tokenizer()?;
        let prepend_bos = options.prepend_bos.unwrap_or(tokenizer.prepends_bos());
        let n_ctx = model.config().n_ctx;
        let context = options.context.unwrap_or(n_ctx);
        let least = 1 + usize::from(prepend_bos);
        if context < least || context > n_ctx {
            return Err(Error::new(format!(
                "rows of {context} tokens cannot be: {} reads {least} to n_ctx = {n_ctx}.",
                model.config().model_name
            )));
        }
        let bos = match (prepend_bos, tokenizer.bos()) {
            (false, _) => None,
            (true, Some(bos)) => Some(bos),
            (true, None) => {
                return Err(Error::new(
                    "the tokenizer has no beginning-of-sequence token to put in front: use \
                     `.prepend_bos(false)`.",
                ));
            }
        };
        let encoded = texts.as_slice().par_iter();
        let mut encoded: Vec<Vec<u32>> = encoded
            .map(|text| tokenizer.encode(text, false))
            .collect::<Result<_>>()?;
        let mut truncated = 0;
        let rows = match options.packing {
            Packing::RowPerText => {
                for (index, row) in encoded.iter_mut().enumerate() {
                    if row.is_empty() {
                        return Err(Error::new(format!(
                            "text {index} of {} has no tokens: leave empty texts out with \
                             `texts.non_empty()`.",
                            texts.name()
                        )));
                    }
                    row.splice(0..0, bos);
                    truncated += usize::from(row.len() > context);
                    row.truncate(context);
                }
                encoded
            }
            packing => {
                let tokens: usize = encoded.iter().map(Vec::len).sum();
                let rows = pack(&encoded, packing, context, bos, tokenizer.eos());
                if rows.is_empty() && tokens > 0 {
                    return Err(Error::new(format!(
                        "{} has {tokens} tokens, which do not fill one row of {context}: give more \
                         text, or a smaller `context`.",
                        texts.name()
                    )));
                }
                rows
            }
        };
        if rows.is_empty() {
            return Err(Error::new(format!(
                "{} holds no text: a corpus needs at least one.",
                texts.name()
            )));
        }
        Ok(Self::of(texts.name(), rows, truncated, Some(tokenizer)))
    }

    /// Rows that are token ids already. Give the model's tokenizer (`model.tokenizer()?`) to have their
    /// texts.
    ///
    /// # Errors
    /// There is no row, or one without any token.
    pub fn from_tokens(rows: Vec<Vec<u32>>, tokenizer: Option<Tokenizer>) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::new(
                "there are no rows of tokens: a corpus needs at least one.",
            ));
        }
        match rows.iter().position(Vec::is_empty) {
            Some(row) => Err(Error::new(format!(
                "row {row} has no tokens: leave it out."
            ))),
            None => Ok(Self::of("tokens".to_owned(), rows, 0, tokenizer)),
        }
    }

    fn of(
        name: String,
        rows: Vec<Vec<u32>>,
        truncated: usize,
        tokenizer: Option<Tokenizer>,
    ) -> Self {
        let mut fingerprint = Fingerprint::new("corpus");
        let mut ends = Vec::with_capacity(rows.len());
        let mut ids = Vec::with_capacity(rows.iter().map(Vec::len).sum());
        for row in rows {
            fingerprint.ids(&row);
            ids.extend(row);
            ends.push(ids.len());
        }
        Self {
            inner: Arc::new(Inner {
                name,
                ids,
                ends,
                truncated,
                tokenizer,
                fingerprint: fingerprint.finish(),
            }),
        }
    }

    /// How many prompts there are.
    pub fn len(&self) -> usize {
        self.inner.ends.len()
    }

    /// Whether there are none: never, as a corpus without prompts is an error when it is made.
    pub fn is_empty(&self) -> bool {
        self.inner.ends.is_empty()
    }

    /// How many tokens all prompts have together.
    pub fn tokens(&self) -> usize {
        self.inner.ids.len()
    }

    /// How many tokens each prompt has.
    pub fn lengths(&self) -> Vec<usize> {
        (0..self.len()).map(|row| self.range(row).len()).collect()
    }

    /// How many texts were cut to the context length.
    pub fn truncated(&self) -> usize {
        self.inner.truncated
    }

    /// The token ids of a prompt.
    ///
    /// # Errors
    /// There is no such prompt.
    pub fn ids(&self, prompt: usize) -> Result<Vec<u32>> {
        self.check(prompt)?;
        Ok(self.row(prompt).to_vec())
    }

    /// The text of a prompt, without a beginning-of-sequence token in front.
    ///
    /// # Errors
    /// There is no such prompt, or no tokenizer.
    pub fn text(&self, prompt: usize) -> Result<String> {
        self.check(prompt)?;
        let tokenizer = self.tokenizer()?;
        let row = self.row(prompt);
        match (row.split_first(), tokenizer.bos()) {
            (Some((first, rest)), Some(bos)) if *first == bos => tokenizer.decode(rest),
            _ => tokenizer.decode(row),
        }
    }

    /// The text of each token of a prompt; the ids where there is no tokenizer.
    ///
    /// # Errors
    /// There is no such prompt.
    pub fn str_tokens(&self, prompt: usize) -> Result<Vec<String>> {
        self.check(prompt)?;
        match &self.inner.tokenizer {
            Some(tokenizer) => tokenizer.decode_each(self.row(prompt)),
            None => Ok(self
                .row(prompt)
                .iter()
                .map(|id| format!("[{id}]"))
                .collect()),
        }
    }

    /// How often each token occurs, `[d_vocab]`, ids above which there are none left out.
    pub fn token_counts(&self) -> Vec<u64> {
        let largest = self.inner.ids.iter().max().map_or(0, |id| *id as usize);
        let mut counts = vec![0; largest + 1];
        for id in &self.inner.ids {
            counts[*id as usize] += 1;
        }
        counts
    }

    /// Where the texts come from.
    pub fn name(&self) -> String {
        self.inner.name.clone()
    }

    /// A name for exactly these rows, 32 hexadecimal digits: what is kept on disk goes by it.
    pub fn fingerprint(&self) -> String {
        self.inner.fingerprint.clone()
    }

    /// The tokenizer that made the rows.
    ///
    /// # Errors
    /// They came without one.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        self.inner.tokenizer.clone().ok_or_else(|| {
            Error::new(
                "this corpus was made of token ids, without a tokenizer: give one to \
                 `Corpus::from_tokens(rows, Some(model.tokenizer()?))`.",
            )
        })
    }

    /// The same prompts in another order, which the seed decides.
    #[must_use]
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed));
        self.rows(&order)
    }

    /// These prompts, in this order.
    ///
    /// # Errors
    /// One of them is not there, or none was named.
    pub fn select(&self, prompts: &[usize]) -> Result<Self> {
        if prompts.is_empty() {
            return Err(Error::new("no prompts were chosen: choose at least one."));
        }
        prompts.iter().try_for_each(|prompt| self.check(*prompt))?;
        Ok(self.rows(prompts))
    }

    /// The prompts that end in this token.
    ///
    /// # Errors
    /// No prompt does.
    pub fn ending_in(&self, token: u32) -> Result<Self> {
        let ends = |prompt: &usize| self.row(*prompt).last() == Some(&token);
        let chosen: Vec<usize> = (0..self.len()).filter(ends).collect();
        if chosen.is_empty() {
            return Err(Error::new(format!(
                "none of the {} prompts of {} ends in token {token}: `corpus.str_tokens(0)?` shows how \
                 one ends.",
                self.len(),
                self.inner.name
            )));
        }
        Ok(self.rows(&chosen))
    }

    /// Prompts cut behind a position each: a row for each pair of a prompt and a position, which is its
    /// last.
    ///
    /// # Errors
    /// There is no such prompt or position, or none was named.
    pub fn up_to(&self, ends: &[(usize, usize)]) -> Result<Self> {
        let mut rows = Vec::with_capacity(ends.len());
        for (prompt, position) in ends {
            self.check(*prompt)?;
            let row = self.row(*prompt);
            let cut = row.get(..=*position).ok_or_else(|| {
                Error::new(format!(
                    "position {position} is not there: prompt {prompt} of {} has {} tokens.",
                    self.inner.name,
                    row.len()
                ))
            })?;
            rows.push(cut.to_vec());
        }
        if rows.is_empty() {
            return Err(Error::new("no positions were named: name at least one."));
        }
        Ok(Self::of(self.name(), rows, 0, self.inner.tokenizer.clone()))
    }

    /// The first `count` prompts.
    ///
    /// # Errors
    /// `count` is 0.
    pub fn take(&self, count: usize) -> Result<Self> {
        let all: Vec<usize> = (0..self.len().min(count)).collect();
        self.select(&all)
    }

    /// Batches of prompts of similar length, each of at most `token_budget` tokens with padding: see
    /// [`Batches`].
    ///
    /// # Errors
    /// The budget is 0.
    pub fn batches(&self, token_budget: usize) -> Result<Batches> {
        Batches::new(self.clone(), token_budget)
    }

    fn rows(&self, prompts: &[usize]) -> Self {
        let rows = prompts.iter().map(|prompt| self.row(*prompt).to_vec());
        Self::of(self.name(), rows.collect(), 0, self.inner.tokenizer.clone())
    }

    /// # Errors
    /// There is no such prompt.
    pub(crate) fn check(&self, prompt: usize) -> Result<()> {
        match prompt < self.len() {
            true => Ok(()),
            false => Err(Error::new(format!(
                "prompt {prompt} is not there: {} has prompts 0 to {}.",
                self.inner.name,
                self.len().saturating_sub(1)
            ))),
        }
    }

    fn range(&self, row: usize) -> Range<usize> {
        let end = |row: usize| self.inner.ends.get(row).copied().unwrap_or(0);
        let start = row.checked_sub(1).map_or(0, end);
        start..end(row).max(start)
    }

    /// The token ids of a prompt; none where there is no such prompt.
    pub(crate) fn row(&self, prompt: usize) -> &[u32] {
        &self.inner.ids[self.range(prompt)]
    }
}

impl fmt::Debug for Corpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self.lengths();
        let (shortest, longest) = (lengths.iter().min(), lengths.iter().max());
        write!(
            f,
            "Corpus({}: {} prompts of {} to {} tokens, {} tokens",
            self.inner.name,
            self.len(),
            shortest.copied().unwrap_or(0),
            longest.copied().unwrap_or(0),
            self.tokens()
        )?;
        match self.inner.truncated {
            0 => f.write_str(")"),
            truncated => write!(f, ", {truncated} texts cut)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;

    fn stories() -> HookedTransformer {
        HookedTransformer::from_pretrained("stories-2l").unwrap()
    }

    fn message<T>(result: Result<T>) -> String {
        result.err().expect("an error").to_string()
    }

    #[test]
    fn rows_are_what_the_model_would_read() {
        let model = stories();
        let texts = ["Once upon a time", "Lily saw a cat."];
        let corpus = Corpus::new(&model, texts).unwrap();
        for (prompt, text) in texts.into_iter().enumerate() {
            let tokens = model.to_tokens(text).unwrap().squeeze(0).unwrap();
            assert_eq!(
                corpus.ids(prompt).unwrap(),
                tokens.to_vec1::<u32>().unwrap()
            );
            assert_eq!(corpus.text(prompt).unwrap(), text);
        }
        let short = CorpusOptions::new().context(3).prepend_bos(false);
        let cut = Corpus::with(&model, texts, short).unwrap();
        assert_eq!((cut.lengths(), cut.truncated()), (vec![3, 3], 2));
        assert_eq!(cut.ids(0).unwrap(), corpus.ids(0).unwrap()[1..4]);
    }

    #[test]
    fn the_fingerprint_is_of_the_rows_alone() {
        let rows = vec![vec![1, 2], vec![3]];
        let of = |rows: &[Vec<u32>]| {
            Corpus::from_tokens(rows.to_vec(), None)
                .unwrap()
                .fingerprint()
        };
        assert_eq!(of(&rows), of(&rows));
        assert_eq!(of(&rows).len(), 32);
        assert_ne!(of(&rows), of(&[vec![1], vec![2, 3]]));
        assert_ne!(of(&rows), of(&[vec![3], vec![1, 2]]));
    }

    #[test]
    fn an_order_by_seed_and_a_choice() {
        let corpus = Corpus::from_tokens((0..50).map(|id| vec![id]).collect(), None).unwrap();
        let shuffled = corpus.shuffled(3);
        assert_eq!(shuffled.fingerprint(), corpus.shuffled(3).fingerprint());
        assert_ne!(shuffled.fingerprint(), corpus.shuffled(4).fingerprint());
        let mut ids: Vec<u32> = (0..50).flat_map(|row| shuffled.ids(row).unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..50).collect::<Vec<u32>>());
        let chosen = corpus.select(&[7, 3]).unwrap();
        assert_eq!(
            (chosen.ids(0).unwrap(), chosen.ids(1).unwrap()),
            (vec![7], vec![3])
        );
        assert!(message(corpus.select(&[50])).contains("0 to 49"));
    }

    #[test]
    fn what_cannot_be_a_corpus_is_a_sentence() {
        let model = stories();
        let none: [&str; 0] = [];
        assert!(message(Corpus::new(&model, none)).contains("holds no text"));
        let empty = message(Corpus::new(&model, ["a", ""]));
        assert!(
            empty.contains("text 1") && empty.contains("non_empty"),
            "{empty}"
        );
        assert!(message(Corpus::from_tokens(vec![], None)).contains("at least one"));
        assert!(message(Corpus::from_tokens(vec![vec![1], vec![]], None)).contains("row 1"));
        let long = CorpusOptions::new().context(513);
        let long = message(Corpus::with(&model, ["a"], long));
        assert!(
            long.contains("513") && long.contains("n_ctx = 512"),
            "{long}"
        );
        let packed = CorpusOptions::new().packed();
        assert!(message(Corpus::with(&model, ["a"], packed)).contains("do not fill"));
        let corpus = Corpus::from_tokens(vec![vec![1]], None).unwrap();
        assert!(message(corpus.text(0)).contains("tokenizer"));
        assert!(message(corpus.ids(1)).contains("prompt 1"));
    }
}
