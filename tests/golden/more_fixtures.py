#!/usr/bin/env python3
"""More golden fixtures, same layout as make_fixtures.py (a copy of which must lie beside this file).

Run:  HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 python more_fixtures.py [families ...]
Writes golden/<name>/ beside this file. EXISTING names the folder with the gpt2 and llama fixtures (read only).
"""
import os, sys, json, random, shutil, io, contextlib
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make_fixtures as mf
from make_fixtures import *
torch.set_num_threads(1)
from transformers import AutoConfig, AutoModelForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformer_lens.pretrained.weight_conversions.mistral import convert_mistral_weights
from transformer_lens.pretrained.weight_conversions.qwen2 import convert_qwen2_weights
from transformer_lens.pretrained.weight_conversions.qwen3 import convert_qwen3_weights
import transformer_lens.loading_from_pretrained as tll
from transformer_lens.head_detector import detect_head
from tokenizers import Regex, AddedToken
from safetensors.torch import load_file

HERE = os.path.dirname(os.path.abspath(__file__)); mf.ROOT = HERE; SPLIT = "golden"
EXISTING = os.environ.get("EXISTING", os.path.dirname(os.path.abspath(__file__)))

# ---------------------------------------------------------------- tokenizers in the form of the published files
LLAMA3_RE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_RE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
def regex_bytelevel_tok(seed, vocab, rx, specials, bos, eos, pad, nfc=False, max_len=1024):
    """Byte-level BPE whose words are split by a regex (Llama 3, Qwen 2/3); special tokens come AFTER the vocabulary."""
    t = Tokenizer(tkm.BPE(ignore_merges=bos is not None) if bos else tkm.BPE())
    if nfc: t.normalizer = tkn.NFC()
    t.pre_tokenizer = tkp.Sequence([tkp.Split(Regex(rx), "isolated"), tkp.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = tkd.ByteLevel()
    t.train_from_iterator(corpus(seed) + EXTRA, tkt.BpeTrainer(vocab_size=vocab, special_tokens=[], initial_alphabet=tkp.ByteLevel.alphabet(), show_progress=False))
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    if bos: t.post_processor = tkpr.Sequence([tkpr.ByteLevel(trim_offsets=True), tkpr.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, t.token_to_id(bos))])])
    else: t.post_processor = tkpr.ByteLevel(trim_offsets=False)
    kw = dict(eos_token=eos)
    if bos: kw["bos_token"] = bos
    if pad: kw["pad_token"] = pad
    return PreTrainedTokenizerFast(tokenizer_object=t, model_max_length=max_len, clean_up_tokenization_spaces=False, **kw)

# ---------------------------------------------------------------- extras for each new family
def order_json(m, toks):
    """Names in firing order (the order of the keys of run_with_cache's cache) with shapes."""
    _, c = m.run_with_cache(toks, return_cache_object=False)
    return {k: list(v.shape) for k, v in c.items()}

def tl_auto_cfg(name, d):
    """What TransformerLens itself makes of hf/config.json (its loader chooses by path name, so copy to a neutral one)."""
    t = mk(tempfile.mkdtemp(prefix="fxcfg-"), "model"); shutil.copy(f"{d}/hf/config.json", t)
    c = tll.convert_hf_model_config(t); return {k: (v if isinstance(v, (int, float, str, bool, type(None), list)) else str(v)) for k, v in c.items()}

def finish(name, r, S, extra_meta=None, published=None):
    d, tok, sd, kw, p = r
    toks = load_file(f"{d}/hf_golden.safetensors")["tokens"]
    js(f"{d}/tl_cache_order.json", order_json(p, toks))
    auto = tl_auto_cfg(name, d); meta = json.load(open(f"{d}/meta.json"))
    base = vars(HookedTransformerConfig(device="cpu", dtype=torch.float32, **kw)); cmpd = {}
    for k, v in auto.items():
        if k in base and k not in ("dtype", "device", "model_name", "tokenizer_name", "initializer_range", "init_weights", "load_in_4bit") and str(base[k]) != str(v): cmpd[k] = {"fixture": str(base[k]), "tl_convert_hf_model_config": str(v)}
    meta["tl_own_config_differs_in"] = cmpd
    meta.update(extra_meta or {}); 
    # keep the folder small: the large stacks over every position go, their last-position twins stay
    a = load_file(f"{d}/tl_analysis.safetensors"); drop = ("full/layer=-1,expand=0,pos=None", "accumulated/layer=-1", "decompose/layer=-1", "decompose/layer=1,mlp_input,mode=attn", "full/layer=-1,expand=1,pos=-2,apply_ln")
    drop = drop[:4] if name == "qwen2" else drop
    st(f"{d}/tl_analysis.safetensors", {k: v for k, v in a.items() if k not in drop}); lj = json.load(open(f"{d}/tl_analysis_labels.json")); lj["labels"] = {k: v for k, v in lj["labels"].items() if k not in drop}; js(f"{d}/tl_analysis_labels.json", lj)
    meta["tl_analysis_left_out"] = [k for k in drop if k in a]
    if published:
        h = mk(d, "hub_layout"); js(f"{h}/config.json", published)
        a = AutoModelForCausalLM.from_pretrained(f"{d}/hf", config=AutoConfig.from_pretrained(h), attn_implementation="eager", dtype=torch.float32).eval()
        diff = maxdiff(a(toks).logits, load_file(f"{d}/hf_golden.safetensors")["logits"]); meta["hub_layout"] = f"config.json as published repositories write it (older key names); transformers reads it to the same logits, max diff {diff}"
        assert diff < 1e-5, diff
    js(f"{d}/meta.json", meta); print(name, "differs from TL's own config in", cmpd, flush=True)
    return r

