"""Studies of many shapes that nobody ran: hooks, seeds and recipes as one asks for, odd values too.

What is odd: two recipes with nearly the same L0 and error, an effect whose denominator is near
zero, rotated latents, a recipe with a long name, a training log of few lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from made_up_latents import trained
from saeflow.hooks import Hook
from saeflow.tables.runs import DOCUMENTS, LATENTS, LOG, ORIGINAL, Key, Record, Run

D_IN, D_SAE, N_TOKENS, N_DOCUMENTS = 16, 48, 10_000, 16
EXTENT = {"n_tokens": N_TOKENS, "n_documents": N_DOCUMENTS}
RECIPES = {  # architecture, settings, L0, FVU, how much the penalty takes
    "relu-weak": ("relu", {"l1": 0.05}, 44.0, 0.08, 0.4),
    "topk-32": ("topk", {"k": 32}, 32.0, 0.1334, 0.0),
    "batchtopk-32": ("batchtopk", {"k": 32}, 32.01, 0.1397, 0.0),
    "relu-strong": ("relu", {"l1": 0.17}, 14.0, 0.17, 1.3),
    "topk-8": ("topk", {"k": 8}, 8.0, 0.22, 0.0),
    "gated": ("gated", {"l1": 0.1}, 28.0, 0.12, 0.0),
    "jumprelu": ("jumprelu", {"l0_coef": 0.1}, 19.0, 0.15, 0.0),
    "matryoshka": ("matryoshka", {"k": 32}, 32.0, 0.15, 0.0),
    "p-anneal": ("p_anneal", {"l1": 0.1}, 24.0, 0.13, 0.0),
    "topk-64": ("topk", {"k": 64}, 64.0, 0.06, 0.0),
    "relu-16x-with-a-rather-long-name": ("relu", {"l1": 0.08}, 36.0, 0.09, 0.6),
    "batchtopk-64": ("batchtopk", {"k": 64}, 63.0, 0.061, 0.0),
}
METHODS = {  # what is fitted, by what, share of the error and of the lost length that stays
    "baseline": ("baseline", "steps", 0.98, 0.97),
    "scale": ("scale", "steps", 0.9, 0.45),
    "scale-exact": ("scale", "exact", 0.895, 0.44),
    "unrotated_decoder": ("unrotated_decoder", "steps", 0.89, 0.42),
    "unrotated_decoder-exact": ("unrotated_decoder", "exact", 0.885, 0.41),
    "decoder": ("decoder", "steps", 0.82, 0.3),
    "decoder-exact": ("decoder", "exact", 0.8, 0.28),
    "encoder": ("encoder", "steps", 0.6, 0.2),
    "unrotated_encoder": ("unrotated_encoder", "steps", 0.75, 0.3),
    "unrotated_all": ("unrotated_all", "steps", 0.7, 0.25),
    "kl_mse": ("all", "kl_mse", 0.85, 0.25),
}


def hooks(n: int, *, mixed: bool) -> list[str]:
    """Return so many hooks, after each block, or of each block at three sites."""
    sites = ("attn_out", "mlp_out", "resid_post") if mixed else ("resid_post",)
    return [f"{sites[i % len(sites)]}.{i // len(sites)}" for i in range(n)]


def runs(
    which: Sequence[str],
    n_seeds: int,
    recipes: Sequence[str],
    *,
    methods: Sequence[str] = tuple(METHODS),
    models: Sequence[str] = ("world-s",),
) -> tuple[Run, ...]:
    """Return the runs of a study; ReLU SAEs are also fine-tuned."""
    found = [
        _run(Key(model, "world", "p", hook, recipe, seed, method, "world", "p"))
        for model in models
        for hook in which
        for recipe in recipes
        for seed in range(n_seeds)
        for method in (ORIGINAL, *(methods if RECIPES[recipe][0] == "relu" else ()))
    ]
    return tuple(sorted(found, key=lambda run: run.key.order()))


def _run(key: Key) -> Run:
    architecture, settings, l0, fvu, taken = RECIPES[key.sae]
    hook = Hook.parse(key.hook)
    own = np.random.default_rng([key.seed, *map(ord, key.hook + key.sae)])
    deep = 1 + 0.4 * np.sin(hook.block / 3) + {"attn_out": 0.3}.get(hook.site, 0)
    fit, solver, error, lost = METHODS.get(key.method, ("", "", 1.0, 1.0))
    fvu *= deep * (1 + 0.01 * own.normal()) * error
    l0 *= (1.5 if key.method in ("encoder", "unrotated_encoder", "unrotated_all") else 1.0) * (
        1.0 if architecture == "topk" else deep * (1 + 0.02 * own.normal())
    )
    short = 1 - (fvu / error if taken else 0.002) * 1.2 * lost
    sums = {
        "squared_error": fvu * 0.4 * D_IN, "squared_deviation": 0.4 * D_IN, "active": l0,
        "squared_norm_hat": short, "inner": 1.0, "norm_ratio": short - fvu / 4, "cosine": 1 - fvu,
    }  # fmt: skip
    # One SAE adds so little to the perplexity that no share of it can be told.
    little = 0.0004 if hook.block == 0 and key.sae == "relu-weak" else 1.0
    language = {
        "ce_clean": 1.22, "ce_sae": 1.22 + 0.9 * fvu * little, "ce_zero": 10.0, "ce_mean": 5.0,
        "kl": 0.7 * fvu,
    }  # fmt: skip
    probes = {
        name + end: value + (0.3 * fvu if end else 0)
        for name, value in (("correct", 0.6), ("loss", 1.0))
        for end in ("", "_sae", "_codes", "_chance")
    }
    noise = 0.004 if little < 1 else 0.0
    return Run(
        key,
        {
            "reconstruction": _record(
                _documents(sums, key, "tokens").assign(directed=float(N_TOKENS / N_DOCUMENTS)),
                latents=_latents(key, taken),
            ),
            "language": _record(_documents(language, key, "predictions", noise)),
            "probes": _record(_documents(probes, key, "tokens")),
            "sae": Record(
                {"d_in": D_IN, **_facts(key, fvu)},
                {
                    LOG: _log(fvu, l0, architecture),
                    "sae_weights.safetensors": _decoder(key, taken),
                }.__getitem__,
            ),
        },
    )


def _facts(key: Key, fvu: float) -> dict[str, Any]:
    """Return what the record of an SAE says of its training."""
    architecture, settings, *_ = RECIPES[key.sae]
    if key.method == ORIGINAL:
        found = trained(architecture, l1=settings.get("l1"))
        return found | {"settings": {}}
    fit, solver, *_ = METHODS[key.method]
    training = {
        "tokens": 400_000, "ridge": 10.0, "final": {"mse": fvu * 6}, "n_validation_documents": 60,
    }  # fmt: skip
    settings = {"method": fit, "solver": solver}
    return {"architecture": architecture, "settings": settings, "training": training}


def _record(sums: pd.DataFrame, latents: pd.DataFrame | None = None) -> Record:
    return Record(
        {**EXTENT, "d_in": D_IN, "d_sae": D_SAE}, {DOCUMENTS: sums, LATENTS: latents}.__getitem__
    )


def _documents(means, key: Key, counts: str, noise: float = 0.0) -> pd.DataFrame:
    """Return sums per document; hard documents are hard for all SAEs."""
    hard = 0.2 * np.random.default_rng(0).normal(size=N_DOCUMENTS)
    seeds = [key.seed, *map(ord, key.hook + key.sae + key.method)]
    n = np.full(N_DOCUMENTS, N_TOKENS / N_DOCUMENTS)
    columns = {
        name: n * mean * (1 + 0.3 * hard)
        + (
            n * noise * np.random.default_rng(seeds).normal(size=N_DOCUMENTS)
            if "sae" in name
            else 0
        )
        for name, mean in means.items()
    }
    return pd.DataFrame({"document": np.arange(N_DOCUMENTS), counts: n, **columns})


def _strength() -> np.ndarray:
    return np.geomspace(0.5, 20, D_SAE)


def _latents(key: Key, taken: float) -> pd.DataFrame:
    random = np.random.default_rng([key.seed, *map(ord, key.hook + key.sae)])
    fired = (10 ** random.uniform(-3, -0.5, D_SAE) * N_TOKENS).astype(int)
    fired[-2:] = 0
    return pd.DataFrame({"fired": fired, "activation_sum": fired * _strength()})


@lru_cache
def _rows(seed: int) -> np.ndarray:
    W = np.random.default_rng(seed).normal(size=(D_SAE, D_IN))
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def _decoder(key: Key, taken: float) -> np.ndarray:
    """Return decoder rows; the decoder's methods turn and lengthen them."""
    before = _rows(key.seed)
    if key.method == ORIGINAL:
        return before
    turned = before
    if METHODS[key.method][0] in ("decoder", "all"):
        turned = before + np.linspace(0.2, 0.9, D_SAE)[:, None] * _rows(key.seed + 100)
        turned = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    spread = np.random.default_rng(len(key.method)).normal(1, 0.3, D_SAE)
    return turned * ((_strength() + taken * spread.clip(0.1)) / _strength())[:, None]


def _log(fvu: float, l0: float, architecture: str) -> pd.DataFrame:
    tokens = np.linspace(300_000, 1_000_000, 8)
    falling = np.exp(-tokens / 400_000)
    fixed = architecture in ("topk", "batchtopk", "matryoshka")
    return pd.DataFrame(
        {
            "tokens": tokens.astype(int), "loss": fvu, "mse": fvu * 6 * (1 + falling),
            "fvu": fvu * (1 + 2 * falling), "l0": l0 * (1 + 0 * falling if fixed else 1 + falling),
            "dead": 0,
        }
    )  # fmt: skip
