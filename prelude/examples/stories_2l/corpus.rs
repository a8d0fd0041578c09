//! A corpus: stories, each followed by a line that holds the marker; and the rows that training reads from it.

use std::path::Path;

use ferrolens::model::Tokenizer;
use ferrolens::{Error, Result};

use crate::sample::MARKER;

/// The stories of a corpus file.
pub fn stories(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::from(error).context(format!(
            "reading the corpus {}: make one with the command `sample`",
            path.display()
        ))
    })?;
    let marker = format!("\n{MARKER}\n");
    // What stands behind the last marker was cut off.
    let complete = text.rfind(&marker).map_or("", |end| &text[..end]);
    Ok(complete.split(&marker).map(str::to_owned).collect())
}

/// Stories as one stream of tokens, which is read in rows.
///
/// Every story has the end-of-text token in front. So has every row: one that begins within a story repeats the
/// token there, and the model learns to start in the middle too.
pub struct Stream {
    end_of_text: u32,
    tokens: Vec<u32>,
    at: usize,
}

impl Stream {
    pub fn new(stories: &[String], tokenizer: &Tokenizer) -> Result<Self> {
        let end_of_text = tokenizer.bos().ok_or_else(|| {
            Error::new("the tokenizer has no end-of-text token: make it with `tokenizer`.")
        })?;
        let mut tokens = Vec::new();
        for story in stories {
            tokens.extend(tokenizer.encode(story, true)?);
        }
        if tokens.is_empty() {
            return Err(Error::new(
                "the corpus holds no story: make one with the command `sample`.",
            ));
        }
        Ok(Self {
            end_of_text,
            tokens,
            at: 0,
        })
    }

    /// How many tokens the stream holds.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The next `count` rows of `length` tokens; behind the end the stream begins again.
    pub fn rows(&mut self, count: usize, length: usize) -> Vec<Vec<u32>> {
        (0..count).map(|_| self.row(length)).collect()
    }

    fn row(&mut self, length: usize) -> Vec<u32> {
        let mut row = Vec::with_capacity(length);
        if self.tokens[self.at] != self.end_of_text {
            row.push(self.end_of_text);
        }
        while row.len() < length {
            row.push(self.tokens[self.at]);
            self.at = (self.at + 1) % self.tokens.len();
        }
        row
    }
}
