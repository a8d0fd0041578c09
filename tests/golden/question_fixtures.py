#!/usr/bin/env python3
"""What TransformerLens answers to the questions of everyday work, for models whose folders are there already.

Run:  HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 python question_fixtures.py
Writes tl_questions.safetensors and tl_questions.json into golden/gpt2 and golden/llama beside this file, and needs
make_fixtures.py and more_fixtures.py beside it.
"""
import os
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import more_fixtures as more
from more_fixtures import *
import transformer_lens.utilities as utilities

torch.set_grad_enabled(False)

def decompositions(m, toks, out, info):
    """project_output_onto and neuron_slice, with and without the norm, at one position and at all."""
    _, cache = m.run_with_cache(toks)
    g = torch.Generator().manual_seed(5)
    one, three = torch.randn(m.cfg.d_model, generator=g), torch.randn(m.cfg.d_model, 3, generator=g)
    out["onto/one"], out["onto/three"] = one, three
    def keep(name, pair):
        stack, labels = pair
        out[name] = stack; info["labels"][name] = labels
    full = lambda **kw: cache.get_full_resid_decomposition(return_labels=True, **kw)
    keep("full/neurons,onto=one,pos=-1", full(pos_slice=-1, project_output_onto=one))
    keep("full/neurons,onto=one,pos=-1,apply_ln", full(pos_slice=-1, project_output_onto=one, apply_ln=True))
    keep("full/mlps,onto=three,apply_ln,layer=1,mlp_input", full(layer=1, mlp_input=True, expand_neurons=False, project_output_onto=three, apply_ln=True))
    keep("full/mlps,onto=three", full(expand_neurons=False, project_output_onto=three))
    keep("full/neurons,onto=three,pos=(2,4),apply_ln,layer=1", full(layer=1, pos_slice=(2, 4), project_output_onto=three, apply_ln=True))
    neurons = lambda layer, **kw: cache.stack_neuron_results(layer, return_labels=True, **kw)
    keep("neurons/layer=-1,neurons=(2,7),pos=-1,remainder", neurons(-1, neuron_slice=(2, 7), pos_slice=-1, incl_remainder=True))
    keep("neurons/layer=-1,neurons=(2,7),pos=-1,remainder,apply_ln", neurons(-1, neuron_slice=(2, 7), pos_slice=-1, incl_remainder=True, apply_ln=True))
    keep("neurons/layer=-1,neurons=(2,7),pos=-1,remainder,onto=one,apply_ln", neurons(-1, neuron_slice=(2, 7), pos_slice=-1, incl_remainder=True, project_output_onto=one, apply_ln=True))
    keep("neurons/layer=-1,neurons=(0,3),onto=three,remainder", neurons(-1, neuron_slice=(0, 3), incl_remainder=True, project_output_onto=three))
    out["neuron_results/layer=1,neurons=(3,6),pos=-1"] = cache.get_neuron_results(1, neuron_slice=(3, 6), pos_slice=-1)
    out["neuron_results/layer=0,onto=one"] = cache.get_neuron_results(0, project_output_onto=one)
    out["neuron_results/layer=0,neurons=(1,4),onto=three"] = cache.get_neuron_results(0, neuron_slice=(1, 4), project_output_onto=three)
    second = cache.apply_slice_to_batch_dim((1, 2)); out["batch_slice=(1,2)/resid_post1"] = second["resid_post", 1]
    out["batch_slice=1/pattern1"] = cache.apply_slice_to_batch_dim(1)["pattern", 1]
    cache.compute_head_results(); out["compute_head_results/result0"] = cache["result", 0]

def heads(m, out, info):
    text = json.load(open(f"{more.EXISTING}/{info['name']}/tl_head_detector.json"))["text"]
    n = m.to_tokens(text).shape[1]
    pattern = torch.tril(torch.rand(n, n, generator=torch.Generator().manual_seed(7))).round(decimals=2)
    zeros_and_ones = (pattern > 0.6).float()
    out["pattern/any"], out["pattern/01"] = pattern, zeros_and_ones
    for name, p in (("any", pattern), ("01", zeros_and_ones)):
        for measure in ("abs", "mul"):
            for rest in ({}, dict(exclude_bos=True, exclude_current_token=True), dict(heads=[(0, 1), (1, 2)])):
                info["detect_head"].append({"pattern": name, "measure": measure, **{k: v for k, v in rest.items()}, "scores": detect_head(m, text, p, error_measure=measure, **rest).tolist()})

