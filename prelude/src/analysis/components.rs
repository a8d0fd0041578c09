//! Components of the residual stream beside a number each.

use crate::error::{Error, Result};
use crate::model::ResidualStack;
use candle_core::{D, DType, Tensor};
use polars::prelude::{Column, DataFrame};

impl ResidualStack {
    /// A table of the components' labels with a number each, such as their attributions: `values` is
    /// `[component]`, or `[component, batch]` for a column a prompt.
    ///
    /// ```
    /// use ferrolens::model::{HookedTransformer, ResidOptions};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (_, cache) = model.run_with_cache("Once upon a", ())?;
    /// let options = ResidOptions::new().expand_neurons(false).pos_slice(-1);
    /// let parts = cache.get_full_resid_decomposition(&options)?;
    /// let attrs = cache.logit_attrs(&parts.components, " time", None, -1)?; // [component, batch]
    /// let table = parts.table("attribution", &attrs)?;
    /// assert_eq!(table.height(), parts.labels.len());
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are not as many values as components.
    pub fn table(&self, name: &str, values: &Tensor) -> Result<DataFrame> {
        let fits = values.dims().first() == Some(&self.labels.len()) && values.rank() <= 2;
        if !fits {
            return Err(Error::new(format!(
                "values of shape {:?} do not fit {} components: give [component] or [component, \
                 batch].",
                values.dims(),
                self.labels.len()
            )));
        }
        let values = match values.rank() {
            1 => values.unsqueeze(D::Minus1)?,
            _ => values.clone(),
        };
        let by_prompt = values.t()?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        let mut columns = vec![Column::new("component".into(), &self.labels)];
        for (prompt, values) in by_prompt.iter().enumerate() {
            let name = match by_prompt.len() {
                1 => name.to_owned(),
                _ => format!("{name} {prompt}"),
            };
            columns.push(Column::new(name.into(), values));
        }
        Ok(DataFrame::new(self.labels.len(), columns)?)
    }
}
