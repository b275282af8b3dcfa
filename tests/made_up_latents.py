"""SAEs whose latents are known one by one: what was taken from each, and what gives it back."""

import numpy as np
import pandas as pd

from saeflow.tables.runs import DOCUMENTS, LATENTS, LOG, ORIGINAL, Key, Record, Run

D_IN, D_SAE, N_TOKENS = 16, 40, 10_000
N_DOCUMENTS = 20
EXTENT = {"n_tokens": N_TOKENS, "n_documents": N_DOCUMENTS, "d_in": D_IN, "d_sae": D_SAE}
WEIGHTS = "sae_weights.safetensors"


def key(method, *, sae="relu", block=0):
    return Key("m", "world", "train", f"resid_post.{block}", sae, 0, method, "world", "test")


def rows(seed=0):
    """Return decoder rows (D_SAE, D_IN) of unit length."""
    W = np.random.default_rng(seed).normal(size=(D_SAE, D_IN))
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def latents(strength, seed=0):
    """Return sums per latent; the last latent never fires."""
    fired = np.random.default_rng(seed + 1).integers(100, 5000, D_SAE)
    fired[-1] = 0
    return pd.DataFrame({"fired": fired, "activation_sum": fired * strength})


def documents(*, error=100.0, l0=5.0, bias=0.9, ratio=0.8):
    """Return sums per document in which these metrics are the same; the error is a sum."""
    n = np.full(N_DOCUMENTS, N_TOKENS / N_DOCUMENTS)
    uneven = 1 + 0.3 * np.random.default_rng(0).normal(size=N_DOCUMENTS)
    return pd.DataFrame(
        {
            "document": np.arange(N_DOCUMENTS),
            "tokens": n,
            "squared_error": error * uneven,
            "squared_deviation": 1000.0 * uneven,
            "active": l0 * n * uneven / uneven.mean(),
            "squared_norm_hat": bias * n * uneven,
            "inner": n * uneven,
            "norm_ratio": ratio * n,
            "directed": n,
        }
    )


def predictions(ce_sae=2.0, ce_clean=1.0):
    """Return sums per document with these losses per token, in nats."""
    n = np.full(N_DOCUMENTS, 50.0)
    columns = {"predictions": n, "ce_clean": ce_clean * n, "ce_sae": ce_sae * n}
    return pd.DataFrame({"document": np.arange(N_DOCUMENTS), **columns})


def made(key, *, decoder, settings, latents, sums=None, losses=None, **facts):
    """Return an SAE with its measurements, of known sums."""
    log = pd.DataFrame({"tokens": [100, 200], "mse": [2.0, 1.0]})
    facts = {"d_in": D_IN, "settings": settings, "training": {}, "architecture": "relu", **facts}
    reconstruction = {DOCUMENTS: documents() if sums is None else sums, LATENTS: latents}
    language = {DOCUMENTS: predictions() if losses is None else losses}
    return Run(
        key,
        {
            "reconstruction": Record(EXTENT, reconstruction.__getitem__),
            "language": Record({**EXTENT, "n_tokens": 1000}, language.__getitem__),
            "sae": Record(facts, {LOG: log, WEIGHTS: decoder}.__getitem__),
        },
    )


def trained(architecture="relu", *, l1=0.25, scale=1.0, **settings):
    """Return what is on record of an SAE of an architecture, trained with a penalty or without."""
    own = {} if l1 is None else {"l1": l1, "l1_warmup_tokens": 0}
    if architecture == "relu":
        own |= {"error": "mean", "norm_weighted": False, **settings}
    return {
        "architecture": architecture,
        "architecture_settings": own,
        "training": {"tokens": 1000, "scale": [scale, scale]},
    }


def family(
    *, l1=0.25, taken=None, sae="relu", block=0, fit="decoder", architecture="relu", scale=1.0,
    settings=None, **sums,
):  # fmt: skip
    """Return an SAE from whose latents the penalty took ``taken``, and its fine-tuned forms.

    l1 and D_IN make c d / 2 = 2, which is what is taken unless said otherwise. "decoder" gives
    everything back by steps, "decoder-exact" the same in closed form with a little less error.
    ``scale`` and ``settings`` are those of `trained`, ``sums`` those of `documents`, of the
    original.
    """
    taken = (l1 or 0) * D_IN / 2 if taken is None else taken
    strength = np.geomspace(0.5, 20, D_SAE)
    W, counts = rows(), latents(strength)
    cured = W * ((strength + taken) / strength)[:, None]
    fitted = {
        "tokens": 500,
        "ridge": 10.0,
        "n_validation_documents": 6,
        "final": {"mse": 0.7, "mse_before": 2.0},
    }

    def of(method, **values):
        return made(key(method, sae=sae, block=block), latents=counts, **values)

    return (
        of(
            ORIGINAL, decoder=W, settings={}, sums=documents(**sums),
            **trained(architecture, l1=l1, scale=scale, **(settings or {})),
        ),
        of(
            "decoder", decoder=cured, settings={"solver": "steps", "method": fit},
            sums=documents(error=80.0), losses=predictions(1.5),
        ),
        of(
            "decoder-exact", decoder=cured * 1.01,
            settings={"solver": "exact", "method": "decoder"},
            sums=documents(error=75.0), losses=predictions(1.4), training=fitted,
        ),
    )  # fmt: skip


def with_architectures(known, block=0):
    """Return a `family` per architecture, of known (reconstruction bias, L0), the L2 ratio .8."""
    return tuple(
        run
        for name, (bias, l0) in known.items()
        for run in family(sae=name, architecture=name, block=block, bias=bias, l0=l0)
    )
