//! All releases.

mod listed;

use super::canonical::Run;

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
pub(super) enum Ids {
    /// Behind this.
    Under(&'static str),
    /// By the first of these patterns that fits: of ids, and of paths.
    Patterns(Vec<(String, String)>),
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

impl Release {
    /// The same, of which this is true.
    fn with(mut self, quirk: Quirk) -> Self {
        self.quirk = quirk;
        self
    }
}

/// Every release, in alphabetical order.
pub(super) fn all() -> Vec<Release> {
    let mut all = listed::all();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
