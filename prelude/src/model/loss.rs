//! The loss of next-token prediction.

use super::padded::Padded;
use crate::error::{Error, Result};
use crate::math;
use candle_core::{D, DType, Tensor};

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
    let losses = losses.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let mut sum = 0f64;
    let mut count = 0usize;
    for (row, losses) in losses.iter().enumerate() {
        let first = prompt.first.as_ref().map_or(0, |first| first[row]);
        let end = prompt
            .lengths
            .as_ref()
            .map_or(losses.len() + 1, |lengths| lengths[row]);
        let real = losses.get(first..end.saturating_sub(1)).unwrap_or_default();
        sum += real.iter().map(|loss| f64::from(*loss)).sum::<f64>();
        count += real.len();
    }
    match count {
        0 => Err(Error::new(
            "the prompts predict no token, so they have no loss: give at least two tokens.",
        )),
        count => Ok((sum / count as f64) as f32),
    }
}

/// `log sum exp(logits) - logit of the target`, `[batch, pos]`.
fn of_targets(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let targets = targets.contiguous()?.unsqueeze(D::Minus1)?; // [batch, pos, 1]
    let chosen = logits.contiguous()?.gather(&targets, D::Minus1)?; // [batch, pos, 1]
    let loss = (math::log_sum_exp(logits)? - chosen)?;
    Ok(loss.squeeze(D::Minus1)?)
}
