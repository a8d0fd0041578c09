//! What is saved is read back to the same numbers, here and by SAELens.

use super::{load, options};
use crate::golden::{Golden, UNPROCESSED, assert_close, values};
use candle_core::{Device, Tensor};
use ferrolens::sae::{BatchTopK, Gate, JumpRelu, Matryoshka, Nsae, Sae, TopK};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

/// Autoencoders of every kind by name, and whether SAELens has a word for what is written.
fn every_kind() -> Vec<(String, Sae, bool)> {
    let mut kinds = Vec::new();
    for name in [
        "standard",
        "standard_layer_norm",
        "gated",
        "jumprelu",
        "topk",
        "topk_rescaled",
    ] {
        let sae = load(Golden::new(&format!("sae/sae_lens/{name}")).path(""));
        kinds.push((name.to_owned(), sae, true));
    }
    for name in [
        "transcoder",
        "skip_transcoder",
        "jumprelu_transcoder",
        "jumprelu_skip_transcoder",
        "hook_z",
        "constant_norm_rescale",
        "abstopk",
        "matryoshka",
    ] {
        let sae = load(Golden::new(&format!("sae/formats/sae_lens/{name}")).path(""));
        kinds.push((name.to_owned(), sae, true));
    }
    let standard = kinds[0].1.clone();
    let with = |gate: Gate| {
        let mut other = standard.clone();
        other.gate = gate;
        other
    };
    let batch = BatchTopK {
        k: 8.,
        threshold: Some(0.3),
        rescale_by_decoder_norm: false,
    };
    let rescaled = BatchTopK {
        rescale_by_decoder_norm: true,
        ..batch
    };
    let nested = |gate: Gate| {
        Gate::Matryoshka(Matryoshka {
            prefixes: vec![32, 96, 192],
            inner: Box::new(gate),
        })
    };
    let pre = Tensor::full(0.1f32, 32, &Device::Cpu).unwrap();
    let gated = kinds[2].1.clone();
    let mut skips = standard.clone();
    skips.gate = Gate::TopK(TopK::new(8));
    skips.cfg.apply_b_dec_to_input = false;
    let skips = skips.with_skip(Tensor::eye(32, candle_core::DType::F32, &Device::Cpu).unwrap());
    let endless = BatchTopK {
        threshold: None,
        ..batch
    };
    let more = [
        ("batchtopk", with(Gate::BatchTopK(batch)), true),
        ("batchtopk_rescaled", with(Gate::BatchTopK(rescaled)), true),
        ("nested", with(nested(Gate::BatchTopK(batch))), true),
        ("nested_relu", with(nested(Gate::Relu)), true),
        (
            "input_bias",
            standard.clone().with_input_bias(pre.clone()).unwrap(),
            true,
        ),
        (
            "gated_input_bias",
            gated.with_input_bias(pre).unwrap(),
            true,
        ),
        ("nsae", with(Gate::Nsae(Nsae { sigma: 0.1 })), false),
        (
            "batch_decides",
            with(nested(Gate::BatchTopK(endless))),
            false,
        ),
        ("topk_skip", skips.unwrap(), false),
    ];
    kinds.extend(more.map(|(name, sae, known)| (name.to_owned(), sae, known)));
    kinds
}

fn input(sae: &Sae) -> Tensor {
    let small = Golden::new("sae/formats/sae_lens/hook_z").tensors("golden.safetensors");
    match (sae.cfg.d_in, sae.cfg.hook_z) {
        (32, _) => Golden::new("sae").tensors("input.safetensors")["x"].clone(),
        (_, true) => small["x"].clone(),
        _ => small["x"].reshape((2, 5, 8)).unwrap(),
    }
}

