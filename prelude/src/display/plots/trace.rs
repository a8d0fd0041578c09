//! A trace in plotly's own words.

use plotly::Trace;
use serde::Serialize;
use serde_json::Value;

/// Any trace that plotly.js knows, as JSON: the crate's builders lack some of their settings.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(super) struct JsonTrace(pub Value);

impl Trace for JsonTrace {
    fn to_json(&self) -> String {
        self.0.to_string()
    }
}