def grouped(m, toks, out):
    """hook_k and hook_v of every query head, and what hooks there change for one head alone."""
    if m.cfg.n_key_value_heads is None: return
    def zero(v, hook): v[:, :, 1] = 0; return v
    out["grouped/logits"] = m(toks)
    m.set_ungroup_grouped_query_attention(True)
    _, c = m.run_with_cache(toks)
    out["ungrouped/logits"] = m(toks); out["ungrouped/k1"], out["ungrouped/v1"], out["ungrouped/rot_k1"] = c["k", 1], c["v", 1], c["rot_k", 1]
    for which in "kv": out[f"ungrouped/zero_{which}1_head1"] = m.run_with_hooks(toks, fwd_hooks=[(f"blocks.1.attn.hook_{which}", zero)])
    m.set_use_split_qkv_input(True); _, c = m.run_with_cache(toks)
    out["ungrouped_split/k_input0"] = c["k_input", 0]; out["ungrouped_split/k0"] = c["k", 0]
    for which in "kv": out[f"ungrouped_split/zero_{which}_input1_head1"] = m.run_with_hooks(toks, fwd_hooks=[(f"blocks.1.hook_{which}_input", zero)])
    m.set_use_split_qkv_input(False); m.set_ungroup_grouped_query_attention(False)

def first_layers(name, toks, out):
    """As from_pretrained(first_n_layers=1): a config of one layer, whose layers alone are converted."""
    meta = json.load(open(f"{more.EXISTING}/{name}/meta.json")); kw = meta["tl_cfg_kwargs"] | {"n_layers": 1}
    hf = AutoModelForCausalLM.from_pretrained(f"{more.EXISTING}/{name}/hf", attn_implementation="eager", dtype=torch.float32).eval()
    convert = {"gpt2": convert_gpt2_weights, "llama": convert_llama_weights}[name]
    sd = {k: v.detach().clone() for k, v in convert(hf, HookedTransformerConfig(device="cpu", dtype=torch.float32, **kw)).items()}
    for what, processed in (("processed", True), ("unprocessed", False)):
        one, _ = tl_model(kw, sd, neutral_tok(f"{more.EXISTING}/{name}/hf"), processed, True, rms=name != "gpt2")
        out[f"first_n_layers=1/{what}"] = one(toks)

def text(m, info):
    prompt = "Once upon a time, Tom"
    generate = lambda *a, **k: m.generate(*a, max_new_tokens=12, stop_at_eos=False, verbose=False, return_type="tokens", **k).tolist()
    for penalty in (0.0, 0.5, 2.0):
        info["freq_penalty"].append({"prompt": prompt, "temperature": 0.5, "freq_penalty": penalty, "top_k": 1, "tokens": generate(prompt, top_k=1, temperature=0.5, freq_penalty=penalty)})
    for on in (True, False):
        info["prepend_bos"].append({"prompt": prompt, "prepend_bos": on, "tokens": generate(prompt, do_sample=False, prepend_bos=on), "loss": m(prompt, return_type="loss", prepend_bos=on).item()})
    both = m(prompt, return_type="both"); info["both"] = {"prompt": prompt, "loss": both.loss.item(), "shape": list(both.logits.shape)}
    frame = utilities.logits_to_df(both.logits[0, -1], m.tokenizer, top_k=4)
    info["logits_to_df"] = {"columns": list(frame.columns), "rows": frame.values.tolist()}

def questions(name):
    m, toks, d = load_existing(name)
    out, info = {"tokens": toks}, {"name": name, "versions": VERS, "labels": {}, "detect_head": [], "freq_penalty": [], "prepend_bos": []}
    decompositions(m, toks, out, info); heads(m, out, info); grouped(m, toks, out); first_layers(name, toks, out); text(m, info)
    out["W_E_pos"] = m.W_E_pos if name == "gpt2" else None
    info["n_params_total"], info["n_params"] = m.n_params_total, m.cfg.n_params
    out["loss_fn/per_token"] = m.loss_fn(m(toks), toks, per_token=True)
    st(f"{d}/tl_questions.safetensors", {k: v.contiguous() for k, v in out.items() if v is not None}); js(f"{d}/tl_questions.json", info)
    print(name, "questions ok", len(out), info["prepend_bos"], info["both"], info["n_params"], info["n_params_total"])

if __name__ == "__main__":
    os.umask(0o022)
    for n in ("gpt2", "llama"): questions(n)
