//! Texts and where they come from.

use crate::error::{Context, Error, Result};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A list of texts, read once and shared by all clones.
///
/// ```
/// use ferrolens::data::Texts;
/// let texts = Texts::new(["Once upon a time", "", "The end."]).non_empty();
/// assert_eq!(texts.len(), 2);
/// ```
#[derive(Clone)]
pub struct Texts {
    name: String,
    texts: Arc<[String]>,
}

/// Where one text of a `.txt` file ends and the next begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// At blank lines.
    #[default]
    BlankLines,
    /// At every line's end.
    Lines,
    /// Nowhere: the file is one text.
    Whole,
}

impl Texts {
    /// These texts.
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self {
            name: "texts".to_owned(),
            texts: texts.into_iter().map(Into::into).collect(),
        }
    }

    /// The texts of a file: a `.txt` in which blank lines stand between them, a `.jsonl` with a field
    /// `text`, a `.json` that is a list of texts.
    ///
    /// # Errors
    /// The file cannot be read, is of another kind, or is not UTF-8.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending.unwrap_or_default().to_ascii_lowercase().as_str() {
            "txt" => Self::from_txt(path, Split::BlankLines),
            "jsonl" | "ndjson" => Self::from_jsonl(path, "text"),
            "json" => {
                let texts: Vec<String> = serde_json::from_str(&read(path)?).map_err(|error| {
                    Error::with_source(
                        format!(
                            "{} is not a JSON list of texts ({error}): for one object a line use \
                             `Texts::from_jsonl(path, field)`.",
                            path.display()
                        ),
                        error,
                    )
                })?;
                Ok(Self::named(path, texts))
            }
            "parquet" | "arrow" => Err(Error::new(format!(
                "{} is a table in a format that is not read here: write its texts as lines of JSON \
                 (in Python `dataset.to_json(\"texts.jsonl\")`).",
                path.display()
            ))),
            _ => Err(Error::new(format!(
                "{} does not end in .txt, .jsonl or .json: say what it is with `Texts::from_txt(path, \
                 Split::BlankLines)` or `Texts::from_jsonl(path, \"text\")`.",
                path.display()
            ))),
        }
    }

    /// The texts of a plain file, without the white space around them; empty ones are left out.
    ///
    /// # Errors
    /// The file cannot be read, or is not UTF-8.
    pub fn from_txt(path: impl AsRef<Path>, split: Split) -> Result<Self> {
        let path = path.as_ref();
        let whole = read(path)?;
        let mut texts: Vec<String> = Vec::new();
        match split {
            Split::Whole => texts.push(whole),
            Split::Lines => texts.extend(whole.lines().map(|line| line.trim().to_owned())),
            Split::BlankLines => {
                let mut text = String::new();
                for line in whole.lines() {
                    if line.trim().is_empty() {
                        texts.push(std::mem::take(&mut text));
                    } else {
                        if !text.is_empty() {
                            text.push('\n');
                        }
                        text.push_str(line);
                    }
                }
                texts.push(text);
                texts
                    .iter_mut()
                    .for_each(|text| *text = text.trim().to_owned());
            }
        }
        texts.retain(|text| !text.is_empty());
        Ok(Self::named(path, texts))
    }

    /// The texts in one field of a file with a JSON object on each line.
    ///
    /// # Errors
    /// The file cannot be read, or a line is no object with a text in that field; the error names the
    /// line.
    pub fn from_jsonl(path: impl AsRef<Path>, field: &str) -> Result<Self> {
        let path = path.as_ref();
        let whole = read(path)?;
        let lines = whole.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.trim().is_empty());
        let texts = lines.map(|(at, line)| {
            let place = || format!("{}, line {}", path.display(), at + 1);
            let value: serde_json::Value = serde_json::from_str(line).context(place)?;
            match value.get(field) {
                Some(serde_json::Value::String(text)) => Ok(text.clone()),
                Some(_) => Err(Error::new(format!("{}: `{field}` is no text.", place()))),
                None => {
                    let fields = value.as_object().map(|object| {
                        let names: Vec<&str> = object.keys().map(String::as_str).collect();
                        format!(" It has {}.", names.join(", "))
                    });
                    Err(Error::new(format!(
                        "{}: there is no field `{field}`.{}",
                        place(),
                        fields.unwrap_or_default()
                    )))
                }
            }
        });
        Ok(Self::named(path, texts.collect::<Result<_>>()?))
    }

    fn named(path: &Path, texts: Vec<String>) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            texts: texts.into(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// All of them.
    pub fn to_vec(&self) -> Vec<String> {
        self.texts.to_vec()
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<String> {
        self.texts.get(index).cloned()
    }

    /// Where they come from: a file's name.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// The first `count`.
    #[must_use]
    pub fn take(&self, count: usize) -> Self {
        let texts = self.texts.iter().take(count);
        self.with(texts.cloned().collect())
    }

    /// Those that a condition holds for.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        let texts = self.texts.iter().filter(|text| keep(text));
        self.with(texts.cloned().collect())
    }

    /// Each changed.
    #[must_use]
    pub fn map(&self, change: impl Fn(&str) -> String) -> Self {
        self.with(self.texts.iter().map(|text| change(text)).collect())
    }

    /// Those that contain `start`, cut behind the first `end` after it; others are left out. Prompts that
    /// end where a quotation does: `texts.cut_behind("said, \"", ".\"")`.
    ///
    /// ```
    /// use ferrolens::data::Texts;
    /// let texts = Texts::new(["Tom said, \"Hello.\" He ran.", "Tom ran."]);
    /// assert_eq!(texts.cut_behind("said, \"", ".\"").to_vec(), ["Tom said, \"Hello.\""]);
    /// ```
    #[must_use]
    pub fn cut_behind(&self, start: &str, end: &str) -> Self {
        let cut = |text: &String| {
            let from = text.find(start)? + start.len();
            let to = from + text.get(from..)?.find(end)? + end.len();
            text.get(..to).map(str::to_owned)
        };
        self.with(self.texts.iter().filter_map(cut).collect())
    }

    /// Those that hold more than white space.
    #[must_use]
    pub fn non_empty(&self) -> Self {
        self.filter(|text| !text.trim().is_empty())
    }

    /// The texts with UTF-8 restored that was read as windows-1252 (`â€œ` for `“`), as in the published
    /// TinyStories. Texts that cannot have come about that way stay as they are.
    #[must_use]
    pub fn repair_windows_1252(&self) -> Self {
        self.map(|text| repaired(text).unwrap_or_else(|| text.to_owned()))
    }

    fn with(&self, texts: Arc<[String]>) -> Self {
        Self {
            name: self.name.clone(),
            texts,
        }
    }

    pub(super) fn as_slice(&self) -> &[String] {
        &self.texts
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let characters: usize = self.texts.iter().map(|text| text.chars().count()).sum();
        write!(
            f,
            "Texts({}: {} texts, {characters} characters)",
            self.name,
            self.texts.len()
        )
    }
}

