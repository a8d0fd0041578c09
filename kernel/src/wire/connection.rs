//! The connection file that a front end writes for its kernel.

use jupyter_protocol::ConnectionInfo;
use std::path::Path;

/// Where to listen, and the key that signs messages.
#[derive(Debug, Clone)]
pub struct Connection {
    pub info: ConnectionInfo,
}

impl Connection {
    /// Reads a connection file.
    ///
    /// # Errors
    /// One sentence with the next step: the file is missing, is not JSON, lacks a port, or asks for
    /// a signature scheme other than `hmac-sha256`.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            format!(
                "The connection file {} cannot be read: {error}. A front end writes it; to start \
                 one, run `jupyter console --kernel ferrolens`.",
                path.display()
            )
        })?;
        let info: ConnectionInfo = serde_json::from_str(&text).map_err(|error| {
            format!(
                "The connection file {} is not what Jupyter writes: {error}. Start the kernel from \
                 a front end, e.g. `jupyter console --kernel ferrolens`.",
                path.display()
            )
        })?;
        if info.signature_scheme != "hmac-sha256" {
            return Err(format!(
                "The connection file {} asks for signatures by `{}`; this kernel signs with \
                 `hmac-sha256`. Set Session.signature_scheme to it in the front end.",
                path.display(),
                info.signature_scheme
            ));
        }
        Ok(Self { info })
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;

    #[test]
    fn a_bad_connection_file_is_one_sentence_with_the_next_step() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("connection.json");
        let missing = Connection::read(&path).expect_err("there is no file");
        assert!(missing.contains("cannot be read") && missing.contains("jupyter console"));
        std::fs::write(&path, "{\"ip\": 3").expect("a writable folder");
        let broken = Connection::read(&path).expect_err("this is not JSON");
        assert!(broken.contains("is not what Jupyter writes"), "{broken}");
    }
}
