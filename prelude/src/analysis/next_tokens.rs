//! What comes next, as a table.

use crate::error::{Error, Result};
use crate::math::{log_softmax, top_k_of};
use crate::model::HookedTransformer;
use candle_core::{DType, Tensor};
use polars::prelude::{Column, DataFrame};

impl HookedTransformer {
    /// The `top_k` likeliest next tokens of one position's logits, `[d_vocab]` (or `[1, d_vocab]`, `[1, 1, d_vocab]`),
    /// as a table with the columns
    /// `token_index`, `token_string`, `logit`, `log_prob` and `probability`; the likeliest first. A model
    /// without a tokenizer leaves out the texts.
    ///
    /// Source: TransformerLens's `logits_to_df`.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let last = model.run("Once upon a").logits_at(-1)?; // [batch, d_vocab]
    /// let table = model.logits_to_df(&last, 5)?;
    /// assert_eq!(table.height(), 5);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The logits are not those of one position.
    pub fn logits_to_df(&self, logits: &Tensor, top_k: usize) -> Result<DataFrame> {
        let d_vocab = self.config().d_vocab_out;
        if logits.elem_count() != d_vocab || logits.dims().last() != Some(&d_vocab) {
            return Err(Error::new(format!(
                "logits of shape {:?} are not those of one position: give [{d_vocab}], such as \
                 `model.run(prompt).logits_at(-1)?.get(0)?`.",
                logits.dims()
            )));
        }
        let logits = logits.flatten_all()?.to_dtype(DType::F32)?;
        let log_probs = log_softmax(&logits)?.to_vec1::<f32>()?;
        let top = top_k_of(&logits.to_vec1::<f32>()?, top_k);
        let column = |name: &str, of: &dyn Fn(usize, f32) -> f32| {
            let values: Vec<f32> = top
                .iter()
                .map(|(index, logit)| of(*index, *logit))
                .collect();
            Column::new(name.into(), &values)
        };
        let ids: Vec<u32> = top.iter().map(|(index, _)| *index as u32).collect();
        let mut columns = vec![Column::new("token_index".into(), &ids)];
        if let Ok(tokenizer) = self.tokenizer() {
            let texts = tokenizer.decode_each(&ids)?;
            columns.push(Column::new("token_string".into(), &texts));
        }
        columns.push(column("logit", &|_, logit| logit));
        columns.push(column("log_prob", &|index, _| log_probs[index]));
        columns.push(column("probability", &|index, _| log_probs[index].exp()));
        Ok(DataFrame::new(top.len(), columns)?)
    }
}
