//! Lesson 10: tokens, activations, attention, hooks, ablation, patching, logit lens.

use super::tensors::{agree, difference, largest, values};
use super::verdict::Verdict;
use crate::error::{Error, Result};
use crate::intervene::Intervention;
use crate::math::set_at;
use crate::model::{ActivationCache, All, HookedTransformer, Hooks, ResidOptions};
use candle_core::{D, IndexOp, Tensor};

/// The checks of the lesson about hooks, for one model and one prompt.
///
/// ```
/// use ferrolens::lessons::FirstHooks;
/// use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let check = FirstHooks::new(&model, "Once upon a time")?;
/// assert!(!check.tokens(Some(4))?.is_right()); // the beginning of a text is a token, too
/// assert!(check.tokens(Some(5))?.is_right());
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FirstHooks {
    model: HookedTransformer,
    prompt: String,
    cache: ActivationCache,
    words: Vec<String>,
}

impl FirstHooks {
    /// The checks for this model and this prompt.
    ///
    /// # Errors
    /// The prompt is empty or too long for the model.
    pub fn new(model: &HookedTransformer, prompt: &str) -> Result<Self> {
        let (_, cache) = model.run_with_cache(prompt, All)?;
        Ok(Self {
            model: model.clone(),
            prompt: prompt.to_owned(),
            cache: cache.remove_batch_dim()?,
            words: model.to_str_tokens(prompt)?,
        })
    }

    /// Exercise 1: how many tokens is the prompt for the model?
    ///
    /// # Errors
    /// None at present.
    pub fn tokens(&self, answer: Option<usize>) -> Result<Verdict> {
        const AT: u32 = 1;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let right = self.words.len();
        let spaces = self.prompt.split_whitespace().count();
        Ok(if answer == right {
            Verdict::right(
                AT,
                format!(
                    "{right} tokens, of which the first is {:?}: the model sees where a text begins.",
                    self.words[0]
                ),
            )
        } else if answer + 1 == right {
            Verdict::wrong(
                AT,
                "one is missing. `to_tokens` puts a token in front that marks the beginning of the text.",
            )
        } else if answer == self.prompt.chars().count() {
            Verdict::wrong(
                AT,
                "that is how many characters it has. `model.to_str_tokens(prompt)?` shows the tokens.",
            )
        } else if answer == spaces {
            Verdict::wrong(
                AT,
                "that is how many words stand between spaces. `model.to_str_tokens(prompt)?` shows the tokens.",
            )
        } else {
            Verdict::wrong(
                AT,
                format!(
                    "{answer} is not it. Look at `model.to_tokens(prompt)?.dims()`: [batch, pos]."
                ),
            )
        })
    }

    /// Exercise 2: the residual stream behind block 0, at the last position, `[d_model]`.
    ///
    /// # Errors
    /// The answer cannot be read from its device.
    pub fn residual(&self, answer: Option<&Tensor>) -> Result<Verdict> {
        const AT: u32 = 2;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let stream = self.cache.get("blocks.0.hook_resid_post")?; // [pos, d_model]
        let last = stream.dim(0)? - 1;
        let right = stream.i(last)?;
        let Some(said) = difference(answer, &right, "[d_model]")? else {
            return Ok(Verdict::right(
                AT,
                format!(
                    "{} numbers, all that the rest of the model knows about {:?}.",
                    right.elem_count(),
                    self.words[last]
                ),
            ));
        };
        Ok(match self.where_it_is(answer)? {
            Some(place) => Verdict::wrong(
                AT,
                format!(
                    "that is {place}. Asked is `blocks.0.hook_resid_post` at position {last}, the last."
                ),
            ),
            None => Verdict::wrong(AT, said),
        })
    }

