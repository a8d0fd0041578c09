//! How good an autoencoder is on stories that it was not trained on.

use ferrolens::model::{HookedTransformer, Hooks};
use ferrolens::sae::{RunWithSaes, Sae};
use ferrolens::{DType, Result, Tensor};

pub fn print(model: &HookedTransformer, sae: &Sae, stories: &[&str], name: &str) -> Result<()> {
    let sae = sae.to(&model.device(), DType::F32)?;
    let hook = sae.cfg.hook_name.clone().unwrap_or_default();
    let spliced = model.with_saes(&sae)?;
    let zero = Hooks::new().add(hook.as_str(), |value: &Tensor, _: &_| value.zeros_like());
    let (mut clean_sum, mut zero_sum, mut recon_sum, mut count) = (0., 0., 0., 0.);
    let (mut l0, mut tokens) = (0f64, 0f64);
    for story in stories.iter().take(200) {
        let ids = model.to_tokens(*story)?;
        let n = ids.dim(1)? as f64 - 1.;
        if n < 1. {
            continue;
        }
        clean_sum += n * f64::from(model.loss(&ids)?);
        zero_sum += n * f64::from(model.run(&ids).hooks(&zero).loss()?);
        recon_sum += n * f64::from(spliced.loss(&ids)?);
        count += n;
        let cache = model.cache_only(&ids, hook.as_str())?;
        let acts = sae.encode(&cache.get(hook.as_str())?)?;
        l0 += f64::from(
            acts.gt(0.)?
                .to_dtype(DType::F32)?
                .sum_all()?
                .to_scalar::<f32>()?,
        );
        tokens += n + 1.;
    }
    let (clean, zero, recon) = (clean_sum / count, zero_sum / count, recon_sum / count);
    println!(
        "{name}: L0 {:.1}, loss clean {clean:.4} zero {zero:.4} reconstructed {recon:.4}, recovered {:.4}",
        l0 / tokens,
        (zero - recon) / (zero - clean)
    );
    Ok(())
}