macro_rules! texts_from {
    ($($from:ty),* $(,)?) => {$(
        impl From<$from> for Texts {
            fn from(texts: $from) -> Self {
                Self::new(texts.iter().map(|text| text.to_string()))
            }
        }
    )*};
}

texts_from!(
    Vec<String>,
    &Vec<String>,
    &[String],
    Vec<&str>,
    &Vec<&str>,
    &[&str]
);

impl<const N: usize> From<[&str; N]> for Texts {
    fn from(texts: [&str; N]) -> Self {
        texts.as_slice().into()
    }
}

impl<const N: usize> From<&[&str; N]> for Texts {
    fn from(texts: &[&str; N]) -> Self {
        texts.as_slice().into()
    }
}

impl From<&Texts> for Texts {
    fn from(texts: &Texts) -> Self {
        texts.clone()
    }
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).context(|| format!("reading {}", path.display()))?;
    String::from_utf8(bytes).map_err(|error| {
        Error::new(format!(
            "{} is not UTF-8 at byte {}: convert it, as with `iconv -f windows-1252 -t utf-8`.",
            path.display(),
            error.utf8_error().valid_up_to()
        ))
    })
}

fn repaired(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = text.chars().map(windows_1252).collect();
    String::from_utf8(bytes?).ok()
}

/// The byte of a character in windows-1252. The five bytes that stand for nothing are taken as they are,
/// as browsers do.
fn windows_1252(character: char) -> Option<u8> {
    const FROM_0X80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match FROM_0X80.iter().position(|other| *other == character) {
        Some(at) => u8::try_from(0x80 + at).ok(),
        None => u8::try_from(u32::from(character)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn files_by_their_endings() {
        let (_a, txt) = file("a.txt", b"one\nmore\n\n \ntwo\r\n\r\n");
        assert_eq!(
            Texts::from_file(&txt).unwrap().to_vec(),
            ["one\nmore", "two"]
        );
        let lines = Texts::from_txt(&txt, Split::Lines).unwrap();
        assert_eq!(lines.to_vec(), ["one", "more", "two"]);
        assert_eq!(Texts::from_txt(&txt, Split::Whole).unwrap().len(), 1);
        let (_b, jsonl) = file(
            "a.jsonl",
            b"{\"text\": \"one\"}\n\n{\"text\": \"two\", \"id\": 3}\n",
        );
        assert_eq!(Texts::from_file(&jsonl).unwrap().to_vec(), ["one", "two"]);
        let (_c, json) = file("a.json", b"[\"one\", \"two\"]");
        assert_eq!(Texts::from_file(&json).unwrap().len(), 2);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_place() {
        let message = |name: &str, bytes: &[u8]| {
            let (_folder, path) = file(name, bytes);
            Texts::from_file(&path).unwrap_err().to_string()
        };
        let of_field = message("a.jsonl", b"{\"text\": \"x\"}\n{\"story\": \"y\"}");
        assert!(
            of_field.contains("line 2") && of_field.contains("story"),
            "{of_field}"
        );
        let of_kind = message("a.jsonl", b"{\"text\": 3}");
        assert!(
            of_kind.contains("line 1") && of_kind.contains("no text"),
            "{of_kind}"
        );
        assert!(message("a.jsonl", b"{\"text\"").contains("line 1"));
        assert!(message("a.txt", b"ab\xff").contains("at byte 2"));
        assert!(message("a.parquet", b"PAR1").contains("jsonl"));
        assert!(message("a.csv", b"a").contains("from_txt"));
        assert!(Texts::from_file("absent.txt").is_err());
    }

    #[test]
    fn text_read_as_windows_1252_is_restored_and_other_text_stays() {
        let texts = Texts::new(["â€œHiâ€\u{9d} cafÃ©", "“Hi” café", "plain"]);
        let repaired = texts.repair_windows_1252().to_vec();
        assert_eq!(repaired, ["“Hi” café", "“Hi” café", "plain"]);
    }
}
