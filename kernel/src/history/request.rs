//! A `history_request`, read field by field, because clients leave out fields that the protocol names.

use serde_json::Value;

/// What a front end asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) kind: Kind,
    /// The most entries; the newest ones are kept.
    pub(super) most: usize,
    /// Each code once, at its last place.
    pub(super) unique: bool,
    /// With results.
    pub(super) output: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The last cells of all sessions.
    Tail,
    /// Lines of one session; 0 is this one, negative numbers count back from it.
    Range {
        session: i64,
        start: i64,
        stop: Option<i64>,
    },
    /// Cells of all sessions that match a pattern of `*`, `?` and `[…]`.
    Search { pattern: String },
}

impl Request {
    pub(super) fn read(content: &Value) -> Self {
        let number = |key: &str| content[key].as_u64().and_then(|n| usize::try_from(n).ok());
        let kind = match content["hist_access_type"].as_str() {
            Some("range") => Kind::Range {
                session: content["session"].as_i64().unwrap_or(0),
                start: content["start"].as_i64().unwrap_or(1),
                stop: content["stop"].as_i64(),
            },
            Some("search") => Kind::Search {
                pattern: content["pattern"].as_str().unwrap_or("*").to_owned(),
            },
            _ => Kind::Tail,
        };
        let most = match kind {
            Kind::Range { .. } => usize::MAX,
            _ => number("n").unwrap_or(usize::MAX),
        };
        Self {
            kind,
            most,
            unique: content["unique"].as_bool().unwrap_or(false),
            output: content["output"].as_bool().unwrap_or(false),
        }
    }
}
