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

/// Two independent numbers of mean 0 and deviation 1, from 64 random bits (Box and Muller 1958). Without
/// branches, so that a loop over it becomes vector instructions.
#[inline]
pub(super) fn normals(bits: u64) -> (f32, f32) {
    // In (0, 1], so that the logarithm is finite.
    let first = ((bits >> 40) as f32 + 1.) / 16_777_216.;
    let second = (bits & 0x00ff_ffff) as f32 / 16_777_216.;
    let radius = (-2. * ln(first)).max(0.).sqrt();
    let (sine, cosine) = sine_and_cosine(second);
    (radius * cosine, radius * sine)
}

/// The natural logarithm of a normal number above 0, to 1e-6: its exponent, and
/// `ln m = 2 artanh((m - 1) / (m + 1))` of its mantissa `m` in `[sqrt(1/2), sqrt(2))`.
#[inline]
fn ln(x: f32) -> f32 {
    // The bits of sqrt(1/2), so that the exponent changes there.
    const START: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(START);
    let exponent = (shifted as i32 >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(START));
    let s = (mantissa - 1.) / (mantissa + 1.);
    let z = s * s;
    let series = 1. + z * (1. / 3. + z * (1. / 5. + z * (1. / 7. + z * (1. / 9.))));
    exponent * std::f32::consts::LN_2 + 2. * s * series
}

/// The sine and cosine of `turns` of a circle, from 0 to 1, to 1e-6.
#[inline]
fn sine_and_cosine(turns: f32) -> (f32, f32) {
    let quarters = turns * 4.;
    let nearest = (quarters + 0.5) as i32;
    let angle = (quarters - nearest as f32) * std::f32::consts::FRAC_PI_2; // at most an eighth of a circle
    let z = angle * angle;
    let sine = angle * (1. - z / 6. * (1. - z / 20. * (1. - z / 42. * (1. - z / 72.))));
    let cosine = 1. - z / 2. * (1. - z / 12. * (1. - z / 30. * (1. - z / 56. * (1. - z / 90.))));
    let odd = nearest & 1 == 1;
    let (first, second) = (
        if odd { cosine } else { sine },
        if odd { sine } else { cosine },
    );
    let sine = if nearest & 2 == 2 { -first } else { first };
    let cosine = if (nearest + 1) & 2 == 2 {
        -second
    } else {
        second
    };
    (sine, cosine)
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
    fn the_functions_behind_them_are_those_of_the_standard_library() {
        for step in 1..=20_000 {
            let x = step as f32 / 20_000.;
            assert!((ln(x) - x.ln()).abs() < 2e-6 * x.ln().abs().max(1.), "{x}");
            let (sine, cosine) = sine_and_cosine(x);
            let angle = f64::from(x) * std::f64::consts::TAU;
            assert!((f64::from(sine) - angle.sin()).abs() < 2e-6, "{x}");
            assert!((f64::from(cosine) - angle.cos()).abs() < 2e-6, "{x}");
        }
        assert!((ln(1. / 16_777_216.) - (1f32 / 16_777_216.).ln()).abs() < 1e-5);
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
