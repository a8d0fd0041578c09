//! What if the model had computed something else? Interventions: values that say what happens to an
//! activation, and where. An [`Intervention`] goes wherever hooks go.
//!
//! ```
//! use ferrolens::{intervene::Intervention, model::HookedTransformer};
//! let model = HookedTransformer::from_pretrained("stories-2l")?;
//! let prompt = "Once upon a time";
//! let no_mlp = Intervention::zero("blocks.0.hook_mlp_out").at(-2);
//! let no_head = Intervention::zero("blocks.1.attn.hook_z").heads(3);
//!
//! let clean = model.run(prompt).loss()?;
//! let one = model.run(prompt).hooks(&no_mlp).loss()?;
//! let both = model.run(prompt).hooks(no_mlp.and(&no_head)).loss()?; // in this order
//! # assert!(clean != one && one != both);
//! # Ok::<(), ferrolens::Error>(())
//! ```
//!
//! | I want to… | use |
//! | --- | --- |
//! | switch off an activation, a head, a neuron | [`Intervention::zero`]`(point)`, with `.heads(3)` or `.neurons([7, 9])` |
//! | put its mean, or any value, in its place | [`Intervention::mean`]`(point, &cache)`, [`Intervention::replace`]`(point, &value)` |
//! | put in its place what other prompts gave | [`Intervention::resample`]`(point, &cache, seed)` |
//! | patch it from another run | [`Intervention::patch`]`(point, &cache)`, from other positions [`Intervention::patch_from`] |
//! | make it larger or smaller | [`Intervention::scale`]`(point, 2.)` |
//! | steer by a direction | [`Intervention::steer`]`(point, &direction, 4.)`, or a [`Strength`] |
//! | remove a direction or a subspace | [`Intervention::project_out`]`(point, &directions)` |
//! | do any of these to a direction only | `.along(&directions)?` |
//! | remove what latents of an autoencoder write | [`Intervention::remove_latents`]`(&sae, [7, 9], `[`Removal`]`::AtOnce)` |
//! | set latents, or scale them | [`Intervention::set_latents`]`(&sae, 7, 0., `[`ErrorTerm`]`::Kept)`, [`Intervention::scale_latents`] |
//! | put the reconstruction in the activation's place | [`Intervention::reconstruct`]`(&sae, ErrorTerm::Dropped)` |
//! | keep the norm as it was, or give it another | `.restoring(`[`Restore`]`::CleanNorm)`, [`Intervention::restore`] |
//! | do it at some positions, or in some prompts of a batch | `.at(-1)`, `.at([0, 3])`, `.at(3..)`, `.rows(0)` |
//! | do several things, in order | `a.and(&b)`, `Hooks::new().and(&a).and(&b)` |
//!
//! Positions count in what the hook sees: text that a model generates is run as a whole under hooks.

mod edit;
mod fixed;
mod indices;
mod intervention;
mod latents;
mod patch;
mod place;
mod resample;
mod restore;
mod source;
mod steer;
mod subspace;

pub use indices::Indices;
pub use intervention::Intervention;
pub use latents::{ErrorTerm, LatentValues, Latents, Removal};
pub use restore::Restore;
pub use source::Source;
pub use steer::Strength;
