//! What pushes did, at every length.

use crate::error::{Error, Result, suggestion};
use crate::math::Estimate;
use crate::model::HookPoint;
use polars::prelude::{Column, DataFrame};

/// What pushes of several kinds did to the output, a curve over lengths for each prompt. It displays as
/// [`SensitivityCurves::plateaus`].
#[derive(Clone, Debug, PartialEq)]
pub struct SensitivityCurves {
    /// Where the activation was pushed.
    pub point: HookPoint,
    /// How far.
    pub lengths: Vec<f64>,
    /// The mean distance between the activations of two different prompts.
    pub distance: f64,
    /// A kind of direction each.
    pub kinds: Vec<SensitivityCurve>,
}

/// What pushes of one kind did.
#[derive(Clone, Debug, PartialEq)]
pub struct SensitivityCurve {
    /// What the directions are called.
    pub name: String,
    /// `KL(clean ‖ pushed)` of the next token in nats, `[prompt][length]`.
    pub kl: Vec<Vec<f64>>,
    /// `|x pushed - x clean|` at the last `hook_resid_post`, `[prompt][length]`.
    pub l2: Vec<Vec<f64>>,
    /// How long the direction was by nature, for each prompt: the way to the other activation or to the
    /// reconstruction; 1 for directions that are drawn.
    pub reach: Vec<f64>,
}

/// What is read behind a push, at the position that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readout {
    /// How far the prediction moves: `KL(clean ‖ pushed)` of the next token, in nats.
    Kl,
    /// How far the last residual stream moves: the Euclidean distance at the last `hook_resid_post`.
    L2,
}

impl Readout {
    /// As a figure names it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Kl => "KL(clean ‖ pushed), nats",
            Self::L2 => "distance at the last resid_post",
        }
    }
}

impl SensitivityCurve {
    /// The numbers of a readout, `[prompt][length]`.
    pub fn of(&self, readout: Readout) -> &[Vec<f64>] {
        match readout {
            Readout::Kl => &self.kl,
            Readout::L2 => &self.l2,
        }
    }
}

impl SensitivityCurves {
    /// The names of the kinds, in order.
    pub fn names(&self) -> Vec<String> {
        self.kinds.iter().map(|kind| kind.name.clone()).collect()
    }

    /// The curves of one kind.
    ///
    /// # Errors
    /// There is no such kind; the error names the nearest.
    pub fn get(&self, name: &str) -> Result<&SensitivityCurve> {
        let found = self.kinds.iter().find(|kind| kind.name == name);
        found.ok_or_else(|| {
            let names = self.names();
            Error::new(format!(
                "nothing was pushed along `{name}`.{} There are {}.",
                suggestion(name, &names),
                names.join("; ")
            ))
        })
    }

    /// A readout at a length, for each prompt: between two lengths on the straight line.
    ///
    /// # Errors
    /// There is no such kind, or nothing was pushed as far.
    pub fn at(&self, name: &str, readout: Readout, length: f64) -> Result<Vec<f64>> {
        self.check_reached(length)?;
        let curves = self.get(name)?.of(readout).iter();
        Ok(curves
            .map(|curve| between(&self.lengths, curve, length))
            .collect())
    }

    /// Its mean over prompts, with an interval.
    ///
    /// # Errors
    /// As [`SensitivityCurves::at`]; no number is finite.
    pub fn estimate(&self, name: &str, readout: Readout, length: f64) -> Result<Estimate> {
        Estimate::of_mean(&self.at(name, readout, length)?)
    }

    /// The length at which a readout first comes to this share of what it is at the distance between two
    /// activations, over that distance, for each prompt; NaN where it is 0 there. What grows with the
    /// square of the length comes to a tenth at 0.32 and to half at 0.71, what grows in proportion at 0.1
    /// and 0.5. On a plateau both are larger, as nothing happens before its end; where the readout
    /// saturates, half is reached earlier.
    ///
    /// # Errors
    /// The share is not above 0 and at most 1, there is no such kind, a single prompt has no distance to
    /// another, or nothing was pushed as far.
    pub fn lengths_to(&self, share: f64, name: &str, readout: Readout) -> Result<Vec<f64>> {
        if !(share > 0. && share <= 1.) {
            return Err(Error::new(format!(
                "{share} is no share of what is read at the distance between two activations: give one \
                 above 0, up to 1."
            )));
        }
        self.check_reached(self.distance)?;
        let curves = self.get(name)?.of(readout).iter();
        Ok(curves
            .map(|curve| {
                let value = share * between(&self.lengths, curve, self.distance);
                match value > 0. {
                    true => first_at(&self.lengths, curve, value) / self.distance,
                    false => f64::NAN,
                }
            })
            .collect())
    }

