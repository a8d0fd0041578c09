//! What a cell put out, in order.

use ferrolens_kernel::wire::Message;
use serde_json::Value;

/// The messages of one cell on iopub, without status and `execute_input`.
#[derive(Debug, Default)]
pub struct Outputs {
    pub messages: Vec<Message>,
}

impl Outputs {
    /// The text of a stream, joined.
    pub fn text(&self, name: &str) -> String {
        self.of("stream")
            .filter(|content| content["name"] == name)
            .filter_map(|content| content["text"].as_str())
            .collect()
    }

    /// The contents of all messages of a type.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.messages
            .iter()
            .filter(move |message| message.kind() == kind)
            .map(|message| &message.content)
    }

    /// The types of the messages, in order.
    pub fn kinds(&self) -> Vec<&str> {
        self.messages.iter().map(Message::kind).collect()
    }

    /// The plain text of the one `execute_result`.
    pub fn result(&self) -> &str {
        let results: Vec<&Value> = self.of("execute_result").collect();
        assert_eq!(
            results.len(),
            1,
            "one result is expected, in {:#?}",
            self.messages
        );
        results[0]["data"]["text/plain"]
            .as_str()
            .expect("a result has a text form")
    }
}
