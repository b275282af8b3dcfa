"""Files as other programs write them, with what they compute, in plain tensors."""

from __future__ import annotations

import json
import pickle
import sys
import types
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file

D_IN, D_SAE = 8, 20


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights(seed=0):
    """Return W_enc, b_enc, W_dec, b_dec, none of them near zero."""
    return sized(D_IN, D_SAE, seed)


def sized(d_in, d_sae, seed=0):
    """Return `weights` of other widths."""
    return {
        "W_enc": random(d_in, d_sae, seed=seed),
        "b_enc": random(d_sae, seed=seed + 1),
        "W_dec": random(d_sae, d_in, seed=seed + 2),
        "b_dec": random(d_in, seed=seed + 3),
    }


def inputs(n=60):
    return random(n, D_IN, seed=99) * 2 + 0.5


def assert_computes(sae, latents, x_hat, x=None):
    """Hold an SAE against the latents and the reconstruction of `inputs`."""
    x = inputs() if x is None else x
    torch.testing.assert_close(sae.encode(x), latents, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sae(x), x_hat, rtol=1e-5, atol=1e-5)
    assert float(latents.abs().max()) > 0 and bool((latents == 0).any())


def json_file(path: Path, value) -> Path:
    path.write_text(json.dumps(value))
    return path


@cache
def _class(module: str, name: str) -> type:
    return type(name, (), {"__module__": module})


def of_module(module: str, name: str, attributes: dict):
    """Return an object of a class that only a foreign program has, to be pickled."""
    one = _class(module, name)()
    one.__dict__.update(attributes)
    return one


def save_objects(path: Path, content, classes) -> Path:
    """Pickle ``content`` with torch, as if the modules of ``classes`` (objects) existed."""
    modules = {}
    for one in classes:
        kind = type(one)
        parts = kind.__module__.split(".")
        for end in range(1, len(parts) + 1):
            name = ".".join(parts[:end])
            modules.setdefault(name, types.ModuleType(name))
        setattr(modules[kind.__module__], kind.__name__, kind)
    present = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        torch.save(content, path, pickle_module=pickle)
    finally:
        for name, module in present.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return path


# -- published suites ------------------------------------------------------------------------------

LLAMA_SCOPE_NORM = 17.125


def gemma_scope_2(directory: Path, tensors=None, d_in=D_IN, d_sae=D_SAE, **changes) -> Path:
    """Write a directory of Gemma Scope 2, with its config.json's keys; return it."""
    directory.mkdir(parents=True, exist_ok=True)
    hook = "model.layers.2.output"
    config = {
        "hf_hook_point_in": hook, "hf_hook_point_out": hook, "width": d_sae,
        "model_name": "google/gemma-3-1b-pt", "architecture": "jump_relu", "l0": 20,
        "affine_connection": False, "type": "sae",
    }  # fmt: skip
    json_file(directory / "config.json", config | changes)
    w = sized(d_in, d_sae)
    found = {
        "w_enc": w["W_enc"], "b_enc": w["b_enc"], "w_dec": w["W_dec"], "b_dec": w["b_dec"],
        "threshold": random(d_sae, seed=7).abs(),
    }  # fmt: skip
    save_file(found if tensors is None else tensors(found), directory / "params.safetensors")
    return directory


def llama_scope(directory: Path, tensors=None, d_in=D_IN, d_sae=D_SAE, **changes) -> Path:
    """Write a directory of Llama Scope, with its hyperparams.json's keys; return it."""
    (directory / "checkpoints").mkdir(parents=True, exist_ok=True)
    hook = "blocks.19.hook_resid_post"
    config = {
        "hook_point_in": hook, "hook_point_out": hook, "use_decoder_bias": True,
        "apply_decoder_bias_to_pre_encoder": False, "expansion_factor": d_sae / d_in,
        "d_model": d_in, "d_sae": d_sae, "norm_activation": "dataset-wise",
        "dataset_average_activation_norm": {"in": LLAMA_SCOPE_NORM, "out": LLAMA_SCOPE_NORM},
        "decoder_exactly_fixed_norm": False, "sparsity_include_decoder_norm": True,
        "use_glu_encoder": False, "init_decoder_norm": 0.5,
        "init_encoder_with_decoder_transpose": True, "l1_coefficient": None,
        "act_fn": "jumprelu", "jump_relu_threshold": 0.52734375, "top_k": 50,
    }  # fmt: skip
    json_file(directory / "hyperparams.json", config | changes)
    w = sized(d_in, d_sae)
    found = {
        "encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"],
        "decoder.weight": w["W_dec"].T.contiguous(), "decoder.bias": w["b_dec"],
    }  # fmt: skip
    found = found if tensors is None else tensors(found)
    save_file(found, directory / "checkpoints" / "final.safetensors")
    return directory
