//! Does a model know the answer?

use crate::error::{Error, Result};
use crate::math::{log_softmax, top_k_of};
use crate::model::{HookedTransformer, TokenOptions};
use candle_core::{DType, Tensor};
use std::fmt;

/// How well a model predicts an answer to a prompt, token by token. It displays as tables, and prints
/// as TransformerLens's `test_prompt` does.
#[derive(Clone, Debug)]
pub struct PromptTest {
    /// The prompt's tokens.
    pub prompt: Vec<String>,
    /// The tokens of each answer.
    pub answers: Vec<Vec<String>>,
    /// The answer's tokens, each given those before it. Of several answers the first token alone, with
    /// those of the others beside it.
    pub answer: Vec<AnswerToken>,
}

/// One token of an answer, and what the model expected in its place.
#[derive(Clone, Debug)]
pub struct AnswerToken {
    /// Its text, rank and probability.
    pub token: TopToken,
    /// The first tokens of the other answers, in their order, where there are several.
    pub others: Vec<TopToken>,
    /// The likeliest tokens, the likeliest first.
    pub top: Vec<TopToken>,
}

/// A token among all that may come next.
#[derive(Clone, Debug)]
pub struct TopToken {
    /// Its text.
    pub text: String,
    /// How many tokens are likelier.
    pub rank: usize,
    /// Its logit.
    pub logit: f32,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

/// One answer, or several to choose from.
///
/// Made from a text, or from an array or a vector of them.
#[derive(Clone, Debug)]
pub struct Answers(Vec<String>);

macro_rules! answers_from {
    ($($from:ty => |$value:ident| $texts:expr),* $(,)?) => {$(
        impl From<$from> for Answers {
            fn from($value: $from) -> Self {
                Self($texts)
            }
        }
    )*};
}

answers_from!(
    &str => |text| vec![text.to_owned()],
    String => |text| vec![text],
    &String => |text| vec![text.clone()],
    &[&str] => |texts| texts.iter().map(|text| (*text).to_owned()).collect(),
    Vec<&str> => |texts| texts.into_iter().map(str::to_owned).collect(),
    Vec<String> => |texts| texts,
    &[String] => |texts| texts.to_vec(),
);

impl<const N: usize> From<[&str; N]> for Answers {
    fn from(texts: [&str; N]) -> Self {
        texts.as_slice().into()
    }
}

impl<const N: usize> From<&[&str; N]> for Answers {
    fn from(texts: &[&str; N]) -> Self {
        texts.as_slice().into()
    }
}

/// How to test a prompt.
#[derive(Clone, Copy, Debug)]
pub struct TestPrompt {
    prepend_space_to_answer: bool,
    prepend_bos: Option<bool>,
    top_k: usize,
}

impl Default for TestPrompt {
    fn default() -> Self {
        Self::new()
    }
}

impl TestPrompt {
    /// With a space in front of the answer, and the ten likeliest tokens.
    pub fn new() -> Self {
        Self {
            prepend_space_to_answer: true,
            prepend_bos: None,
            top_k: 10,
        }
    }

    /// Whether an answer that does not start with a space gets one.
    #[must_use]
    pub fn prepend_space_to_answer(mut self, on: bool) -> Self {
        self.prepend_space_to_answer = on;
        self
    }

    /// Whether the prompt gets a beginning-of-sequence token, where the family's habit does not fit.
    #[must_use]
    pub fn prepend_bos(mut self, on: bool) -> Self {
        self.prepend_bos = Some(on);
        self
    }

