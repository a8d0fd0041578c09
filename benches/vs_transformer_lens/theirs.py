"""The Python side of `vs_transformer_lens`.

`python theirs.py make FOLDER` writes random weights of the true sizes.
`python theirs.py work FOLDER` answers commands on stdin, one JSON object a line:

    {"group": "...", "kind": "forward", "side": "ht", "model": "gpt2-small", "batch": 1, "pos": 35, "repeats": 1}
    {"seconds": [0.28], "values": [...], "peak_mb": 1234.5}

The first command of a case prepares and warms it up. What a group holds is let go when the next begins.
A command may name a "device", "cuda", and "numbers", "bf16" or "tf32".
Errors come back as {"error": "..."}.
"""
import gc, json, os, sys, time

THREADS = 2
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, str(THREADS))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
import logging, warnings

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")
import torch
from safetensors.torch import load_file, save_file

torch.set_num_threads(THREADS)
torch.set_grad_enabled(False)


def device_of(case):
    return case.get("device", "cpu")


def dtype_of(case):
    return torch.bfloat16 if case.get("numbers") == "bf16" else torch.float32


# What both libraries are told of the models.
MODELS = {
    "gelu-1l": dict(n_layers=1, d_model=512, n_heads=8, d_head=64, d_mlp=2048, d_vocab=48262, n_ctx=1024, act_fn="gelu"),
    "tiny-stories-2L-33M": dict(n_layers=2, d_model=1024, n_heads=16, d_head=64, d_mlp=4096, d_vocab=50257, n_ctx=2048, act_fn="gelu_new", use_attn_scale=False, use_local_attn=True, attn_types=["global", "local"], window_size=256),
    "gpt2-small": dict(n_layers=12, d_model=768, n_heads=12, d_head=64, d_mlp=3072, d_vocab=50257, n_ctx=1024, act_fn="gelu_new"),
    "llama-15m": dict(n_layers=6, d_model=288, n_heads=6, d_head=48, d_mlp=768, d_vocab=32000, n_ctx=1024, act_fn="silu", positional_embedding_type="rotary", rotary_adjacent_pairs=False, rotary_dim=48, rotary_base=10000.0, final_rms=True, gated_mlp=True),
}
# d_in and d_sae, by the name of the file.
SAES = {"512-16384": (512, 16384), "768-24576": (768, 24576), "4096-16384": (4096, 16384)}


# ---------------------------------------------------------------- weights
def randomise(model, seed):
    generator, seen = torch.Generator().manual_seed(seed), set()
    for name, weight in model.named_parameters():
        if weight.data_ptr() in seen:
            continue
        seen.add(weight.data_ptr())
        draw = torch.randn(weight.shape, generator=generator)
        if ("norm" in name or "ln_" in name) and name.endswith("weight"):
            weight.copy_(1 + 0.2 * draw)
        elif name.endswith("bias"):
            weight.copy_(0.1 * draw)
        elif any(part in name for part in ("wte", "wpe", "embed")):
            weight.copy_(0.1 * draw)
        else:
            weight.copy_(0.8 * draw / weight.shape[-1] ** 0.5)
    return model.eval()


