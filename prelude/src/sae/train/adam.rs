//! Kingma and Ba 2014, "Adam: A Method for Stochastic Optimization" (arXiv 1412.6980), as torch computes it.

use super::config::TrainConfig;
use super::parameters::Parameters;
use super::slices;
use crate::error::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Numbers that one core takes at a time.
const CHUNK: usize = 1 << 14;

/// What Adam remembers of earlier gradients.
#[derive(Clone, Debug)]
pub(super) struct Adam {
    pub(super) means: Parameters,
    pub(super) squares: Parameters,
    /// Steps taken.
    pub(super) steps: u64,
}

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Rates {
    /// What gradients are multiplied with first.
    scale: f32,
    betas: (f32, f32),
    /// The learning rate, divided by the first moment's correction.
    rate: f32,
    /// The root of the second moment's correction.
    correction: f32,
    epsilon: f32,
}

impl Adam {
    pub(super) fn new(weights: &Parameters) -> Result<Self> {
        Ok(Self {
            means: weights.map(|_, weight| Ok(weight.zeros_like()?))?,
            squares: weights.map(|_, weight| Ok(weight.zeros_like()?))?,
            steps: 0,
        })
    }

    /// Changes the weights along gradients that are multiplied by `scale`; in place on the CPU.
    pub(super) fn step(
        &mut self,
        weights: &mut Parameters,
        gradients: &Parameters,
        config: &TrainConfig,
        learning_rate: f64,
        scale: f64,
    ) -> Result<()> {
        self.steps += 1;
        let (beta_1, beta_2) = config.betas;
        let correction = |beta: f64| 1. - beta.powf(self.steps as f64);
        let rates = Rates {
            scale: scale as f32,
            betas: (beta_1 as f32, beta_2 as f32),
            rate: (learning_rate / correction(beta_1)) as f32,
            correction: correction(beta_2).sqrt() as f32,
            epsilon: config.epsilon as f32,
        };
        let gradients = gradients.named();
        let weights = weights.named_mut();
        let means = self.means.named_mut();
        let squares = self.squares.named_mut();
        let all = weights.into_iter().zip(means).zip(squares).zip(gradients);
        for ((((_, weight), (_, mean)), (_, square)), (_, gradient)) in all {
            if slices::on_cpu(weight) {
                in_place(weight, mean, square, gradient, rates)?;
            } else {
                on_any_device(weight, mean, square, gradient, rates)?;
            }
        }
        Ok(())
    }

    /// Forgets what it remembers of these latents.
    pub(super) fn forget(&mut self, latents: &[u32]) -> Result<()> {
        for moments in [&mut self.means, &mut self.squares] {
            for (name, values) in moments.named_mut() {
                if name != "b_dec" {
                    *values = with_rows(values, latents, &zeros_for(values, latents.len())?)?;
                }
            }
        }
        Ok(())
    }
}

fn zeros_for(values: &Tensor, rows: usize) -> Result<Tensor> {
    let mut dims = values.dims().to_vec();
    if let Some(first) = dims.first_mut() {
        *first = rows;
    }
    Ok(Tensor::zeros(dims, values.dtype(), values.device())?)
}

/// The same tensor with other rows in some places, in memory of its own.
pub(super) fn with_rows(values: &Tensor, places: &[u32], rows: &Tensor) -> Result<Tensor> {
    let ids = Tensor::new(places, values.device())?;
    let difference = (rows - values.index_select(&ids, 0)?)?;
    let near = values.index_add(&ids, &difference, 0)?;
    // `v + (r - v)` need not be `r`; where `r` is 0, it is.
    Ok(near)
}

fn in_place(
    weight: &Tensor,
    mean: &Tensor,
    square: &Tensor,
    gradient: &Tensor,
    rates: Rates,
) -> Result<()> {
    slices::read(gradient, |gradient| {
        slices::overwrite(weight, |weight| {
            slices::overwrite(mean, |mean| {
                slices::overwrite(square, |square| {
                    let moments = mean.par_chunks_mut(CHUNK).zip(square.par_chunks_mut(CHUNK));
                    let values = weight.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
                    values
                        .zip(moments)
                        .for_each(|((weight, gradient), (mean, square))| {
                            let moments = mean.iter_mut().zip(square);
                            let values = weight.iter_mut().zip(gradient);
                            for ((weight, gradient), (mean, square)) in values.zip(moments) {
                                let gradient = gradient * rates.scale;
                                *mean += (gradient - *mean) * (1. - rates.betas.0);
                                *square = *square * rates.betas.1
                                    + gradient * gradient * (1. - rates.betas.1);
                                let root = square.sqrt() / rates.correction + rates.epsilon;
                                *weight -= rates.rate * *mean / root;
                            }
                        });
                })
            })
        })
    })????;
    Ok(())
}

fn on_any_device(
    weight: &mut Tensor,
    mean: &mut Tensor,
    square: &mut Tensor,
    gradient: &Tensor,
    rates: Rates,
) -> Result<()> {
    let gradient = (gradient * f64::from(rates.scale))?;
    let (beta_1, beta_2) = (f64::from(rates.betas.0), f64::from(rates.betas.1));
    *mean = ((&*mean * beta_1)? + (&gradient * (1. - beta_1))?)?;
    *square = ((&*square * beta_2)? + (gradient.sqr()? * (1. - beta_2))?)?;
    let root = (square.sqrt()? / f64::from(rates.correction))?;
    let change = (&*mean / (root + f64::from(rates.epsilon))?)?;
    *weight = (&*weight - (change * f64::from(rates.rate))?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn both_ways_take_the_same_step() {
        let device = Device::Cpu;
        let draw = || Tensor::randn(0f32, 1., (300, 70), &device).unwrap();
        let (start, gradient) = (draw(), draw());
        let rates = Rates {
            scale: 0.5,
            betas: (0.9, 0.999),
            rate: 1e-2,
            correction: 0.1,
            epsilon: 1e-8,
        };
        let mut both = Vec::new();
        for quick in [true, false] {
            let mut weight = start.copy().unwrap();
            let mut mean = start.affine(0.1, 0.).unwrap();
            let mut square = start.sqr().unwrap();
            match quick {
                true => in_place(&weight, &mean, &square, &gradient, rates).unwrap(),
                false => {
                    on_any_device(&mut weight, &mut mean, &mut square, &gradient, rates).unwrap();
                }
            }
            both.push(weight.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        }
        for (quick, composed) in both[0].iter().zip(&both[1]) {
            assert!((quick - composed).abs() < 1e-6, "{quick} {composed}");
        }
    }
}
