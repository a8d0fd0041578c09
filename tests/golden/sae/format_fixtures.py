"""Small autoencoders in every format that `tests/golden/sae/formats` holds, with what SAELens makes of them.

Run with a Python that has sae-lens 6.54 and torch. d_in 8, d_sae 16; each folder gets a
`golden.safetensors` with `x`, `feature_acts` and `recon`.

Where SAELens has no reader, or its reader fixes the sizes of the published models, or does other than the
library whose format it is (sparsify), the numbers come from that library's formula, written out here.
"""

import json
import pathlib
import shutil
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file

import sae_lens.loading.pretrained_sae_loaders as loaders
from sae_lens import SAE
from sae_lens.registry import get_sae_class, get_sae_training_class

HERE = pathlib.Path(__file__).parent / "formats"
D_IN, D_SAE = 8, 16
generator = torch.Generator().manual_seed(4004)


def randn(*shape, scale=1.0):
    return (torch.randn(*shape, generator=generator) * scale).contiguous()


def weights(d_out=D_IN):
    return {
        "W_enc": randn(D_IN, D_SAE, scale=0.5),
        "b_enc": randn(D_SAE, scale=0.3),
        "W_dec": randn(D_SAE, d_out, scale=0.4),
        "b_dec": randn(d_out, scale=0.2),
    }


X = randn(2, 5, D_IN)


def folder(name):
    path = HERE / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def golden(path, feature_acts, recon, x=X):
    values = {"x": x, "feature_acts": feature_acts, "recon": recon}
    save_file({k: v.detach().float().contiguous() for k, v in values.items()}, path / "golden.safetensors")


def run(path, sae, x=X):
    with torch.no_grad():
        golden(path, sae.encode(x), sae(x), x)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


# ---- SAELens's own format

