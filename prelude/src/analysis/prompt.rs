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
    /// The answer's tokens, each given those before it.
    pub answer: Vec<AnswerToken>,
}

/// One token of an answer, and what the model expected in its place.
#[derive(Clone, Debug)]
pub struct AnswerToken {
    /// Its text, rank and probability.
    pub token: TopToken,
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
    /// the likeliest tokens in its place.
    ///
    /// ```
    /// use ferrolens::{analysis::TestPrompt, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let test = model.test_prompt("Once upon a", "time", TestPrompt::new().top_k(3))?;
    /// assert_eq!(test.answer[0].token.rank, 0);
    /// println!("{test}");
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The model has no tokenizer, the texts are too long, or the answer is empty.
    pub fn test_prompt(
        &self,
        prompt: &str,
        answer: &str,
        options: TestPrompt,
    ) -> Result<PromptTest> {
        let mut of_prompt = TokenOptions::new();
        if let Some(prepend_bos) = options.prepend_bos {
            of_prompt = of_prompt.prepend_bos(prepend_bos);
        }
        let prompt = self.to_tokens_with(prompt, of_prompt)?; // [1, pos]
        let answer = match options.prepend_space_to_answer && !answer.starts_with(' ') {
            true => format!(" {answer}"),
            false => answer.to_owned(),
        };
        let answer = self.to_tokens_with(answer, TokenOptions::new().prepend_bos(false))?;
        let (before, length) = (prompt.dim(1)?, answer.dim(1)?);
        if before == 0 || length == 0 {
            return Err(Error::new(
                "a prompt and an answer need at least one token each: give longer texts.",
            ));
        }
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
            let rank = order.iter().position(|(index, _)| *index == *id as usize);
            let rank = rank.ok_or_else(|| Error::new("the answer is not in the vocabulary."))?;
            Ok(AnswerToken {
                token: of(rank)?,
                top: (0..options.top_k.min(order.len()))
                    .map(of)
                    .collect::<Result<_>>()?,
            })
        });
        Ok(PromptTest {
            answer: answer.collect::<Result<_>>()?,
            prompt: self.to_str_tokens(&prompt)?,
        })
    }
}

impl fmt::Display for PromptTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer: Vec<&str> = self
            .answer
            .iter()
            .map(|of| of.token.text.as_str())
            .collect();
        writeln!(f, "Tokenized prompt: {:?}", self.prompt)?;
        writeln!(f, "Tokenized answer: {answer:?}")?;
        let numbers = |token: &TopToken| {
            let percent = 100. * token.probability;
            format!(
                "Logit: {:5.2} Prob: {percent:5.2}% Token: |{}|",
                token.logit, token.text
            )
        };
        for AnswerToken { token, top } in &self.answer {
            writeln!(f, "Performance on answer token:")?;
            writeln!(f, "Rank: {: <8} {}", token.rank, numbers(token))?;
            for (rank, token) in top.iter().enumerate() {
                writeln!(f, "Top {rank}th token. {}", numbers(token))?;
            }
        }
        let ranks = self.answer.iter();
        let ranks: Vec<(&str, usize)> = ranks
            .map(|of| (of.token.text.as_str(), of.token.rank))
            .collect();
        write!(f, "Ranks of the answer tokens: {ranks:?}")
    }
}