    /// How many of the likeliest tokens to show.
    #[must_use]
    pub fn top_k(mut self, k: usize) -> Self {
        self.top_k = k;
        self
    }
}

impl HookedTransformer {
    /// How well the model predicts an answer: the rank, logit and probability of each of its tokens, and
    /// the likeliest tokens in its place. Of several answers the first tokens are compared.
    ///
    /// ```
    /// use ferrolens::{analysis::TestPrompt, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let test = model.test_prompt("Once upon a", "time", TestPrompt::new().top_k(3))?;
    /// assert_eq!(test.answer[0].token.rank, 0);
    /// println!("{test}");
    /// let either = model.test_prompt("Tom saw the", ["cat", "dog"], TestPrompt::new())?;
    /// println!("{} or {}", either.answer[0].token.rank, either.answer[0].others[0].rank);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The model has no tokenizer, the texts are too long, or an answer is empty.
    pub fn test_prompt(
        &self,
        prompt: &str,
        answers: impl Into<Answers>,
        options: TestPrompt,
    ) -> Result<PromptTest> {
        let mut of_prompt = TokenOptions::new();
        if let Some(prepend_bos) = options.prepend_bos {
            of_prompt = of_prompt.prepend_bos(prepend_bos);
        }
        let prompt = self.to_tokens_with(prompt, of_prompt)?; // [1, pos]
        let answers = answers.into().0.into_iter().map(|answer| {
            let answer = match options.prepend_space_to_answer && !answer.starts_with(' ') {
                true => format!(" {answer}"),
                false => answer,
            };
            self.to_tokens_with(answer, TokenOptions::new().prepend_bos(false)) // [1, pos]
        });
        let answers = answers.collect::<Result<Vec<Tensor>>>()?;
        let before = prompt.dim(1)?;
        let is_empty = |answer: &Tensor| answer.elem_count() == 0;
        let Some(answer) = answers.first().filter(|_| before > 0) else {
            return Err(too_short());
        };
        if answers.iter().any(is_empty) {
            return Err(too_short());
        }
        // Several answers differ in their first token; what comes behind it would be given that token.
        let answer = match answers.len() {
            1 => answer.clone(),
            _ => answer.narrow(1, 0, 1)?,
        };
        let others = answers.iter().skip(1).map(first_id);
        let others = others.collect::<Result<Vec<u32>>>()?;
        let length = answer.dim(1)?;
        let tokens = Tensor::cat(&[&prompt, &answer], 1)?;
        let logits = self.forward(&tokens)?; // [1, pos, d_vocab]
        let logits = logits
            .narrow(1, before - 1, length)?
            .squeeze(0)?
            .to_dtype(DType::F32)?;
        let log_probabilities = log_softmax(&logits)?;
        let ids = answer.squeeze(0)?.to_vec1::<u32>()?;
        let answer = ids.iter().enumerate().map(|(at, id)| {
            let logits = logits.get(at)?.to_vec1::<f32>()?;
            let log_probabilities = log_probabilities.get(at)?.to_vec1::<f32>()?;
            let order = top_k_of(&logits, logits.len());
            let of = |rank: usize| -> Result<TopToken> {
                let (index, logit) = order[rank];
                Ok(TopToken {
                    text: self.to_single_str_token(index as u32)?,
                    rank,
                    logit,
                    probability: log_probabilities[index].exp(),
                })
            };
            let answer = |id: u32| {
                let rank = order.iter().position(|(index, _)| *index == id as usize);
                of(rank.ok_or_else(|| Error::new("the answer is not in the vocabulary."))?)
            };
            Ok(AnswerToken {
                token: answer(*id)?,
                others: others.iter().map(|id| answer(*id)).collect::<Result<_>>()?,
                top: (0..options.top_k.min(order.len()))
                    .map(of)
                    .collect::<Result<_>>()?,
            })
        });
        Ok(PromptTest {
            answer: answer.collect::<Result<_>>()?,
            answers: answers
                .iter()
                .map(|answer| self.to_str_tokens(answer))
                .collect::<Result<_>>()?,
            prompt: self.to_str_tokens(&prompt)?,
        })
    }
}

fn too_short() -> Error {
    Error::new("a prompt and an answer need at least one token each: give longer texts.")
}

/// The first id of `[1, pos]`.
fn first_id(tokens: &Tensor) -> Result<u32> {
    let ids = tokens.flatten_all()?.to_vec1::<u32>()?;
    ids.first().copied().ok_or_else(too_short)
}

impl AnswerToken {
    /// The answer's token, and those of the other answers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &TopToken> {
        std::iter::once(&self.token).chain(&self.others)
    }
}

impl fmt::Display for PromptTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Tokenized prompt: {:?}", self.prompt)?;
        let plural = match self.answers.as_slice() {
            [answer] => {
                writeln!(f, "Tokenized answer: {answer:?}")?;
                ""
            }
            answers => {
                writeln!(f, "Tokenized answers: {answers:?}")?;
                "s"
            }
        };
        let numbers = |token: &TopToken| {
            let percent = 100. * token.probability;
            format!(
                "Logit: {:5.2} Prob: {percent:5.2}% Token: |{}|",
                token.logit, token.text
            )
        };
        for answer in &self.answer {
            writeln!(f, "Performance on answer token{plural}:")?;
            for token in answer.all() {
                writeln!(f, "Rank: {: <8} {}", token.rank, numbers(token))?;
            }
            for (rank, token) in answer.top.iter().enumerate() {
                writeln!(f, "Top {rank}th token. {}", numbers(token))?;
            }
        }
        let of = |token: &'_ TopToken| (token.text.clone(), token.rank);
        if plural.is_empty() {
            let ranks: Vec<_> = self.answer.iter().map(|answer| of(&answer.token)).collect();
            return write!(f, "Ranks of the answer tokens: {ranks:?}");
        }
        let ranks = self.answer.iter();
        let ranks: Vec<Vec<_>> = ranks.map(|answer| answer.all().map(of).collect()).collect();
        write!(f, "Ranks of the answer tokens: {ranks:?}")
    }
}
