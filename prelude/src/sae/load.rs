//! Reading autoencoders, one format a file, all to one orientation.

mod attention;
mod by_hook;
mod dictionary_learning;
mod draft;
mod embedded;
mod fields;
mod gemma_scope;
mod gemma_scope_2;
mod gunzip;
mod hook_point;
mod linear;
mod llama_scope;
mod mats;
mod npz;
mod options;
mod plain;
mod qwen_scope;
mod recognise;
mod releases;
pub(super) mod sae_lens;
mod source;
mod sparse_coding;
mod sparsify;
mod transcoders;
mod weights;

#[cfg(test)]
mod tests;

pub use by_hook::SaesByHook;
pub use options::SaeLoadOptions;
pub(crate) use releases::sae_names;
pub use releases::sae_releases;

use super::autoencoder::Sae;
use crate::error::{Context, Error, Result};
use crate::model::load::source::is_repository;
use source::Source;
use std::path::Path;

/// What stands in a path for the name of a hook point.
const HOOK_GOES_HERE: &str = "HOOK_GOES_HERE";

/// The hook points that are looked for where none are named.
const USUAL_HOOKS: [&str; 5] = [
    "resid_pre",
    "attn_out",
    "resid_mid",
    "mlp_out",
    "resid_post",
];

impl Sae {
    /// The autoencoder in a folder or file, of whatever format: what is in the files decides.
    ///
    /// | format | files |
    /// | --- | --- |
    /// | SAELens, 3 to 6 | `cfg.json`, `sae_weights.safetensors`, `sparsity.safetensors` |
    /// | Gemma Scope, Gemma Scope 2 | `params.npz`, `params.safetensors` |
    /// | dictionary_learning | `ae.pt`, `config.json` |
    /// | sparsify | `sae.safetensors`, `cfg.json` |
    /// | Llama Scope | `hyperparams.json`, `checkpoints/final.safetensors` |
    /// | mats_sae_training | `.pt`, `.pkl`, `.pkl.gz` with a config inside |
    /// | sparse_coding | `<run>.pt`, `<run>.json` |
    /// | Qwen Scope, hook_z, Goodfire, end-to-end, transcoders of circuit-tracer | one file of weights |
    /// | plain weights | `W_enc`, `b_enc`, `W_dec`, `b_dec` in one file |
    ///
    /// Pickles are read without running anything in them. `owner/repository` loads from the Hub.
    ///
    /// # Errors
    /// Nothing is there, or it is damaged or of no known format; the sentence says what is missing.
    ///
    /// ```no_run
    /// use ferrolens::sae::Sae;
    /// let sae = Sae::load("saes/blocks.8.hook_resid_pre")?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(path, SaeLoadOptions::new())
    }

    /// The same, loaded as the options say.
    ///
    /// # Errors
    /// As [`Sae::load`].
    pub fn load_with(path: impl AsRef<Path>, options: SaeLoadOptions) -> Result<Self> {
        let path = path.as_ref();
        let name = path.to_string_lossy();
        load(path, &name, &options).context(|| format!("loading {name}"))
    }

    /// The autoencoder of a release and an id, as SAELens names them, or of a repository on the Hub and a
    /// folder or file in it. [`sae_releases`] lists the names.
    ///
    /// ```no_run
    /// use ferrolens::sae::Sae;
    /// let sae = Sae::from_pretrained("gpt2-small-res-jb", "blocks.8.hook_resid_pre")?;
    /// let other = Sae::from_pretrained("google/gemma-scope-2b-pt-res", "layer_0/width_16k/average_l0_105")?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The release or the id is unknown, or the files cannot be had or are damaged.
    pub fn from_pretrained(release: &str, sae_id: &str) -> Result<Self> {
        Self::from_pretrained_with(release, sae_id, SaeLoadOptions::new())
    }

    /// The same, loaded as the options say.
    ///
    /// # Errors
    /// As [`Sae::from_pretrained`].
    pub fn from_pretrained_with(
        release: &str,
        sae_id: &str,
        options: SaeLoadOptions,
    ) -> Result<Self> {
        releases::load(release, sae_id, &options)
            .context(|| format!("loading {sae_id} of {release}"))
    }

    /// The autoencoders of several hook points, one a file, whose path has `HOOK_GOES_HERE` in the place
    /// of the hook point's name. Of the usual five where none are named, those that are there.
    ///
    /// ```no_run
    /// use ferrolens::sae::Sae;
    /// let path = "saes/final_sparse_autoencoder_gelu-1l_blocks.0.hook_HOOK_GOES_HERE_16384.pt";
    /// let saes = Sae::load_all_hooks(path, &["attn_out", "mlp_out"])?;
    /// let sae = saes.get("attn_out")?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The path has no such place, or a file is missing or damaged.
    pub fn load_all_hooks(path: &str, hooks: &[&str]) -> Result<SaesByHook> {
        Self::load_all_hooks_with(path, hooks, SaeLoadOptions::new())
    }

    /// The same, loaded as the options say.
    ///
    /// # Errors
    /// As [`Sae::load_all_hooks`].
    pub fn load_all_hooks_with(
        path: &str,
        hooks: &[&str],
        options: SaeLoadOptions,
    ) -> Result<SaesByHook> {
        if !path.contains(HOOK_GOES_HERE) {
            return Err(Error::new(format!(
                "the path {path} does not say where the hook point's name goes: write {HOOK_GOES_HERE} \
                 there, as in `final_blocks.0.hook_{HOOK_GOES_HERE}_16384.pt`."
            )));
        }
        let wanted = match hooks {
            [] => &USUAL_HOOKS[..],
            hooks => hooks,
        };
        let mut entries = Vec::new();
        let mut missed = Vec::new();
        for hook in wanted {
            match path_of(path, hook) {
                Ok(found) => {
                    let sae = Self::load_with(&found, options.clone())?;
                    entries.push(((*hook).to_owned(), sae));
                }
                Err(tried) => missed.push(tried),
            }
        }
        match missed.first() {
            Some(first) if !hooks.is_empty() || entries.is_empty() => Err(Error::new(format!(
                "there is no file {first}: name the hook points whose files are there, as in \
                 `&[\"attn_out\"]`."
            ))),
            _ => Ok(SaesByHook::new(entries)),
        }
    }
}

