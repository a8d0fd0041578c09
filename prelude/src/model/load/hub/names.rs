//! Names as they may stand in a path and in an address.

use std::path::{Component, Path};

/// Whether a name stays inside the folder that it is put behind. Names of files come out of JSON
/// files that anybody may have written.
pub(super) fn is_relative(name: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    !name.is_empty()
        && !name.contains(['\\', ':', '\0'])
        && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
        && Path::new(name).components().all(plain)
}

/// Whether this is a commit's full hash, which never comes to mean something else.
pub(super) fn is_commit(name: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.len() == 40 && name.bytes().all(is_digit)
}

/// One part of an address or of a path.
pub(super) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A file's name in an address, where slashes stay.
pub(super) fn encode_path(name: &str) -> String {
    let parts: Vec<String> = name.split('/').map(encode).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for name in ["config.json", "onnx/model.onnx", "..a", "a b#?.bin"] {
            assert!(is_relative(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../a",
            "a/../../b",
            "/etc",
            "a//b",
            "a\\b",
            "C:a",
            "a/",
        ] {
            assert!(!is_relative(name), "{name}");
        }
    }

    #[test]
    fn what_would_end_a_path_is_encoded() {
        assert_eq!(encode_path("a/b c#1?.bin"), "a/b%20c%231%3F.bin");
        assert_eq!(encode("refs/pr/1"), "refs%2Fpr%2F1");
    }

    #[test]
    fn only_a_full_hash_is_a_commit() {
        assert!(is_commit("0123456789abcdef0123456789abcdef01234567"));
        assert!(!is_commit("0123456789abcdef"));
        assert!(!is_commit("0123456789ABCDEF0123456789abcdef01234567"));
    }
}
