//! Jupyter counts code points where Rust counts bytes.

/// The byte at which the `character`-th character of `text` begins; Jupyter counts code points.
pub fn byte_of_character(text: &str, character: usize) -> usize {
    text.char_indices()
        .nth(character)
        .map_or(text.len(), |(byte, _)| byte)
}

/// The number of characters before `byte`.
pub fn character_of_byte(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_count_characters() {
        let text = "é🦀x";
        assert_eq!(byte_of_character(text, 2), 6);
        assert_eq!(character_of_byte(text, 6), 2);
        assert_eq!(byte_of_character(text, 99), text.len());
    }
}
