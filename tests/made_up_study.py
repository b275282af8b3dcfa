"""A study that nobody ran: plausible sums for tables, figures and the report."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from saeflow.metrics.registry import METRICS
from saeflow.registry import function
from saeflow.tables.runs import DOCUMENTS, LATENTS, LOG, ORIGINAL, Key, Record, Run
from saeflow.task import Task
from saeflow.work import hold

N_DOCUMENTS, TOKENS_PER_DOCUMENT, D_IN, D_SAE = 60, 250, 128, 200
EXTENT = {"n_tokens": N_DOCUMENTS * TOKENS_PER_DOCUMENT, "n_documents": N_DOCUMENTS}
RECIPES = {
    "relu-weak": (44, 0.08),
    "relu-strong": (14, 0.17),
    "topk-8": (8, 0.16),
    "topk-32": (32, 0.05),
}
METHODS = {"scale": 0.9, "decoder": 0.82}
OPTIONS = dict(bootstrap=200, seed=0)


def record(facts=(), **tables):
    """Return a record with its files in memory, named by their stems."""
    files = {"documents": DOCUMENTS, "latents": LATENTS, "log": LOG}
    named = {files.get(name, f"{name}.parquet"): table for name, table in tables.items()}
    return Record({**EXTENT, "d_in": D_IN, "d_sae": D_SAE, **dict(facts)}, named.__getitem__)


def documents(means, seed, own, n=N_DOCUMENTS, counts="tokens"):
    """Return sums per document of values with these means per token.

    Hard documents of a ``seed`` are hard for all SAEs; ``own`` is the seed of what differs.
    """
    hard = 0.1 * np.random.default_rng(seed).normal(size=n)
    random = np.random.default_rng(own)
    n_tokens = np.full(n, float(TOKENS_PER_DOCUMENT))
    columns = {
        name: mean * n_tokens * (1 + 0.3 * hard + 0.005 * random.normal(size=n))
        for name, mean in means.items()
    }
    return pd.DataFrame({"document": np.arange(n), counts: n_tokens, **columns})


def run(model, hook, sae, seed, method):
    block = int(hook.split(".")[1])
    own = [seed, block, sorted(RECIPES).index(sae), len(model), [ORIGINAL, *METHODS].index(method)]
    rng = np.random.default_rng(own)
    l0, fvu = RECIPES[sae]
    l0 = l0 * (1 + 0.15 * block) if sae.startswith("relu") else l0
    fvu = fvu * (1 + 0.3 * block) * (1 + 0.02 * rng.normal()) * METHODS.get(method, 1)
    short = 1 - fvu / 2 if sae.startswith("topk") else 1 - fvu * 1.4
    ratio = {ORIGINAL: short, "scale": (1 + short) / 2, "decoder": 0.3 * short + 0.7}[method]
    reconstruction = {
        "active": l0, "squared_error": fvu * 0.4 * D_IN, "squared_deviation": 0.4 * D_IN,
        "norm_ratio": ratio, "cosine": 1 - fvu / 2, "squared_norm_hat": ratio, "inner": 1.0,
    }  # fmt: skip
    language = {
        "ce_clean": 1.22, "ce_sae": 1.22 + 0.9 * fvu, "ce_zero": 10.0, "ce_mean": 5.0,
        "kl": 0.7 * fvu,
    }  # fmt: skip
    fired = np.where(np.arange(D_SAE) < 2 * block, 0, 10 * np.arange(D_SAE))
    latents = pd.DataFrame({"fired": fired, "activation_sum": 2.0 * fired})
    tokens = np.arange(1, 51) * 20_000
    log = pd.DataFrame(
        {
            "tokens": tokens,
            "fvu": fvu * (1 + 20 * np.exp(-tokens / 60_000)),
            "l0": l0 * (1 + 8 * np.exp(-tokens / 80_000)),
        }
    )
    sums = documents(reconstruction, seed, own).assign(directed=float(TOKENS_PER_DOCUMENT))
    return Run(
        Key(model, "world", "sae-256", hook, sae, seed, method, "world", "sae-256"),
        {
            "reconstruction": record(documents=sums, latents=latents),
            "language": record(documents=documents(language, seed, own, counts="predictions")),
            "sae": record({"architecture": sae.partition("-")[0], "settings": {}}, log=log),
        },
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
    return tuple(sorted(found, key=lambda r: r.key.order()))


def table(study, name, runs):
    """Return a table of a study as its specification builds it."""
    entry = study.tables[name]
    named = {"metrics": entry.metrics} if entry.metrics else {}
    drawn = OPTIONS if entry.resampled else {}
    return function(entry.build)(runs, **named, **drawn, **entry.options)


def draw(study, name, table):
    """Return a figure of a study as its specification draws it."""
    return drawing(study, name, table).figure


def drawing(study, name, table):
    """Return the same with its rows and notes."""
    entry = study.figures[name]
    rows = function(entry.select)(table) if entry.select else table
    labels = {metric: METRICS[metric].axis for metric in entry.labels}
    return function(entry.draw)(rows, **entry.options, **({"labels": labels} if labels else {}))


def table_task(name, entry, inputs, root):
    """Return the task of a study's table, as a plan gives it."""
    settings = {
        "build": entry.build, "metrics": list(entry.metrics), "options": entry.options,
        **(OPTIONS if entry.resampled else {}),
    }  # fmt: skip
    output = Path(root) / "tables" / f"{name}.json"
    return _task(output, settings, inputs, ".csv")