def sae_lens_kinds():
    def make(name, architecture, extra_weights=None, x=X, d_out=None, **cfg):
        sae_class, cfg_class = get_sae_class(architecture)
        about = {"metadata": {"hook_name": "blocks.1.hook_mlp_in", "model_name": "tiny"}}
        if d_out:
            cfg = {"d_out": d_out, "apply_b_dec_to_input": False, **cfg}
            about["metadata"]["hook_name_out"] = "blocks.1.hook_mlp_out"
        if cfg.get("reshape_activations") == "hook_z":
            about["metadata"]["hook_name"] = "blocks.1.attn.hook_z"
        config = cfg_class.from_dict({"d_in": D_IN, "d_sae": D_SAE, "architecture": architecture, **about, **cfg})
        sae = sae_class(config)
        state = {**weights(d_out or D_IN), **(extra_weights or {})}
        sae.load_state_dict({k: state[k] for k in sae.state_dict()})
        path = folder(f"sae_lens/{name}")
        sae.save_model(path)
        run(path, SAE.load_from_disk(path), x)

    make("transcoder", "transcoder", d_out=6)
    make("skip_transcoder", "skip_transcoder", {"W_skip": randn(6, D_IN)}, d_out=6)
    make("jumprelu_transcoder", "jumprelu_transcoder", {"threshold": randn(D_SAE).abs()}, d_out=6)
    make("jumprelu_skip_transcoder", "jumprelu_skip_transcoder", {"threshold": randn(D_SAE).abs(), "W_skip": randn(6, D_IN)}, d_out=6)
    make("hook_z", "standard", x=X.reshape(2, 5, 2, 4), reshape_activations="hook_z")
    make("constant_norm_rescale", "standard", normalize_activations="constant_norm_rescale")
    make("abstopk", "abstopk", k=4)

    # Trained as Matryoshka, saved as SAELens saves it for inference.
    sae_class, cfg_class = get_sae_training_class("matryoshka_batchtopk")
    sae = sae_class(cfg_class(d_in=D_IN, d_sae=D_SAE, k=3, matryoshka_widths=[4, 8, 16]))
    state = sae.state_dict()
    state.update(weights(), topk_threshold=torch.tensor(0.4, dtype=torch.double))
    sae.load_state_dict(state)
    path = folder("sae_lens/matryoshka")
    sae.save_inference_model(path)
    run(path, SAE.load_from_disk(path))

    # Older configs, written by hand.
    def legacy(name, config, state):
        path = folder(f"sae_lens/{name}")
        write_json(path / "cfg.json", {"d_in": D_IN, "d_sae": D_SAE, "dtype": "torch.float32", "device": "cpu", "model_name": "tiny", "hook_point": "blocks.0.hook_resid_pre", "hook_point_layer": 0, "hook_point_head_index": None, "prepend_bos": True, "context_size": 128, **config})
        save_file(state, path / "sae_weights.safetensors")
        return path

    state = weights()
    path = legacy("legacy_topk", {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}, "sae_lens_training_version": "3.14.0"}, state)
    run(path, SAE.load_from_disk(path))
    state = weights() | {"log_threshold": randn(D_SAE, scale=0.5)}
    path = legacy("legacy_jumprelu", {"architecture": "jumprelu", "activation_fn_str": "relu", "apply_b_dec_to_input": False, "normalize_activations": None}, state)
    # Only SAELens's training class reads these.
    pre = X @ state["W_enc"] + state["b_enc"]
    acts = torch.relu(pre) * (pre > state["log_threshold"].exp())
    golden(path, acts, acts @ state["W_dec"] + state["b_dec"])
    state = weights()
    path = legacy("legacy_scaled", {"normalize_activations": True, "norm_scaling_factor": 1.75}, state)
    sae = SAE.load_from_disk(path)
    sae.fold_activation_norm_scaling_factor(1.75)
    run(path, sae)
    # SAELens 6 reads neither of these two; 3 to 5 computed so.
    state = weights() | {"scaling_factor": randn(D_SAE).abs()}
    path = legacy("legacy_finetuned", {"finetuning_scaling_factor": True}, state)
    acts = torch.relu((X - state["b_dec"]) @ state["W_enc"] + state["b_enc"])
    golden(path, acts, (acts * state["scaling_factor"]) @ state["W_dec"] + state["b_dec"])
    state = weights()
    path = legacy("legacy_tanh", {"activation_fn_str": "tanh-relu", "apply_b_dec_to_input": True}, state)
    acts = torch.tanh(torch.relu((X - state["b_dec"]) @ state["W_enc"] + state["b_enc"]))
    golden(path, acts, acts @ state["W_dec"] + state["b_dec"])


# ---- Formats that SAELens converts: it is given these folders for the Hub

def converted(name, repository, inside, loader, factor=None):
    """Runs what SAELens makes of a folder of a repository, and writes golden.safetensors beside its files."""
    root = HERE / name

    def download(repo_id, filename, subfolder=None, **_):
        path = root / repo_id / (subfolder or "") / filename
        if not path.exists():
            raise loaders.EntryNotFoundError(str(path), mock.Mock())
        return str(path)

    def shapes(repo_id, filename):
        from safetensors import safe_open

        with safe_open(root / repo_id / filename, "pt") as file:
            return {key: file.get_slice(key).get_shape() for key in file.keys()}

    with mock.patch.object(loaders, "hf_hub_download", download), \
            mock.patch.object(loaders, "get_safetensors_tensor_shapes", shapes), \
            mock.patch("sae_lens.saes.sae.get_norm_scaling_factor", lambda *_: factor):
        sae = SAE.from_pretrained(repository, inside, converter=loaders.NAMED_PRETRAINED_SAE_LOADERS[loader])
    place = root / repository / inside
    run(place if place.is_dir() else place.parent, sae)


def hub(name, repository, inside=""):
    return folder(f"{name}/{repository}/{inside}")


def module(state):
    """Weights as linear maps of torch store them."""
    return {"encoder.weight": state["W_enc"].T.contiguous(), "decoder.weight": state["W_dec"].T.contiguous()}


