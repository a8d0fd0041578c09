//! Which heads attend in a way that has a name, or in one of the reader's own.

use crate::error::{Error, Result, suggestion};
use crate::model::{HookedTransformer, Input};
use candle_core::{D, DType, Device, Tensor};

/// A way to attend that has a name.
///
/// Source: Olsson et al. 2022 (arXiv 2209.11895) and Wang et al. 2022 (arXiv 2211.00593), as
/// TransformerLens's `head_detector` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadPattern {
    /// Each token attends to the one before it.
    PreviousToken,
    /// Each token attends to its own earlier occurrences.
    DuplicateToken,
    /// Each token attends to what came behind its earlier occurrences.
    Induction,
}

impl TryFrom<&str> for HeadPattern {
    type Error = Error;

    fn try_from(name: &str) -> Result<Self> {
        const NAMES: [&str; 3] = [
            "previous_token_head",
            "duplicate_token_head",
            "induction_head",
        ];
        match name.strip_suffix("_head").unwrap_or(name) {
            "previous_token" => Ok(Self::PreviousToken),
            "duplicate_token" => Ok(Self::DuplicateToken),
            "induction" => Ok(Self::Induction),
            _ => Err(Error::new(format!(
                "there is no head pattern `{name}`.{} There are {}.",
                suggestion(name, NAMES),
                NAMES.join(", ")
            ))),
        }
    }
}

/// The pattern that heads are looked for by: one with a name, or a matrix.
///
/// Made from a [`HeadPattern`], from its name (`"induction_head"`), or from a tensor `[query, key]`, which
/// is 0 above the diagonal, where nothing can be attended to.
#[derive(Clone, Debug)]
pub enum DetectionPattern {
    /// One with a name.
    Named(HeadPattern),
    /// The name of one.
    Name(String),
    /// `[query, key]`, for prompts of as many tokens.
    Matrix(Tensor),
}

impl From<HeadPattern> for DetectionPattern {
    fn from(pattern: HeadPattern) -> Self {
        Self::Named(pattern)
    }
}

impl From<&str> for DetectionPattern {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<Tensor> for DetectionPattern {
    fn from(matrix: Tensor) -> Self {
        Self::Matrix(matrix)
    }
}

impl From<&Tensor> for DetectionPattern {
    fn from(matrix: &Tensor) -> Self {
        Self::Matrix(matrix.clone())
    }
}

impl DetectionPattern {
    /// `[query, key]` for these tokens, `f32` on the CPU.
    fn on(&self, tokens: &[u32]) -> Result<Tensor> {
        match self {
            Self::Named(pattern) => detection_pattern(tokens, *pattern),
            Self::Name(name) => detection_pattern(tokens, HeadPattern::try_from(name.as_str())?),
            Self::Matrix(matrix) => checked_matrix(matrix, tokens.len()),
        }
    }
}

/// A matrix of the reader's own, for prompts of `pos` tokens.
fn checked_matrix(matrix: &Tensor, pos: usize) -> Result<Tensor> {
    if matrix.dims() != [pos, pos] {
        return Err(Error::new(format!(
            "a detection pattern of shape {:?} does not fit a prompt of {pos} tokens: give one of \
             shape [{pos}, {pos}], a row for each query (`model.to_str_tokens(..)` shows the tokens).",
            matrix.dims()
        )));
    }
    let matrix = matrix.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
    let rows = matrix.to_vec2::<f32>()?;
    for (query, row) in rows.iter().enumerate() {
        if let Some(key) = row.iter().skip(query + 1).position(|entry| *entry != 0.) {
            return Err(Error::new(format!(
                "the detection pattern has {} at query {query}, key {}, but no token attends to a \
                 later one: set the entries above the diagonal to 0.",
                row[query + 1 + key],
                query + 1 + key
            )));
        }
    }
    Ok(matrix)
}

/// How a head's pattern is compared with the one looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorMeasure {
    /// The share of attention that goes where the pattern is: 0 to 1 for patterns of zeros and ones.
    #[default]
    Mul,
    /// 1 less the mean over queries of the summed absolute difference.
    Abs,
}

/// How to look for heads.
#[derive(Clone, Debug, Default)]
pub struct DetectHead {
    error_measure: ErrorMeasure,
    exclude_bos: bool,
    exclude_current_token: bool,
    heads: Option<Vec<(usize, usize)>>,
}

impl DetectHead {
    /// By the share of attention, with all of it counted.
    pub fn new() -> Self {
        Self::default()
    }

    /// How patterns are compared.
    #[must_use]
    pub fn error_measure(mut self, measure: ErrorMeasure) -> Self {
        self.error_measure = measure;
        self
    }

    /// Whether attention to the first token is left out.
    #[must_use]
    pub fn exclude_bos(mut self, on: bool) -> Self {
        self.exclude_bos = on;
        self
    }

    /// Whether attention of a token to itself is left out.
    #[must_use]
    pub fn exclude_current_token(mut self, on: bool) -> Self {
        self.exclude_current_token = on;
        self
    }

    /// Only these heads, each by its layer and its number in it; the score of all others is -1.
    #[must_use]
    pub fn heads(mut self, heads: impl IntoIterator<Item = (usize, usize)>) -> Self {
        self.heads = Some(heads.into_iter().collect());
        self
    }
}