#[test]
fn every_kind_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sae, _) in every_kind() {
        let path = sae.save(folder.path().join(&name)).unwrap();
        let back = Sae::load_with(&path, options()).unwrap();
        assert_eq!(back.load_warnings(), Vec::<String>::new(), "{name}");
        let x = input(&sae);
        let (ours, theirs) = (sae.encode(&x).unwrap(), back.encode(&x).unwrap());
        assert_close(&name, &theirs, &ours, 1e-5);
        assert!(values(&ours).iter().any(|value| *value != 0.), "{name}");
        let (ours, theirs) = (sae.forward(&x).unwrap(), back.forward(&x).unwrap());
        assert_close(&name, &theirs, &ours, 1e-5);
        assert_eq!(back.cfg.hook_name, sae.cfg.hook_name, "{name}");
        assert_eq!(back.cfg.hook_name_out, sae.cfg.hook_name_out, "{name}");
        assert_eq!(back.cfg.model_name, sae.cfg.model_name, "{name}");
        let matryoshka = |sae: &Sae| match &sae.gate {
            Gate::Matryoshka(gate) => Some(gate.prefixes.clone()),
            _ => None,
        };
        assert_eq!(matryoshka(&back), matryoshka(&sae), "{name}");
    }
    // Own words keep the gate itself.
    let back = Sae::load_with(folder.path().join("nsae"), options()).unwrap();
    assert!(matches!(back.gate, Gate::Nsae(gate) if gate.sigma == 0.1));
}

#[test]
fn sparsity_and_what_else_was_said_come_back() {
    let golden = Golden::new("sae/sae_lens_legacy/blocks.1.hook_resid_pre");
    let sae = load(golden.path(""));
    let folder = tempfile::tempdir().unwrap();
    let back = load(sae.save(folder.path()).unwrap());
    let (ours, theirs) = (sae.log_sparsity.unwrap(), back.log_sparsity.unwrap());
    assert_close("sparsity", &theirs, &ours, 0.);
    let dataset = &back.cfg.metadata["dataset_path"];
    assert_eq!(dataset, "Skylion007/openwebtext");
    let left = std::fs::read_dir(folder.path()).unwrap().flatten();
    let mut left: Vec<_> = left.map(|file| file.file_name()).collect();
    left.sort();
    assert_eq!(
        left,
        [
            "cfg.json",
            "sae_weights.safetensors",
            "sparsity.safetensors"
        ]
    );
}

#[test]
fn a_place_that_cannot_be_written_is_a_sentence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let sae = load(Golden::new("sae/sae_lens/standard").path(""));
    let message = sae
        .save(file.path().join("inside"))
        .unwrap_err()
        .to_string();
    assert!(message.starts_with("saving sae_"), "{message}");
    let mut odd = sae.clone();
    odd.gate = Gate::JumpRelu(JumpRelu {
        threshold: odd.b_dec.clone(),
    });
    let message = odd.save(file.path()).unwrap_err().to_string();
    assert!(message.contains("`threshold`"), "{message}");
}

/// What SAELens makes of folders: their names with `x` in, activations and reconstructions out.
const READER: &str = r#"
import sys, torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE
root = sys.argv[1]
out = {}
for name in sys.argv[2:]:
    x = load_file(f"{root}/{name}/x.safetensors")["x"]
    sae = SAE.load_from_disk(f"{root}/{name}")
    with torch.no_grad():
        out[f"{name}/acts"] = sae.encode(x).contiguous()
        out[f"{name}/recon"] = sae(x).contiguous()
save_file(out, f"{root}/out.safetensors")
"#;

#[test]
fn sae_lens_reads_what_is_saved() {
    let Some(python) = std::env::var_os("FERROLENS_SAELENS_PYTHON") else {
        eprintln!(
            "not run: set FERROLENS_SAELENS_PYTHON to a Python that has sae-lens 6.54 to compare"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let known = every_kind().into_iter().filter(|(.., known)| *known);
    let known: Vec<(String, Sae, bool)> = known.collect();
    for (name, sae, _) in &known {
        let path: PathBuf = sae.save(folder.path().join(name)).unwrap();
        let x = HashMap::from([("x", input(sae))]);
        candle_core::safetensors::save(&x, path.join("x.safetensors")).unwrap();
    }
    let output = Command::new(python)
        .args(["-c", READER])
        .arg(folder.path())
        .args(known.iter().map(|(name, ..)| name))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    let path = folder.path().join("out.safetensors");
    let theirs = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    for (name, sae, _) in known {
        let x = input(&sae);
        let acts = sae.encode(&x).unwrap();
        assert_close(&name, &theirs[&format!("{name}/acts")], &acts, UNPROCESSED);
        let recon = sae.forward(&x).unwrap();
        assert_close(
            &name,
            &theirs[&format!("{name}/recon")],
            &recon,
            UNPROCESSED,
        );
    }
}