    /// The mean of [`SensitivityCurves::lengths_to`] over prompts, with an interval.
    ///
    /// # Errors
    /// As [`SensitivityCurves::lengths_to`]; every prompt's is NaN.
    pub fn length_to(&self, share: f64, name: &str, readout: Readout) -> Result<Estimate> {
        Estimate::of_mean(&self.lengths_to(share, name, readout)?)
    }

    /// That of one kind over that of another, prompt by prompt paired: above 1 it takes a longer push.
    ///
    /// # Errors
    /// As [`SensitivityCurves::length_to`], of either kind.
    pub fn relative_length_to(
        &self,
        share: f64,
        name: &str,
        baseline: &str,
        readout: Readout,
    ) -> Result<Estimate> {
        let of = |name: &str| self.lengths_to(share, name, readout);
        Estimate::of_ratio(&of(name)?, &of(baseline)?)
    }

    /// One row a kind, of the KL: `direction`, `KL` (at the distance between two activations), the lengths
    /// to a tenth and to half of it (`tenth_length`, `half_length`, see
    /// [`SensitivityCurves::lengths_to`]), and the latter over that of the first kind (`relative`); behind
    /// each how far its 95 % interval goes to either side.
    ///
    /// # Errors
    /// As [`SensitivityCurves::length_to`].
    pub fn plateaus(&self) -> Result<DataFrame> {
        let names = self.names();
        let baseline = names.first().map_or("", String::as_str);
        let mut found: [Vec<Estimate>; 4] = Default::default();
        for name in &names {
            found[0].push(self.estimate(name, Readout::Kl, self.distance)?);
            found[1].push(self.length_to(0.1, name, Readout::Kl)?);
            found[2].push(self.length_to(0.5, name, Readout::Kl)?);
            found[3].push(self.relative_length_to(0.5, name, baseline, Readout::Kl)?);
        }
        let mut columns = vec![Column::new("direction".into(), &names)];
        for (title, found) in ["KL", "tenth_length", "half_length", "relative"]
            .iter()
            .zip(&found)
        {
            let means: Vec<f64> = found.iter().map(|each| each.mean).collect();
            let widths: Vec<f64> = found.iter().map(Estimate::half_width).collect();
            columns.push(Column::new((*title).into(), means));
            columns.push(Column::new(format!("± {title}").into(), widths));
        }
        Ok(DataFrame::new(names.len(), columns)?)
    }