    /// Exercise 3: the position at which the stream behind block 0 is longest.
    ///
    /// # Errors
    /// None at present.
    pub fn longest(&self, answer: Option<usize>) -> Result<Verdict> {
        const AT: u32 = 3;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let stream = self.cache.get("blocks.0.hook_resid_post")?;
        let norms = values(&stream.sqr()?.sum(D::Minus1)?.sqrt()?)?;
        let right = largest(&norms);
        let Some(norm) = norms.get(answer) else {
            return Ok(Verdict::wrong(
                AT,
                format!(
                    "there is no position {answer}: the last of {} is {}.",
                    norms.len(),
                    norms.len() - 1
                ),
            ));
        };
        let word = &self.words[answer];
        Ok(if answer == right {
            Verdict::right(
                AT,
                format!(
                    "{word:?} has a norm of {norm:.1}; the mean of all is {:.1}.",
                    norms.iter().sum::<f32>() / norms.len() as f32
                ),
            )
        } else {
            Verdict::wrong(
                AT,
                format!(
                    "at position {answer}, {word:?}, the norm is {norm:.1}, and there is one of {:.1}. The norm is the root of the sum of squares over the last dimension.",
                    norms[right]
                ),
            )
        })
    }

    /// Exercise 4: the head that looks at the token before, most of all: `(layer, head)` with the largest mean
    /// of `pattern[q, q - 1]` over queries `q ≥ 1`.
    ///
    /// # Errors
    /// The model has fewer than two tokens to look at.
    pub fn previous_token_head(&self, answer: Option<(usize, usize)>) -> Result<Verdict> {
        const AT: u32 = 4;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let scores = self.on_the_token_before()?;
        self.head(
            AT,
            answer,
            &scores,
            "pays {value} of its attention to the token before, on average",
        )
    }

    /// Exercise 5: hooks that make the output of one head zero (`hook_z`), and nothing else.
    ///
    /// # Errors
    /// The hooks do not run in this model.
    pub fn zero_head(&self, layer: usize, head: usize, answer: Option<&Hooks>) -> Result<Verdict> {
        const AT: u32 = 5;
        let Some(hooks) = answer else {
            return Ok(Verdict::open(AT));
        };
        self.check_head(layer, head)?;
        let (_, with) = self
            .model
            .run_with_hooks_and_cache(self.prompt.as_str(), hooks, All)?;
        let with = with.remove_batch_dim()?;
        let name = format!("blocks.{layer}.attn.hook_z");
        let (z, clean) = (with.get(name.as_str())?, self.cache.get(name.as_str())?); // [pos, head, d_head]
        for (point, value) in self.cache.iter() {
            if point.name() == name {
                break;
            }
            if !agree(&with.get(point)?, &value)? {
                return Ok(Verdict::wrong(
                    AT,
                    format!(
                        "the hooks change `{}` already; only `{name}` is to change.",
                        point.name()
                    ),
                ));
            }
        }
        if agree(&z, &clean)? {
            let elsewhere = self.cache.iter().find_map(|(point, value)| {
                let same = agree(&with.get(point).ok()?, &value).ok()?;
                (!same).then(|| point.name().to_owned())
            });
            return Ok(Verdict::wrong(
                AT,
                match elsewhere {
                    Some(point) => {
                        format!("`{name}` is as before; what changes first is `{point}`.")
                    }
                    None => format!(
                        "nothing changes. Is the hook added at `{name}`, and does it return the new activation?"
                    ),
                },
            ));
        }
        for other in (0..z.dim(1)?).filter(|other| *other != head) {
            if !agree(&z.i((.., other))?, &clean.i((.., other))?)? {
                return Ok(Verdict::wrong(
                    AT,
                    format!(
                        "head {other} changes. The dimensions of `z` are [batch, pos, head, d_head]: head {head} is \
                         index {head} of dimension 2."
                    ),
                ));
            }
        }
        let now = z.i((.., head))?;
        if !agree(&now, &now.zeros_like()?)? {
            return Ok(Verdict::wrong(
                AT,
                format!("head {head} changes, and is not 0 at each position."),
            ));
        }
        Ok(Verdict::right(
            AT,
            format!(
                "head {head} of layer {layer} writes nothing, and the others what they did before."
            ),
        ))
    }

