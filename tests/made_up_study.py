"""A study that nobody ran: plausible numbers for tables, figures and the report."""

from functools import partial

import numpy as np
import pandas as pd

from saeflow.tables.runs import ORIGINAL, Key, Run
from saeflow.tables.scores import ModelScores

N_DOCUMENTS, TOKENS_PER_DOCUMENT, D_IN = 60, 250, 128
RECIPES = {
    "relu-weak": (44, 0.08),
    "relu-strong": (14, 0.17),
    "topk-8": (8, 0.16),
    "topk-32": (32, 0.05),
}
METHODS = {"scale": 0.9, "decoder": 0.82}


def interval(value, rng, width=0.04):
    draws = value * (1 + width * rng.normal(size=200))
    return {
        "value": value,
        "low": float(np.quantile(draws, 0.025)),
        "high": float(np.quantile(draws, 0.975)),
    }


def documents(mse, seed):
    rng = np.random.default_rng(seed)  # hard documents are hard for parent and tuned SAE alike
    tokens = np.full(N_DOCUMENTS, float(TOKENS_PER_DOCUMENT))
    own = np.random.default_rng([seed, int(mse * 1e6)])
    noise = 0.1 * rng.normal(size=N_DOCUMENTS) + 0.02 * own.normal(size=N_DOCUMENTS)
    errors = mse * D_IN * tokens * (1 + noise)
    return pd.DataFrame(
        {"document": np.arange(N_DOCUMENTS), "tokens": tokens, "squared_error": errors}
    )


def run(model, hook, sae, seed, method):
    block = int(hook.split(".")[1])
    rng = np.random.default_rng([seed, block, sorted(RECIPES).index(sae), len(model)])
    l0, fvu = RECIPES[sae]
    l0 = l0 * (1 + 0.15 * block) if sae.startswith("relu") else l0
    fvu = fvu * (1 + 0.3 * block) * (1 + 0.02 * rng.normal()) * METHODS.get(method, 1)
    short = 1 - fvu / 2 if sae.startswith("topk") else 1 - fvu * 1.4
    ratio = {"original": short, "scale": (1 + short) / 2, "decoder": 0.3 * short + 0.7}[method]
    reconstruction = {
        "l0": interval(l0, rng, 0.01),
        "mse": interval(fvu * 0.4, rng),
        "fvu": interval(fvu, rng),
        "l2_ratio": interval(ratio, rng, 0.01),
        "cosine": interval(1 - fvu / 2, rng, 0.002),
        "dead": {"value": 0.03 * block, "low": None, "high": None},
    }
    delta = 0.9 * fvu
    language = {
        "ce_loss": interval(1.22, rng, 0.01),
        "ce_loss_sae": interval(1.22 + delta, rng, 0.01),
        "delta_ce": interval(delta, rng, 0.06),
        "ce_recovered_zero": interval(1 - delta / 9, rng, 0.001),
        "ce_recovered_mean": interval(1 - delta / 4, rng, 0.003),
        "kl": interval(0.8 * delta, rng, 0.06),
        "perplexity": interval(3.39, rng, 0.01),
        "perplexity_sae": interval(float(np.exp(1.22 + delta)), rng, 0.02),
    }
    extent = {"n_tokens": N_DOCUMENTS * TOKENS_PER_DOCUMENT, "n_documents": N_DOCUMENTS}
    return Run(
        Key(model, "world", "sae-256", hook, sae, seed, method, "world", "sae-256"),
        {
            "reconstruction": {**extent, "metrics": reconstruction, "d_in": D_IN, "d_sae": 512},
            "language": {**extent, "metrics": language},
        },
        partial(documents, fvu * 0.4, seed),
    )


def runs(models=("world-s",), n_blocks=4, seeds=(0,)):
    """Return the runs of a study; ReLU SAEs are also fine-tuned."""
    found = [
        run(model, f"resid_post.{block}", sae, seed, method)
        for model in models
        for block in range(n_blocks)
        for sae in RECIPES
        for seed in seeds
        for method in (ORIGINAL, *(METHODS if sae.startswith("relu") else ()))
    ]
    return sorted(found, key=lambda r: r.key.order())


def trainings(models=("world-s",), n_blocks=4, seeds=(0,)):
    """Return runs that hold training logs."""
    found = []
    for made in runs(models, n_blocks, seeds):
        tokens = np.arange(1, 51) * 20_000
        end = made.records["reconstruction"]["metrics"]
        fvu = end["fvu"]["value"] * (1 + 20 * np.exp(-tokens / 60_000))
        l0 = end["l0"]["value"] * (1 + 8 * np.exp(-tokens / 80_000))
        log = pd.DataFrame(
            {
                "step": tokens // 2000,
                "tokens": tokens,
                "loss": fvu,
                "mse": 0.4 * fvu,
                "penalty": 0.0,
                "l0": l0,
                "fvu": fvu,
                "dead": 0,
                "learning_rate": 1e-3,
            }
        )
        key = Key(**{**made.key.__dict__, "eval_dataset": "", "eval_packing": ""})
        found.append(Run(key, {"sae": {}}, read_log=lambda log=log: log))
    return found


def scores(models=("world-s",)):
    """Return scores in which one task cannot be told from chance."""

    def share(task, value, n, chance, baselines, requires):
        half = 1.96 * np.sqrt(value * (1 - value) / n) + 1e-3
        return {
            "task": task,
            "value": value,
            "low": value - half,
            "high": min(1.0, value + half),
            "n": n,
            "chance": chance,
            "at_chance": bool(value - half <= chance),
            "unit": "",
            "requires": requires,
            "baselines": baselines,
        }

    rows = (
        {
            "task": "held_out_loss",
            "value": 1.22,
            "low": 1.2,
            "high": 1.24,
            "n": 98_000,
            "chance": 6.9,
            "at_chance": False,
            "unit": "nats",
            "requires": "predicting every word of unseen documents",
            "baselines": {"unigram": 5.3, "bigram": 3.0, "trigram": 2.4, "fourgram": 2.3},
        },
        share(
            "last_word",
            0.81,
            400,
            0.001,
            {"last_sentence": 0.02, "most_frequent": 0.26, "copy_bigram": 0.79},
            "finding a word of the passage again by what stood before it",
        ),
        share(
            "cloze",
            0.93,
            400,
            0.1,
            {"last_sentence": 0.11, "most_frequent": 0.4, "copy_bigram": 0.95},
            "the same among ten objects",
        ),
        share(
            "sentiment",
            0.95,
            500,
            0.5,
            {"mean_embedding": 0.87},
            "summing up graded, negated opinions",
        ),
        share(
            "indirect_object_abba",
            0.99,
            300,
            0.5,
            {"first_named": 0.0, "most_frequent": 0.0},
            "preferring the name that was not repeated",
        ),
        share(
            "owner_binding",
            0.36,
            300,
            0.34,
            {"last_sentence": 0.33, "most_frequent": 0.36, "copy_bigram": 0.35},
            "knowing which object belongs to whom; reported only: no gate",
        ),
    )
    return [ModelScores(model, "world", rows) for model in models]
