//! All releases.

mod listed;

use super::canonical::Run;
use listed::listed;

/// A set of autoencoders in one repository.
pub(super) struct Release {
    pub(super) name: String,
    pub(super) repository: String,
    pub(super) kind: Kind,
    pub(super) ids: Ids,
    pub(super) quirk: Quirk,
}

/// What a path leads to.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A folder with this file of weights.
    Folder(&'static str),
    /// A file of weights.
    File,
    /// The number of a layer.
    CrossLayer,
}

/// How ids become paths.
#[derive(Clone, Copy)]
pub(super) enum Ids {
    /// Behind this.
    Under(&'static str),
    /// By the first of these patterns that fits: of ids, and of paths.
    Patterns(&'static [(&'static str, &'static str)]),
    /// `layer_{}/width_{}k/canonical`, by the L0 of each.
    Canonical(&'static [Run]),
}

/// What is true of a release and not said by its files.
#[derive(Clone, Copy)]
pub(super) enum Quirk {
    None,
    /// Inputs are scaled to a norm of `sqrt(d_in)`.
    ConstantNorm,
    /// Activations were multiplied by this in training.
    Scaled(fn(&str) -> Option<f64>),
    /// The model was loaded with `center_writing_weights`.
    CentredWriting,
}

/// Combinations of [`gemma_scope_2`] that were never released.
const NOT_RELEASED: [&str; 5] = [
    "gemma-scope-2-27b-pt-att",
    "gemma-scope-2-27b-pt-att-all",
    "gemma-scope-2-27b-pt-mlp",
    "gemma-scope-2-27b-pt-mlp-all",
    "gemma-scope-2-27b-pt-transcoders",
];

/// Every release, in alphabetical order.
pub(super) fn all() -> Vec<Release> {
    let mut all = gemma_scope_2();
    all.extend(listed());
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Gemma Scope 2: five sizes, two models each, four places, some layers in detail or all of them.
fn gemma_scope_2() -> Vec<Release> {
    const PLACES: [(&str, &str, &str); 4] = [
        ("res", "resid_post/", "resid_post_all/"),
        ("mlp", "mlp_out/", "mlp_out_all/"),
        ("att", "attn_out/", "attn_out_all/"),
        // The ids of these have the folder in them.
        ("transcoders", "", "transcoder_all/"),
    ];
    let mut releases = Vec::new();
    for size in ["270m", "1b", "4b", "12b", "27b"] {
        for model in ["pt", "it"] {
            let repository = format!("google/gemma-scope-2-{size}-{model}");
            for (place, some, every) in PLACES {
                for (ending, folder) in [("", some), ("-all", every)] {
                    let name = format!("gemma-scope-2-{size}-{model}-{place}{ending}");
                    if NOT_RELEASED.contains(&name.as_str()) {
                        continue;
                    }
                    releases.push(Release {
                        name,
                        repository: repository.clone(),
                        kind: Kind::Folder(super::super::gemma_scope_2::WEIGHTS),
                        ids: Ids::Under(folder),
                        quirk: Quirk::None,
                    });
                }
            }
        }
    }
    releases
}
