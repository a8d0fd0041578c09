//! How far error bars go.

use crate::display::static_picture::data::number_at;
use serde_json::Value;

/// How far an error bar goes below and above its point.
pub(super) fn error_at(error: &Value, index: usize, value: f64) -> Option<(f64, f64)> {
    if !error.is_object() || error["visible"] == false || !value.is_finite() {
        return None;
    }
    let (above, below) = match error["type"].as_str() {
        Some("percent") => {
            let share = |name: &str| {
                error[name]
                    .as_f64()
                    .map(|percent| percent / 100.0 * value.abs())
            };
            (share("value")?, share("valueminus"))
        }
        Some("constant") => (error["value"].as_f64()?, error["valueminus"].as_f64()),
        Some("sqrt") => (value.abs().sqrt(), None),
        _ => (
            number_at(&error["array"], index)?,
            number_at(&error["arrayminus"], index),
        ),
    };
    let symmetric = error["symmetric"].as_bool().unwrap_or(below.is_none());
    Some((
        if symmetric {
            above
        } else {
            below.unwrap_or(0.0)
        },
        above,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_type_of_error_bar() {
        assert_eq!(
            error_at(&json!({"array": [1, 2]}), 1, 5.0),
            Some((2.0, 2.0))
        );
        let both = json!({"array": [1], "arrayminus": [3]});
        assert_eq!(error_at(&both, 0, 5.0), Some((3.0, 1.0)));
        let percent = json!({"type": "percent", "value": 10});
        assert_eq!(error_at(&percent, 0, -50.0), Some((5.0, 5.0)));
        assert_eq!(
            error_at(&json!({"type": "constant", "value": 2}), 9, 0.0),
            Some((2.0, 2.0))
        );
        assert_eq!(error_at(&json!({"array": [1]}), 1, 5.0), None);
        assert_eq!(error_at(&json!(null), 0, 5.0), None);
    }
}
