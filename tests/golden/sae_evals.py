"""What SAELens's `run_evals` says of the autoencoders in sae/sae_lens: writes sae/evals.safetensors and sae/evals.json.

Made with sae-lens 6.54.12 and transformer-lens 3.9.0 beside make_fixtures.py, whose files it reads.
"""
import json
import os

import torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE
from sae_lens.evals import EvalConfig, run_evals
from sae_lens.training.activation_scaler import ActivationScaler
from transformer_lens import HookedTransformer, HookedTransformerConfig

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ["standard", "standard_layer_norm", "gated", "topk"]
FIELDS = ["n_layers", "d_model", "n_ctx", "d_head", "n_heads", "d_mlp", "act_fn", "d_vocab", "eps", "normalization_type", "positional_embedding_type"]
BOS = 0


class Batches:
    """Stands in for an ActivationsStore: gives the same batches of tokens again and again."""

    def __init__(self, batches):
        self.batches, self.at = batches, 0
        self.store_batch_size_prompts, self.context_size = batches[0].shape

    def get_batch_tokens(self, _):
        self.at += 1
        return self.batches[(self.at - 1) % len(self.batches)]

    def reset_input_dataset(self):
        self.at = 0


def model():
    cfg = json.load(open(f"{HERE}/gpt2/tl_processed_cfg.json"))
    made = HookedTransformer(HookedTransformerConfig(device="cpu", dtype=torch.float32, **{k: cfg[k] for k in FIELDS}))
    missing, unexpected = made.load_state_dict(load_file(f"{HERE}/gpt2/tl_processed_weights.safetensors"), strict=False)
    assert not unexpected and all(k.endswith(("mask", "IGNORE")) for k in missing), (missing, unexpected)
    return made.eval()


torch.manual_seed(0)
m = model()
recorded = load_file(f"{HERE}/sae/input.safetensors")
assert torch.allclose(m(recorded["tokens"]), recorded["clean_logits"], atol=1e-4)
batches = [torch.randint(1, m.cfg.d_vocab, (rows, 18)) for rows in (2, 3)]
for batch in batches:
    batch[:, 0] = BOS
batches[0][1, 7] = BOS
out = {}
for kind in KINDS:
    sae = SAE.load_from_disk(f"{HERE}/sae/sae_lens/{kind}", device="cpu")
    for name, ignored in (("all", []), ("without_bos", [BOS])):
        store = Batches(batches)
        cfg = EvalConfig(batch_size_prompts=2, n_eval_reconstruction_batches=2, n_eval_sparsity_variance_batches=2, compute_kl=True, compute_ce_loss=True, compute_l2_norms=True, compute_sparsity_metrics=True, compute_variance_metrics=True, compute_featurewise_density_statistics=True)
        metrics, features = run_evals(sae, store, m, ActivationScaler(), cfg, exclude_special_tokens=ignored)
        out[f"{kind}/{name}"] = {k: v for group in metrics.values() for k, v in group.items()} | {"feature_density": features["feature_density"]}
save_file({f"tokens/{i}": b for i, b in enumerate(batches)}, f"{HERE}/sae/evals.safetensors")
json.dump({"bos": BOS, "cases": out}, open(f"{HERE}/sae/evals.json", "w"), indent=1)
for k, v in out.items():
    print(k, {n: round(x, 4) for n, x in v.items() if not isinstance(x, list)})
