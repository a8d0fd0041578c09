//! How fast what a layer writes is washed out: the effective layer horizon.
//!
//! Source: the question is Heimersheim's (comments on the residual stream's norms, 2023 and 2024).

use crate::data::Corpus;
use crate::emit::check_interrupt;
use crate::error::{Error, Result, suggestion};
use crate::model::{HookPoint, HookedTransformer, Site};
use candle_core::{D, DType, Tensor};
use polars::prelude::{Column, DataFrame};

/// How many tokens are run at a time: much is kept of each.
const TOKEN_BUDGET: usize = 1024;

/// How much of the residual stream is what the embedding and each layer wrote, further and further on. It
/// displays as its table.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerHorizon {
    /// The places in the residual stream, in the order of a run.
    pub points: Vec<HookPoint>,
    /// A row a writer and place.
    pub rows: Vec<HorizonRow>,
    /// Over how many tokens the means are.
    pub tokens: usize,
}

/// How much of the stream `x` at one place is what one writer wrote, `w`: means over tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct HorizonRow {
    /// Who wrote: `embeddings`, or a hook point such as `blocks.0.hook_mlp_out`.
    pub writer: String,
    /// Where the stream is looked at.
    pub point: HookPoint,
    /// `|w| / |x|`.
    pub norm_ratio: f64,
    /// The cosine of `w` and `x`.
    pub cosine: f64,
    /// `w · x / |x|²`: the part of the stream along itself. Those of all writers sum to 1.
    pub share: f64,
}

impl HookedTransformer {
    /// What the embeddings and each layer's attention and MLP write, beside the residual stream at every
    /// place from there on, over all tokens of a corpus.
    ///
    /// ```
    /// use ferrolens::data::Corpus;
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let corpus = Corpus::new(&model, ["Once upon a time", "Lily saw a cat."])?;
    /// let horizon = model.layer_horizon(&corpus)?;
    /// let left = horizon.remaining("blocks.0.hook_mlp_out")?;
    /// assert!(0. < left && left < 2.);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// A prompt does not fit the model.
    pub fn layer_horizon(&self, corpus: &Corpus) -> Result<LayerHorizon> {
        let order = self.hook_points();
        let is_stream = |point: &&HookPoint| match point.site() {
            Site::ResidPre => point.layer() == Some(0),
            Site::ResidMid | Site::ResidPost => true,
            _ => false,
        };
        let points: Vec<HookPoint> = order.iter().filter(is_stream).copied().collect();
        let writes = |point: &&HookPoint| matches!(point.site(), Site::AttnOut | Site::MlpOut);
        let writers: Vec<HookPoint> = order.iter().filter(writes).copied().collect();
        let kept: Vec<String> = points.iter().chain(&writers).map(HookPoint::name).collect();
        let place = |point: &HookPoint| order.iter().position(|other| other == point);
        let mut rows: Vec<HorizonRow> = Vec::new();
        for writer in std::iter::once(None).chain(writers.iter().map(Some)) {
            for point in &points {
                // Attention and MLP stand before the place that they write to.
                if writer.is_some_and(|writer| place(writer) > place(point)) {
                    continue;
                }
                rows.push(HorizonRow {
                    writer: writer.map_or_else(|| "embeddings".to_owned(), HookPoint::name),
                    point: *point,
                    norm_ratio: 0.,
                    cosine: 0.,
                    share: 0.,
                });
            }
        }
        let mut tokens = 0;
        for batch in corpus.batches(TOKEN_BUDGET)? {
            check_interrupt()?;
            let cache = self.cache_only(batch.input(), kept.as_slice())?;
            let real = |name: &str| -> Result<Tensor> {
                let value = cache.get(name)?.to_dtype(DType::F32)?;
                let each = batch.lengths.iter().enumerate();
                let parts: Vec<Tensor> = each
                    .map(|(row, length)| Ok(value.get(row)?.narrow(0, 0, *length)?))
                    .collect::<Result<_>>()?;
                Ok(Tensor::cat(&parts, 0)?) // [token, d_model]
            };
            tokens += batch.lengths.iter().sum::<usize>();
            for row in &mut rows {
                let written = match row.writer.as_str() {
                    "embeddings" => real("blocks.0.hook_resid_pre")?,
                    writer => real(writer)?,
                };
                let stream = real(&row.point.name())?;
                let inner = (&written * &stream)?.sum(D::Minus1)?; // [token]
                let norm = |x: &Tensor| x.sqr()?.sum(D::Minus1)?.sqrt();
                let (of_written, of_stream) = (norm(&written)?, norm(&stream)?);
                let tiny = f64::from(f32::MIN_POSITIVE);
                let sum = |x: Tensor| -> Result<f64> {
                    Ok(x.to_dtype(DType::F64)?.sum_all()?.to_scalar()?)
                };
                let of_stream = of_stream.maximum(tiny)?;
                row.norm_ratio += sum((&of_written / &of_stream)?)?;
                let both = (&of_written * &of_stream)?.maximum(tiny)?;
                row.cosine += sum((&inner / both)?)?;
                row.share += sum((inner / of_stream.sqr()?)?)?;
            }
        }
        for row in &mut rows {
            for number in [&mut row.norm_ratio, &mut row.cosine, &mut row.share] {
                *number /= tokens as f64;
            }
        }
        Ok(LayerHorizon {
            points,
            rows,
            tokens,
        })
    }
}