    /// Exercise 6: the head without which the mean loss of the prompt rises most.
    ///
    /// # Errors
    /// The prompt is a single token.
    pub fn costliest_head(&self, answer: Option<(usize, usize)>) -> Result<Verdict> {
        const AT: u32 = 6;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let clean = self.model.loss(self.prompt.as_str())?;
        let config = self.model.config();
        let mut added = Vec::new();
        for layer in 0..config.n_layers {
            let mut of_layer = Vec::new();
            for head in 0..config.n_heads {
                let hooks = Hooks::new().add(("z", layer as isize), move |z: &Tensor, _: &_| {
                    set_at(z, 2, head, 0.)
                });
                of_layer.push(self.model.run(self.prompt.as_str()).hooks(hooks).loss()? - clean);
            }
            added.push(of_layer);
        }
        self.head(
            AT,
            answer,
            &added,
            "adds {value} nats to the loss when it is gone",
        )
    }

    /// Exercise 7: patching. For each position of `corrupted`, the logit of `answers.0` minus the logit of `answers.1`
    /// at the last position, when the residual stream in front of block 1 takes this position's value from the run on
    /// the prompt, `[pos]`.
    ///
    /// # Errors
    /// The prompts are not equally long, or an answer is not one token.
    pub fn patched(
        &self,
        corrupted: &str,
        answers: (&str, &str),
        answer: Option<&Tensor>,
    ) -> Result<Verdict> {
        const AT: u32 = 7;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let others = self.model.to_str_tokens(corrupted)?;
        if others.len() != self.words.len() {
            return Err(Error::new(format!(
                "the prompts have {} and {} tokens: position by position, one can be put into the other only where both \
                 are equally long. Change a word for one of as many tokens.",
                self.words.len(),
                others.len()
            )));
        }
        let (yes, no) = (
            self.model.to_single_token(answers.0)?,
            self.model.to_single_token(answers.1)?,
        );
        let point = "blocks.1.hook_resid_pre";
        let clean = self.model.cache_only(self.prompt.as_str(), point)?;
        let difference_of = |hooks: Hooks| -> Result<f32> {
            let logits = values(&self.model.run(corrupted).hooks(hooks).logits_at(-1)?)?;
            Ok(logits[yes as usize] - logits[no as usize])
        };
        let mut right = Vec::new();
        for position in 0..others.len() {
            let patch = Intervention::patch(point, &clean).at(position as isize);
            right.push(difference_of(patch.into())?);
        }
        let none = difference_of(Hooks::new())?;
        let all = difference_of(Intervention::patch(point, &clean).into())?;
        let wanted = Tensor::new(right.as_slice(), &self.model.device())?;
        let Some(said) = difference(answer, &wanted, "[pos]")? else {
            let most = largest(&right);
            return Ok(Verdict::right(
                AT,
                format!(
                    "without a patch the difference is {none:.2}, with all positions patched {all:.2}; position {most}, {:?}, alone gives {:.2}.",
                    others[most], right[most]
                ),
            ));
        };
        let of_no = difference(&answer.neg()?, &wanted, "[pos]")?.is_none();
        Ok(Verdict::wrong(
            AT,
            if of_no {
                format!(
                    "the sign is the other way round: the logit of {:?} minus that of {:?}.",
                    answers.0, answers.1
                )
            } else if answer.dims() == wanted.dims()
                && values(answer)?
                    .iter()
                    .all(|value| (value - none).abs() < 1e-3)
            {
                "every value is that of the run without a patch: does the hook return the new activation, and is it given to the run on the corrupted prompt?".to_owned()
            } else {
                said
            },
        ))
    }