def dictionary_learning():
    def make(name, dict_class, tensors, trainer=None):
        path = hub("dictionary_learning", "me/lm_sae", name)
        config = {"trainer": {"dict_class": dict_class, "activation_dim": D_IN, "dict_size": D_SAE, "layer": 3, "lm_name": "EleutherAI/pythia-70m", "lr": 1e-3, **(trainer or {})}, "buffer": {"ctx_len": 128}}
        write_json(path / "config.json", config)
        torch.save(tensors, path / "ae.pt")
        return path

    w = weights()
    make("gated", "GatedAutoEncoder", {**module(w), "decoder_bias": w["b_dec"], "r_mag": randn(D_SAE, scale=0.3), "gate_bias": randn(D_SAE, scale=0.3), "mag_bias": randn(D_SAE, scale=0.3)})
    w = weights()
    make("topk", "AutoEncoderTopK", {**module(w), "encoder.bias": w["b_enc"], "b_dec": w["b_dec"], "k": torch.tensor(3), "threshold": torch.tensor(0.5)}, {"k": 3})
    w = weights()
    make("batch_topk", "BatchTopKSAE", {**module(w), "encoder.bias": w["b_enc"], "b_dec": w["b_dec"], "k": torch.tensor(3), "threshold": torch.tensor(0.5)})
    w = weights()
    make("matryoshka", "MatryoshkaBatchTopKSAE", {**w, "k": torch.tensor(3), "threshold": torch.tensor(0.45), "group_sizes": torch.tensor([4, 4, 8]), "active_groups": torch.tensor(3)}, {"k": 3})
    w = weights()
    make("jumprelu", "JumpReluAutoEncoder", {**w, "threshold": randn(D_SAE).abs()})
    for name in ["gated", "topk", "batch_topk", "matryoshka", "jumprelu"]:
        converted("dictionary_learning", "me/lm_sae", name, "dictionary_learning_1")
    w = weights()
    path = make("new", "AutoEncoderNew", {**module(w), "encoder.bias": w["b_enc"], "decoder.bias": w["b_dec"]})
    acts = torch.relu(X @ w["W_enc"] + w["b_enc"])
    golden(path, acts, acts @ w["W_dec"] + w["b_dec"])


def gemma():
    for name, inside in [("transcoders", "layer_4/width_16k/average_l0_9"), ("res", "embedding/width_4k/average_l0_6")]:
        repository = f"google/gemma-scope-2b-pt-{name}"
        path = hub("gemma_scope", repository, inside)
        arrays = {k: v.numpy() for k, v in (weights() | {"threshold": randn(D_SAE).abs()}).items()}
        # Deflated, which the first ones are not.
        np.savez_compressed(path / "params.npz", **arrays)
        loader = {"transcoders": "gemma_2_transcoder", "res": "gemma_2"}[name]
        # SAELens takes sizes from the path, and those of the published ones.
        sizes = {"d_in": D_IN, "d_sae": D_SAE, **({"d_out": D_IN} if name == "transcoders" else {})}
        with mock.patch("sae_lens.saes.sae.get_config_overrides", lambda *_: dict(sizes)):
            converted("gemma_scope", repository, inside, loader)
    repository = "google/gemma-scope-2-1b-it"
    for inside, skip in [("resid_post/layer_7_width_16k_l0_medium", False), ("transcoder_all/layer_3_width_16k_l0_big_affine", True)]:
        path = hub("gemma_scope_2", repository, inside)
        w = weights()
        tensors = {"w_enc": w["W_enc"], "w_dec": w["W_dec"], "b_enc": w["b_enc"], "b_dec": w["b_dec"], "threshold": randn(D_SAE).abs()}
        if skip:
            tensors["affine_skip_connection"] = randn(D_IN, D_IN)
            write_json(path / "config.json", {"architecture": "jump_relu", "model_name": "gemma-v3-1b-it", "hf_hook_point_in": "model.layers.3.pre_feedforward_layernorm.output", "hf_hook_point_out": "model.layers.3.post_feedforward_layernorm.output", "width": 16, "l0": 5, "affine_connection": True, "type": "transcoder"})
        save_file(tensors, path / "params.safetensors")
        converted("gemma_scope_2", repository, inside, "gemma_3")


