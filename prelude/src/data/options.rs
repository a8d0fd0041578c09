//! How texts become rows of tokens.

/// How long rows are, what stands in front of them, and whether texts share rows.
///
/// ```
/// use ferrolens::data::CorpusOptions;
/// let options = CorpusOptions::new().packed().context(128);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CorpusOptions {
    pub(super) context: Option<usize>,
    pub(super) prepend_bos: Option<bool>,
    pub(super) packing: Packing,
}

/// Whether each text has a row of its own, or all fill rows of one length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// One row a text, cut to the context length.
    #[default]
    RowPerText,
    /// Texts one after the other in rows of exactly the context length, with a beginning-of-sequence
    /// token at the start of each row and between texts; what does not fill a row at the end is left
    /// out. As SAELens does (`concat_and_batch_sequences`).
    SaeLens,
    /// The same with an end-of-sequence token between texts, and rows that start with a
    /// beginning-of-sequence token, as TransformerLens does (`tokenize_and_concatenate`).
    TransformerLens,
}

impl CorpusOptions {
    /// One row a text, at most as long as the model's `n_ctx`, with the model's habit of a
    /// beginning-of-sequence token.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most tokens of a row, the beginning-of-sequence token among them.
    #[must_use]
    pub fn context(mut self, tokens: usize) -> Self {
        self.context = Some(tokens);
        self
    }

    /// Whether a beginning-of-sequence token is put in front, where the model's habit does not fit.
    #[must_use]
    pub fn prepend_bos(mut self, on: bool) -> Self {
        self.prepend_bos = Some(on);
        self
    }

    /// Texts one after the other in rows of the context length: [`Packing::SaeLens`].
    #[must_use]
    pub fn packed(self) -> Self {
        self.packing(Packing::SaeLens)
    }

    /// Whether texts share rows.
    #[must_use]
    pub fn packing(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }
}