def make(folder):
    from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoConfig, GPTNeoForCausalLM, LlamaConfig, LlamaForCausalLM

    def has(name, last):
        return os.path.exists(os.path.join(folder, name, last))

    def config_of(name):
        m = MODELS[name]
        if name == "gpt2-small":
            return GPT2LMHeadModel, GPT2Config(n_layer=m["n_layers"], n_embd=m["d_model"], n_head=m["n_heads"], n_positions=m["n_ctx"], vocab_size=m["d_vocab"], resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
        if name == "llama-15m":
            return LlamaForCausalLM, LlamaConfig(num_hidden_layers=m["n_layers"], hidden_size=m["d_model"], num_attention_heads=m["n_heads"], num_key_value_heads=m["n_heads"], intermediate_size=m["d_mlp"], max_position_embeddings=m["n_ctx"], vocab_size=m["d_vocab"], rms_norm_eps=1e-5, tie_word_embeddings=False)
        return GPTNeoForCausalLM, GPTNeoConfig(num_layers=m["n_layers"], hidden_size=m["d_model"], num_heads=m["n_heads"], max_position_embeddings=m["n_ctx"], vocab_size=m["d_vocab"], window_size=m["window_size"], attention_types=[[["global", "local"], 1]], resid_dropout=0, embed_dropout=0, attention_dropout=0)

    for seed, name in enumerate(("gpt2-small", "tiny-stories-2L-33M", "llama-15m"), 1):
        if not has(name, "model.safetensors"):
            kind, config = config_of(name)
            randomise(kind(config), seed).save_pretrained(os.path.join(folder, name), safe_serialization=True)
    if not has("gelu-1l", "model_final.pth"):
        make_own(os.path.join(folder, "gelu-1l"))
    os.makedirs(os.path.join(folder, "sae"), exist_ok=True)
    for seed, (name, (d_in, d_sae)) in enumerate(SAES.items(), 11):
        path = os.path.join(folder, "sae", name + ".safetensors")
        if not os.path.exists(path):
            generator = torch.Generator().manual_seed(seed)
            W_dec = torch.randn(d_sae, d_in, generator=generator)
            W_dec /= W_dec.norm(dim=1, keepdim=True)
            # About one latent in a hundred is active on inputs of unit variance; the first one more often.
            b_enc = torch.full((d_sae,), -2.33)
            b_enc[0] = 2.0
            tensors = dict(W_enc=W_dec.T.contiguous(), b_enc=b_enc, W_dec=W_dec, b_dec=torch.zeros(d_in))
            save_file(tensors, path)
    path = os.path.join(folder, "sae", "inputs.safetensors")
    if not os.path.exists(path):
        generator = torch.Generator().manual_seed(21)
        widths = sorted({d_in for d_in, _ in SAES.values()})
        tensors = {str(width): torch.randn(1024, width, generator=generator) for width in widths}
        tensors["train"] = torch.randn(4096, 512, generator=generator)
        save_file(tensors, path)


def make_own(folder):
    """gelu-1l in TransformerLens' own format."""
    m = MODELS["gelu-1l"]
    d, h, k, n = m["d_model"], m["n_heads"], m["d_head"], m["d_mlp"]
    shapes = {"embed.W_E": (m["d_vocab"], d), "pos_embed.W_pos": (m["n_ctx"], d), "unembed.W_U": (d, m["d_vocab"]), "unembed.b_U": (m["d_vocab"],), "ln_final.w": (d,), "ln_final.b": (d,)}
    for at in range(m["n_layers"]):
        block = {"ln1.w": (d,), "ln1.b": (d,), "ln2.w": (d,), "ln2.b": (d,), "mlp.W_in": (d, n), "mlp.b_in": (n,), "mlp.W_out": (n, d), "mlp.b_out": (d,), "attn.W_O": (h, k, d), "attn.b_O": (d,)}
        for letter in "QKV":
            block |= {f"attn.W_{letter}": (h, d, k), f"attn.b_{letter}": (h, k)}
        shapes |= {f"blocks.{at}.{name}": shape for name, shape in block.items()}
    generator, weights = torch.Generator().manual_seed(4), {}
    for name, shape in shapes.items():
        draw, last = torch.randn(shape, generator=generator), name.split(".")[-1]
        if last == "w":
            weights[name] = 1 + 0.2 * draw
        elif last.startswith("b"):
            weights[name] = 0.1 * draw
        elif last in ("W_E", "W_pos"):
            weights[name] = 0.1 * draw
        else:
            weights[name] = draw * 0.8 / shape[-2] ** 0.5
    os.makedirs(folder, exist_ok=True)
    config = {name: m[name] for name in ("d_model", "n_layers", "d_mlp", "d_head", "n_heads", "n_ctx", "d_vocab", "act_fn")}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config | dict(attn_only=False, normalization="LN"), file)
    torch.save(weights, os.path.join(folder, "model_final.pth"))