def llama_scope():
    w = weights()
    inside = "Llama3_1-8B-Base-L5R-8x"
    path = hub("llama_scope", "fnlp/Llama3_1-8B-Base-LXR-8x", inside)
    (path / "checkpoints").mkdir(exist_ok=True)
    hyperparams = {"hook_point_in": "blocks.5.hook_resid_post", "hook_point_out": "blocks.5.hook_resid_post", "d_model": D_IN, "d_sae": D_SAE, "expansion_factor": 2, "dtype": "torch.float32", "act_fn": "jumprelu", "jump_relu_threshold": 0.11, "norm_activation": "dataset-wise", "dataset_average_activation_norm": {"in": 1.9, "out": 1.9}, "top_k": 50}
    write_json(path / "hyperparams.json", hyperparams)
    tensors = {**module(w), "encoder.bias": w["b_enc"], "decoder.bias": w["b_dec"]}
    save_file(tensors, path / "checkpoints/final.safetensors")
    converted("llama_scope", "fnlp/Llama3_1-8B-Base-LXR-8x", inside, "llama_scope", D_IN**0.5 / 1.9)
    w = weights()
    inside = "800M-Slimpajama-0-OpenR1-Math-220k/L5R"
    path = hub("llama_scope", "fnlp/Llama-Scope-R1-Distill", inside)
    write_json(path / "config.json", {"hook_point_in": "blocks.5.hook_resid_post", "d_model": D_IN, "expansion_factor": 2, "act_fn": "jumprelu", "sae_type": "sae", "dataset_average_activation_norm": {"blocks.5.hook_resid_post": 2.0, "in": 2.0}})
    tensors = {**module(w), "encoder.bias": w["b_enc"], "decoder.bias": w["b_dec"], "log_jumprelu_threshold": randn(D_SAE, scale=0.5)}
    save_file(tensors, path / "sae_weights.safetensors")
    converted("llama_scope", "fnlp/Llama-Scope-R1-Distill", inside, "llama_scope_r1_distill", D_IN**0.5 / 2.0)


def attention():
    repository = "ckkissane/attn-saes"
    path = hub("attention", repository)
    run_name = "gpt2-small_L1_Hcat_z_v5"
    torch.save(weights(), path / f"{run_name}.pt")
    write_json(path / f"{run_name}_cfg.json", {"act_size": D_IN, "dict_size": D_SAE, "act_name": "blocks.1.attn.hook_z", "seed": 49, "l1_coeff": 1.8, "lr": 1.2e-3, "site": "z", "layer": 1, "head": "cat"})
    root = HERE / "attention"
    with mock.patch.object(loaders, "hf_hub_download", lambda repo_id, filename=None, **_: str(root / repo_id / filename)):
        sae = SAE.from_pretrained(repository, f"{run_name}.pt", converter=loaders.NAMED_PRETRAINED_SAE_LOADERS["connor_rob_hook_z"])
    run(path, sae, X.reshape(2, 5, 2, 4))


def transcoders():
    repository = "mwhanna/qwen3-tiny-transcoders"
    path = hub("transcoders", repository)
    w = weights()
    save_file({**w, "W_enc": w["W_enc"].T.contiguous()}, path / "layer_2.safetensors")
    (path / "config.yaml").write_text('model_name: "Qwen/Qwen3-tiny"\nfeature_input_hook: "mlp.hook_in"\nfeature_output_hook: "hook_mlp_out"\n')
    (path / "wandb-config.yaml").write_text(f"d_model:\n    value: {D_IN}\nd_feature:\n    value: {D_SAE}\nbatch_size:\n    value: 64\n")
    converted("transcoders", repository, "layer_2.safetensors", "mwhanna_transcoder")
    repository = "mntss/clt-tiny"
    path = hub("transcoders", repository)
    w = weights()
    save_file({"W_enc_3": w["W_enc"].T.contiguous(), "b_enc_3": w["b_enc"], "b_dec_3": w["b_dec"]}, path / "W_enc_3.safetensors")
    save_file({"W_dec_3": randn(D_SAE, 2, D_IN, scale=0.3)}, path / "W_dec_3.safetensors")
    (path / "config.yaml").write_text("model_name: tiny\nfeature_input_hook: hook_resid_mid\nfeature_output_hook: hook_mlp_out\n")
    converted("transcoders", repository, "3", "mntss_clt_layer_transcoder")


