//! Data of a figure: arrays of numbers and texts, as JSON holds them.

use serde_json::Value;

/// One entry of a data array.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum {
    Number(f64),
    Text(String),
    /// `null`, or what JSON made of a NaN.
    Missing,
}

impl Datum {
    pub(super) fn read(value: &Value) -> Self {
        match value {
            Value::Number(number) => number.as_f64().map_or(Self::Missing, Self::Number),
            Value::String(text) => Self::Text(text.clone()),
            Value::Bool(bool) => Self::Text(bool.to_string()),
            _ => Self::Missing,
        }
    }

    /// The number that this is, also where it is written as a text.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite()),
            Self::Missing => None,
        }
    }
}

/// An array of data, if there is one.
pub(super) fn data(value: &Value) -> Option<Vec<Datum>> {
    Some(value.as_array()?.iter().map(Datum::read).collect())
}

/// An array of numbers, NaN where there is none.
pub(super) fn numbers(value: &Value) -> Vec<f64> {
    let entries = value.as_array().map_or(&[][..], Vec::as_slice);
    entries
        .iter()
        .map(|entry| Datum::read(entry).number().unwrap_or(f64::NAN))
        .collect()
}

/// The positions of `len` points: the array `name`, or `name0 + i * dname`.
pub(super) fn positions(trace: &Value, name: &str, len: usize) -> Vec<Datum> {
    if let Some(positions) = data(&trace[name]) {
        return positions;
    }
    let start = trace[format!("{name}0").as_str()].as_f64().unwrap_or(0.0);
    let step = trace[format!("d{name}").as_str()].as_f64().unwrap_or(1.0);
    #[allow(clippy::cast_precision_loss)]
    (0..len)
        .map(|index| Datum::Number(start + step * index as f64))
        .collect()
}

/// One text for all, or one for each point.
pub(super) fn text_at(value: &Value, index: usize) -> Option<String> {
    let entry = match value {
        Value::Array(entries) => entries.get(index)?,
        single => single,
    };
    match entry {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// One number for all, or one for each point.
pub(super) fn number_at(value: &Value, index: usize) -> Option<f64> {
    match value {
        Value::Array(entries) => entries.get(index)?.as_f64(),
        single => single.as_f64(),
    }
}

/// The text of a title, which is a string or an object with a `text`.
pub(super) fn title(value: &Value) -> &str {
    value["text"]
        .as_str()
        .or(value.as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn data_is_read_as_plotly_reads_it() {
        assert_eq!(Datum::read(&json!("1.5")).number(), Some(1.5));
        assert_eq!(Datum::read(&json!("inf")).number(), None);
        assert!(
            numbers(&json!([1, null, "a"]))[1..]
                .iter()
                .all(|number| number.is_nan())
        );
        let trace = json!({"x0": 2, "dx": 0.5});
        assert_eq!(
            positions(&trace, "x", 2),
            [Datum::Number(2.0), Datum::Number(2.5)]
        );
        assert_eq!(text_at(&json!(["a", 2]), 1).as_deref(), Some("2"));
        assert_eq!(title(&json!({"text": "T"})), "T");
    }
}
