//! The cells of this session, for front ends that offer them again.

use serde_json::{Value, json};

/// What was run, in order.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: Vec<(usize, String)>,
}

impl History {
    pub(super) fn add(&mut self, count: usize, code: &str) {
        self.entries.push((count, code.to_owned()));
    }

    /// The content of a `history_reply`. The request is read field by field, because clients leave
    /// out fields that the protocol names. Outputs are not kept: their place holds null.
    pub(super) fn answer(&self, request: &Value) -> Value {
        let output = request["output"].as_bool().unwrap_or(false);
        let number = |key: &str| request[key].as_u64().and_then(|n| usize::try_from(n).ok());
        let most = number("n").unwrap_or(usize::MAX);
        let mut found: Vec<&(usize, String)> = match request["hist_access_type"].as_str() {
            Some("range") => {
                let start = number("start").unwrap_or(1);
                let stop = number("stop").unwrap_or(usize::MAX);
                self.entries
                    .iter()
                    .filter(|(count, _)| (start..stop).contains(count))
                    .collect()
            }
            Some("search") => {
                let pattern = request["pattern"].as_str().unwrap_or("*");
                self.entries
                    .iter()
                    .filter(|(_, code)| matches(pattern, code))
                    .collect()
            }
            _ => self.entries.iter().collect(),
        };
        if request["unique"].as_bool().unwrap_or(false) {
            let mut seen = std::collections::HashSet::new();
            found.reverse();
            found.retain(|(_, code)| seen.insert(code.as_str()));
            found.reverse();
        }
        let first = found.len().saturating_sub(most);
        let history: Vec<Value> = found[first..]
            .iter()
            .map(|(count, code)| {
                if output {
                    json!([0, count, [code, null]])
                } else {
                    json!([0, count, code])
                }
            })
            .collect();
        json!({"status": "ok", "history": history})
    }
}

/// Whether `text` matches a pattern of `*` and `?`.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else {
                    return false;
                };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_globs() {
        assert!(matches("*let*", "  let x = 1;"));
        assert!(matches("?+1", "1+1"));
        assert!(!matches("let", "let x"));
    }

    #[test]
    fn a_search_without_n_and_unique_is_answered() {
        let mut history = History::default();
        for (count, code) in ["a", "b", "a"].into_iter().enumerate() {
            history.add(count + 1, code);
        }
        let all = history.answer(&json!({"hist_access_type": "search", "pattern": "a"}));
        assert_eq!(all["history"], json!([[0, 1, "a"], [0, 3, "a"]]));
        let tail = history.answer(&json!({"hist_access_type": "tail", "n": 1}));
        assert_eq!(tail["history"], json!([[0, 3, "a"]]));
    }
}
