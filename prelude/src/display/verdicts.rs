//! What the check of a lesson says, with a bar at its left: green, red, or grey where there is no answer yet.

use super::escape;
use crate::emit::{Bundle, Rich, text};
use crate::lessons::Verdict;

impl Rich for Verdict {
    fn bundle(&self) -> Bundle {
        let colour = match (self.is_right(), self.is_open()) {
            (true, _) => "#2e7d32",
            (_, true) => "#757575",
            _ => "#c62828",
        };
        let plain = self.to_string();
        let html = format!(
            "<div style=\"border-left:4px solid {colour};padding:2px 10px\">{}</div>",
            escape::html(&plain)
        );
        let mut bundle = text(plain);
        bundle.insert("text/html".to_owned(), html.into());
        bundle
    }
}
