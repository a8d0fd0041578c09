//! Labels: plotly's little HTML (`<b>`, `<br>`, `&lt;`) as lines of plain text.

/// A label to be drawn.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Label {
    pub lines: Vec<String>,
    pub bold: bool,
}

impl Label {
    /// Reads plotly's markup. What is not markup stays: `a < b` is a text.
    pub(super) fn new(markup: &str) -> Self {
        let mut label = Self {
            lines: vec![String::new()],
            bold: false,
        };
        let mut rest = markup;
        while let Some(at) = rest.find(['<', '&']) {
            label.push(&rest[..at]);
            rest = &rest[at..];
            rest = label
                .tag(rest)
                .or_else(|| label.entity(rest))
                .unwrap_or_else(|| {
                    label.push(&rest[..1]);
                    &rest[1..]
                });
        }
        label.push(rest);
        label
    }

    /// Cuts every line after so many characters.
    pub(super) fn cut(mut self, most: usize) -> Self {
        for line in &mut self.lines {
            if line.chars().count() > most {
                *line = line
                    .chars()
                    .take(most.saturating_sub(1))
                    .chain(['…'])
                    .collect();
            }
        }
        self
    }

    /// The width of the longest line, estimated: nobody knows the reader's fonts.
    pub(super) fn width(&self, size: f64) -> f64 {
        let widest = self
            .lines
            .iter()
            .map(|line| width(line))
            .fold(0.0, f64::max);
        widest * size * if self.bold { 1.08 } else { 1.0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.iter().all(String::is_empty)
    }

    fn push(&mut self, text: &str) {
        if let Some(line) = self.lines.last_mut() {
            line.push_str(text);
        }
    }

    /// The rest behind a tag that plotly knows.
    fn tag<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let inside = rest.strip_prefix('<')?;
        let end = inside.find('>')?;
        let name = inside[..end].trim_start_matches('/');
        let name = name.split([' ', '/']).next()?.to_ascii_lowercase();
        match name.as_str() {
            "br" => self.lines.push(String::new()),
            "b" | "strong" => self.bold = true,
            "i" | "em" | "u" | "s" | "sub" | "sup" | "a" | "span" => {}
            _ => return None,
        }
        Some(&inside[end + 1..])
    }

    /// The rest behind an entity.
    fn entity<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let inside = rest.strip_prefix('&')?;
        let end = inside.find(';').filter(|end| *end <= 8)?;
        let character = match &inside[..end] {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "nbsp" => '\u{a0}',
            "mu" => 'μ',
            "times" => '×',
            "plusmn" => '±',
            "deg" => '°',
            name => {
                let digits = name.strip_prefix('#')?;
                let code = match digits.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => digits.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        };
        self.push(character.encode_utf8(&mut [0; 4]));
        Some(&inside[end + 1..])
    }
}

/// The width of a line in units of its font size, by the widths of Open Sans and Arial.
fn width(line: &str) -> f64 {
    line.chars()
        .map(|character| match character {
            'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | '!' => 0.28,
            'f' | 't' | 'r' | 'I' | '(' | ')' | '[' | ']' | '-' | ' ' | '"' | '·' => 0.36,
            'm' | 'M' | 'W' | '@' | '%' => 0.9,
            'w' | 'A'..='Z' | '&' | '+' | '<' | '=' | '>' | '~' | '−' => 0.7,
            character if (character as u32) < 0x2e80 => 0.57,
            _ => 1.0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_read_and_text_is_kept() {
        let label = Label::new("<b>a&lt;b</b><br>1 < 2 &amp; <x> &unknown; &#955;");
        assert_eq!(label.lines, ["a<b", "1 < 2 & <x> &unknown; λ"]);
        assert!(label.bold);
        assert_eq!(Label::new("abcdef").cut(4).lines, ["abc…"]);
        assert!(Label::new("").is_empty());
        assert!(Label::new("wide").width(12.0) > Label::new("ill").width(12.0));
    }
}