def hooked_transformer(folder, name, device, dtype):
    """As `from_pretrained` makes it of a checkpoint, which it would look for on the Hub."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    m, path = MODELS[name], os.path.join(folder, name)
    rms = name == "llama-15m"
    kw = dict(m, eps=1e-5, normalization_type="RMSPre" if rms else "LNPre", device="cpu", dtype=torch.float32, seed=None)
    if name == "gelu-1l":
        weights = torch.load(os.path.join(path, "model_final.pth"))
    else:
        from transformers import AutoModelForCausalLM
        from transformer_lens.pretrained.weight_conversions.gpt2 import convert_gpt2_weights
        from transformer_lens.pretrained.weight_conversions.llama import convert_llama_weights
        from transformer_lens.pretrained.weight_conversions.neo import convert_neo_weights

        kinds = {
            "gpt2-small": (convert_gpt2_weights, "GPT2LMHeadModel"),
            "tiny-stories-2L-33M": (convert_neo_weights, "GPTNeoForCausalLM"),
            "llama-15m": (convert_llama_weights, "LlamaForCausalLM"),
        }
        convert, kw["original_architecture"] = kinds[name]
        theirs = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        weights = convert(theirs, HookedTransformerConfig(**kw))
        del theirs
    model = HookedTransformer(HookedTransformerConfig(**kw))
    model.load_and_process_state_dict(
        weights, fold_ln=True, center_writing_weights=not rms, center_unembed=True, fold_value_biases=True
    )
    return model.to(dtype).to(device).eval()


def bridge(folder, name, device, dtype):
    from transformer_lens.model_bridge import TransformerBridge

    model = TransformerBridge.boot_transformers(os.path.join(folder, name), device=device, dtype=dtype)
    if name == "gpt2-small":
        model.enable_compatibility_mode()
    return model


# ---------------------------------------------------------------- the same inputs on both sides
def tokens_of(count, vocabulary, start=0):
    return [(31 + at * 7919 + (at * at % 1009) * 31) % vocabulary for at in range(start, start + count)]


def batch_of(case):
    vocabulary = MODELS[case["model"]]["d_vocab"]
    ids = tokens_of(case["batch"] * case["pos"], vocabulary)
    return torch.tensor(ids, device=device_of(case)).reshape(case["batch"], case["pos"])


def prompts_of(case):
    vocabulary, rows, start = MODELS[case["model"]]["d_vocab"], [], 0
    for length in case["lengths"]:
        rows.append(tokens_of(length, vocabulary, start))
        start += length
    return rows


def sampled(tensor, count=64):
    flat = tensor.flatten()
    step = max(1, len(flat) // count)
    return flat[::step][:count].tolist()


def of_logits(logits):
    """Logits of the first and the last position, each about its mean: processing may shift them together."""
    flat = logits.reshape(-1, logits.shape[-1])
    return [value for row in (flat[0], flat[-1]) for value in sampled(row - row.mean())]


class Latents:
    """The autoencoder as a notebook writes it."""

    def __init__(self, folder, name, device, dtype):
        weights = load_file(os.path.join(folder, "sae", name + ".safetensors"))
        self.__dict__.update({name: weight.to(device, dtype) for name, weight in weights.items()})

    def encode(self, x):
        return torch.relu(torch.addmm(self.b_enc, x - self.b_dec, self.W_enc))

    def decode(self, acts):
        return torch.addmm(self.b_dec, acts, self.W_dec)

    def removal(self, latent):
        column, bias, row = self.W_enc[:, latent].clone(), self.b_enc[latent], self.W_dec[latent]

        def hook(value, hook):
            act = torch.relu((value - self.b_dec) @ column + bias)
            return value - act[..., None] * row

        return hook


# ---------------------------------------------------------------- cases: each gives what is timed, and what it found
class Worker:
    def __init__(self, folder):
        self.folder, self.group, self.kept, self.cases = folder, None, {}, {}

    def keep(self, key, make):
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def model(self, case):
        make = bridge if case["side"] == "tb" else hooked_transformer
        return self.keep(("model", case["model"]), lambda: make(self.folder, case["model"], device_of(case), dtype_of(case)))

    def latents(self, case):
        return self.keep(("sae", case["sae"]), lambda: Latents(self.folder, case["sae"], device_of(case), dtype_of(case)))

    def inputs(self, case, name):
        path = os.path.join(self.folder, "sae", "inputs.safetensors")
        return self.keep("inputs", lambda: load_file(path, device=device_of(case)))[name]

    def product(self, case):
        m, k, n = case["shape"]
        x, W = torch.randn(m, k), torch.randn(k, n)
        if case["way"] == "numpy":
            x, W = x.numpy(), W.numpy()
        return lambda: x @ W, lambda found: []

    def forward(self, case):
        model, tokens = self.model(case), batch_of(case)
        return lambda: model(tokens), of_logits

    def cache(self, case):
        model, tokens = self.model(case), batch_of(case)
        last = f"blocks.{MODELS[case['model']]['n_layers'] - 1}.attn.hook_pattern"
        return lambda: model.run_with_cache(tokens), lambda found: of_logits(found[0]) + found[1][last][0, 0, -1].tolist()

    def hooked(self, case):
        """A hook at every point that a cache of everything has, which gives back what it was given."""
        model, tokens = self.model(case), batch_of(case)
        hooks = [(lambda name: True, lambda value, hook: value)]
        return lambda: model.run_with_hooks(tokens, fwd_hooks=hooks), of_logits

    def one_name(self, case):
        model, tokens, point = self.model(case), batch_of(case), case["point"]
        run = lambda: model.run_with_cache(tokens, names_filter=point, stop_at_layer=1)[1][point]
        return run, sampled

    def ablated(self, case):
        model, tokens = self.model(case), batch_of(case)
        hooks = [(case["point"], self.latents(case).removal(0))]
        return lambda: model.run_with_hooks(tokens, fwd_hooks=hooks), of_logits

    def loss_at(self, case):
        model, tokens = self.model(case), batch_of(case)
        hooks = [(case["point"], self.latents(case).removal(0))]

        def run():
            with model.hooks(fwd_hooks=hooks):
                return model(tokens, return_type="loss", loss_per_token=True)[0, -1]

        return run, lambda loss: [loss.item()]

    def decomposition(self, case):
        model, tokens = self.model(case), batch_of(case)
        model.set_use_attn_result(True)
        answer = tokens_of(1, MODELS[case["model"]]["d_vocab"])[0]

        def run():
            _, cache = model.run_with_cache(tokens)
            parts = cache.get_full_resid_decomposition(layer=-1, expand_neurons=False, pos_slice=-1, apply_ln=True)
            return parts[:, 0] @ model.tokens_to_residual_directions(torch.tensor(answer, device=device_of(case)))

        return run, lambda found: found.tolist()

    def sae(self, case):
        x = self.inputs(case, case["sae"].split("-")[0])
        if case["way"] == "torch":
            sae = self.latents(case)
        else:
            sae = self.sae_lens(case)
        return lambda: sae.decode(sae.encode(x)), sampled

    def sae_lens(self, case):
        from sae_lens import StandardSAE, StandardSAEConfig

        d_in, d_sae = SAES[case["sae"]]
        sae = StandardSAE(StandardSAEConfig(d_in=d_in, d_sae=d_sae, device=device_of(case), dtype="float32"))
        sae.load_state_dict(load_file(os.path.join(self.folder, "sae", case["sae"] + ".safetensors")))
        return sae.eval()

    def sweep(self, case):
        """The largest activation of each latent in each prompt."""
        model, sae, point = self.model(case), self.latents(case), case["point"]
        prompts, device = prompts_of(case), device_of(case)

        def notebook():
            found = []
            for prompt in prompts:
                _, cache = model.run_with_cache(torch.tensor([prompt], device=device))
                found.append(sae.encode(cache[point][0]).max(dim=0).values)
            return torch.stack(found)

        def one_by_one():
            found = []
            for prompt in prompts:
                _, cache = model.run_with_cache(torch.tensor([prompt], device=device), names_filter=point, stop_at_layer=1)
                found.append(sae.encode(cache[point][0]).amax(dim=0))
            return torch.stack(found)

        def batched():
            """Prompts of similar length together, padded on the right, which no real token sees."""
            order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
            found, batches, batch = [None] * len(prompts), [], []
            for at in order:
                if batch and (len(batch) + 1) * len(prompts[at]) > 1024:
                    batches.append(batch)
                    batch = []
                batch.append(at)
            for batch in batches + [batch]:
                width = max(len(prompts[at]) for at in batch)
                tokens = torch.tensor([prompts[at] + [0] * (width - len(prompts[at])) for at in batch], device=device)
                _, cache = model.run_with_cache(tokens, names_filter=point, stop_at_layer=1)
                x = cache[point]
                acts = sae.encode(x.flatten(0, 1)).view(len(batch), width, -1)
                for row, at in enumerate(batch):
                    found[at] = acts[row, : len(prompts[at])].amax(dim=0)
            return torch.stack(found)

        ways = dict(notebook=notebook, one_by_one=one_by_one, batched=batched)
        return ways[case["way"]], lambda found: sampled(found.amax(dim=0))

    def train(self, case):
        x, coefficient = self.inputs(case, "train"), 0.05
        start = load_file(os.path.join(self.folder, "sae", case["sae"] + ".safetensors"), device=device_of(case))
        start["b_enc"][0] = -2.33
        losses = []
        if case["way"] == "torch":
            step = plain_step({name: weight.clone().requires_grad_() for name, weight in start.items()}, x, coefficient)
        else:
            step = sae_lens_step(SAES[case["sae"]], start, x, coefficient)

        def run():
            with torch.enable_grad():
                losses.append(step())

        return run, lambda _: losses[:1]

    # ------------------------------------------------------------
    def answer(self, command):
        repeats, group = command.pop("repeats"), command["group"]
        if group != self.group:
            self.kept.clear()
            self.cases.clear()
            gc.collect()
            try:
                import ctypes

                ctypes.CDLL("libc.so.6").malloc_trim(0)
                with open("/proc/self/clear_refs", "w") as file:
                    file.write("5")
            except OSError:
                pass
            self.group = group
        torch.backends.cuda.matmul.allow_tf32 = command.get("numbers") == "tf32"
        key = json.dumps(command, sort_keys=True)
        if key not in self.cases:
            run, values = getattr(self, command["kind"])(command)
            self.cases[key] = (run, values(run()))
        run, values = self.cases[key]
        wait = torch.cuda.synchronize if device_of(command) == "cuda" else lambda: None
        seconds = []
        for _ in range(repeats):
            wait()
            started = time.perf_counter()
            run()
            wait()
            seconds.append(time.perf_counter() - started)
        return dict(seconds=seconds, values=values, peak_mb=peak_mb())


def plain_step(weights, x, coefficient):
    """One step as a notebook writes it: Adam, rows of the decoder of norm 1, the gradient clipped at 1."""
    optimiser = torch.optim.Adam(list(weights.values()), lr=3e-4)

    def step():
        acts = torch.relu((x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"])
        reconstruction = acts @ weights["W_dec"] + weights["b_dec"]
        loss = (reconstruction - x).pow(2).sum(-1).mean() + coefficient * acts.sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        W_dec = weights["W_dec"]
        with torch.no_grad():
            W_dec.grad -= (W_dec.grad * W_dec).sum(-1, keepdim=True) * W_dec
            torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
            optimiser.step()
            W_dec /= W_dec.norm(dim=-1, keepdim=True)
        return loss.item()

    return step


def sae_lens_step(sizes, start, x, coefficient):
    from sae_lens import StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.saes.sae import TrainStepInput

    d_in, d_sae = sizes
    config = StandardTrainingSAEConfig(d_in=d_in, d_sae=d_sae, l1_coefficient=coefficient, device=str(x.device), dtype="float32")
    sae = StandardTrainingSAE(config)
    sae.load_state_dict(start)
    optimiser = torch.optim.Adam(sae.parameters(), lr=3e-4)

    def step():
        optimiser.zero_grad()
        output = sae.training_forward_pass(TrainStepInput(sae_in=x, coefficients={"l1": coefficient}, dead_neuron_mask=None, n_training_steps=0, is_logging_step=False))
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        optimiser.step()
        return output.loss.item()

    return step


def peak_mb():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def work(folder):
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    worker = Worker(folder)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:
            answer = dict(error=f"{type(error).__name__}: {error}"[:2000])
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    what, folder = sys.argv[1:]
    make(folder) if what == "make" else work(folder)
