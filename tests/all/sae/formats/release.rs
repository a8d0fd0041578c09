//! Releases by name, from a Hub on this machine and then from the cache alone.

use super::options;
use crate::golden::{Golden, assert_close};
use crate::model::hub::in_processes;
use ferrolens::sae::{Sae, sae_releases};
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().flatten() {
        if file.path().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

fn message(release: &str, id: &str) -> String {
    let loaded = Sae::from_pretrained_with(release, id, options());
    loaded.unwrap_err().to_string()
}

#[test]
fn gpt2_small_res_jb() {
    const HOOK: &str = "blocks.8.hook_resid_pre";
    let golden = Golden::new("sae/sae_lens_legacy/blocks.1.hook_resid_pre");
    let folder = tempfile::tempdir().unwrap();
    let scope = "sae/formats/gemma_scope/google/gemma-scope-2b-pt-res";
    let repositories = || {
        copy(&golden.path(""), &folder.path().join(HOOK));
        vec![
            (
                "jbloom/GPT2-Small-SAEs-Reformatted",
                folder.path().to_owned(),
            ),
            ("google/gemma-scope-2b-pt-res", Golden::new(scope).path("")),
        ]
    };
    if in_processes("sae::formats::release::gpt2_small_res_jb", repositories) {
        return;
    }
    let reference = super::load(golden.path(""));
    let names = ["gpt2-small-res-jb", "jbloom/GPT2-Small-SAEs-Reformatted"];
    for release in names {
        let sae = Sae::from_pretrained_with(release, HOOK, options()).unwrap();
        assert_close("W_enc", &sae.W_enc, &reference.W_enc, 0.);
        let sparsity = sae.log_sparsity.as_ref().unwrap();
        assert_close(
            "sparsity",
            sparsity,
            reference.log_sparsity.as_ref().unwrap(),
            0.,
        );
        assert_eq!(sae.load_warnings(), Vec::<String>::new());
    }
    let sae = Sae::from_pretrained_with(names[0], HOOK, options()).unwrap();
    let kwargs = &sae.cfg.metadata["model_from_pretrained_kwargs"];
    assert_eq!(kwargs["center_writing_weights"], true);
    let option = options().file(HOOK);
    let sae = Sae::load_with("jbloom/GPT2-Small-SAEs-Reformatted", option).unwrap();
    assert_close("W_enc", &sae.W_enc, &reference.W_enc, 0.);
    // A folder without a config, by the release and by the repository.
    for release in ["gemma-scope-2b-pt-res", "google/gemma-scope-2b-pt-res"] {
        let id = "embedding/width_4k/average_l0_6";
        let sae = Sae::from_pretrained_with(release, id, options()).unwrap();
        assert_eq!(sae.cfg.hook_name.as_deref(), Some("hook_embed"));
        assert_eq!(sae.cfg.model_name.as_deref(), Some("gemma-2-2b"));
    }
    let absent = message("gpt2-small-res-jb", "blocks.3.hook_resid_pre");
    assert!(
        absent.contains("cfg.json of jbloom/GPT2") && absent.contains(&format!("`{HOOK}`")),
        "{absent}"
    );
}

/// Ids that are files, the number of a layer, or of autoencoders of which only the list says a scale.
#[test]
fn releases_of_other_shapes() {
    let formats = |name: &str| Golden::new(&format!("sae/formats/{name}"));
    let folder = tempfile::tempdir().unwrap();
    let legacy = formats("sae_lens/legacy_scaled");
    let repositories = || {
        let inside = folder
            .path()
            .join("gemma_2b_blocks.12.hook_resid_post_16384");
        copy(&legacy.path(""), &inside);
        // Nothing in these files says by what activations were multiplied.
        let text = std::fs::read_to_string(inside.join("cfg.json")).unwrap();
        let text = text.replace("norm_scaling_factor", "seed");
        std::fs::write(inside.join("cfg.json"), text).unwrap();
        vec![
            (
                "mwhanna/qwen3-4b-transcoders",
                formats("transcoders/mwhanna/qwen3-tiny-transcoders").path(""),
            ),
            (
                "mntss/clt-gemma-2-2b-2.5M",
                formats("transcoders/mntss/clt-tiny").path(""),
            ),
            (
                "jbloom/Gemma-2b-Residual-Stream-SAEs",
                folder.path().to_owned(),
            ),
        ]
    };
    let test = "sae::formats::release::releases_of_other_shapes";
    if in_processes(test, repositories) {
        return;
    }
    let load = |release: &str, id: &str| Sae::from_pretrained_with(release, id, options());
    let sae = load("mwhanna-qwen3-4b-transcoders", "layer_2").unwrap();
    assert_eq!(sae.cfg.hook_name.as_deref(), Some("blocks.2.mlp.hook_in"));
    let sae = load("mntss-gemma-2-2b-2.5m-clt-as-per-layer", "layer_3").unwrap();
    let hook = sae.cfg.hook_name.as_deref();
    assert_eq!(hook, Some("blocks.3.hook_resid_mid"));
    let sae = load("gemma-2b-res-jb", "blocks.12.hook_resid_post").unwrap();
    let stored = &legacy.tensors("sae_weights.safetensors")["W_enc"];
    let scaled = (stored * 0.213_819_383_993_172_55).unwrap();
    assert_close("W_enc", &sae.W_enc, &scaled, 1e-6);
    assert_eq!(sae.load_warnings(), Vec::<String>::new());
    // The repository's own name does not say which release it is.
    let path = "gemma_2b_blocks.12.hook_resid_post_16384";
    let sae = load("jbloom/Gemma-2b-Residual-Stream-SAEs", path).unwrap();
    let warnings = sae.load_warnings().join("\n");
    assert!(warnings.contains("`gemma-2b-res-jb`"), "{warnings}");
    assert!(warnings.contains("norm_scaling_factor"), "{warnings}");
    let absent = message("mwhanna-qwen3-4b-transcoders", "layer_1");
    assert!(
        absent.contains("layer_1.safetensors") && absent.contains("`layer_2.safetensors`"),
        "{absent}"
    );
}

#[test]
fn unknown_names_list_the_nearest() {
    let text = message("gpt2-smal-res-jb", "blocks.8.hook_resid_pre");
    assert!(
        text.contains("`gpt2-small-res-jb`") && text.contains("sae_releases()"),
        "{text}"
    );
    let text = message("gpt2-small-res-jb", "blocks.8.hook_resid_prey");
    assert!(text.contains("blocks.{}.hook_resid_pre"), "{text}");
    let text = message(
        "gemma-scope-2b-pt-res-canonical",
        "layer_25/width_16/canonical",
    );
    assert!(text.contains("`layer_25/width_16k/canonical`"), "{text}");
    let text = message("temporal-sae-gemma-2-2b", "blocks.12.hook_resid_post");
    assert!(text.contains("not supported"), "{text}");
    assert!(sae_releases().contains(&"gemma-scope-2b-pt-res".to_owned()));
}
