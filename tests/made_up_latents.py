"""SAEs whose latents are known one by one: what was taken from each, and what gives it back."""

import numpy as np
import pandas as pd

from saeflow.tables.runs import ORIGINAL, Key, Run

D_IN, D_SAE, N_TOKENS = 16, 40, 10_000
N_DOCUMENTS = 20


def key(method, *, sae="relu", evaluated=True, block=0):
    place = ("world", "test") if evaluated else ("", "")
    return Key("m", "world", "train", f"resid_post.{block}", sae, 0, method, *place)


def rows(seed=0):
    """Return decoder rows (D_SAE, D_IN) of unit length."""
    W = np.random.default_rng(seed).normal(size=(D_SAE, D_IN))
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def latents(strength, seed=0):
    """Return sums per latent; the last latent never fires."""
    fired = np.random.default_rng(seed + 1).integers(100, 5000, D_SAE)
    fired[-1] = 0
    return pd.DataFrame({"fired": fired, "activation_sum": fired * strength})


def documents(error):
    n = np.full(N_DOCUMENTS, N_TOKENS / N_DOCUMENTS)
    error = error * (1 + 0.3 * np.random.default_rng(0).normal(size=N_DOCUMENTS))
    active = np.arange(N_DOCUMENTS) + 100.0
    return pd.DataFrame(
        {"document": np.arange(N_DOCUMENTS), "tokens": n, "squared_error": error, "active": active}
    )


def predictions(ce_sae, ce_clean=1.0):
    n = np.full(N_DOCUMENTS, 50.0)
    columns = {"predictions": n, "ce_clean": ce_clean * n, "ce_sae": ce_sae * n}
    return pd.DataFrame({"document": np.arange(N_DOCUMENTS), **columns})


def pair(method, *, key_of, latents, decoder, error, ce_sae, settings, training):
    """Return an SAE's measurement and the SAE itself."""
    extent = {"n_tokens": N_TOKENS, "n_documents": N_DOCUMENTS}
    metrics = {"l0": {"value": 5.0, "low": 4.9, "high": 5.1}}
    record = {"settings": settings, "training": training, "d_in": D_IN}
    log = pd.DataFrame({"tokens": [100, 200], "mse": [2.0, 1.0]})
    return [
        Run(
            key_of(method),
            {
                "reconstruction": {**extent, "metrics": metrics},
                "language": {**extent, "metrics": {}},
            },
            read_documents=lambda: documents(error),
            read_latents=lambda: latents,
            read_predictions=lambda: predictions(ce_sae),
        ),
        Run(
            key_of(method, evaluated=False),
            {"sae": record},
            read_log=lambda: log,
            read_decoder=lambda: decoder,
        ),
    ]


def family(*, l1=0.25, taken=None, sae="relu", block=0):
    """Return an SAE from whose latents the penalty took ``taken``, and its fine-tuned forms.

    l1 and D_IN make c d / 2 = 2, which is what is taken unless said otherwise. "decoder" gives
    everything back by steps, "decoder-exact" the same in closed form with a little less error.
    """
    taken = l1 * D_IN / 2 if taken is None else taken
    strength = np.geomspace(0.5, 20, D_SAE)
    W, sums = rows(), latents(strength)
    cured = W * ((strength + taken) / strength)[:, None]

    def of(method, evaluated=True):
        return key(method, sae=sae, evaluated=evaluated, block=block)

    common = {"key_of": of, "latents": sums, "training": {}}
    steps = {"solver": "steps", "method": "decoder"}
    exact = {"solver": "exact", "method": "decoder", "tokens": None, "ridge": None}
    fit = {"tokens": 500, "ridge": 10.0, "final": {"mse": 0.7, "mse_before": 2.0}}
    return [
        *pair(
            ORIGINAL, decoder=W, error=100.0, ce_sae=2.0,
            settings={"architecture": "relu", "l1": l1}, **common,
        ),
        *pair("decoder", decoder=cured, error=80.0, ce_sae=1.5, settings=steps, **common),
        *pair(
            "decoder-exact", decoder=cured * 1.01, error=75.0, ce_sae=1.4, settings=exact,
            **{**common, "training": fit},
        ),
    ]  # fmt: skip


def with_architectures(known, block=0):
    """Return a `family` per architecture, of known (reconstruction bias, L0), the L2 ratio .8."""
    found = []
    for name, (bias, l0) in known.items():
        for run in family(sae=name, block=block):
            if "sae" in run.records:
                run.records["sae"]["architecture"] = name
            else:
                values = {"reconstruction_bias": bias, "l0": l0, "l2_ratio": 0.8, "fvu": 0.1}
                run.records["reconstruction"]["metrics"] = {
                    metric: {"value": value, "low": value - 0.01, "high": value + 0.01}
                    for metric, value in values.items()
                }
            found.append(run)
    return found
