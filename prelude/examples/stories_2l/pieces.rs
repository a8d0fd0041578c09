//! The vocabulary of stories260K: 512 SentencePiece pieces in `llama2.c`'s `tok512.bin`.

use std::collections::HashMap;
use std::io;

/// Stands before a story, and after it: the model's stories follow one another.
pub const START: usize = 1;
/// Never trained, but it too would end a story.
pub const END: usize = 2;
/// Byte 0x00 has this id, and the other bytes follow.
const FIRST_BYTE: usize = 3;

/// Pieces of text with the scores by which they merge.
pub struct Pieces {
    pieces: Vec<Vec<u8>>,
    scores: Vec<f32>,
    ids: HashMap<Vec<u8>, usize>,
}

impl Pieces {
    /// Reads the length of the longest piece, then of each piece its score, its length and its bytes.
    pub fn read(bytes: &[u8]) -> io::Result<Self> {
        let mut rest = bytes.get(4..).ok_or_else(cut_short)?;
        let mut pieces = Vec::new();
        let mut scores = Vec::new();
        while !rest.is_empty() {
            let (score, after) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
            let (length, after) = after.split_first_chunk::<4>().ok_or_else(cut_short)?;
            let length = usize::try_from(i32::from_le_bytes(*length)).map_err(|_| cut_short())?;
            let (piece, after) = after.split_at_checked(length).ok_or_else(cut_short)?;
            pieces.push(piece.to_vec());
            scores.push(f32::from_le_bytes(*score));
            rest = after;
        }
        // Byte pieces are spelled `<0x41>`: they are reached by their number, never by their spelling.
        let ids = pieces
            .iter()
            .enumerate()
            .skip(FIRST_BYTE + 256)
            .map(|(id, piece)| (piece.clone(), id))
            .collect();
        Ok(Self {
            pieces,
            scores,
            ids,
        })
    }

    /// The text of a story's tokens, without the space that SentencePiece puts in front.
    pub fn decode(&self, tokens: &[usize]) -> String {
        let mut bytes = Vec::new();
        for &token in tokens {
            match token.checked_sub(FIRST_BYTE) {
                Some(byte @ 0..256) => bytes.push(byte as u8),
                Some(_) => bytes.extend_from_slice(&self.pieces[token]),
                None => {}
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        text.strip_prefix(' ').unwrap_or(&text).to_owned()
    }

    /// Tokens as SentencePiece makes them: characters, then the best-scored neighbours merged until none merge.
    ///
    /// A space is put in front, as in training.
    pub fn encode(&self, text: &str) -> Vec<usize> {
        let spaced = format!(" {text}");
        let mut known: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut tokens = Vec::new();
        // No piece has a space inside, so words merge each for itself.
        let starts: Vec<usize> = spaced
            .match_indices(' ')
            .map(|(at, _)| at)
            .chain([spaced.len()])
            .collect();
        for span in starts.windows(2) {
            let word = &spaced[span[0]..span[1]];
            tokens.extend_from_slice(known.entry(word).or_insert_with(|| self.merge(word)));
        }
        tokens
    }

    /// Tokens by taking the longest piece at each place: not how the model was trained, but how the reference
    /// value of 0.945 nats per character was taken.
    pub fn encode_longest(&self, text: &str) -> Vec<usize> {
        let spaced = format!(" {text}");
        let longest = self.pieces.iter().map(Vec::len).max().unwrap_or(1);
        let mut rest = spaced.as_bytes();
        let mut tokens = Vec::new();
        while let Some(&byte) = rest.first() {
            let lengths = (1..=longest.min(rest.len())).rev();
            let found = lengths
                .filter_map(|length| Some((length, *self.ids.get(&rest[..length])?)))
                .next();
            let (length, token) = found.unwrap_or((1, FIRST_BYTE + usize::from(byte)));
            tokens.push(token);
            rest = &rest[length..];
        }
        tokens
    }

    fn merge(&self, word: &str) -> Vec<usize> {
        let mut tokens = Vec::new();
        for character in word.chars() {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            match self.ids.get(bytes) {
                Some(&id) => tokens.push(id),
                None => tokens.extend(bytes.iter().map(|&byte| FIRST_BYTE + usize::from(byte))),
            }
        }
        loop {
            let mut best: Option<(usize, usize)> = None;
            for (at, pair) in tokens.windows(2).enumerate() {
                let joined = [self.pieces[pair[0]].as_slice(), &self.pieces[pair[1]]].concat();
                let Some(&id) = self.ids.get(&joined) else {
                    continue;
                };
                if best.is_none_or(|(_, other)| self.scores[id] > self.scores[other]) {
                    best = Some((at, id));
                }
            }
            let Some((at, id)) = best else { return tokens };
            tokens.splice(at..at + 2, [id]);
        }
    }
}

fn cut_short() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the vocabulary file ends within a piece",
    )
}