def figure_task(name, entry, table, root):
    """Return the task of a study's figure from the record of its table."""
    settings = {
        "draw": entry.draw, "select": entry.select, "options": entry.options,
        "labels": {metric: METRICS[metric].axis for metric in entry.labels},
    }  # fmt: skip
    output = Path(root) / "figures" / f"{name}.json"
    return _task(output, settings, {"table": table}, ".pdf", ".png")


def _task(output, settings, inputs, *suffixes):
    output.parent.mkdir(parents=True, exist_ok=True)
    files = tuple(output.with_suffix(suffix) for suffix in suffixes)
    return Task(output, "0" * 64, json.loads(json.dumps(settings)), inputs, files=files)


def benchmarks(models=("world-s",)):
    """Return runs of models of which one task cannot be told from chance."""
    asked = {
        "last_word": (0.81, 400, 0.001, {"last_sentence": 0.02, "copy_bigram": 0.79}),
        "cloze": (0.93, 400, 0.1, {"last_sentence": 0.11, "copy_bigram": 0.95}),
        "sentiment": (0.95, 500, 0.5, {"mean_embedding": 0.87}),
        "indirect_object_abba": (0.99, 300, 0.5, {"first_named": 0.0}),
        "owner_binding": (0.36, 300, 0.34, {"last_sentence": 0.33}),
    }
    prompts = pd.DataFrame(
        {"task": task, "prompt": prompt, "by": by, "correct": prompt < share * n, "chance": chance}
        for task, (value, n, chance, others) in asked.items()
        for by, share in {"model": value, **others}.items()
        for prompt in range(n)
    )
    losses = {"loss": 1.22, "loss_uniform": 6.9, "loss_bigram": 3.0, "loss_trigram": 2.4}
    sums = documents(losses, 0, 0)
    return tuple(
        Run(Key(model, eval_dataset="world", eval_packing="lm-256"),
            {"benchmarks": record(documents=sums, prompts=prompts)})
        for model in models
    )  # fmt: skip


def publish(path, facts, **tables):
    """Write a record and tables beside it, as a measurement does, and return its path."""
    with hold(path, "0" * 64) as work:
        for name, columns in tables.items():
            pd.DataFrame(columns).to_parquet(work.path / f"{name}.parquet")
        work.finish(facts)
    return path
