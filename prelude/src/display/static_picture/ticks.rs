//! Where an axis has its marks, and what is written at them.

/// A mark of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// In the axis's own measure: for a log axis the exponent of ten.
    pub at: f64,
    pub text: String,
}

/// Marks at round numbers in `low..=high`, about as many as `wanted`.
pub(super) fn linear(low: f64, high: f64, wanted: f64, format: Option<&str>) -> Vec<Tick> {
    if !(low.is_finite() && high.is_finite()) || high <= low {
        return Vec::new();
    }
    let step = nice_step(high - low, wanted);
    every(low, high, step, format)
}

/// Marks at multiples of `step`, from `low` to `high`.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub(super) fn every(low: f64, high: f64, step: f64, format: Option<&str>) -> Vec<Tick> {
    if !(step.is_finite() && step > 0.0) || (high - low) / step > 1000.0 {
        return Vec::new();
    }
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last)
        .map(|index| {
            let at = index as f64 * step;
            let plain = || plain(at, step, low.abs().max(high.abs()));
            Tick {
                at,
                text: format.map_or_else(plain, |format| formatted(at, format)),
            }
        })
        .collect()
}

/// Marks of a log axis: at powers of ten, and at 2 and 5 where the axis is short.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub(super) fn logarithmic(low: f64, high: f64, format: Option<&str>) -> Vec<Tick> {
    if !(low.is_finite() && high.is_finite()) || high - low > 1000.0 {
        return Vec::new();
    }
    let span = high - low;
    let every = (span / 8.0).ceil().max(1.0) as i64;
    let digits: &[f64] = if span < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let mut ticks = Vec::new();
    for exponent in (low.floor() as i64)..=(high.ceil() as i64) {
        if exponent.rem_euclid(every) != 0 {
            continue;
        }
        for digit in digits {
            let at = exponent as f64 + digit.log10();
            if at < low - 1e-9 || at > high + 1e-9 {
                continue;
            }
            let value = digit * 10_f64.powi(exponent as i32);
            let text = format.map_or_else(
                || plain(value, value, value),
                |format| formatted(value, format),
            );
            ticks.push(Tick { at, text });
        }
    }
    ticks
}

/// The round step (1, 2 or 5 times a power of ten) that cuts `span` into `wanted` pieces or fewer.
pub(in crate::display) fn nice_step(span: f64, wanted: f64) -> f64 {
    let rough = span / wanted.max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= rough * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// A number with as many digits as a step between marks needs; thousands as `k` where the largest
/// mark asks for it, as plotly does.
fn plain(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 || value.abs() < step.abs() * 1e-6 {
        return "0".to_owned();
    }
    if !(1e-5..1e15).contains(&largest) {
        return minus(trimmed(&format!("{value:.2e}")));
    }
    let (unit, suffix) = match largest {
        size if size >= 1e12 => (1e12, "T"),
        size if size >= 1e9 => (1e9, "B"),
        size if size >= 1e6 => (1e6, "M"),
        size if size >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let text = format!("{:.*}", decimals(step.abs() / unit), value / unit);
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    minus(format!("{text}{suffix}"))
}

/// A number of no particular step, such as one beside a point: four significant digits.
pub(super) fn short(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".to_owned()
        } else {
            minus(value.to_string())
        };
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        return minus(trimmed(&format!("{value:.2e}")));
    }
    let digits = if size >= 1000.0 {
        0
    } else if size >= 100.0 {
        1
    } else if size >= 10.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    minus(if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    })
}

/// The decimals that tell multiples of `step` apart.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn decimals(step: f64) -> usize {
    (0..10)
        .find(|decimals| {
            let scaled = step * 10_f64.powi(*decimals);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.abs().max(1e-12)
                && scaled.round() != 0.0
        })
        .map_or(2, |decimals| decimals as usize)
}

/// `1.50e-7` → `1.5e-7`.
fn trimmed(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, power)) if digits.contains('.') => {
            format!(
                "{}e{power}",
                digits.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => text.to_owned(),
    }
}

/// A minus as wide as a digit.
fn minus(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// A number in one of d3's formats: `.2f`, `.0%`, `.3e`, `d`, `,`; others are written plainly.
pub(super) fn formatted(value: f64, format: &str) -> String {
    let precision: Option<usize> = format.split_once('.').and_then(|(_, rest)| {
        rest.trim_end_matches(|character: char| !character.is_ascii_digit())
            .parse()
            .ok()
    });
    let precision = precision.map(|precision| precision.min(20));
    let grouped = format.contains(',');
    let text = match format.chars().last() {
        Some('f') => format!("{value:.*}", precision.unwrap_or(6)),
        Some('%') => format!("{:.*}%", precision.unwrap_or(6), 100.0 * value),
        Some('e') => format!("{value:.*e}", precision.unwrap_or(6)),
        Some('d' | ',') => format!("{value:.0}"),
        _ => return short(value),
    };
    // What is rounded to zero has no minus.
    let is_zero = !text.contains(|character: char| ('1'..='9').contains(&character));
    let text = if is_zero {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    };
    minus(if grouped { with_groups(&text) } else { text })
}

fn with_groups(text: &str) -> String {
    let whole = text.find('.').unwrap_or(text.len());
    let start = text
        .find(|character: char| character.is_ascii_digit())
        .unwrap_or(0);
    let mut out = text[..start].to_owned();
    for (index, digit) in text[start..whole].chars().enumerate() {
        if index > 0 && (whole - start - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out.push_str(&text[whole..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn marks_lie_at_round_numbers() {
        assert_eq!(
            texts(&linear(0.0, 1.0, 5.0, None)),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            texts(&linear(-3.2, 7.9, 6.0, None)),
            ["−2", "0", "2", "4", "6"]
        );
        assert_eq!(
            texts(&linear(0.0, 45_000.0, 5.0, None)),
            ["0", "10k", "20k", "30k", "40k"]
        );
        assert_eq!(
            texts(&linear(0.0, 2.5e-3, 5.0, None)),
            ["0", "0.0005", "0.001", "0.0015", "0.002", "0.0025"]
        );
        assert_eq!(
            texts(&linear(0.0, 1.0, 2.0, Some(".0%"))),
            ["0%", "50%", "100%"]
        );
        assert!(linear(1.0, 1.0, 5.0, None).is_empty());
        assert!(linear(f64::NAN, 1.0, 5.0, None).is_empty());
    }

    #[test]
    fn log_axes_have_marks_at_powers() {
        assert_eq!(
            texts(&logarithmic(-1.0, 3.0, None)),
            ["0.1", "1", "10", "100", "1000"]
        );
        assert_eq!(texts(&logarithmic(0.0, 1.0, None)), ["1", "2", "5", "10"]);
    }

    #[test]
    fn numbers_beside_points_are_short() {
        assert_eq!(short(0.123_456), "0.123");
        assert_eq!(short(-12.5), "−12.5");
        assert_eq!(short(1234.6), "1235");
        assert_eq!(short(3e-9), "3e-9");
        assert_eq!(short(1e7), "1e7");
        assert_eq!(short(100.0), "100");
        assert_eq!(formatted(1_234_567.0, ",d"), "1,234,567");
        assert_eq!(formatted(-0.5, ".1f"), "−0.5");
        assert_eq!(formatted(-0.01, ".1f"), "0.0");
    }
}
