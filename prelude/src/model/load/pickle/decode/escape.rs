//! The escapes of protocol 0, whose pickles are lines of text.

/// The bytes of a string of Python 2 in quotes; nothing where there are none.
pub(super) fn unquote(line: &[u8]) -> Option<Vec<u8>> {
    let quoted = line.trim_ascii();
    let inner = match quoted {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return None,
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'\\' {
            rest = unescape(rest, &mut bytes);
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}

/// Appends what the escape behind a backslash means, and returns what follows it.
fn unescape<'a>(escape: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    let Some((first, rest)) = escape.split_first() else {
        bytes.push(b'\\');
        return escape;
    };
    let plain = match first {
        b'\\' | b'\'' | b'"' => *first,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'v' => 11,
        b'x' => return number(rest, 2, 16, bytes).unwrap_or(escape),
        b'0'..=b'7' => return number(escape, 3, 8, bytes).unwrap_or(escape),
        _ => {
            bytes.push(b'\\');
            *first
        }
    };
    bytes.push(plain);
    rest
}

fn number<'a>(digits: &'a [u8], most: usize, radix: u32, bytes: &mut Vec<u8>) -> Option<&'a [u8]> {
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let count = digits.iter().take(most).take_while(is_digit).count();
    let (digits, rest) = digits.split_at_checked(count)?;
    let value = u32::from_str_radix(str::from_utf8(digits).ok()?, radix).ok()?;
    bytes.push((value & 0xff) as u8);
    Some(rest)
}

/// Text whose characters are bytes, but for those behind `\u` and `\U`.
pub(super) fn unescape_unicode(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let digits = match (first, behind.first()) {
            (b'\\', Some(b'u')) => behind.get(1..5),
            (b'\\', Some(b'U')) => behind.get(1..9),
            _ => None,
        };
        let code = digits
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| Some((digits.len(), u32::from_str_radix(digits, 16).ok()?)));
        match code {
            Some((length, code)) => {
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                rest = behind.get(1 + length..).unwrap_or_default();
            }
            None => text.push(char::from(*first)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_python() {
        let unquoted = |line: &[u8]| unquote(line).unwrap();
        assert_eq!(unquoted(br"'a\'b\\\n\x41\101\q'"), b"a'b\\\nAA\\q");
        assert_eq!(unquoted(br#""it's""#), b"it's");
        assert_eq!(unquoted(br"'\xzz\'"), b"xzz\\");
        assert_eq!(unquote(b"'"), None);
        assert_eq!(unquote(b"abc"), None);
        assert_eq!(
            unescape_unicode(b"caf\xe9 \\u20ac \\U0001F600"),
            "café € 😀"
        );
        assert_eq!(unescape_unicode(b"\\ud800 \\u12"), "\u{fffd} \\u12");
    }
}
