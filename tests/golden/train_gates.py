#!/usr/bin/env python3
"""Losses and gradients of one training step in SAELens 6.54.12 (torch 2.15.0), gate by gate.

Run:  python train_gates.py sae/train_gates/golden.safetensors
"""
import sys, warnings
import torch
from safetensors.torch import save_file
warnings.filterwarnings("ignore")
from sae_lens.saes.sae import TrainStepInput
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.saes.gated_sae import GatedTrainingSAE, GatedTrainingSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.saes.matryoshka_batchtopk_sae import MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig

torch.manual_seed(11)
D_IN, D_SAE, ROWS = 8, 48, 20
x = torch.randn(ROWS, D_IN)
start = dict(W_enc=torch.randn(D_IN, D_SAE) * 0.5, b_enc=torch.randn(D_SAE) * 0.1, W_dec=torch.randn(D_SAE, D_IN) * 0.5,
             b_dec=torch.randn(D_IN) * 0.1, threshold=torch.rand(D_SAE) * 0.3, r_mag=torch.randn(D_SAE) * 0.2,
             b_mag=torch.randn(D_SAE) * 0.1)
dead = torch.zeros(D_SAE, dtype=torch.bool)
dead[[1, 5, 9, 20, 33, 47]] = True
out = {"x": x, "dead": torch.nonzero(dead).squeeze(-1).int(), **{f"start/{k}": v for k, v in start.items()}}
base = dict(d_in=D_IN, d_sae=D_SAE, device="cpu")
jump = dict(jumprelu_bandwidth=0.3, jumprelu_init_threshold=0.1)
top = dict(rescale_acts_by_decoder_norm=False, aux_loss_coefficient=0.5)
kinds = {
    "standard": (StandardTrainingSAE, StandardTrainingSAEConfig(**base)),
    "gated": (GatedTrainingSAE, GatedTrainingSAEConfig(**base)),
    "jumprelu_step": (JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig(**base, **jump, jumprelu_sparsity_loss_mode="step")),
    "jumprelu_tanh": (JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig(**base, **jump, jumprelu_sparsity_loss_mode="tanh", jumprelu_ste_to_input=True)),
    "jumprelu_quadratic": (JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig(**base, **jump, jumprelu_sparsity_loss_mode="quadratic", target_l0=10.0)),
    "topk": (TopKTrainingSAE, TopKTrainingSAEConfig(**base, **top, k=5)),
    "batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig(**base, **top, k=5)),
    "matryoshka": (MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig(**base, **top, k=5, matryoshka_widths=[12, 48])),
}
for name, (cls, cfg) in kinds.items():
    sae = cls(cfg)
    with torch.no_grad():
        for weight, value in sae.named_parameters():
            value.copy_(start["b_enc" if weight == "b_gate" else weight])
    step = sae.training_forward_pass(TrainStepInput(sae_in=x, coefficients={"l1": 0.2, "l0": 0.3}, dead_neuron_mask=dead, n_training_steps=0, is_logging_step=False))
    step.loss.backward()
    out[f"{name}/loss"] = step.loss.detach().reshape(1)
    out[f"{name}/acts"] = step.feature_acts.detach().to_dense() if step.feature_acts.is_sparse else step.feature_acts.detach()
    for weight, value in sae.named_parameters():
        out[f"{name}/grad/{'b_enc' if weight == 'b_gate' else weight}"] = value.grad
    print(name, float(step.loss), {k: float(v) for k, v in step.losses.items()})
save_file({k: v.contiguous() for k, v in out.items()}, sys.argv[1])