def pub(c, **kw):
    """hf config dict in the published, pre-5 form: rope_theta and rope_scaling on top, torch_dtype."""
    j = c.to_dict(); rp = dict(j.pop("rope_parameters")); j["rope_theta"] = rp.pop("rope_theta")
    j["rope_scaling"] = rp if rp.get("rope_type") != "default" else None
    for k in ("layer_types", "dtype", "output_hidden_states", "return_dict", "chunk_size_feed_forward", "is_encoder_decoder", "id2label", "label2id", "problem_type", "output_attentions", "_name_or_path", "pretraining_tp"): j.pop(k, None)
    j["torch_dtype"] = "bfloat16"; j["transformers_version"] = "4.43.0"; j.update(kw); return j

def llama3(seed=1101, L=2, D=32, H=4, KV=2, I=48, V=340, S=14, ctx=2048):
    tok = regex_bytelevel_tok(seed, V, LLAMA3_RE, ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], "<|begin_of_text|>", "<|end_of_text|>", None); V = len(tok)
    orig = 256; dh = D // H
    sc = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=orig)
    mkc = lambda rp: LlamaConfig(num_hidden_layers=L, hidden_size=D, num_attention_heads=H, num_key_value_heads=KV, head_dim=dh, intermediate_size=I, max_position_embeddings=ctx, vocab_size=V, rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id, rope_parameters=rp)
    c = mkc(dict(rope_theta=500000.0, **sc)); hf = randomise(LlamaForCausalLM._from_config(c, attn_implementation="eager"), seed)
    for l in hf.model.layers: l.self_attn.q_proj.weight.mul_(1.6); l.self_attn.k_proj.weight.mul_(1.6)   # sharper attention, so that the positions matter
    kw = dict(n_layers=L, d_model=D, d_head=dh, n_heads=H, n_key_value_heads=KV, d_mlp=I, d_vocab=V, n_ctx=ctx, eps=1e-5, act_fn="silu", normalization_type="RMS", positional_embedding_type="rotary", rotary_adjacent_pairs=False, rotary_dim=dh, rotary_base=500000.0, final_rms=True, gated_mlp=True, original_architecture="LlamaForCausalLM", use_NTK_by_parts_rope=True, NTK_by_parts_factor=8.0, NTK_by_parts_low_freq_factor=1.0, NTK_by_parts_high_freq_factor=4.0, NTK_original_ctx_len=orig)
    r = mf.common_hf("llama3", SPLIT, seed, hf, tok, kw, convert_llama_weights, S, "Llama 3 rope scaling; tied embeddings; GQA; byte-level BPE with Llama 3's regex and ignore_merges, special tokens after the vocabulary, BOS from the TemplateProcessing post-processor.", rms=True)
    d = r[0]; toks = load_file(f"{d}/hf_golden.safetensors")["tokens"]
    inv = hf.model.rotary_emb.inv_freq; base = 1 / 500000.0 ** (torch.arange(0, dh, 2).float() / dh); wl = 2 * torch.pi / base
    a = r[4].blocks[0].attn; st(f"{d}/rope.safetensors", {"inv_freq_unscaled": base, "inv_freq": inv, "wavelength_unscaled": wl, "tl_rotary_cos": a.rotary_cos[:300:13], "tl_rotary_sin": a.rotary_sin[:300:13], "positions": torch.arange(300)[::13]})
    hf2 = LlamaForCausalLM._from_config(mkc(dict(rope_theta=500000.0, rope_type="default")), attn_implementation="eager"); hf2.load_state_dict(hf.state_dict()); hf2.eval()
    reg = ["high: unchanged" if w < orig / 4 else "low: divided by 8" if w > orig else "medium: smoothed" for w in wl.tolist()]
    return finish("llama3", r, S, {"rope": {"scaling": sc, "theta": 500000.0, "wavelengths": wl.tolist(), "regime": reg, "ratio_scaled_to_unscaled": (inv / base).tolist(), "max_logit_diff_if_scaling_is_ignored": maxdiff(hf2(toks).logits, hf(toks).logits)}}, pub(c))