    /// One row a kind, prompt and length: `direction`, `prompt`, `length`, `KL`, `L2`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let (mut names, mut prompts, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        let (mut kl, mut l2) = (Vec::new(), Vec::new());
        for kind in &self.kinds {
            for (prompt, (of_kl, of_l2)) in (0u32..).zip(kind.kl.iter().zip(&kind.l2)) {
                names.extend(self.lengths.iter().map(|_| kind.name.as_str()));
                prompts.extend(self.lengths.iter().map(|_| prompt));
                lengths.extend_from_slice(&self.lengths);
                kl.extend_from_slice(of_kl);
                l2.extend_from_slice(of_l2);
            }
        }
        let rows = names.len();
        let columns = vec![
            Column::new("direction".into(), names),
            Column::new("prompt".into(), prompts),
            Column::new("length".into(), lengths),
            Column::new("KL".into(), kl),
            Column::new("L2".into(), l2),
        ];
        Ok(DataFrame::new(rows, columns)?)
    }

    /// One row a kind and length: `direction`, `length`, `length / distance`, and for `KL` and `L2` the
    /// mean over prompts and the quartiles, `KL mean`, `KL 25 %`, `KL median`, `KL 75 %`, ...
    ///
    /// # Errors
    /// There is no room for it.
    pub fn summary(&self) -> Result<DataFrame> {
        let rows = self.kinds.len() * self.lengths.len();
        let (mut names, mut lengths) = (Vec::new(), Vec::new());
        for kind in &self.kinds {
            names.extend(self.lengths.iter().map(|_| kind.name.as_str()));
            lengths.extend_from_slice(&self.lengths);
        }
        let relative: Vec<f64> = lengths
            .iter()
            .map(|length| length / self.distance)
            .collect();
        let mut columns = vec![
            Column::new("direction".into(), names),
            Column::new("length".into(), lengths),
            Column::new("length / distance".into(), relative),
        ];
        for (title, readout) in [("KL", Readout::Kl), ("L2", Readout::L2)] {
            let spread: Vec<Spread> = self
                .kinds
                .iter()
                .flat_map(|kind| spreads(kind.of(readout), self.lengths.len()))
                .collect();
            let picked: [(&str, Pick); 4] = [
                ("mean", |spread| spread.mean),
                ("25 %", |spread| spread.low),
                ("median", |spread| spread.median),
                ("75 %", |spread| spread.high),
            ];
            for (name, pick) in picked {
                let values: Vec<f64> = spread.iter().map(pick).collect();
                columns.push(Column::new(format!("{title} {name}").into(), values));
            }
        }
        Ok(DataFrame::new(rows, columns)?)
    }

    fn check_reached(&self, length: f64) -> Result<()> {
        let last = self.lengths.last().copied().unwrap_or(0.);
        match (0. ..=last).contains(&length) {
            true => Ok(()),
            false => Err(Error::new(format!(
                "the activation was pushed by 0 to {last}, not by {length}: push it as far (the distance \
                 between two activations is {}).",
                self.distance
            ))),
        }
    }
}

/// A mean and quartiles over prompts.
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// One of its numbers.
type Pick = fn(&Spread) -> f64;

/// Those of each of so many lengths, of `[prompt][length]`.
pub(crate) fn spreads(curves: &[Vec<f64>], lengths: usize) -> Vec<Spread> {
    (0..lengths)
        .map(|at| {
            let mut values: Vec<f64> = curves
                .iter()
                .filter_map(|curve| curve.get(at))
                .copied()
                .collect();
            values.sort_by(f64::total_cmp);
            Spread {
                mean: values.iter().sum::<f64>() / values.len() as f64,
                low: quantile(&values, 0.25),
                median: quantile(&values, 0.5),
                high: quantile(&values, 0.75),
            }
        })
        .collect()
}

/// Of sorted values, between two of them on the straight line, as numpy does by default.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() as f64 - 1.);
    let (Some(below), Some(above)) = (
        sorted.get(place.floor() as usize),
        sorted.get(place.ceil() as usize),
    ) else {
        return f64::NAN;
    };
    below + (above - below) * (place - place.floor())
}

/// The value of a curve at a length; before the first length the curve comes from 0.
fn between(lengths: &[f64], curve: &[f64], length: f64) -> f64 {
    for ((x0, y0), (x1, y1)) in pieces(lengths, curve) {
        if length <= x1 {
            return match x1 > x0 {
                true => y0 + (y1 - y0) * (length - x0) / (x1 - x0),
                false => y1,
            };
        }
    }
    f64::NAN
}

/// The length at which a curve first reaches a value; NaN where it never does.
fn first_at(lengths: &[f64], curve: &[f64], value: f64) -> f64 {
    for ((x0, y0), (x1, y1)) in pieces(lengths, curve) {
        if y1 >= value {
            return match y1 > y0 {
                true => x0 + (x1 - x0) * ((value - y0) / (y1 - y0)).clamp(0., 1.),
                false => x1,
            };
        }
    }
    f64::NAN
}

type Place = (f64, f64);

fn pieces<'a>(lengths: &'a [f64], curve: &'a [f64]) -> impl Iterator<Item = (Place, Place)> + 'a {
    let places = lengths.iter().copied().zip(curve.iter().copied());
    let before = std::iter::once((0., 0.)).chain(places.clone());
    before.zip(places)
}
