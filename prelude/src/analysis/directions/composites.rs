//! Whether latents are composites: how much of a direction a few other latents explain, beside directions
//! drawn at random.
//!
//! Source: the question is Heimersheim's (comments on features and autoencoders, 2024); the method is
//! orthogonal matching pursuit, see [`Sae::sparse_combination`].

use super::random::{covariance_matched_directions, isotropic_directions};
use crate::emit::check_interrupt;
use crate::error::{Error, Result, suggestion};
use crate::math::Estimate;
use crate::sae::Sae;
use candle_core::{DType, Tensor};
use polars::prelude::{Column, DataFrame};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// How much of directions a few others explain: `1 - |v - v̂|² / |v|²` with 1, 2, ... of them. It displays
/// as its table.
///
/// | kind | directions | explained by |
/// | --- | --- | --- |
/// | `latents` | latents of the autoencoder | its other latents |
/// | `covariance matched` | drawn with the covariance of activations | the latents |
/// | `isotropic` | drawn without preference | the latents |
/// | `random dictionary` | drawn with the covariance of activations | as many others drawn so |
#[derive(Clone, Debug, PartialEq)]
pub struct Composites {
    /// The autoencoder's name.
    pub sae: String,
    /// The latents that were drawn, in the order of `explained`.
    pub latents: Vec<u32>,
    /// The kinds, in the order of the table above.
    pub kinds: Vec<String>,
    /// What is explained, `[kind][direction][terms - 1]`.
    pub explained: Vec<Vec<Vec<f64>>>,
}

impl Sae {
    /// How much of so many latents, drawn at random, is explained by up to `terms` other latents; and the
    /// same for directions drawn at random, some with the covariance of these activations, `[.., d_out]`.
    ///
    /// Where latents are composites of a few others, more of them is explained than of the random
    /// directions.
    ///
    /// ```
    /// use ferrolens::{Device, Tensor, sae::Sae};
    /// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
    /// let activations = Tensor::randn(0f32, 1., (2000, 256), &Device::Cpu)?;
    /// let composites = sae.composites(&activations, 10, 4, 1)?;
    /// let (one, four) = (composites.estimate("latents", 1)?, composites.estimate("latents", 4)?);
    /// assert!(0. < one.mean && one.mean < four.mean && four.mean < 1.);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// No latents or terms were asked for, the activations have another width or are fewer than two, or
    /// weights are not finite.
    pub fn composites(
        &self,
        activations: &Tensor,
        count: usize,
        terms: usize,
        seed: u64,
    ) -> Result<Composites> {
        let (d_sae, d_out) = (self.cfg.d_sae, self.cfg.d_out);
        let matched = covariance_matched_directions(activations, d_sae, seed)?;
        if matched.dim(1)? != d_out {
            return Err(Error::new(format!(
                "activations of width {} are not what {} writes: give [.., {d_out}].",
                matched.dim(1)?,
                self.name()
            )));
        }
        let norms: Vec<f32> = self.decoder_norms()?.to_vec1()?;
        let mut drawn: Vec<u32> = (0u32..)
            .zip(&norms)
            .filter(|(_, norm)| **norm > 0.)
            .map(|(latent, _)| latent)
            .collect();
        drawn.shuffle(&mut StdRng::seed_from_u64(seed));
        drawn.truncate(count);
        if drawn.is_empty() || terms == 0 {
            return Err(Error::new(format!(
                "{count} latents of {} and {terms} terms say nothing: ask for 1 or more of each, of an \
                 autoencoder that writes something.",
                self.name()
            )));
        }
        let mut random = self.clone();
        random.W_dec = matched
            .to_device(&self.device())?
            .to_dtype(self.W_dec.dtype())?;
        let isotropic = isotropic_directions(drawn.len(), d_out, seed)?;
        let given = |directions: &Tensor, row: usize| -> Result<Vec<f32>> {
            let direction = directions.get(row)?.to_device(&self.device())?;
            Ok(self.decompose_direction(&direction, terms)?.explained)
        };
        let mut explained = vec![Vec::new(); 4];
        for (row, latent) in drawn.iter().enumerate() {
            check_interrupt()?;
            let of = [
                self.sparse_combination(*latent, terms)?.explained,
                given(&matched.to_dtype(DType::F32)?, row)?,
                given(&isotropic, row)?,
                random.sparse_combination(row as u32, terms)?.explained,
            ];
            for (kind, of) in explained.iter_mut().zip(of) {
                // Where nothing was left to explain, all is.
                let last = of.last().copied().unwrap_or(0.);
                let of = of.into_iter().chain(std::iter::repeat(last)).take(terms);
                kind.push(of.map(f64::from).collect());
            }
        }
        let kinds = [
            "latents",
            "covariance matched",
            "isotropic",
            "random dictionary",
        ];
        Ok(Composites {
            sae: self.name(),
            latents: drawn,
            kinds: kinds.map(str::to_owned).to_vec(),
            explained,
        })
    }
}