# ---- Formats by their own formula

def sparsify():
    """github.com/EleutherAI/sparsify, sparse_coder.py: the decoder is stored as [num_latents, d_in]."""
    def top(pre, k):
        values, at = pre.topk(k, dim=-1)
        return torch.zeros_like(pre).scatter(-1, at, values)

    for name, transcode, skip in [("layers.5", False, False), ("layers.3.mlp", True, True)]:
        path = folder(f"sparsify/{name}")
        w = weights()
        tensors = {"encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"], "W_dec": w["W_dec"], "b_dec": w["b_dec"]}
        if skip:
            tensors["W_skip"] = randn(D_IN, D_IN)
        save_file(tensors, path / "sae.safetensors")
        write_json(path / "cfg.json", {"activation": "topk", "expansion_factor": 2, "normalize_decoder": True, "num_latents": 0, "k": 4, "multi_topk": False, "skip_connection": skip, "transcode": transcode, "d_in": D_IN})
        x = X if transcode else X - w["b_dec"]
        acts = top(torch.relu(x @ w["W_enc"] + w["b_enc"]), 4)
        recon = acts @ w["W_dec"] + w["b_dec"]
        golden(path, acts, recon + X @ tensors["W_skip"].mT if skip else recon)


def linear():
    """Goodfire's, and those of e2e_sae, whose decoder columns are scaled to norm 1 when it runs."""
    w = weights()
    path = folder("linear/goodfire")
    maps = module(w)
    torch.save({"encoder_linear.weight": maps["encoder.weight"], "encoder_linear.bias": w["b_enc"], "decoder_linear.weight": maps["decoder.weight"], "decoder_linear.bias": w["b_dec"]}, path / "Llama-3.1-8B-Instruct-SAE-l19.pth")
    acts = torch.relu(X @ w["W_enc"] + w["b_enc"])
    golden(path, acts, acts @ w["W_dec"] + w["b_dec"])
    w = weights()
    path = folder("linear/end_to_end")
    maps = module(w)
    front = "blocks-6-hook_resid_pre"
    torch.save({f"{front}.encoder.0.weight": maps["encoder.weight"], f"{front}.encoder.0.bias": w["b_enc"], f"{front}.decoder.weight": maps["decoder.weight"], f"{front}.decoder.bias": w["b_dec"]}, path / "samples_400000.pt")
    acts = torch.relu(X @ w["W_enc"] + w["b_enc"])
    golden(path, acts, acts @ torch.nn.functional.normalize(w["W_dec"], dim=1) + w["b_dec"])


def qwen_scope():
    w = weights()
    path = folder("qwen_scope/SAE-Res-Qwen3-1.7B-Base-W32K-L0_3")
    torch.save({**w, "W_enc": w["W_enc"].T.contiguous(), "W_dec": w["W_dec"].T.contiguous()}, path / "layer7.sae.pt")
    sae_class, cfg_class = get_sae_class("topk")
    sae = sae_class(cfg_class(d_in=D_IN, d_sae=D_SAE, k=3, apply_b_dec_to_input=False))
    sae.load_state_dict(w)
    run(path, sae)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    for record in [sae_lens_kinds, dictionary_learning, gemma, llama_scope, attention, transcoders, sparsify, linear, qwen_scope]:
        record()
        print(record.__name__)


if __name__ == "__main__":
    main()