/// The pattern that a perfect head of this kind would have on these tokens: `[query, key]`, 1 where it
/// attends.
///
/// # Errors
/// There are fewer than two tokens.
pub fn detection_pattern(tokens: &[u32], pattern: HeadPattern) -> Result<Tensor> {
    let pos = tokens.len();
    if pos < 2 {
        return Err(Error::new(
            "a pattern of attention needs at least two tokens: give a longer prompt.",
        ));
    }
    let attends = |query: usize, key: usize| match pattern {
        HeadPattern::PreviousToken => key + 1 == query,
        HeadPattern::DuplicateToken => key < query && tokens[key] == tokens[query],
        // One behind an earlier occurrence.
        HeadPattern::Induction => (1..=query).contains(&key) && tokens[key - 1] == tokens[query],
    };
    let entries = (0..pos).flat_map(|query| (0..pos).map(move |key| (query, key)));
    let entries: Vec<f32> = entries
        .map(|(query, key)| if attends(query, key) { 1. } else { 0. })
        .collect();
    Ok(Tensor::from_vec(entries, (pos, pos), &Device::Cpu)?)
}

impl HookedTransformer {
    /// How much each head attends in the way of a pattern on a prompt: `[layer, head]`, the mean over
    /// the prompts of a batch. The pattern may be a matrix `[query, key]` of your own.
    ///
    /// ```
    /// use ferrolens::{analysis::{DetectHead, HeadPattern}, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let text = "Lily saw the cat. Tom saw the cat.";
    /// let scores = model.detect_head(text, HeadPattern::Induction, DetectHead::new())?;
    /// assert_eq!(scores.dims(), [model.config().n_layers, model.config().n_heads]);
    /// // Attention to the first token, by two heads.
    /// use ferrolens::{DType, Device, Tensor, math::Slice};
    /// let pos = model.to_tokens(text)?.dim(1)?;
    /// let to_first = Tensor::zeros((pos, pos), DType::F32, &Device::Cpu)?.set((.., 0), 1.)?;
    /// let options = DetectHead::new().heads([(0, 3), (1, 2)]);
    /// let scores = model.detect_head(text, &to_first, options)?; // -1 for the other heads
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The prompt does not fit the model, or has fewer than two tokens; a matrix does not fit the
    /// prompt; there is no such head.
    pub fn detect_head(
        &self,
        input: impl Into<Input>,
        pattern: impl Into<DetectionPattern>,
        options: DetectHead,
    ) -> Result<Tensor> {
        let pattern = pattern.into();
        let config = self.config();
        options.check(config.n_layers, config.n_heads)?;
        // Texts one by one: padding would count as attention.
        let prompts = match input.into() {
            Input::Texts(texts) => texts.into_iter().map(Input::Text).collect(),
            other => vec![other],
        };
        let mut scores = Vec::new();
        for prompt in prompts {
            let tokens = self.to_tokens(prompt)?;
            let cache = self.cache_only(&tokens, "blocks.*.attn.hook_pattern")?;
            let patterns = cache.stack_activation("pattern")?; // [layer, batch, head, query, key]
            for (row, tokens) in tokens.to_vec2::<u32>()?.iter().enumerate() {
                let wanted = pattern.on(tokens)?.to_device(&self.device())?;
                let patterns = patterns.narrow(1, row, 1)?.squeeze(1)?;
                scores.push(options.scores(&patterns.to_dtype(DType::F32)?, &wanted)?);
            }
        }
        if scores.is_empty() {
            return Err(Error::new("there is no prompt: give at least one."));
        }
        options.chosen(Tensor::stack(&scores, 0)?.mean(0)?)
    }
}

impl DetectHead {
    /// Checks that the model has the heads that were chosen.
    fn check(&self, n_layers: usize, n_heads: usize) -> Result<()> {
        let mut heads = self.heads.iter().flatten();
        match heads.find(|(layer, head)| *layer >= n_layers || *head >= n_heads) {
            None => Ok(()),
            Some((layer, head)) => Err(Error::new(format!(
                "there is no head {head} in a layer {layer}: the model has {n_layers} layers of \
                 {n_heads} heads, both counted from 0."
            ))),
        }
    }

    /// `[layer, head]` with -1 for the heads that were not chosen.
    fn chosen(&self, scores: Tensor) -> Result<Tensor> {
        let Some(heads) = &self.heads else {
            return Ok(scores);
        };
        let mut rows = scores.to_vec2::<f32>()?;
        for (layer, row) in rows.iter_mut().enumerate() {
            for (head, score) in row.iter_mut().enumerate() {
                if !heads.contains(&(layer, head)) {
                    *score = -1.;
                }
            }
        }
        Ok(Tensor::new(rows, scores.device())?)
    }

    /// `[layer, head, query, key]` to `[layer, head]`.
    fn scores(&self, patterns: &Tensor, wanted: &Tensor) -> Result<Tensor> {
        let counted = self.counted(wanted)?;
        let sum = |tensor: &Tensor| tensor.sum(D::Minus1)?.sum(D::Minus1);
        match self.error_measure {
            ErrorMeasure::Mul => {
                let patterns = patterns.broadcast_mul(&counted)?;
                let where_wanted = sum(&patterns.broadcast_mul(wanted)?)?;
                Ok((where_wanted / sum(&patterns)?)?)
            }
            ErrorMeasure::Abs => {
                let differences = patterns.broadcast_sub(wanted)?.abs()?;
                let differences = differences.broadcast_mul(&counted)?;
                let pos = wanted.dim(0)? as f64;
                Ok((1. - (sum(&differences)? / pos)?)?)
            }
        }
    }

    /// 0 where attention is left out, 1 elsewhere: `[query, key]`.
    fn counted(&self, like: &Tensor) -> Result<Tensor> {
        let pos = like.dim(0)?;
        let entries = (0..pos).flat_map(|query| (0..pos).map(move |key| (query, key)));
        let entries: Vec<f32> = entries
            .map(|(query, key)| {
                let is_out =
                    (self.exclude_bos && key == 0) || (self.exclude_current_token && key == query);
                if is_out { 0. } else { 1. }
            })
            .collect();
        Ok(Tensor::from_vec(entries, (pos, pos), like.device())?)
    }
}