def mistral(seed=1102, L=2, D=32, H=4, KV=2, I=48, V=366, S=12, win=5, ctx=128):
    tok = spm_tok(seed, V); V = len(tok)
    mkc = lambda w: MistralConfig(num_hidden_layers=L, hidden_size=D, num_attention_heads=H, num_key_value_heads=KV, intermediate_size=I, max_position_embeddings=ctx, vocab_size=V, rms_norm_eps=1e-5, sliding_window=w, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, rope_parameters=dict(rope_theta=10000.0, rope_type="default"))
    c = mkc(win); hf = randomise(MistralForCausalLM._from_config(c, attn_implementation="eager"), seed)
    kw = dict(n_layers=L, d_model=D, d_head=D // H, n_heads=H, n_key_value_heads=KV, d_mlp=I, d_vocab=V, n_ctx=ctx, eps=1e-5, act_fn="silu", normalization_type="RMS", positional_embedding_type="rotary", rotary_base=10000.0, gated_mlp=True, use_local_attn=True, window_size=win, attn_types=["local"] * L, original_architecture="MistralForCausalLM")
    r = mf.common_hf("mistral", SPLIT, seed, hf, tok, kw, convert_mistral_weights, S, f"Every layer slides: position q sees keys q-{win-1}..q (sliding_window={win} counts its own position, as in transformers). GQA, SentencePiece-style tokenizer, untied.", rms=True)
    toks = load_file(f"{r[0]}/hf_golden.safetensors")["tokens"]; o = {}
    for w in (None, win - 1, win + 1):
        h2 = MistralForCausalLM._from_config(mkc(w), attn_implementation="eager"); h2.load_state_dict(hf.state_dict()); h2.eval(); o[str(w)] = maxdiff(h2(toks).logits, hf(toks).logits)
    return finish("mistral", r, S, {"max_logit_diff_with_another_window": o}, pub(c))

def qwen2(seed=1103, L=2, D=32, H=4, KV=2, I=48, V=340, S=12, ctx=128):
    tok = regex_bytelevel_tok(seed, V, QWEN_RE, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None, "<|endoftext|>", "<|endoftext|>", nfc=True); V = len(tok) + 5
    c = Qwen2Config(num_hidden_layers=L, hidden_size=D, num_attention_heads=H, num_key_value_heads=KV, intermediate_size=I, max_position_embeddings=ctx, vocab_size=V, rms_norm_eps=1e-6, tie_word_embeddings=True, bos_token_id=tok.eos_token_id, eos_token_id=tok.eos_token_id, use_sliding_window=False, sliding_window=32, max_window_layers=1, rope_parameters=dict(rope_theta=1000000.0, rope_type="default"))
    hf = randomise(Qwen2ForCausalLM._from_config(c, attn_implementation="eager"), seed)
    for l in hf.model.layers:
        for q in ("q_proj", "k_proj", "v_proj"): getattr(l.self_attn, q).bias.mul_(4.0)
    kw = dict(n_layers=L, d_model=D, d_head=D // H, n_heads=H, n_key_value_heads=KV, d_mlp=I, d_vocab=V, n_ctx=ctx, eps=1e-6, act_fn="silu", use_attn_scale=True, normalization_type="RMS", positional_embedding_type="rotary", rotary_base=1000000, rotary_adjacent_pairs=False, rotary_dim=D // H, tokenizer_prepends_bos=True, final_rms=True, gated_mlp=True, default_prepend_bos=False, original_architecture="Qwen2ForCausalLM")
    r = mf.common_hf("qwen2", SPLIT, seed, hf, tok, kw, convert_qwen2_weights, S, "Biases on q, k, v only; tied; GQA; byte-level BPE with Qwen's regex and NFC, no BOS token (TransformerLens takes the EOS for it, default_prepend_bos is false); 5 vocabulary rows beyond the tokenizer; hub_layout/config.json says sliding_window 5 with use_sliding_window false, as published Qwen2 configs do: it is to be ignored.", rms=True)
    return finish("qwen2", r, S, None, pub(c, sliding_window=5, max_window_layers=1))

def qwen3(seed=1104, L=2, D=32, H=4, KV=2, dh=16, I=48, V=340, S=10, ctx=128):
    tok = regex_bytelevel_tok(seed, V, QWEN_RE, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None, "<|im_end|>", "<|endoftext|>", nfc=True); V = len(tok) + 5
    c = Qwen3Config(num_hidden_layers=L, hidden_size=D, num_attention_heads=H, num_key_value_heads=KV, head_dim=dh, intermediate_size=I, max_position_embeddings=ctx, vocab_size=V, rms_norm_eps=1e-6, tie_word_embeddings=False, bos_token_id=tok.pad_token_id, eos_token_id=tok.eos_token_id, use_sliding_window=False, attention_bias=False, rope_parameters=dict(rope_theta=1000000.0, rope_type="default"))
    hf = randomise(Qwen3ForCausalLM._from_config(c, attn_implementation="eager"), seed)
    kw = dict(n_layers=L, d_model=D, d_head=dh, n_heads=H, n_key_value_heads=KV, d_mlp=I, d_vocab=V, n_ctx=ctx, eps=1e-6, act_fn="silu", use_attn_scale=True, normalization_type="RMS", positional_embedding_type="rotary", rotary_base=1000000, rotary_adjacent_pairs=False, rotary_dim=dh, tokenizer_prepends_bos=True, final_rms=True, gated_mlp=True, default_prepend_bos=False, use_qk_norm=True, original_architecture="Qwen3ForCausalLM")
    r = mf.common_hf("qwen3", SPLIT, seed, hf, tok, kw, convert_qwen3_weights, S, f"RMSNorm with weights over each head of q and k before the rotation (attn.q_norm.w, attn.k_norm.w [d_head], not folded by processing); head_dim {dh} != d_model / n_heads; untied; GQA; Qwen's tokenizer.", rms=True)
    return finish("qwen3", r, S, None, pub(c))

def gpt_neox_serial(seed=1105):
    L, D, H, I, S, ctx, pct = 2, 32, 4, 64, 12, 128, 0.5; tok = bytelevel_tok(seed, 320); V = len(tok) + 8
    c = GPTNeoXConfig(num_hidden_layers=L, hidden_size=D, num_attention_heads=H, intermediate_size=I, max_position_embeddings=ctx, vocab_size=V, rotary_pct=pct, use_parallel_residual=False, bos_token_id=0, eos_token_id=0, hidden_dropout=0, attention_dropout=0)
    hf = randomise(GPTNeoXForCausalLM._from_config(c, attn_implementation="eager"), seed)
    kw = dict(n_layers=L, d_model=D, d_head=D // H, n_heads=H, d_mlp=I, d_vocab=V, n_ctx=ctx, eps=1e-5, act_fn="gelu", normalization_type="LN", parallel_attn_mlp=False, positional_embedding_type="rotary", rotary_adjacent_pairs=False, rotary_dim=round(pct * (D // H)), default_prepend_bos=False, original_architecture="GPTNeoXForCausalLM")
    r = mf.common_hf("gpt_neox_serial", SPLIT, seed, hf, tok, kw, convert_neox_weights, S, f"GPT-NeoX with use_parallel_residual=False: the MLP reads resid_mid, so hook_resid_mid exists. rotary_pct={pct}, d_mlp={I} != 4 d_model, exact (erf) gelu, untied, vocabulary padded by 8 rows.")
    return finish("gpt_neox_serial", r, S)

# ---------------------------------------------------------------- existing fixtures, loaded again
def load_existing(name):
    e = f"{EXISTING}/{name}"; meta = json.load(open(f"{e}/meta.json")); kw = meta["tl_cfg_kwargs"]
    hf = AutoModelForCausalLM.from_pretrained(f"{e}/hf", attn_implementation="eager", dtype=torch.float32).eval(); tok = neutral_tok(f"{e}/hf")
    conv = {"gpt2": convert_gpt2_weights, "llama": convert_llama_weights}[name]
    sd = {k: v.detach().clone() for k, v in conv(hf, HookedTransformerConfig(device="cpu", dtype=torch.float32, **kw)).items()}
    m, _ = tl_model(kw, sd, tok, True, True, rms=name != "gpt2"); g = load_file(f"{e}/tl_processed.safetensors"); toks = g["tokens"]
    diff = maxdiff(m(toks), g["logits"]); print("existing", name, "processed logits against the recorded ones:", diff, flush=True); assert diff < 5e-5
    return m, toks, mk(HERE, SPLIT, name)

def backward(name):
    m, toks, d = load_existing(name); out = {"tokens": toks}; info = {"how": "model.run_with_cache(tokens, return_type='loss', incl_bwd=True): loss.backward() on the mean next-token loss; the cache gets <hook name>_grad = the gradient of the loss with respect to the value at the hook"}
    def run(filt=None):
        m.zero_grad()
        with torch.enable_grad(): return m.run_with_cache(toks, return_type="loss", incl_bwd=True, return_cache_object=False, names_filter=filt)
    loss, c = run(); out["loss"] = loss.detach().reshape(1); info["cache_keys"] = list(c)
    for k, v in c.items():
        if k.endswith("_grad"): assert v.shape == c[k[:-5]].shape, k; out["grad/" + k[:-5]] = v
    fwd = [k for k in c if not k.endswith("_grad")]; info["hooks_without_gradient"] = [k for k in fwd if k + "_grad" not in c] + [k for k in m.hook_dict if k not in fwd]
    info["not_in_cache"] = [k for k in m.hook_dict if k not in fwd]
    info["zero_gradients"] = {k[5:]: float((v == 0).float().mean()) for k, v in out.items() if k.startswith("grad/") and (v == 0).any()}
    info["nonfinite"] = [k for k, v in out.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    info["parameters_without_gradient"] = [k for k, v in m.named_parameters() if v.grad is None]
    hr = {}; m.set_use_attn_result(True); l2, c2 = run(lambda n: n.endswith("hook_result")); m.set_use_attn_result(False)
    for k, v in c2.items():
        if k.endswith("_grad"): hr[k[:-5]] = v
    info["hook_result"] = "not recorded: with set_use_attn_result(True) the gradient of every head's result is that of hook_attn_out, largest difference %g" % max(maxdiff(hr[f"blocks.{l}.attn.hook_result"], out[f"grad/blocks.{l}.hook_attn_out"][:, :, None]) for l in range(m.cfg.n_layers))
    # blocks.N.ln1 runs three times (for q, k, v), so its hooks fire three times and the cache keeps the last gradient written: also record every firing and the sum
    fires = {}
    def keep(g_, hook): fires.setdefault(hook.name, []).append(g_.detach().clone())
    m.zero_grad()
    with torch.enable_grad(), m.hooks(bwd_hooks=[(lambda n: True, keep)]): m(toks, return_type="loss").backward()
    info["fires_more_than_once_in_backward"] = {k: len(v) for k, v in fires.items() if len(v) > 1}; which = {}
    for k, v in fires.items():
        if len(v) > 1:
            out["grad_total/" + k] = sum(v); which[k] = [i for i, x in enumerate(v) if torch.equal(x, out["grad/" + k])]
    info["cached_gradient_is_firing_number"] = which; info["gradient_order"] = [k[:-5] for k in info["cache_keys"] if k.endswith("_grad")]
    # which of q, k, v each firing belongs to: d loss / d ln1 output along one path = grad at hook_q/k/v times W^T (processed models: no norm weights)
    paths = {}
    for l in range(m.cfg.n_layers):
        k = f"blocks.{l}.ln1.hook_normalized"; at = m.blocks[l].attn; gqa = m.cfg.n_key_value_heads is not None
        for n_, W in (("q", at.W_Q), ("k", at._W_K if gqa else at.W_K), ("v", at._W_V if gqa else at.W_V)):
            want = torch.einsum("bphd,hmd->bpm", out[f"grad/blocks.{l}.attn.hook_{n_}"], W)
            for i in range(3):
                if maxdiff(want, fires[k][i]) < 1e-5: paths.setdefault(k, {})[f"firing {i}"] = n_
    info["firing_is_the_path_through"] = paths
    info["checks"] = finite_difference(m, toks, out)
    st(f"{d}/tl_backward.safetensors", out); js(f"{d}/tl_backward.json", info); print(name, "backward ok", float(loss), "without:", info["hooks_without_gradient"], info["checks"], flush=True)

def finite_difference(m, toks, out):
    """Independent witness: central differences in float64 at one element of each hook (grad_total where a hook fires several times)."""
    import copy; m64 = copy.deepcopy(m).double(); m64.cfg.dtype = torch.float64
    for mod in m64.modules():
        if hasattr(mod, "cfg"): mod.cfg.dtype = torch.float64
    g = torch.Generator().manual_seed(3); res = {}
    for hk in list(m.hook_dict):
        v = out.get("grad_total/" + hk, out.get("grad/" + hk))
        if v is None or hk.endswith("hook_result"): continue
        nz = torch.nonzero(v.abs() > 1e-3 * v.abs().max())
        idx = tuple(nz[int(torch.randint(0, len(nz), (1,), generator=g))].tolist())
        def f(e):
            def h(a, hook): a = a.clone(); a[idx] += e; return a
            with m64.hooks(fwd_hooks=[(hk, h)]): return float(m64(toks, return_type="loss"))
        fd = (f(1e-5) - f(-1e-5)) / 2e-5; res[hk] = abs(fd - float(v[idx])) / (abs(fd) + 1e-4)
    w = max(res, key=res.get)
    return {"finite_differences_float64_hooks": len(res), "worst_relative_error": res[w], "at": w, "over_1e-3": {k: v for k, v in res.items() if v > 1e-3}}

def circuits(name):
    m, toks, d = load_existing(name); out, info = {}, {}
    for n, f in (("OV", m.OV), ("QK", m.QK)):
        U, S, V = f.svd(); ev = f.eigenvalues; out |= {f"{n}/AB": f.AB, f"{n}/S": S, f"{n}/eigenvalues_real": ev.real, f"{n}/eigenvalues_imag": ev.imag, f"{n}/norm": f.norm(), f"{n}/copying_score": ev.sum(-1).real / ev.abs().sum(-1)}
        info[f"{n}.shape"] = list(f.shape); info[f"{n}.A.shape"], info[f"{n}.B.shape"] = list(f.A.shape), list(f.B.shape); info[f"{n}.repr"] = repr(f)
        # the order and signs of eigenvalues and singular vectors are LAPACK's; the even factorisation's product and |.| are not
        e = f.make_even(); info[f"{n}.make_even.max_diff_of_product"] = maxdiff(e.AB, f.AB); info[f"{n}.svd.max_diff_of_product"] = maxdiff(U * S[..., None, :] @ V.transpose(-2, -1), f.AB)
    full = m.W_E @ (m.OV @ m.W_U); ev = full.eigenvalues; out["full_OV/eigenvalues_real"] = ev.real; out["full_OV/eigenvalues_imag"] = ev.imag; out["full_OV/copying_score"] = ev.sum(-1).real / ev.abs().sum(-1)
    info["full_OV"] = "FactoredMatrix W_E @ OV @ W_U (d_vocab x d_vocab, rank d_head); copying_score = sum(eigenvalues).real / sum(|eigenvalues|), as in TransformerLens's main demo"
    out["full_OV/corner_L0H1[:5,:5]"] = full.AB[0, 1, :5, :5] if m.cfg.d_vocab < 500 else None; out["full_OV/S"] = full.svd()[1]; out["full_OV/norm"] = full.norm()
    for mode in "QKV": out[f"composition/{mode}"] = m.all_composition_scores(mode)
    info["all_head_labels"] = m.all_head_labels(); info["composition"] = "all_composition_scores(mode)[l1, h1, l2, h2], zero unless l1 < l2"
    out["accumulated_bias/layer=1"] = m.accumulated_bias(1); out["accumulated_bias/layer=1,mlp_input"] = m.accumulated_bias(1, mlp_input=True); out["accumulated_bias/layer=2,no_mlp"] = m.accumulated_bias(2, include_mlp_biases=False)
    text = "Lily saw the red ball. Tom saw the red ball. Lily and Tom saw the red ball."
    short = "Tom and Lily and Tom"
    hd = {"text": text, "short": short, "tokens": m.to_tokens(text)[0].tolist(), "tokens_short": m.to_tokens(short)[0].tolist(), "str_tokens": m.to_str_tokens(text), "note": "measure 'abs' rounds 1 - score to three decimals; tokens get a BOS from to_tokens's default", "scores": {}}
    from transformer_lens import head_detector as HD
    for h in ("previous_token_head", "duplicate_token_head", "induction_head"):
        out[f"detection_pattern/{h}"] = getattr(HD, f"get_{h}_detection_pattern")(m.to_tokens(text)).float()
        for em in ("abs", "mul"):
            for xb in (False, True):
                for xc in (False, True): hd["scores"][f"{h},{em},exclude_bos={xb},exclude_current_token={xc}"] = detect_head(m, text, h, error_measure=em, exclude_bos=xb, exclude_current_token=xc).tolist()
            hd["scores"][f"{h},{em},list_of_two_texts"] = detect_head(m, [text, short], h, error_measure=em).tolist()
        hd["scores"][f"{h},mul,heads=[(0, 1), (1, 2)]"] = detect_head(m, text, h, heads=[(0, 1), (1, 2)]).tolist()
    out["detect_head/pattern"] = torch.stack([m.run_with_cache(text, remove_batch_dim=True)[1]["pattern", l] for l in range(m.cfg.n_layers)]); js(f"{d}/tl_head_detector.json", hd)
    tp = []
    def prompt(*a, **k):
        with contextlib.redirect_stdout(io.StringIO()) as f: tlu.test_prompt(*a, m, **k)
        tp.append({"prompt": a[0], "answer": a[1], "kwargs": k, "stdout": f.getvalue()})
    prompt("Once upon a time, Tom saw the", "car", top_k=5); prompt("Once upon a time, Tom saw the", " red ball", prepend_space_to_answer=False, top_k=3); prompt("Tom and Lily saw the", [" car", " ball", " cake"], top_k=3); prompt("Tom saw the", "hat", prepend_bos=False, top_k=4); prompt("Tom saw the", "hat", print_details=False)
    info["test_prompt"] = tp; info["copy_vals"] = "no function of that name in transformer_lens 3.9.0; copying_score above is what its demos compute"
    out = {k: v for k, v in out.items() if v is not None}; st(f"{d}/tl_circuits.safetensors", out); js(f"{d}/tl_circuits.json", info); print(name, "circuits ok", {k: info[k] for k in info if "max_diff" in k or "shape" in k}, flush=True)

def try_(f):
    try: return f()
    except Exception as e: return {"error": f"{type(e).__name__}: {e}"[:300]}

def cache_semantics(name, m=None, toks=None, d=None):
    if m is None: m, toks, d = load_existing(name)
    one = toks[:1]; shp = lambda c: {k: list(v.shape) for k, v in c.items()}; rc = lambda t, **k: try_(lambda: shp(m.run_with_cache(t, return_cache_object=False, **k)[1]))
    o = {"note": "keys in the order of the cache, which is the order in which the hooks fire; [batch, pos] of the input are in 'input'", "input": {"two_rows": list(toks.shape), "one_row": list(one.shape)}}
    o["default,two_rows"] = rc(toks)
    o["remove_batch_dim=True,one_row"] = rc(one, remove_batch_dim=True); o["remove_batch_dim=True,two_rows"] = rc(toks, remove_batch_dim=True)
    for lab, ps in (("-1", -1), ("(1, 4)", (1, 4)), ("[0, 2, -1]", [0, 2, -1]), ("3", 3)): o[f"pos_slice={lab},two_rows"] = rc(toks, pos_slice=ps)
    o["pos_slice=-1,remove_batch_dim=True,one_row"] = rc(one, pos_slice=-1, remove_batch_dim=True)
    for s in (-1, 0, 1, m.cfg.n_layers):
        o[f"stop_at_layer={s}"] = rc(toks, stop_at_layer=s); o[f"stop_at_layer={s},output_shape"] = list(m(toks, stop_at_layer=s).shape)
    o["stop_at_layer=-1,remove_batch_dim=True,one_row"] = rc(one, stop_at_layer=-1, remove_batch_dim=True)
    o["names_filter=str"] = rc(toks, names_filter="blocks.0.hook_resid_pre"); o["names_filter=list,any_order"] = rc(toks, names_filter=["blocks.1.hook_resid_pre", "hook_embed"]); o["names_filter=unknown_name"] = rc(toks, names_filter="blocks.0.nothing")
    for fl in ("use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in"):
        c = try_(lambda: getattr(m, "set_" + fl)(True))
        if c is None: c = rc(toks); getattr(m, "set_" + fl)(False)
        o[f"{fl}=True"] = c
    if m.cfg.n_key_value_heads is not None:
        m.set_ungroup_grouped_query_attention(True); o["ungroup_grouped_query_attention=True"] = rc(toks); m.set_use_split_qkv_input(True); o["ungroup_grouped_query_attention+use_split_qkv_input"] = rc(toks); m.set_use_split_qkv_input(False); m.set_ungroup_grouped_query_attention(False)
    try: _, c = m.run_with_cache(one, remove_batch_dim=True)
    except IndexError: _, c = m.run_with_cache(one)   # use_qk_norm models: see NOTES
    a = {"len": len(c), "has_batch_dim": c.has_batch_dim}
    for key in ("embed", ("resid_pre", 0), ("pattern", 1), ("pattern", 1, "attn"), ("scale", 0, "ln1"), ("scale",), ("normalized", 1, "ln2"), ("k", 0), ("z", -1), ("mlp_post", 0), ("post", 1), ("attn_scores", 0), ("resid_post", -1), "ln_final.hook_normalized", ("q", 0, "attn"), ("mlp_pre", 0), ("attn", 1), ("pre", 0, "mlp"), ("nonsense", 0)):
        k = key if isinstance(key, str) else tuple(key); v = try_(lambda: list(c[k if isinstance(k, str) or len(k) > 1 else k[0]].shape))
        a[f"cache[{k!r}]"] = v; a[f"get_act_name{k!r}"] = try_(lambda: tlu.get_act_name(*((k,) if isinstance(k, str) else k)))
    o["ActivationCache"] = a
    js(f"{d}/tl_cache_semantics.json", o); print(name, "cache semantics ok", {k: v for k, v in o.items() if isinstance(v, dict) and "error" in v}, flush=True)

# ---------------------------------------------------------------- TransformerLens's own toy format
def plain(cfg):
    d = {}
    for k, v in cfg.to_dict().items():
        try: json.dumps(v); d[k] = v
        except TypeError: d[k] = str(v)
    return d

def toy(name, note, proc=False, loss_ok=None, gen=None, **kw):
    d = mk(HERE, SPLIT, name); cfg = HookedTransformerConfig(seed=1, device="cpu", **kw); m = HookedTransformer(cfg); g = torch.Generator().manual_seed(77)
    for k, p in m.named_parameters():
        last = k.split(".")[-1]
        if last.startswith("b"): p.copy_(0.1 * torch.randn(p.shape, generator=g))
        elif last == "w": p.copy_(1 + 0.2 * torch.randn(p.shape, generator=g))
        elif kw.get("normalization_type") is None: p.mul_(1.5)
    m.eval(); js(f"{d}/config.json", plain(m.cfg)); sd = m.state_dict(); st(f"{d}/model.safetensors", sd); torch.save(sd, f"{d}/model.pth")
    S = 10; toks = torch.randint(0, kw["d_vocab"], (2, S), generator=g)
    if loss_ok: toks[:, 1:] = torch.randint(0, loss_ok, (2, S - 1), generator=g)
    lu, _ = dump_runs(d, m, toks, "unprocessed"); js(f"{d}/tl_cache_order.json", order_json(m, toks)); diffs = {"logit_abs_max": float(lu.abs().max())}
    if proc:
        k2 = {k: v for k, v in kw.items() if k != "seed"}; p, fl = tl_model(k2, sd, None, True); lp, _ = dump_runs(d, p, toks, "processed"); diffs["processed_vs_unprocessed_logprobs"] = maxdiff(lu.log_softmax(-1), lp.log_softmax(-1)); assert diffs["processed_vs_unprocessed_logprobs"] < 1e-4
    else: fl = None
    # the saved files load back to the same logits
    c2 = HookedTransformerConfig.from_dict({k: v for k, v in json.load(open(f"{d}/config.json")).items() if k not in ("dtype", "device", "seed")} | {"device": "cpu"}); m2 = HookedTransformer(c2); m2.load_state_dict(torch.load(f"{d}/model.pth")); m2.eval(); assert maxdiff(m2(toks), lu) == 0
    js(f"{d}/meta.json", {"versions": VERS, "notes": note, "cfg_kwargs": {k: str(v) if isinstance(v, torch.dtype) else v for k, v in kw.items()}, "flags_processed": fl, "max_abs_diffs": diffs, "state_dict_shapes": {k: [str(v.dtype), *v.shape] for k, v in sd.items()}, "weights": "TransformerLens's own initialisation (seed 1), then biases 0.1 N, norm weights 1 + 0.2 N, and without a norm the matrices x 1.5"})
    print(name, diffs, flush=True); return m, sd, toks

def toys():
    m, sd, toks = toy("toy", "HookedTransformerConfig of the tutorials, no norm. model.pth = torch.save(model.state_dict()): an OrderedDict with a _metadata attribute; attn.mask is an empty (0, 0) bool tensor and attn.IGNORE a -inf scalar.", n_layers=1, d_model=16, n_heads=2, d_head=8, d_mlp=64, n_ctx=16, d_vocab=20, act_fn="relu", normalization_type=None)
    o = mk(HERE, SPLIT, "old_pth"); torch.save(sd, f"{o}/model.pth", _use_new_zipfile_serialization=False); shutil.copy(f"{HERE}/{SPLIT}/toy/config.json", o)
    js(f"{o}/meta.json", {"notes": "the toy's state_dict in torch's format before 1.6 (torch.save(..., _use_new_zipfile_serialization=False)): pickles of magic number, protocol, sys_info and the object, then the list of storage keys, then each storage as int64 element count and raw little-endian data. Goldens: ../toy.", "magic": open(f"{o}/model.pth", "rb").read(16).hex(), "versions": VERS})
    back = torch.load(f"{o}/model.pth"); assert all(torch.equal(back[k], sd[k]) for k in sd)
    from collections import OrderedDict
    torch.save(OrderedDict((k, v.to(torch.bfloat16) if v.is_floating_point() and v.ndim else v) for k, v in sd.items()), f"{o}/model_bf16.pth", _use_new_zipfile_serialization=False)
    toy("toy_ln", "A second toy: LN, gelu, MLP, d_vocab_out != d_vocab (as in modular addition: the last input token is never an answer), attention_dir causal. Only tokens[:, 0] exceeds d_vocab_out - 1, so the loss is defined.", proc=True, loss_ok=17, n_layers=2, d_model=16, n_heads=2, d_head=8, d_mlp=64, n_ctx=16, d_vocab=20, d_vocab_out=17, act_fn="gelu", attn_only=False, normalization_type="LN", attention_dir="causal")

ALL = dict(llama3=llama3, mistral=mistral, qwen2=qwen2, qwen3=qwen3, gpt_neox_serial=gpt_neox_serial, backward=lambda: [backward(n) for n in ("gpt2", "llama")], circuits=lambda: [circuits(n) for n in ("gpt2", "llama")], cache=lambda: [cache_semantics(n) for n in ("gpt2", "llama")], toys=toys)
if __name__ == "__main__":
    os.umask(0o022)
    for n in sys.argv[1:] or ALL: 
        r = ALL[n]()
        if n in ("qwen3",): cache_semantics(n, r[4], load_file(f"{r[0]}/hf_golden.safetensors")["tokens"], r[0])