impl Composites {
    /// What so many terms explain of each direction of a kind.
    ///
    /// # Errors
    /// There is no such kind, or not as many terms.
    pub fn of(&self, kind: &str, terms: usize) -> Result<Vec<f64>> {
        let at = self.kinds.iter().position(|name| name == kind);
        let at = at.ok_or_else(|| {
            Error::new(format!(
                "there are no directions called `{kind}`.{} There are {}.",
                suggestion(kind, &self.kinds),
                self.kinds.join("; ")
            ))
        })?;
        if !(1..=self.terms()).contains(&terms) {
            return Err(Error::new(format!(
                "combinations of {terms} were not looked for: ask for 1 to {}.",
                self.terms()
            )));
        }
        let rows = self.explained[at].iter();
        Ok(rows.filter_map(|row| row.get(terms - 1)).copied().collect())
    }

    /// Its mean, with an interval over directions.
    ///
    /// # Errors
    /// As [`Composites::of`].
    pub fn estimate(&self, kind: &str, terms: usize) -> Result<Estimate> {
        Estimate::of_mean(&self.of(kind, terms)?)
    }

    /// The most terms.
    pub fn terms(&self) -> usize {
        self.explained
            .first()
            .and_then(|rows| rows.first())
            .map_or(0, Vec::len)
    }

    /// One row a number of terms: `terms`, and for each kind the mean share explained and how far its
    /// 95 % interval goes to either side: `latents`, `± latents`, ...
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let terms: Vec<u32> = (1..=self.terms() as u32).collect();
        let mut columns = vec![Column::new("terms".into(), &terms)];
        for kind in &self.kinds {
            let estimates = (1..=self.terms()).map(|terms| self.estimate(kind, terms));
            let estimates: Vec<Estimate> = estimates.collect::<Result<_>>()?;
            let means: Vec<f64> = estimates.iter().map(|each| each.mean).collect();
            let widths: Vec<f64> = estimates.iter().map(Estimate::half_width).collect();
            columns.push(Column::new(kind.as_str().into(), means));
            columns.push(Column::new(format!("± {kind}").into(), widths));
        }
        Ok(DataFrame::new(terms.len(), columns)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::{Gate, SaeConfig};
    use candle_core::Device;

    fn sae(decoder: &Tensor) -> Sae {
        let (d_sae, d) = decoder.dims2().unwrap();
        let zeros = |n: usize| Tensor::zeros(n, DType::F32, &Device::Cpu).unwrap();
        let encoder = decoder.t().unwrap().contiguous().unwrap();
        let cfg = SaeConfig::new(d, d_sae);
        Sae::new(
            cfg,
            encoder,
            zeros(d_sae),
            decoder.clone(),
            zeros(d),
            Gate::Relu,
        )
        .unwrap()
    }

    #[test]
    fn sums_of_two_are_found_and_random_directions_are_not() {
        // 48 atoms, and 16 sums of two of them.
        let atoms = isotropic_directions(48, 64, 5).unwrap();
        let sums = (atoms.narrow(0, 0, 16).unwrap() + atoms.narrow(0, 16, 16).unwrap()).unwrap();
        let sae = sae(&Tensor::cat(&[&sums, &atoms], 0).unwrap());
        let activations = Tensor::randn(0f32, 1., (500, 64), &Device::Cpu).unwrap();
        let found = sae.composites(&activations, 64, 3, 1).unwrap();
        assert_eq!(found.kinds.len(), 4);
        let whole = found.of("latents", 2).unwrap();
        // Each of the sums, and each of the atoms in them: the sum less the other.
        let composed = whole.iter().filter(|share| **share > 0.999).count();
        assert!(composed >= 40, "{composed}");
        for kind in ["covariance matched", "isotropic", "random dictionary"] {
            let random = found.estimate(kind, 2).unwrap();
            assert!(random.mean < 0.5, "{kind}: {random:?}");
            assert_eq!(random.count, 64);
        }
        assert_eq!(found.to_df().unwrap().shape(), (3, 9));
    }

    #[test]
    fn what_cannot_be_says_so() {
        let sae = sae(&isotropic_directions(12, 8, 5).unwrap());
        let activations = Tensor::randn(0f32, 1., (50, 8), &Device::Cpu).unwrap();
        assert!(sae.composites(&activations, 0, 3, 1).is_err());
        assert!(sae.composites(&activations, 3, 0, 1).is_err());
        let wide = Tensor::randn(0f32, 1., (50, 9), &Device::Cpu).unwrap();
        let error = sae.composites(&wide, 3, 2, 1).unwrap_err().to_string();
        assert!(error.contains("width 9"), "{error}");
        let found = sae.composites(&activations, 3, 2, 1).unwrap();
        let error = found.of("latent", 1).unwrap_err().to_string();
        assert!(error.contains("latents"), "{error}");
        assert!(found.of("latents", 3).is_err() && found.of("latents", 0).is_err());
        // More terms than a direction has entries: all is explained.
        let all = sae.composites(&activations, 12, 11, 1).unwrap();
        assert!(all.estimate("latents", 11).unwrap().mean > 0.999);
    }
}