impl LayerHorizon {
    /// The writers, in the order of a run.
    pub fn writers(&self) -> Vec<String> {
        let mut names: Vec<String> = self.rows.iter().map(|row| row.writer.clone()).collect();
        names.dedup();
        names
    }

    /// A writer's rows, from the place that it wrote to on.
    ///
    /// # Errors
    /// There is no such writer; the error names the nearest.
    pub fn of(&self, writer: &str) -> Result<Vec<HorizonRow>> {
        let rows: Vec<HorizonRow> = self
            .rows
            .iter()
            .filter(|row| row.writer == writer)
            .cloned()
            .collect();
        match rows.is_empty() {
            false => Ok(rows),
            true => Err(Error::new(format!(
                "`{writer}` writes nothing here.{} Those that write are {}.",
                suggestion(writer, self.writers()),
                self.writers().join(", ")
            ))),
        }
    }

    /// What is left of a writer at the end of the model: `|w| / |x|` there, over the same where it was
    /// just written.
    ///
    /// # Errors
    /// As [`LayerHorizon::of`].
    pub fn remaining(&self, writer: &str) -> Result<f64> {
        let rows = self.of(writer)?;
        let ratio = |row: Option<&HorizonRow>| row.map_or(f64::NAN, |row| row.norm_ratio);
        Ok(ratio(rows.last()) / ratio(rows.first()))
    }

    /// One row a writer and place: `writer`, `hook_point`, `norm_ratio`, `cosine`, `share`: see
    /// [`HorizonRow`].
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let of = |pick: fn(&HorizonRow) -> f64| self.rows.iter().map(pick).collect::<Vec<f64>>();
        let writers: Vec<&str> = self.rows.iter().map(|row| row.writer.as_str()).collect();
        let points: Vec<String> = self.rows.iter().map(|row| row.point.name()).collect();
        let columns = vec![
            Column::new("writer".into(), writers),
            Column::new("hook_point".into(), points),
            Column::new("norm_ratio".into(), of(|row| row.norm_ratio)),
            Column::new("cosine".into(), of(|row| row.cosine)),
            Column::new("share".into(), of(|row| row.share)),
        ];
        Ok(DataFrame::new(self.rows.len(), columns)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_all_writers_sum_to_one() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let corpus = Corpus::new(&model, ["Once upon a time there was", "Lily ran."]).unwrap();
        let horizon = model.layer_horizon(&corpus).unwrap();
        assert_eq!(horizon.tokens, corpus.tokens());
        assert_eq!(horizon.points.len(), 5);
        assert_eq!(horizon.writers().len(), 5);
        for point in &horizon.points {
            let at = horizon.rows.iter().filter(|row| row.point == *point);
            let sum: f64 = at.map(|row| row.share).sum();
            assert!((sum - 1.).abs() < 1e-4, "{point}: {sum}");
        }
        // One number by hand.
        let mut ratios = Vec::new();
        for text in ["Once upon a time there was", "Lily ran."] {
            let cache = model.cache_only(text, ()).unwrap();
            let rows = |name: &str| {
                cache
                    .get(name)
                    .unwrap()
                    .get(0)
                    .unwrap()
                    .to_vec2::<f32>()
                    .unwrap()
            };
            let norm = |x: &Vec<f32>| x.iter().map(|x| x * x).sum::<f32>().sqrt();
            let written = rows("blocks.0.hook_mlp_out");
            for (w, x) in written.iter().zip(&rows("blocks.1.hook_resid_post")) {
                ratios.push(f64::from(norm(w) / norm(x)));
            }
        }
        let expected = ratios.iter().sum::<f64>() / ratios.len() as f64;
        let rows = horizon.of("blocks.0.hook_mlp_out").unwrap();
        let places: Vec<String> = rows.iter().map(|row| row.point.name()).collect();
        let expected_places = [
            "blocks.0.hook_resid_post",
            "blocks.1.hook_resid_mid",
            "blocks.1.hook_resid_post",
        ];
        assert_eq!(places, expected_places);
        assert!((rows[2].norm_ratio - expected).abs() < 1e-4);
        let left = horizon.remaining("blocks.0.hook_mlp_out").unwrap();
        assert!((left - expected / rows[0].norm_ratio).abs() < 1e-4);
        assert_eq!(horizon.to_df().unwrap().height(), horizon.rows.len());
        let error = horizon.of("blocks.0.hook_mlp").unwrap_err().to_string();
        assert!(error.contains("blocks.0.hook_mlp_out"), "{error}");
    }
}
