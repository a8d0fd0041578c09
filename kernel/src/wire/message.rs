//! A message in its frames: identities, delimiter, signature, header, parent header, metadata,
//! content, buffers. The signature covers the four parts in the middle.

use bytes::Bytes;
use hmac::{Hmac, Mac};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;
use std::fmt;
use zeromq::ZmqMessage;

const DELIMITER: &[u8] = b"<IDS|MSG>";
const PROTOCOL_VERSION: &str = "5.4";

/// A message as it travels. Header and parent stay JSON values, so that fields which this kernel
/// does not know (`subshell_id`) come back in replies.
#[derive(Debug, Clone)]
pub struct Message {
    pub identities: Vec<Vec<u8>>,
    pub header: Value,
    pub parent: Value,
    pub metadata: Value,
    pub content: Value,
    pub buffers: Vec<Vec<u8>>,
}

/// Why frames are not a message; the loop that read them counts it and goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// Too few frames, or no delimiter.
    Frames,
    /// The signature is not that of the connection's key.
    Signature,
    /// A part is not a JSON object.
    Json(&'static str),
    /// Its signature was seen before: somebody sends a message of somebody else again.
    Replayed,
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames => out.write_str("it has too few frames"),
            Self::Signature => out.write_str("its signature is wrong"),
            Self::Replayed => out.write_str("it was sent before"),
            Self::Json(part) => write!(out, "its {part} is not a JSON object"),
        }
    }
}

/// Signs and checks with the connection's key; an empty key means no signatures.
#[derive(Clone)]
pub struct Signer {
    key: Vec<u8>,
}

impl Signer {
    pub fn new(key: &str) -> Self {
        Self {
            key: key.as_bytes().to_vec(),
        }
    }

    fn mac(&self, parts: [&[u8]; 4]) -> Option<Hmac<Sha256>> {
        if self.key.is_empty() {
            return None;
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        for part in parts {
            mac.update(part);
        }
        Some(mac)
    }

    fn sign(&self, parts: [&[u8]; 4]) -> String {
        self.mac(parts)
            .map_or_else(String::new, |mac| hex(&mac.finalize().into_bytes()))
    }

    fn check(&self, parts: [&[u8]; 4], signature: &[u8]) -> bool {
        let Some(mac) = self.mac(parts) else {
            return true;
        };
        unhex(signature).is_some_and(|signature| mac.verify_slice(&signature).is_ok())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

impl Message {
    /// Reads a message from its frames.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(frames: &ZmqMessage, signer: &Signer) -> Result<Self, Malformed> {
        let frames: Vec<&[u8]> = frames.iter().map(AsRef::as_ref).collect();
        let delimiter = frames
            .iter()
            .position(|frame| *frame == DELIMITER)
            .ok_or(Malformed::Frames)?;
        let [signature, header, parent, metadata, content, buffers @ ..] = &frames[delimiter + 1..]
        else {
            return Err(Malformed::Frames);
        };
        if !signer.check([header, parent, metadata, content], signature) {
            return Err(Malformed::Signature);
        }
        let object = |bytes: &[u8], name| match serde_json::from_slice(bytes) {
            Ok(value @ Value::Object(_)) => Ok(value),
            _ => Err(Malformed::Json(name)),
        };
        Ok(Self {
            identities: frames[..delimiter]
                .iter()
                .map(|frame| frame.to_vec())
                .collect(),
            header: object(header, "header")?,
            parent: object(parent, "parent header")?,
            metadata: object(metadata, "metadata")?,
            content: object(content, "content")?,
            buffers: buffers.iter().map(|frame| frame.to_vec()).collect(),
        })
    }

    /// The frames of this message.
    ///
    /// # Errors
    /// None in practice: JSON values always serialise, and a message has frames.
    pub fn to_frames(&self, signer: &Signer) -> Result<ZmqMessage, String> {
        let bytes = |value: &Value| serde_json::to_vec(value).map_err(|error| error.to_string());
        let parts = [
            bytes(&self.header)?,
            bytes(&self.parent)?,
            bytes(&self.metadata)?,
            bytes(&self.content)?,
        ];
        let [header, parent, metadata, content] = &parts;
        let signature = signer.sign([header, parent, metadata, content]);
        let mut frames: Vec<Vec<u8>> = self.identities.clone();
        frames.push(DELIMITER.to_vec());
        frames.push(signature.into_bytes());
        frames.extend(parts);
        frames.extend(self.buffers.iter().cloned());
        let frames: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
        ZmqMessage::try_from(frames).map_err(|_| "a message has frames".to_owned())
    }

    /// The signature in frames that are a message.
    pub(super) fn signature(frames: &ZmqMessage) -> Option<Vec<u8>> {
        let mut frames = frames
            .iter()
            .skip_while(|frame| frame.as_ref() != DELIMITER);
        frames.nth(1).map(|signature| signature.to_vec())
    }

    /// The header's `msg_type`.
    pub fn kind(&self) -> &str {
        self.header["msg_type"].as_str().unwrap_or("")
    }

    /// The header's `msg_id`.
    pub fn id(&self) -> &str {
        self.header["msg_id"].as_str().unwrap_or("")
    }

    /// A message that answers this one, to the same front end.
    pub fn reply(&self, session: &str, kind: &str, content: &impl Serialize) -> Self {
        Self {
            identities: self.identities.clone(),
            ..Self::caused_by(&self.header, session, kind, content)
        }
    }

    /// A message for all front ends, caused by the request with this header.
    pub fn caused_by(parent: &Value, session: &str, kind: &str, content: &impl Serialize) -> Self {
        Self {
            identities: Vec::new(),
            header: json!({
                "msg_id": uuid::Uuid::new_v4().to_string(),
                "session": session,
                "username": "kernel",
                "date": now(),
                "msg_type": kind,
                "version": PROTOCOL_VERSION,
            }),
            parent: parent.clone(),
            metadata: json!({}),
            content: serde_json::to_value(content).unwrap_or_else(|_| json!({})),
            buffers: Vec::new(),
        }
    }
}

/// The time in ISO 8601, UTC, to the microsecond.
fn now() -> String {
    chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now())
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let mut message =
            Message::caused_by(&json!({}), "s", "execute_request", &json!({"code": "1"}));
        message.identities = vec![b"front end".to_vec()];
        message.buffers = vec![vec![0xff, 0]];
        message
    }

    #[test]
    fn a_message_comes_back_as_it_went_buffers_and_all() {
        let signer = Signer::new("key");
        let frames = message().to_frames(&signer).expect("JSON serialises");
        let back = Message::read(&frames, &signer).expect("our own frames");
        assert_eq!(back.kind(), "execute_request");
        assert_eq!(back.content, json!({"code": "1"}));
        assert_eq!(back.identities, [b"front end".to_vec()]);
        assert_eq!(back.buffers, [vec![0xff, 0]]);
    }

    #[test]
    fn another_key_is_refused() {
        let frames = message()
            .to_frames(&Signer::new("key"))
            .expect("JSON serialises");
        let refused = Message::read(&frames, &Signer::new("lock")).expect_err("not our key");
        assert_eq!(refused, Malformed::Signature);
    }

    #[test]
    fn what_is_no_message_is_malformed() {
        let signer = Signer::new("");
        let frames = ZmqMessage::from(b"hello".to_vec());
        assert_eq!(
            Message::read(&frames, &signer).expect_err("no delimiter"),
            Malformed::Frames
        );
    }
}
