"""Whatever runs to make a result is in the digest of its code: every pass is traced."""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

from saeflow import script
from saeflow.config.checks import resolve
from saeflow.plan.outputs import Outputs
from saeflow.plan.passes import Schedule
from saeflow.plan.plan import Plan
from saeflow.plan.result import SCRIPTS, source
from traced_code import Trace, traced, unreached

SMALL = {"expansion": 2, "batch_size": 64, "tokens": 512, "dead_tokens": 64}
WORLD = {
    "models": {
        "lm": {
            "train": {
                "dataset": "world", "packing": "short", "tokenizer": "words", "n_layers": 2,
                "d_model": 16, "n_heads": 2, "tokens": 2048, "batch_tokens": 512,
                "warmup_tokens": 512, "induction_steps": 2, "checkpoints": [1],
            }
        }
    },
    "tokenizers": {"words": {"train": "world"}},
    "datasets": {
        "world": {
            "generate": {"n_tokens": 150000, "n_prompts": 20},
            "splits": {"train": 0.6, "validation": 0.2, "test": 0.2},
        },
    },
    "packings": {
        "short": {
            "context_length": 256, "tokens": {"train": 5120, "validation": 1024, "test": 1024},
        }
    },
    "saes": {
        "relu": {
            "architecture": "relu", "l1": 0.01, **SMALL, "resample_tokens": 128,
            "penalties": {"decoder_cosine": 0.1, "ghost_gradients": 1.0},
            "scale_input": "mean_square",
        },
        "topk": {"architecture": "topk", "k": 4, **SMALL},
        "batchtopk": {"architecture": "batchtopk", "k": 4, **SMALL},
        "matryoshka": {"architecture": "matryoshka", "k": 4, **SMALL},
        "jumprelu": {"architecture": "jumprelu", "l0_coef": 0.1, **SMALL},
        "gated": {"architecture": "gated", "l1": 0.1, **SMALL},
        "p_anneal": {"architecture": "p_anneal", "l1": 0.1, **SMALL},
        "transcoder": {"architecture": "topk", "k": 4, "target": "mlp_out.0", **SMALL},
        "pca": {"architecture": "pca", "components": 3},
        "random": {"architecture": "random", "k": 4, "expansion": 2},
        "identity": {"architecture": "identity"},
        "zero": {"architecture": "zero"},
        "mean": {"architecture": "mean"},
    },
    "methods": {
        **{
            name: {"method": name, "tokens": 256, "batch_size": 64}
            for name in ("scale", "decoder", "unrotated_all", "baseline")
        },
        "kl_mse": {"solver": "kl_mse", "method": "all", "tokens": 512, "batch_size": 512},
        "decoder-exact": {"solver": "exact", "method": "decoder"},
    },
    "measures": {"bootstrap": 100, "probes": {"classes": 4, "rows": 200}},
    "studies": {
        "suppression": {
            "models": ["lm@1"],
            "train_on": {"dataset": "world", "packing": "short"},
            "evaluate_on": {"dataset": "world", "packing": "short"},
            "hooks": ["resid_post.0"],
            "saes": [
                "relu", "topk", "batchtopk", "matryoshka", "jumprelu", "gated", "p_anneal",
                "transcoder", "pca", "random", "identity", "zero", "mean",
            ],
            "seeds": [0],
            "methods": [
                "scale", "decoder", "unrotated_all", "baseline", "kl_mse", "decoder-exact",
            ],
            "theory": {"c": [0.02], "g": [1.0, 2.0], "p": [0.1], "overlap": [0.1], "noise": [0.5]},
        },
        "reconstruction": {
            "models": ["lm@1"],
            "evaluate_on": {"dataset": "world", "packing": "short"},
            "hooks": ["resid_post.0"],
            "saes": ["topk"],
            "prompts": ["who"],
        },
    },
    "prompts": {"who": {"generate": "owner_binding", "dataset": "world"}},
}  # fmt: skip


def watched(main, trace):
    """Return a script's main whose calls are noted."""

    @functools.wraps(main)
    def run(**arguments):
        with traced(trace):
            main(**arguments)

    return run


def run(config, *records):
    """Run every pass of a configuration, or those that lead to some records.

    Return what ran in each beyond its closure, by rule.
    """
    outputs = Outputs(Plan(resolve(config)))
    wanted = outputs.leading_to([*map(Path, records)]) if records else outputs.wanted
    beyond, rules = {}, []
    for one in Schedule(wanted, outputs.current, {}):
        spec = importlib.util.spec_from_file_location(one.rule, SCRIPTS / f"{one.rule}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        trace = Trace()
        unmade = script.run_pass(watched(module.main, trace), one.described())
        assert not unmade.failed and not unmade.left_out, unmade
        # what computes live activations is in the identity of what describes them
        read = {given for result in one.results for given in (result, *result.reads())}
        roots = {root for result in read for root in result.roots}
        if found := unreached(trace, source(), roots):
            beyond[one.rule, *one.place.values()] = found
        rules.append(one.rule)
    return beyond, rules


@pytest.mark.slow
def test_every_function_that_runs_in_a_pass_is_in_the_code_of_its_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    beyond, rules = run(WORLD)
    (model,) = Path("results/models/lm@1").glob("model.*/")
    (sae,) = Path("results/saes/lm@1/world/short/resid_post.0/topk/seed-0").glob("sae.*/")
    (documents,) = Path("results/datasets/world").glob("*/documents.parquet")
    texts = pd.read_parquet(documents)["text"][:600]
    Path("texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    other = {
        **{key: WORLD[key] for key in ("packings", "methods", "measures")},
        "models": {"local": {"path": str(model)}, "noise": {"shuffle": "local"}},
        "datasets": {
            "texts": {"path": "texts.jsonl", "splits": WORLD["datasets"]["world"]["splits"]},
            "made": {
                "sample": {"model": "noise", "n_documents": 150, "max_tokens": 100},
                "splits": {"train": 0.6, "validation": 0.2, "test": 0.2},
            },
        },
        "saes": {"theirs": {"path": str(sae)}, "topk": WORLD["saes"]["topk"]},
        "activations": {"temporary": True},
        "prompts": {
            "mine": {"path": "texts.jsonl", "n_prompts": 20},
            "ioi": {"generate": "ioi", "n_prompts": 20},
        },
        "studies": {
            "suppression": {
                "models": ["local"],
                "train_on": {"dataset": "texts", "packing": "short"},
                "evaluate_on": {"dataset": "made", "packing": "short"},
                "hooks": ["resid_post.0"],
                "saes": ["theirs", "topk"],
                "seeds": [0],
                "methods": [],
            }
        },
    }
    found, more = run(other, *(f"results/prompts/{name}/prompts.json" for name in ("mine", "ioi")))
    beyond |= found
    rules += more
    for settings in ({"temporary": True}, {"live": True}):
        found, more = run({**other, "activations": settings})
        beyond |= found
        rules += more
    assert not beyond, "\n".join(f"{where}: {sorted(found)}" for where, found in beyond.items())
    assert {*rules} >= {path.stem for path in SCRIPTS.glob("*.py")}
