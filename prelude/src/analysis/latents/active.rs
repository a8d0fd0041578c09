//! The latents that are active in one activation.

use crate::error::{Error, Result};
use crate::sae::Sae;
use candle_core::{DType, Device, Tensor};
use polars::prelude::{Column, DataFrame};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The latents of an autoencoder that are not 0 in one activation, in the order of their numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveLatents {
    /// The autoencoder's name.
    pub sae: String,
    /// The latents.
    pub latents: Vec<u32>,
    /// Their activations.
    pub acts: Vec<f32>,
}

impl Sae {
    /// The latents that are active in one activation: `[d_in]`, or any shape that holds one.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// use ferrolens::sae::Sae;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
    /// let point = "blocks.1.hook_resid_post";
    /// let last = model.run("Once upon a time").cache(point).pos_slice(-1).cache_only()?;
    /// let active = sae.active_latents(&last.get(point)?)?; // [1, 1, d_in]
    /// let three = active.random(3, 1);
    /// assert!(three.iter().all(|latent| active.latents.contains(latent)));
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are several activations, or one of another width.
    pub fn active_latents(&self, x: &Tensor) -> Result<ActiveLatents> {
        let acts = self.encode(x)?;
        if acts.elem_count() != self.cfg.d_sae {
            return Err(Error::new(format!(
                "activations of shape {:?} are not one: choose a prompt and a position, such as \
                 `cache.get(point)?.i((0, 3))?`.",
                x.dims()
            )));
        }
        let acts = acts.flatten_all()?.to_dtype(DType::F32)?;
        let acts: Vec<f32> = acts.to_device(&Device::Cpu)?.to_vec1()?;
        let (latents, acts) = (0u32..).zip(acts).filter(|(_, act)| *act != 0.).unzip();
        Ok(ActiveLatents {
            sae: self.name(),
            latents,
            acts,
        })
    }
}

impl ActiveLatents {
    /// How many are active: L0.
    pub fn len(&self) -> usize {
        self.latents.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.latents.is_empty()
    }

    /// The first `count`, in the order of their numbers.
    pub fn first(&self, count: usize) -> Vec<u32> {
        self.latents.iter().copied().take(count).collect()
    }

    /// `count` of them in an order that the seed decides; all of them, where there are fewer.
    pub fn random(&self, count: usize, seed: u64) -> Vec<u32> {
        self.draw(count, &mut StdRng::seed_from_u64(seed))
    }

    /// Some of them: how many, 1 to all with equal chance, and which, decides the seed.
    pub fn random_subset(&self, seed: u64) -> Vec<u32> {
        let mut random = StdRng::seed_from_u64(seed);
        let count = match self.len() {
            0 => 0,
            all => random.random_range(1..=all),
        };
        self.draw(count, &mut random)
    }

    fn draw(&self, count: usize, random: &mut StdRng) -> Vec<u32> {
        let drawn = rand::seq::index::sample(random, self.len(), count.min(self.len()));
        let drawn = drawn.into_iter();
        drawn
            .filter_map(|at| self.latents.get(at))
            .copied()
            .collect()
    }

    /// One row a latent: `latent`, `activation`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let columns = vec![
            Column::new("latent".into(), &self.latents),
            Column::new("activation".into(), &self.acts),
        ];
        Ok(DataFrame::new(self.len(), columns)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::{Gate, SaeConfig};

    fn sae() -> Sae {
        let device = Device::Cpu;
        // Latent i reads entry i, and the last two the opposite of the first two.
        let W_enc = Tensor::new(&[[1f32, 0., -1., 0.], [0., 1., 0., -1.]], &device).unwrap();
        let W_dec = W_enc.t().unwrap().contiguous().unwrap();
        let zeros = |n: usize| Tensor::zeros(n, DType::F32, &device).unwrap();
        let cfg = SaeConfig::new(2, 4);
        Sae::new(cfg, W_enc, zeros(4), W_dec, zeros(2), Gate::Relu).unwrap()
    }

    #[test]
    fn latents_come_with_their_activations() {
        let x = Tensor::new(&[[3f32, -2.]], &Device::Cpu).unwrap();
        let active = sae().active_latents(&x).unwrap();
        assert_eq!(
            (active.latents.as_slice(), active.acts.as_slice()),
            (&[0, 3][..], &[3., 2.][..])
        );
        assert_eq!(active.first(1), [0]);
        assert_eq!(active.to_df().unwrap().shape(), (2, 2));
        let two = Tensor::zeros((2, 2), DType::F32, &Device::Cpu).unwrap();
        let error = sae().active_latents(&two).unwrap_err().to_string();
        assert!(error.contains("choose a prompt"), "{error}");
        let none = sae().active_latents(&two.get(0).unwrap()).unwrap();
        assert!(none.is_empty() && none.random_subset(1).is_empty());
    }

    #[test]
    fn a_subset_has_each_size_as_often_and_no_latent_twice() {
        let active = ActiveLatents {
            sae: String::new(),
            latents: (10..15).collect(),
            acts: vec![1.; 5],
        };
        let mut sizes = [0; 6];
        for seed in 0..1000 {
            let mut drawn = active.random_subset(seed);
            sizes[drawn.len()] += 1;
            drawn.sort_unstable();
            drawn.dedup();
            assert!(!drawn.is_empty() && drawn.iter().all(|latent| (10..15).contains(latent)));
            assert_eq!(active.random(3, seed).len(), 3);
        }
        assert!(sizes[0] == 0 && sizes[1..].iter().all(|count| (150..250).contains(count)));
        assert_eq!(active.random(9, 1).len(), 5);
        assert_eq!(active.random(3, 7), active.random(3, 7));
    }
}
