//! The comms that are open, with what both sides know of them.

use super::WIDGET;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Who opened a comm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    Child,
    FrontEnd,
}

#[derive(Debug)]
struct Comm {
    target: String,
    opener: Opener,
    /// The full state: what the comm was opened with, and every update from either side.
    state: Map<String, Value>,
}

/// Comms by their ids.
#[derive(Debug, Default)]
pub struct Table {
    comms: BTreeMap<String, Comm>,
}

impl Table {
    /// A comm was opened, with the state that its data holds.
    pub fn open(&mut self, id: &str, target: &str, data: &Value, opener: Opener) {
        let comm = Comm {
            target: target.to_owned(),
            opener,
            state: state_of(data).cloned().unwrap_or_default(),
        };
        self.comms.insert(id.to_owned(), comm);
    }

    /// Takes over the keys that a message changes. Other messages, and those to unknown comms, change
    /// nothing.
    pub fn merge(&mut self, id: &str, data: &Value) {
        if data["method"] == "update"
            && let (Some(comm), Some(state)) = (self.comms.get_mut(id), state_of(data))
        {
            comm.state.extend(state.clone());
        }
    }

    /// Forgets a comm; who had opened it.
    pub fn close(&mut self, id: &str) -> Option<Opener> {
        self.comms.remove(id).map(|comm| comm.opener)
    }

    /// Who opened a comm that is open.
    pub fn opener(&self, id: &str) -> Option<Opener> {
        self.comms.get(id).map(|comm| comm.opener)
    }

    /// Whether front ends ask on this comm for the states of all widgets.
    pub fn is_control(&self, id: &str) -> bool {
        self.comms
            .get(id)
            .is_some_and(|comm| comm.target == super::CONTROL)
    }

    /// The answer to a request for a widget's state.
    pub fn state(&self, id: &str) -> Option<Value> {
        let comm = self.comms.get(id)?;
        Some(json!({"method": "update", "state": comm.state, "buffer_paths": []}))
    }

    /// The answer to a request for the states of all widgets.
    pub fn states(&self) -> Value {
        let states: Map<String, Value> = self
            .comms
            .iter()
            .filter(|(_, comm)| comm.target == WIDGET)
            .map(|(id, comm)| {
                let named = |key: &str| comm.state.get(key).cloned().unwrap_or_default();
                let state = json!({
                    "model_name": named("_model_name"),
                    "model_module": named("_model_module"),
                    "model_module_version": named("_model_module_version"),
                    "state": comm.state,
                });
                (id.clone(), state)
            })
            .collect();
        json!({"method": "update_states", "states": states, "buffer_paths": []})
    }

    /// The comms of a target, or all, as `comm_info_reply` lists them.
    pub fn info(&self, target: Option<&str>) -> Value {
        let comms: Map<String, Value> = self
            .comms
            .iter()
            .filter(|(_, comm)| target.is_none_or(|target| target == comm.target))
            .map(|(id, comm)| (id.clone(), json!({"target_name": comm.target})))
            .collect();
        json!({"status": "ok", "comms": comms})
    }

    /// Another child runs: nobody listens on the comms of the last one any more.
    pub fn forget_child(&mut self) {
        self.comms.retain(|_, comm| comm.opener != Opener::Child);
    }
}

fn state_of(data: &Value) -> Option<&Map<String, Value>> {
    data["state"].as_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slider() -> Table {
        let mut table = Table::default();
        let state = json!({"_model_name": "IntSliderModel", "value": 1, "max": 9});
        table.open("a", WIDGET, &json!({"state": state}), Opener::Child);
        table
    }

    #[test]
    fn the_state_is_what_both_sides_said_last() {
        let mut table = slider();
        table.merge("a", &json!({"method": "update", "state": {"value": 2}}));
        table.merge("a", &json!({"method": "custom", "content": {"value": 3}}));
        table.merge("a", &json!({"method": "update", "state": "nonsense"}));
        table.merge("unknown", &json!({"method": "update", "state": {}}));
        let state = table.state("a").expect("it is open");
        assert_eq!(state["method"], "update");
        assert_eq!(
            (&state["state"]["value"], &state["state"]["max"]),
            (&json!(2), &json!(9))
        );
        assert_eq!(
            table.states()["states"]["a"]["model_name"],
            "IntSliderModel"
        );
        assert!(table.state("unknown").is_none());
    }

    #[test]
    fn only_what_is_open_is_listed() {
        let mut table = slider();
        table.open("c", crate::comms::CONTROL, &json!({}), Opener::FrontEnd);
        assert_eq!(
            table.info(Some(WIDGET))["comms"],
            json!({"a": {"target_name": WIDGET}})
        );
        assert_eq!(table.info(None)["comms"].as_object().map(Map::len), Some(2));
        assert!(table.is_control("c") && !table.is_control("a"));
        table.forget_child();
        assert_eq!(table.info(Some(WIDGET))["comms"], json!({}));
        assert_eq!(table.close("c"), Some(Opener::FrontEnd));
        assert_eq!(table.close("a"), None);
    }
}
