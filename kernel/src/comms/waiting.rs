//! What front ends did while a cell runs.

use serde_json::Value;
use std::collections::VecDeque;

/// A message of a front end on a comm.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub comm: String,
    pub data: Value,
    /// The header of the message.
    pub parent: Value,
    /// Its place among all that waits, cells included.
    pub turn: u64,
}

impl Event {
    fn is_update(&self) -> bool {
        self.data["method"] == "update"
    }
}

/// Events in the order in which they are to be run.
#[derive(Debug, Default)]
pub struct Waiting(VecDeque<Event>);

impl Waiting {
    /// Adds an event. An update of a comm that has one waiting already joins it, in its place, with the
    /// last values; the answer is then the one that it replaces. A message that is no update, such as a
    /// click, is never joined, nor is anything moved past it.
    pub fn push(&mut self, mut event: Event) -> Option<Event> {
        if event.is_update() {
            let joined = self
                .0
                .iter_mut()
                .rev()
                .take_while(|waiting| waiting.is_update())
                .find(|waiting| waiting.comm == event.comm);
            if let Some(waiting) = joined {
                if let (Some(older), Some(newer)) = (
                    waiting.data["state"].as_object(),
                    event.data["state"].as_object(),
                ) {
                    let mut state = older.clone();
                    state.extend(newer.clone());
                    event.data["state"] = Value::Object(state);
                }
                event.turn = waiting.turn;
                return Some(std::mem::replace(waiting, event));
            }
        }
        self.0.push_back(event);
        None
    }

    /// The next event, unless what has this turn comes before it.
    pub fn next_before(&mut self, turn: Option<u64>) -> Option<Event> {
        self.0
            .pop_front_if(|event| turn.is_none_or(|turn| event.turn < turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn update(comm: &str, turn: u64, state: Value) -> Event {
        Event {
            comm: comm.to_owned(),
            data: json!({"method": "update", "state": state}),
            parent: json!({"msg_id": turn}),
            turn,
        }
    }

    fn click(turn: u64) -> Event {
        Event {
            data: json!({"method": "custom", "content": {"event": "click"}}),
            ..update("button", turn, json!({}))
        }
    }

    #[test]
    fn updates_of_a_comm_are_joined_and_clicks_are_not() {
        let mut waiting = Waiting::default();
        assert_eq!(
            waiting.push(update("a", 1, json!({"value": 1, "x": 1}))),
            None
        );
        assert_eq!(waiting.push(update("b", 2, json!({"value": 5}))), None);
        let replaced = waiting.push(update("a", 4, json!({"value": 2})));
        assert_eq!(replaced.expect("joined").parent, json!({"msg_id": 1}));
        assert_eq!(waiting.push(click(5)), None);
        assert_eq!(waiting.push(click(6)), None);
        assert_eq!(waiting.push(update("a", 7, json!({"value": 3}))), None);

        let first = waiting.next_before(Some(3)).expect("before the cell");
        assert_eq!(first.data["state"], json!({"value": 2, "x": 1}));
        assert_eq!(first.parent, json!({"msg_id": 4}));
        assert_eq!(waiting.next_before(Some(3)).expect("b").comm, "b");
        assert_eq!(waiting.next_before(Some(3)), None, "the cell comes first");
        let turns: Vec<u64> = std::iter::from_fn(|| waiting.next_before(None))
            .map(|event| event.turn)
            .collect();
        assert_eq!(turns, [5, 6, 7]);
    }
}