/// The file of a hook point, with `hook_` in front of its name or not, and with other endings.
fn path_of(path: &str, hook: &str) -> Result<String, String> {
    let names = [
        hook.to_owned(),
        format!("hook_{hook}"),
        hook.trim_start_matches("hook_").to_owned(),
    ];
    for name in &names {
        let path = path.replace(HOOK_GOES_HERE, name);
        if Path::new(&path).exists() {
            return Ok(path);
        }
        let stem = mats::stem(&path).unwrap_or(&path).to_owned();
        let other = mats::ENDINGS.iter().map(|ending| format!("{stem}{ending}"));
        if let Some(found) = other.into_iter().find(|path| Path::new(path).exists()) {
            return Ok(found);
        }
    }
    Err(path.replace(HOOK_GOES_HERE, hook))
}

fn load(path: &Path, name: &str, options: &SaeLoadOptions) -> Result<Sae> {
    let draft = match &options.file {
        Some(file) if path.is_dir() => return load_in(&path.join(file), options),
        _ if path.exists() => return load_in(path, options),
        file if is_repository(name) => {
            let inside = file.as_deref().unwrap_or_default();
            recognise::in_repository(name, inside, options.hub())?
        }
        _ => {
            return Err(Error::new(
                "there is no such file or folder. `Sae::from_pretrained(release, id)` loads from the \
                 Hugging Face Hub.",
            ));
        }
    };
    draft.finish(options)
}

fn load_in(path: &Path, options: &SaeLoadOptions) -> Result<Sae> {
    if path.is_dir() {
        return recognise::in_folder(&Source::folder(path))?.finish(options);
    }
    let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else {
        return Err(Error::new("there is no such file or folder."));
    };
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    // Llama Scope's config is beside the folder of its weights.
    let whole = folder.parent().filter(|_| folder.ends_with("checkpoints"));
    if let Some(whole) = whole.filter(|whole| whole.join(llama_scope::CONFIG).is_file()) {
        return recognise::in_folder(&Source::folder(whole))?.finish(options);
    }
    let source = Source::folder(folder);
    recognise::file(&source, &file.to_string_lossy())?.finish(options)
}
