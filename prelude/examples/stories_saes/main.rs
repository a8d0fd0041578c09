//! Makes the autoencoders of stories-2l that ferrolens embeds: a ReLU one and an NSAE at each of three hook
//! points. The cards in `prelude/models/stories-2l-saes/` have the command lines that made them.

mod kinds;
mod measure;

use ferrolens::model::HookedTransformer;
use ferrolens::sae::Sae;
use ferrolens::sae::train::{Metrics, SaeTrainer};
use ferrolens::{DType, Device, Error, Result};
use kinds::KINDS;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
stories_saes train --corpus FILE --out FOLDER [--only NAME]
stories_saes eval  --corpus FILE --out FOLDER [--only NAME]

Stories in FILE end with <|endoftext|>; the last twentieth of them is not trained on, but measured on.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let mut options = BTreeMap::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        options.insert(name.trim_start_matches('-').to_owned(), value);
    }
    let option = |name: &str| options.get(name).map(String::as_str);
    let needed =
        |name: &str| option(name).ok_or_else(|| Error::new(format!("--{name} is missing.")));
    let corpus = std::fs::read_to_string(needed("corpus")?)?;
    let stories: Vec<&str> = corpus.split("<|endoftext|>").map(str::trim).collect();
    let stories: Vec<&str> = stories
        .into_iter()
        .filter(|story| !story.is_empty())
        .collect();
    let (trained_on, held_out) = stories.split_at(stories.len() * 19 / 20);
    let model = HookedTransformer::from_pretrained("stories-2l")?;
    let out = Path::new(needed("out")?);
    for kind in KINDS {
        if option("only").is_some_and(|only| only != kind.name()) {
            continue;
        }
        let folder = out.join(kind.name());
        let sae = match command.as_str() {
            "train" => {
                let mut trainer =
                    SaeTrainer::for_hook(&model, kind.hook, trained_on, kind.config())?;
                trainer.on_log(print);
                trainer.run_to_end()?;
                let sae = trainer.sae()?.to(&Device::Cpu, DType::F16)?;
                sae.save(&folder)?;
                sae
            }
            "eval" => Sae::load(&folder)?,
            other => return Err(Error::new(format!("`{other}` is no command."))),
        };
        measure::print(&model, &sae, held_out, &kind.name())?;
    }
    Ok(())
}

fn print(metrics: &Metrics) {
    eprintln!(
        "{} step {}: loss {:.4}, L2 {:.4}, L0 {:.1}, explained {:.4}, alive {:.3}, {:.0} tokens/s",
        metrics.hook,
        metrics.step,
        metrics.loss,
        metrics.squared_error,
        metrics.l0,
        metrics.explained_variance,
        metrics.alive,
        metrics.tokens_per_second
    );
}