    /// Exercise 8: the logit lens. The likeliest next token at the last position, read off the residual stream in front
    /// of each block and behind the last one, through the final norm: `n_layers + 1` strings.
    ///
    /// # Errors
    /// None at present.
    pub fn logit_lens(&self, answer: Option<&[String]>) -> Result<Verdict> {
        const AT: u32 = 8;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let options = ResidOptions::new().apply_ln(true).pos_slice(-1);
        let stack = self.cache.accumulated_resid(&options)?;
        let logits = stack
            .components
            .matmul(&self.model.W_U()?)?
            .broadcast_add(&self.model.b_U()?)?;
        let mut right = Vec::new();
        for row in 0..stack.labels.len() {
            right.push(
                self.model
                    .to_single_str_token(largest(&values(&logits.i(row)?)?) as u32)?,
            );
        }
        if answer.len() != right.len() {
            return Ok(Verdict::wrong(
                AT,
                format!(
                    "{} strings are asked, one for each of {:?}; there are {}.",
                    right.len(),
                    stack.labels,
                    answer.len()
                ),
            ));
        }
        let wrong = answer
            .iter()
            .zip(&right)
            .position(|(answer, right)| answer != right);
        Ok(match wrong {
            None => Verdict::right(AT, format!("the model goes through {right:?}.")),
            Some(at) if answer[at].trim() == right[at].trim() => Verdict::wrong(
                AT,
                format!(
                    "at `{}`, {:?} is right but for spaces: they belong to the token.",
                    stack.labels[at], answer[at]
                ),
            ),
            Some(at) => Verdict::wrong(
                AT,
                format!(
                    "at `{}`, {:?} is not the likeliest. Does the stream go through the final norm (`apply_ln`) and W_U, and is b_U added?",
                    stack.labels[at], answer[at]
                ),
            ),
        })
    }

    /// The verdict on a head; `what` says what `{value}` is.
    fn head(
        &self,
        at: u32,
        (layer, head): (usize, usize),
        scores: &[Vec<f32>],
        what: &str,
    ) -> Result<Verdict> {
        let Some(&value) = scores.get(layer).and_then(|heads| heads.get(head)) else {
            let config = self.model.config();
            return Ok(Verdict::wrong(
                at,
                format!(
                    "there is no head {head} in a layer {layer}: layers are 0 to {}, heads 0 to {}.",
                    config.n_layers - 1,
                    config.n_heads - 1
                ),
            ));
        };
        let flat: Vec<f32> = scores.iter().flatten().copied().collect();
        let most = flat[largest(&flat)];
        let what = what.replace("{value}", &format!("{value:.3}"));
        Ok(if value >= most {
            Verdict::right(
                at,
                format!("L{layer}H{head} {what}; no other head so much."),
            )
        } else if scores
            .get(head)
            .and_then(|heads| heads.get(layer))
            .is_some_and(|swapped| *swapped >= most)
        {
            Verdict::wrong(at, "the layer comes first: `Some((layer, head))`.")
        } else {
            Verdict::wrong(
                at,
                format!("L{layer}H{head} {what}, and there is a head with {most:.3}."),
            )
        })
    }

    fn on_the_token_before(&self) -> Result<Vec<Vec<f32>>> {
        let config = self.model.config();
        let mut scores = Vec::new();
        for layer in 0..config.n_layers {
            let pattern = self.cache.get(("pattern", layer as isize))?; // [head, query, key]
            let queries = pattern.dim(1)?;
            if queries < 2 {
                return Err(Error::new(
                    "a prompt of one token has no token before: choose a longer one.",
                ));
            }
            let mut of_layer = Vec::new();
            for head in 0..pattern.dim(0)? {
                let mut sum = 0.;
                for query in 1..queries {
                    sum += pattern.i((head, query, query - 1))?.to_scalar::<f32>()?;
                }
                of_layer.push(sum / (queries - 1) as f32);
            }
            scores.push(of_layer);
        }
        Ok(scores)
    }

    fn check_head(&self, layer: usize, head: usize) -> Result<()> {
        let config = self.model.config();
        if layer < config.n_layers && head < config.n_heads {
            return Ok(());
        }
        Err(Error::new(format!(
            "there is no head {head} in a layer {layer}: the model has layers 0 to {} with heads 0 to {}.",
            config.n_layers - 1,
            config.n_heads - 1
        )))
    }

    /// The hook point and position whose activation this vector is.
    fn where_it_is(&self, answer: &Tensor) -> Result<Option<String>> {
        for (point, value) in self.cache.iter() {
            if value.rank() != 2 || answer.dims() != &value.dims()[1..] {
                continue;
            }
            for position in 0..value.dim(0)? {
                if agree(answer, &value.i(position)?)? {
                    return Ok(Some(format!("`{}` at position {position}", point.name())));
                }
            }
        }
        Ok(None)
    }
}
