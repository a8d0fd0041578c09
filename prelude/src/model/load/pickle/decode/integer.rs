//! Integers of any size.

use super::super::node::Node;

/// Nothing where these are not the digits of an integer.
pub(super) fn from_decimal(digits: &[u8]) -> Option<Node> {
    let text = str::from_utf8(digits).ok()?.trim();
    if let Ok(value) = text.parse() {
        return Some(Node::Int(value));
    }
    let magnitude = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = !magnitude.is_empty() && magnitude.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Node::BigInt(text.into()))
}

/// An integer in two's complement, the lowest byte first.
pub(super) fn from_little_endian(bytes: &[u8]) -> Node {
    let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    let mut low = [fill; 8];
    for (to, from) in low.iter_mut().zip(bytes) {
        *to = *from;
    }
    let value = i64::from_le_bytes(low);
    let high = bytes.get(8..).unwrap_or_default();
    if high.iter().all(|byte| *byte == fill) && (value < 0) == negative {
        return Node::Int(value);
    }
    let sign = if negative { "-" } else { "" };
    let magnitude = if negative {
        negated(bytes)
    } else {
        bytes.to_vec()
    };
    Node::BigInt(format!("{sign}0x{}", hexadecimal(&magnitude)).into())
}

fn negated(bytes: &[u8]) -> Vec<u8> {
    let mut carry = true;
    let mut negated = Vec::with_capacity(bytes.len());
    for byte in bytes {
        let (sum, overflow) = (!byte).overflowing_add(u8::from(carry));
        carry = overflow;
        negated.push(sum);
    }
    negated
}

fn hexadecimal(magnitude: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    let digits = magnitude.iter().rev();
    let digits = digits.flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.skip_while(|digit| *digit == '0').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_integers_are_kept_as_text() {
        let text = |node: Node| match node {
            Node::Int(value) => value.to_string(),
            Node::BigInt(text) => text.into(),
            other => format!("{other:?}"),
        };
        let long = |bytes: &[u8]| text(from_little_endian(bytes));
        assert_eq!(long(&[]), "0");
        assert_eq!(long(&[0xff]), "-1");
        assert_eq!(long(&[0xff, 0]), "255");
        assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80]), i64::MIN.to_string());
        assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0]), "0x8000000000000000");
        let below = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff];
        assert_eq!(long(&below), "-0x8000000000000001");
        let magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
        assert_eq!(long(&magic), "0x1950a86a20f9469cfc6c");

        let decimal = |digits: &[u8]| from_decimal(digits).map(text);
        assert_eq!(decimal(b"-12").as_deref(), Some("-12"));
        let long = b"119547037146038801333356";
        assert_eq!(decimal(long).as_deref(), str::from_utf8(long).ok());
        assert_eq!(decimal(b"1x"), None);
        assert_eq!(decimal(b""), None);
    }
}
