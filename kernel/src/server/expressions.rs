//! `user_expressions`: what a front end wants to know beside a cell. Each is a cell of its own whose
//! value goes into the reply.

use super::cells::Cells;
use crate::session::{Cell, Session};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Evaluates expressions after their cell has succeeded, by name.
pub(super) async fn evaluate(
    session: &Session,
    cells: &Cells,
    parent: &Value,
    wanted: BTreeMap<String, String>,
) -> Map<String, Value> {
    let mut answers = Map::new();
    for (name, code) in wanted {
        let id = cells.enter_hidden(parent.clone());
        let cell = Cell {
            id,
            title: format!("expression `{name}`"),
            // An expression and nothing else; a comment at its end stays one.
            code: format!("(\n{code}\n)"),
            since: None,
        };
        let outcome = session.execute(cell).await;
        let shown = cells.take_value(id);
        let answer = match outcome.error {
            Some(error) => json!({
                "status": "error", "ename": error.name, "evalue": error.value,
                "traceback": error.traceback,
            }),
            None => {
                let (data, metadata) =
                    shown.unwrap_or_else(|| (json!({"text/plain": "()"}), json!({})));
                json!({"status": "ok", "data": data, "metadata": metadata})
            }
        };
        answers.insert(name, answer);
    }
    answers
}
