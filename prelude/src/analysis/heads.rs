//! Which heads attend in a way that has a name.

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

/// How a head's pattern is compared with the one looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorMeasure {
    /// The share of attention that goes where the pattern is: 0 to 1.
    #[default]
    Mul,
    /// 1 less the mean over queries of the summed absolute difference.
    Abs,
}

/// How to look for heads.
#[derive(Clone, Copy, Debug, Default)]
pub struct DetectHead {
    error_measure: ErrorMeasure,
    exclude_bos: bool,
    exclude_current_token: bool,
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
    /// the prompts of a batch.
    ///
    /// ```
    /// use ferrolens::{analysis::{DetectHead, HeadPattern}, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let text = "Lily saw the cat. Tom saw the cat.";
    /// let scores = model.detect_head(text, HeadPattern::Induction, DetectHead::new())?;
    /// assert_eq!(scores.dims(), [model.config().n_layers, model.config().n_heads]);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The prompt does not fit the model, or has fewer than two tokens.
    pub fn detect_head(
        &self,
        input: impl Into<Input>,
        pattern: HeadPattern,
        options: DetectHead,
    ) -> Result<Tensor> {
        let tokens = self.to_tokens(input)?;
        let cache = self.cache_only(&tokens, "blocks.*.attn.hook_pattern")?;
        let rows = tokens.to_vec2::<u32>()?;
        let mut sums: Option<Tensor> = None;
        for (row, tokens) in rows.iter().enumerate() {
            let wanted = detection_pattern(tokens, pattern)?.to_device(&self.device())?;
            let patterns = cache.stack_activation("pattern")?; // [layer, batch, head, query, key]
            let patterns = patterns
                .narrow(1, row, 1)?
                .squeeze(1)?
                .to_dtype(DType::F32)?;
            let scores = options.scores(&patterns, &wanted)?;
            sums = Some(match sums {
                Some(sums) => (sums + scores)?,
                None => scores,
            });
        }
        let sums = sums.ok_or_else(|| Error::new("there is no prompt: give at least one."))?;
        Ok((sums / rows.len() as f64)?)
    }
}

impl DetectHead {
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
