"""A plan of the built-in world with round numbers, whose costs can be computed by hand."""

import copy

import pytest

from saeflow.config.checks import resolve
from saeflow.cost.work import kind_of
from saeflow.plan.outputs import Outputs
from saeflow.plan.passes import Schedule
from saeflow.plan.plan import Plan

CONFIG = {
    "models": {
        "m": {
            "train": {
                "dataset": "world",
                "packing": "all",
                "tokenizer": "words",
                "n_layers": 4,
                "d_model": 64,
                "tokens": 200_000,
                "batch_tokens": 1000,
                "warmup_tokens": 0,
                "induction_steps": 100,
                "checkpoints": [0, 10],
            }
        }
    },
    "tokenizers": {"words": {"train": "world"}},
    "datasets": {
        "world": {
            "generate": {"n_tokens": 300_000},
            "splits": {"train": 0.8, "validation": 0.0, "test": 0.2},
        }
    },
    "packings": {
        "all": {"context_length": 100},
        "some": {
            "context_length": 100,
            "tokens": {"train": 100_050, "validation": 0, "test": 10_000},
        },
    },
    "saes": {"relu": {"architecture": "relu", "l1": 0.1, "batch_size": 1000}},
    "studies": {
        "suppression": {
            "models": ["m"],
            "train_on": {"dataset": "world", "packing": "some"},
            "evaluate_on": {"dataset": "world", "packing": "some"},
            "hooks": ["resid_post.1", "resid_post.3"],
            "saes": ["relu"],
            "seeds": [0, 1],
        }
    },
}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return a function that plans the configuration, changed by a function, in an empty place."""
    monkeypatch.chdir(tmp_path)

    def make(change=lambda config: None):
        config = copy.deepcopy(CONFIG)
        change(config)
        return Outputs(Plan(resolve(config)))

    return make


@pytest.fixture
def passes(plan):
    """Return a function that gives the passes of a changed configuration by kind."""

    def make(change=lambda config: None):
        outputs, found = plan(change), {}
        for one in Schedule(outputs.wanted, outputs.current):
            found.setdefault(kind_of(one.results[0]), []).append(one)
        return found

    return make
