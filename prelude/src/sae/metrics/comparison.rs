//! Autoencoders beside each other: of several kinds, at several hook points, with several penalties.

use super::report::{LossReport, Measured, SaeReport};
use crate::error::{Error, Result, suggestion};
use polars::prelude::{Column, DataFrame};

/// What [`SaeEvaluation`](super::SaeEvaluation) found of some autoencoders, a row each. It displays as a
/// table.
#[derive(Clone, Debug, PartialEq)]
pub struct SaeComparison {
    /// The autoencoders, in the order in which they were given.
    pub rows: Vec<MeasuredSae>,
}

/// What was found of one autoencoder.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredSae {
    /// What kind it is, in the words of whoever measured it.
    pub kind: String,
    /// What it reconstructs.
    pub hook_point: String,
    /// From activations alone.
    pub activations: SaeReport,
    /// What the model loses with the reconstruction in place.
    pub losses: LossReport,
}

/// The measures that a table shows where nobody asked for others.
const SHOWN: [&str; 8] = [
    "norm of input",
    "L0",
    "L1",
    "norm ratio",
    "explained variance",
    "loss recovered",
    "KL, reconstructed",
    "fraction alive",
];

impl MeasuredSae {
    /// A measure by its name, one of those in [`SaeReport::to_df`] and [`LossReport::to_df`]: `"L0"`, `"loss
    /// recovered"`, `"KL, reconstructed"`.
    ///
    /// # Errors
    /// No measure is called so; the error names the nearest.
    pub fn value(&self, measure: &str) -> Result<f64> {
        let measures = self.measures();
        let found = measures.iter().find(|(name, ..)| *name == measure);
        found.map(|(_, value, _)| *value).ok_or_else(|| {
            let names: Vec<&str> = measures.iter().map(|(name, ..)| *name).collect();
            Error::new(format!(
                "no measure is called {measure:?}.{} There are {}.",
                suggestion(measure, &names),
                names.join("; ")
            ))
        })
    }

    fn measures(&self) -> Vec<Measured> {
        let mut measures = self.activations.measures();
        measures.extend(self.losses.measures());
        measures
    }
}

impl SaeComparison {
    /// The kinds, in the order of their first rows.
    pub fn kinds(&self) -> Vec<String> {
        distinct(self.rows.iter().map(|row| row.kind.as_str()))
    }

    /// The hook points, likewise.
    pub fn hook_points(&self) -> Vec<String> {
        distinct(self.rows.iter().map(|row| row.hook_point.as_str()))
    }

    /// The rows of one kind.
    ///
    /// # Errors
    /// There is none.
    pub fn of_kind(&self, kind: &str) -> Result<Self> {
        self.only(kind, "kind", self.kinds(), |row| row.kind == kind)
    }

    /// The rows of one hook point.
    ///
    /// # Errors
    /// There is none.
    pub fn at(&self, hook_point: &str) -> Result<Self> {
        let known = self.hook_points();
        self.only(hook_point, "hook point", known, |row| {
            row.hook_point == hook_point
        })
    }

    fn only(
        &self,
        wanted: &str,
        what: &str,
        known: Vec<String>,
        keep: impl Fn(&MeasuredSae) -> bool,
    ) -> Result<Self> {
        let rows: Vec<MeasuredSae> = self.rows.iter().filter(|row| keep(row)).cloned().collect();
        if rows.is_empty() {
            return Err(Error::new(format!(
                "no autoencoder of {what} {wanted:?} was measured.{} There are {}.",
                suggestion(wanted, &known),
                known.join(", ")
            )));
        }
        Ok(Self { rows })
    }

