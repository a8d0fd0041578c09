//! Random numbers that follow from a seed, a purpose and a count, so that nothing but the count need be
//! remembered.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// What random numbers are for; each purpose has a stream of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Weights,
    Order,
    Shuffle,
    Noise,
    Resampling,
}

/// The generator for the `count`th use of a purpose.
pub(super) fn generator(seed: u64, purpose: Purpose, count: u64) -> StdRng {
    StdRng::seed_from_u64(mixed(seed, purpose, count))
}

/// A number that differs in half its bits for any other seed, purpose or count.
pub(super) fn mixed(seed: u64, purpose: Purpose, count: u64) -> u64 {
    scrambled(scrambled(seed ^ ((purpose as u64 + 1) << 56)).wrapping_add(count))
}

/// The output function of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
/// generators").
#[inline]
pub(super) fn scrambled(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Two independent numbers of mean 0 and deviation 1, from 64 random bits (Box and Muller 1958).
#[inline]
pub(super) fn normals(bits: u64) -> (f32, f32) {
    // In (0, 1], so that the logarithm is finite.
    let first = ((bits >> 40) as f32 + 1.) / 16_777_216.;
    let second = (bits & 0x00ff_ffff) as f32 / 16_777_216.;
    let radius = (-2. * first.ln()).sqrt();
    let (sine, cosine) = (std::f32::consts::TAU * second).sin_cos();
    (radius * cosine, radius * sine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_the_moments_of_a_normal_distribution() {
        let start = mixed(3, Purpose::Noise, 0);
        let values: Vec<f64> = (0..200_000)
            .flat_map(|index| {
                let (a, b) = normals(scrambled(start.wrapping_add(index)));
                [f64::from(a), f64::from(b)]
            })
            .collect();
        let moment = |power: i32| {
            values.iter().map(|value| value.powi(power)).sum::<f64>() / values.len() as f64
        };
        for (power, expected, tolerance) in
            [(1, 0., 0.01), (2, 1., 0.01), (3, 0., 0.03), (4, 3., 0.06)]
        {
            let got = moment(power);
            assert!((got - expected).abs() < tolerance, "{power}: {got}");
        }
    }

    #[test]
    fn every_purpose_and_count_has_its_own_stream() {
        let seeds = [
            mixed(0, Purpose::Weights, 0),
            mixed(0, Purpose::Noise, 0),
            mixed(0, Purpose::Noise, 1),
            mixed(1, Purpose::Noise, 0),
        ];
        for (index, seed) in seeds.iter().enumerate() {
            assert!(!seeds[index + 1..].contains(seed));
        }
    }
}
