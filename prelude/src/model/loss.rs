//! The loss of next-token prediction.

use super::input::Input;
use super::padded::Padded;
use super::transformer::HookedTransformer;
use crate::error::{Error, Result};
use crate::math;
use candle_core::{D, DType, Tensor};

impl HookedTransformer {
    /// The mean loss of logits `[batch, pos, d_vocab]` at hand, as predictions of these tokens: such as
    /// those that came with a cache, or a mean of two runs.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (logits, cache) = model.run_with_cache("Once upon a time", ())?;
    /// let loss = model.loss_fn(&logits, "Once upon a time")?;
    /// assert_eq!(loss, model.loss("Once upon a time")?);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The logits are not those of as many tokens, or there are fewer than two.
    pub fn loss_fn(&self, logits: &Tensor, tokens: impl Into<Input>) -> Result<f32> {
        let prompt = self.predicted_by(logits, &tokens.into())?;
        mean(&of_all(logits, &prompt)?, &prompt)
    }

    /// The loss of each prediction of logits `[batch, pos, d_vocab]` at hand, `[batch, pos - 1]`.
    ///
    /// # Errors
    /// As [`HookedTransformer::loss_fn`].
    pub fn loss_fn_per_token(&self, logits: &Tensor, tokens: impl Into<Input>) -> Result<Tensor> {
        let prompt = self.predicted_by(logits, &tokens.into())?;
        of_all(logits, &prompt)
    }

    /// The tokens, if logits `[batch, pos, d_vocab]` can be predictions of them.
    fn predicted_by(&self, logits: &Tensor, tokens: &Input) -> Result<Padded> {
        let prompt = self.prepare(tokens, None, None)?;
        let (batch, pos) = prompt.tokens.dims2()?;
        if logits.dims() != [batch, pos, self.config().d_vocab_out] {
            return Err(Error::new(format!(
                "logits of shape {:?} do not predict tokens of shape [{batch}, {pos}]: give logits of \
                 shape [{batch}, {pos}, {}], of a run on the same tokens.",
                logits.dims(),
                self.config().d_vocab_out
            )));
        }
        Ok(prompt)
    }
}

/// `-log p(token i + 1)`: logits of every position, `[batch, pos, d_vocab]`, to `[batch, pos - 1]`.
///
/// The last position predicts nothing and is calculated with the others: the logits of a batch
/// without it would have to be copied.
pub(crate) fn of_all(logits: &Tensor, prompt: &Padded) -> Result<Tensor> {
    let pos = logits.dim(1)?;
    if pos < 2 {
        return Err(Error::new(
            "a prompt of one token predicts nothing, so it has no loss: give at least two.",
        ));
    }
    let targets = prompt.tokens.narrow(1, 1, pos - 1)?;
    let losses = of_targets(logits, &targets.pad_with_zeros(1, 0, 1)?)?; // [batch, pos]
    Ok(losses.narrow(1, 0, pos - 1)?.contiguous()?)
}

/// `-log p(token i + 1)`: logits `[batch, pos - 1, d_vocab]` to `[batch, pos - 1]`.
pub(crate) fn per_token(logits: &Tensor, prompt: &Padded) -> Result<Tensor> {
    let predictions = logits.dim(1)?;
    let targets = prompt.tokens.narrow(1, 1, predictions)?; // [batch, pos - 1]
    of_targets(logits, &targets)
}

/// `-log p(token position + 1)`: logits `[batch, 1, d_vocab]` to `[batch]`.
pub(crate) fn at(logits: &Tensor, prompt: &Padded, position: isize) -> Result<Tensor> {
    let predictions = prompt.tokens.dim(1)?.saturating_sub(1);
    let index = match usize::try_from(position) {
        Ok(index) => Some(index).filter(|index| *index < predictions),
        Err(_) => predictions.checked_sub(position.unsigned_abs()),
    };
    let index = index.ok_or_else(|| {
        Error::new(format!(
            "position {position} is outside the {predictions} predictions of the prompt."
        ))
    })?;
    let targets = prompt.tokens.narrow(1, index + 1, 1)?; // [batch, 1]
    Ok(of_targets(logits, &targets)?.squeeze(1)?)
}

/// The mean over predictions whose target is a real token.
pub(crate) fn mean(losses: &Tensor, prompt: &Padded) -> Result<f32> {
    let rows = losses.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let mut sum = 0f64;
    for (row, losses) in rows.iter().enumerate() {
        let real = losses.get(real(row, losses.len(), prompt));
        let real = real.unwrap_or_default().iter();
        sum += real.map(|loss| f64::from(*loss)).sum::<f64>();
    }
    Ok((sum / count(losses, prompt)? as f64) as f32)
}

/// The same as a tensor of one number, which knows its gradient.
pub(crate) fn mean_tensor(losses: &Tensor, prompt: &Padded) -> Result<Tensor> {
    let rows = (0..losses.dim(0)?).map(|row| {
        let real = real(row, losses.dim(1)?, prompt);
        losses.get(row)?.narrow(0, real.start, real.len())
    });
    let rows = rows.collect::<candle_core::Result<Vec<_>>>()?;
    let count = count(losses, prompt)?;
    Ok((Tensor::cat(&rows, 0)?.sum_all()? / count as f64)?)
}

/// Which of a row's predictions have a real token as their target.
fn real(row: usize, predictions: usize, prompt: &Padded) -> std::ops::Range<usize> {
    let first = prompt.first.as_ref().map_or(0, |first| first[row]);
    let lengths = prompt.lengths.as_ref();
    let end = lengths.map_or(predictions, |lengths| lengths[row].saturating_sub(1));
    first.min(end)..end
}

fn count(losses: &Tensor, prompt: &Padded) -> Result<usize> {
    let (rows, predictions) = losses.dims2()?;
    let counts = (0..rows).map(|row| real(row, predictions, prompt).len());
    match counts.sum() {
        0 => Err(Error::new(
            "the prompts predict no token, so they have no loss: give at least two tokens.",
        )),
        count => Ok(count),
    }
}

/// `log sum exp(logits) - logit of the target`, `[batch, pos]`.
fn of_targets(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let targets = targets.contiguous()?.unsqueeze(D::Minus1)?; // [batch, pos, 1]
    let chosen = logits.contiguous()?.gather(&targets, D::Minus1)?; // [batch, pos, 1]
    let loss = (math::log_sum_exp(logits)? - chosen)?;
    Ok(loss.squeeze(D::Minus1)?)
}