    /// The first autoencoder of a kind at a hook point.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, kind: &str, hook_point: &str) -> Result<MeasuredSae> {
        let rows = self.of_kind(kind)?.at(hook_point)?.rows;
        let first = rows.into_iter().next();
        first.ok_or_else(|| Error::new("nothing was measured: give at least one autoencoder."))
    }

    /// One measure of all rows of a kind, in their order: as `x` of [`LinearFit::of`](crate::math::LinearFit).
    ///
    /// # Errors
    /// There is no such kind or measure.
    pub fn values(&self, kind: &str, measure: &str) -> Result<Vec<f64>> {
        let rows = self.of_kind(kind)?.rows;
        rows.iter().map(|row| row.value(measure)).collect()
    }

    /// These rows and then those.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let rows = self.rows.iter().chain(&other.rows);
        Self {
            rows: rows.cloned().collect(),
        }
    }

    /// An autoencoder of each of two kinds at one hook point, those two that are nearest to each other in a
    /// measure: whose larger value is the smallest multiple of the other. Kinds that differ in how sparse
    /// they are can only be compared at the same sparsity. Values of 0 or below are near to nothing.
    ///
    /// # Errors
    /// There is no such kind or measure, or no pair with values above 0.
    pub fn nearest(&self, measure: &str, a: &str, b: &str) -> Result<(MeasuredSae, MeasuredSae)> {
        let (first, second) = (self.of_kind(a)?, self.of_kind(b)?);
        let mut best: Option<(f64, &MeasuredSae, &MeasuredSae)> = None;
        for one in &first.rows {
            for other in second
                .rows
                .iter()
                .filter(|row| row.hook_point == one.hook_point)
            {
                let apart = (one.value(measure)?.ln() - other.value(measure)?.ln()).abs();
                if apart.is_finite() && best.is_none_or(|(nearest, ..)| apart < nearest) {
                    best = Some((apart, one, other));
                }
            }
        }
        best.map(|(_, one, other)| (one.clone(), other.clone()))
            .ok_or_else(|| {
                Error::new(format!(
                    "{a:?} and {b:?} have no hook point in common at which {measure:?} of both is above 0: \
                     look at the table with `.to_df()`."
                ))
            })
    }

    /// One row an autoencoder: `kind`, `hook_point`, and the measures that matter most.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        self.table(SHOWN)
    }

    /// The same with these measures: see [`MeasuredSae::value`].
    ///
    /// # Errors
    /// No measure is called so.
    pub fn table<S: AsRef<str>>(&self, measures: impl IntoIterator<Item = S>) -> Result<DataFrame> {
        let of = |pick: fn(&MeasuredSae) -> &str| self.rows.iter().map(pick).collect::<Vec<&str>>();
        let mut columns = vec![
            Column::new("kind".into(), of(|row| &row.kind)),
            Column::new("hook_point".into(), of(|row| &row.hook_point)),
        ];
        for measure in measures {
            let measure = measure.as_ref();
            let values = self.rows.iter().map(|row| row.value(measure));
            let values = values.collect::<Result<Vec<f64>>>()?;
            columns.push(Column::new(measure.into(), values));
        }
        Ok(DataFrame::new(self.rows.len(), columns)?)
    }

    /// One measure as a row a hook point and a column a kind; of several autoencoders of one kind at one
    /// hook point the first counts, and NaN stands where there is none.
    ///
    /// # Errors
    /// No measure is called so.
    pub fn by_hook_point(&self, measure: &str) -> Result<DataFrame> {
        let points = self.hook_points();
        let mut columns = vec![Column::new("hook_point".into(), &points)];
        for (kind, values) in self.series(measure)? {
            columns.push(Column::new(kind.as_str().into(), values));
        }
        Ok(DataFrame::new(points.len(), columns)?)
    }

    /// The columns of [`SaeComparison::by_hook_point`].
    pub(crate) fn series(&self, measure: &str) -> Result<Vec<(String, Vec<f64>)>> {
        let points = self.hook_points();
        let mut series = Vec::new();
        for kind in self.kinds() {
            let mut values = Vec::with_capacity(points.len());
            for point in &points {
                let mut rows = self.rows.iter();
                let row = rows.find(|row| row.kind == kind && row.hook_point == *point);
                values.push(row.map_or(Ok(f64::NAN), |row| row.value(measure))?);
            }
            series.push((kind, values));
        }
        Ok(series)
    }
}

/// Each once, in the order of its first appearance.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        if !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::metrics::Density;

    /// A row with this L0 and this norm of the input.
    fn row(kind: &str, hook_point: &str, l0: f64, norm_in: f64) -> MeasuredSae {
        MeasuredSae {
            kind: kind.to_owned(),
            hook_point: hook_point.to_owned(),
            activations: SaeReport {
                tokens: 10,
                l0,
                l1: 1.,
                l2: 1.,
                mse: 0.1,
                explained_variance: 0.5,
                explained_variance_per_token: 0.5,
                fraction_of_variance_explained: 0.5,
                norm_in,
                norm_out: norm_in,
                norm_ratio: 1.,
                cosine: 1.,
                relative_reconstruction_bias: 1.,
                density: Density::new(vec![1, 0], 10),
            },
            losses: LossReport {
                predictions: 9,
                positions: 10,
                clean: 1.,
                zero: 3.,
                mean: 2.,
                recon: 1.5,
                kl_zero: 2.,
                kl_mean: 1.,
                kl_recon: 0.5,
            },
        }
    }

    fn comparison() -> SaeComparison {
        SaeComparison {
            rows: vec![
                row("a", "one", 10., 1.),
                row("a", "two", 40., 2.),
                row("a", "three", 0., 3.),
                row("b", "one", 15., 1.),
                row("b", "two", 33., 2.),
                row("b", "three", 0., 3.),
                row("b", "four", 40., 4.),
            ],
        }
    }

    #[test]
    fn the_nearest_pair_is_at_one_hook_point_and_alive() {
        let (a, b) = comparison().nearest("L0", "a", "b").unwrap();
        assert_eq!(
            (a.hook_point.as_str(), b.hook_point.as_str()),
            ("two", "two")
        );
        assert_eq!((a.kind.as_str(), b.kind.as_str()), ("a", "b"));
        let none = comparison().at("three").unwrap();
        let message = none.nearest("L0", "a", "b").unwrap_err().to_string();
        assert!(message.contains("above 0"), "{message}");
    }

    #[test]
    fn tables_have_the_rows_and_measures_asked_for() {
        let comparison = comparison();
        assert_eq!(comparison.kinds(), ["a", "b"]);
        assert_eq!(comparison.values("b", "L0").unwrap(), [15., 33., 0., 40.]);
        assert_eq!(comparison.to_df().unwrap().width(), 2 + SHOWN.len());
        let table = comparison.by_hook_point("norm of input").unwrap();
        assert_eq!((table.height(), table.width()), (4, 3));
        let of_a = table.column("a").unwrap().f64().unwrap().get(3).unwrap();
        assert!(of_a.is_nan(), "there is no `a` at `four`");
        let recovered = comparison.get("a", "two").unwrap().value("loss recovered");
        assert_eq!(recovered.unwrap(), 0.75);
        assert_eq!(comparison.and(&comparison).rows.len(), 14);
    }

    #[test]
    fn wrong_names_are_answered_with_the_right_ones() {
        let message = |result: Result<Vec<f64>>| result.unwrap_err().to_string();
        let text = message(comparison().values("a", "loss recoverd"));
        assert!(text.contains("Did you mean `loss recovered`"), "{text}");
        let text = message(comparison().values("c", "L0"));
        assert!(text.contains("There are a, b"), "{text}");
    }
}
