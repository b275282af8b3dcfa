"""Files as other programs write them, with what they compute, in plain tensors."""

from __future__ import annotations

import json
import pickle
import sys
import types
from functools import cache
from pathlib import Path

import torch

D_IN, D_SAE = 8, 20


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights(seed=0):
    """Return W_enc, b_enc, W_dec, b_dec, none of them near zero."""
    return {
        "W_enc": random(D_IN, D_SAE, seed=seed),
        "b_enc": random(D_SAE, seed=seed + 1),
        "W_dec": random(D_SAE, D_IN, seed=seed + 2),
        "b_dec": random(D_IN, seed=seed + 3),
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
