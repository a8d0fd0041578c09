//! How good an autoencoder is on stories that it was not trained on.

use ferrolens::model::HookedTransformer;
use ferrolens::sae::Sae;
use ferrolens::sae::metrics::{LossMetrics, SaeMetrics};
use ferrolens::{DType, Result};

pub fn print(model: &HookedTransformer, sae: &Sae, stories: &[&str], name: &str) -> Result<()> {
    let sae = sae.to(&model.device(), DType::F32)?;
    let hook = sae.hook_point(model)?;
    let mut losses = LossMetrics::new(model, &sae)?;
    let mut activations = SaeMetrics::new(&sae);
    for story in stories {
        losses.update(*story)?;
        activations.update(&model.cache_only(*story, hook)?.get(hook)?)?;
    }
    let (losses, activations) = (losses.finish()?, activations.finish()?);
    println!(
        "| {name} | {} | {:.1} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} |",
        sae.cfg.d_sae,
        activations.l0,
        losses.clean,
        losses.recon,
        losses.zero,
        losses.loss_recovered(),
        activations.explained_variance,
        activations.norm_ratio,
        activations.density.fraction_alive(),
    );
    Ok(())
}
