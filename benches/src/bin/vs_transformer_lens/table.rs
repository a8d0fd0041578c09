//! What was measured, as a table.

use serde_json::{Value, json};

pub struct Row {
    pub name: String,
    pub work: Option<(f64, &'static str)>,
    pub must: f64,
    pub aim: f64,
    /// The shortest time that the machine allows, in seconds.
    pub limit: Option<f64>,
    /// Ours first.
    pub sides: Vec<Side>,
}

pub struct Side {
    pub label: String,
    /// The median of each round.
    pub seconds: Vec<f64>,
    pub peak_mb: f64,
}

impl Row {
    /// The fastest of the others.
    fn fastest(&self) -> Option<&Side> {
        let theirs = self.sides.iter().skip(1);
        theirs.min_by(|a, b| median(&a.seconds).total_cmp(&median(&b.seconds)))
    }

    /// The time of the fastest of the others over ours: the median over rounds, each of which is a fair
    /// pair.
    pub fn ratio(&self) -> f64 {
        let (Some(ours), Some(theirs)) = (self.sides.first(), self.fastest()) else {
            return f64::NAN;
        };
        let pairs = ours.seconds.iter().zip(&theirs.seconds);
        median(
            &pairs
                .map(|(ours, theirs)| theirs / ours)
                .collect::<Vec<_>>(),
        )
    }

    fn shown(&self, side: &Side) -> String {
        let seconds = median(&side.seconds);
        match self.work {
            Some((work, unit)) => format!("{} {:.1} {unit}", side.label, work / seconds),
            None => format!("{} {:.1} ms", side.label, seconds * 1e3),
        }
    }

    pub fn json(&self) -> Value {
        let sides = self.sides.iter().map(|side| {
            json!({"label": side.label, "seconds": side.seconds, "median_s": median(&side.seconds), "peak_mb": side.peak_mb})
        });
        json!({
            "name": self.name, "ratio": self.ratio(), "must": self.must, "aim": self.aim,
            "limit_s": self.limit, "work": self.work.map(|(work, unit)| json!({"amount": work, "unit": unit})),
            "sides": sides.collect::<Vec<_>>(),
        })
    }
}

pub const HEAD: &str = "\
| work | ours | theirs | ratio | must | aim | ours, of the limit | peak MB, ours | theirs |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

/// The rows as Markdown; a ratio below what it must be is in bold.
pub fn markdown(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.to_owned()];
    lines.extend(rows.iter().map(line));
    lines.join("\n")
}

/// One row of it.
pub fn line(row: &Row) -> String {
    let Some((ours, theirs)) = row.sides.split_first() else {
        return String::new();
    };
    let all: Vec<String> = theirs.iter().map(|side| row.shown(side)).collect();
    let ratio = row.ratio();
    let shown = match ratio >= row.must {
        true => format!("{ratio:.2}"),
        false => format!("**{ratio:.2}**"),
    };
    let share = row.limit.map_or_else(String::new, |limit| {
        format!("{:.0} %", 100. * limit / median(&ours.seconds))
    });
    let peak = row.fastest().map_or(f64::NAN, |side| side.peak_mb);
    let own = row.shown(ours);
    format!(
        "| {} | {} | {} | {shown} | {:.1} | {:.1} | {share} | {:.0} | {peak:.0} |",
        row.name,
        own.strip_prefix("ferrolens ").unwrap_or(&own),
        all.join("; "),
        row.must,
        row.aim,
        ours.peak_mb,
    )
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => (sorted[even / 2 - 1] + sorted[even / 2]) / 2.,
        odd => sorted[odd / 2],
    }
}

/// The largest difference, as a share of the largest value; infinite where the lists cannot be compared.
pub fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
    if ours.len() != theirs.len() || ours.is_empty() {
        return f64::INFINITY;
    }
    if ours.iter().chain(theirs).any(|value| !value.is_finite()) {
        return f64::INFINITY;
    }
    let largest = theirs
        .iter()
        .fold(0f64, |most, value| most.max(value.abs()));
    let pairs = ours.iter().zip(theirs);
    let difference = pairs.fold(0f64, |most, (a, b)| most.max((a - b).abs()));
    match difference == 0. {
        true => 0.,
        false => difference / largest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(label: &str, seconds: &[f64]) -> Side {
        Side {
            label: label.to_owned(),
            seconds: seconds.to_vec(),
            peak_mb: 100.,
        }
    }

    fn row(sides: Vec<Side>) -> Row {
        Row {
            name: "forward".to_owned(),
            work: None,
            must: 2.,
            aim: 4.,
            limit: Some(0.06),
            sides,
        }
    }

    #[test]
    fn a_row_counts_against_the_faster() {
        let sides = vec![
            side("ferrolens", &[0.1, 0.2]),
            side("HT", &[0.8, 0.9]),
            side("TB", &[0.3, 0.6]),
        ];
        let row = row(sides);
        assert!((row.ratio() - 3.).abs() < 1e-9);
        let table = markdown(&[row]);
        assert!(table.ends_with(
            "| forward | 150.0 ms | HT 850.0 ms; TB 450.0 ms | 3.00 | 2.0 | 4.0 | 40 % | 100 | 100 |"
        ));
    }

    #[test]
    fn a_row_that_misses_is_bold() {
        let missed = row(vec![side("ferrolens", &[0.2]), side("HT", &[0.3])]);
        assert!(markdown(&[missed]).contains("| **1.50** |"));
    }

    #[test]
    fn medians_and_differences() {
        assert_eq!(median(&[3., 1., 2.]), 2.);
        assert!(median(&[]).is_nan());
        assert_eq!(apart(&[1., 2.], &[1., 2.]), 0.);
        assert!((apart(&[1., 2.2], &[1., 2.]) - 0.1).abs() < 1e-9);
        assert_eq!(apart(&[1.], &[1., 2.]), f64::INFINITY);
        assert_eq!(apart(&[f64::NAN], &[1.]), f64::INFINITY);
        assert_eq!(apart(&[], &[]), f64::INFINITY);
        assert_eq!(apart(&[1.], &[0.]), f64::INFINITY);
    }
}
