"""Tokens that a configuration asks for and by itself says are not there."""

import copy

import pytest

from saeflow.config.checks import resolve
from saeflow.errors import ConfigError

CONFIG = {
    "models": {"small": {"train": {"dataset": "d", "packing": "p", "tokenizer": "t"}}},
    "tokenizers": {"t": {"train": "d"}},
    "datasets": {"d": {"path": "d.txt", "splits": {"train": 0.8, "validation": 0.1, "test": 0.1}}},
    "packings": {"p": {"context_length": 32, "tokens": {"train": 5000}}},
    "saes": {"topk": {"architecture": "topk", "k": 4, "batch_size": 512}},
    "methods": {
        "steps": {"method": "scale", "batch_size": 512},
        "exact": {"method": "scale", "solver": "exact"},
    },
    "studies": {
        "suppression": {
            "models": ["small"],
            "evaluate_on": {"dataset": "d", "packing": "p"},
            "hooks": ["resid_post.0"],
            "saes": ["topk"],
            "methods": ["steps", "exact"],
            "tune": ["topk"],
        }
    },
}
TOKENS = "config.yaml > packings > p > tokens"


def changed(change):
    config = copy.deepcopy(CONFIG)
    change(config)
    return config


def test_the_configuration_as_such_is_sound():
    resolve(copy.deepcopy(CONFIG))


@pytest.mark.parametrize(
    ("change", "where", "expected"),
    [
        (lambda c: c["saes"]["topk"].update(tokens=5001), "saes > topk > tokens", "5,000"),
        (
            lambda c: c["saes"]["topk"].update(tokens=10_001, epochs=2),
            "saes > topk > tokens",
            "10,000",
        ),
        (
            lambda c: c["saes"]["topk"].update(tokens=5_001, epochs=2, part="2/2"),
            "saes > topk > tokens",
            "5,000: packings > p > tokens > train in 2 parts times epochs",
        ),
        (
            lambda c: c["saes"]["topk"].update(tokens=None, part="1/20"),
            "saes > topk > batch",
            "at most 250",
        ),
        (lambda c: c["saes"]["topk"].update(tokens=511), "saes > topk > tokens", "512"),
        (lambda c: c["saes"]["topk"].update(batch_size=5001), "saes > topk > batch", "5,000"),
        (lambda c: c["methods"]["steps"].update(tokens=6000), "methods > steps > tokens", "5,000"),
        (lambda c: c["methods"]["exact"].update(tokens=6000), "methods > exact > tokens", "5,000"),
        (
            lambda c: c["packings"]["p"]["tokens"].update(validation=0),
            "methods > exact > ridge",
            "packings > p > tokens > validation",
        ),
        (
            lambda c: c["datasets"]["d"].update(splits={"train": 0.9, "test": 0.1}),
            "methods > exact > ridge",
            "datasets > d > splits > validation",
        ),
        (
            lambda c: c["datasets"]["d"].update(splits={"validation": 0.9, "test": 0.1}),
            "packings > p > tokens > train",
            "0 or null",
        ),
        (
            lambda c: c["datasets"]["d"].update(splits={"train": 0.9, "validation": 0.1}),
            "config.yaml",
            "datasets > d > splits > test above 0",
        ),
        (
            lambda c: c["packings"]["p"]["tokens"].update(test=0),
            "config.yaml",
            "packings > p > tokens > test above 0",
        ),
        (
            lambda c: c["packings"]["p"]["tokens"].update(train=0),
            "config.yaml",
            "packings > p > tokens > train above 0",
        ),
        (
            lambda c: c["models"]["small"]["train"].update(context_length=16),
            "models > small > train > context_length",
            "at least 32",
        ),
    ],
)
def test_what_cannot_be_there_is_refused_with_the_key_that_says_so(change, where, expected):
    with pytest.raises(ConfigError) as refused:
        resolve(changed(change))
    assert where in str(refused.value.where)
    assert expected in str(refused.value.expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["saes"]["topk"].update(tokens=5000),
        lambda c: c["saes"]["topk"].update(tokens=10_000, epochs=2),
        lambda c: c["saes"]["topk"].update(tokens=0, batch_size=9999),  # its first weights
        lambda c: c["packings"]["p"].update(tokens={}) or c["saes"]["topk"].update(tokens=10**9),
        lambda c: (
            c["methods"]["exact"].update(ridge=1.0)
            or c["packings"]["p"]["tokens"].update(validation=0)
        ),
        lambda c: c["saes"].update(
            {"huge": {"architecture": "topk", "k": 4, "tokens": 10**9}}
        ),  # nobody trains it
    ],
)
def test_what_may_be_there_is_not(change):
    resolve(changed(change))


@pytest.mark.parametrize(("method", "refused"), [("encoder", True), ("decoder", False)])
def test_a_method_that_moves_the_encoder_is_refused_for_gates(method, refused):
    def change(config):
        config["saes"]["gated"] = {"architecture": "gated", "l1": 0.1, "batch_size": 512}
        config["methods"]["own"] = {"method": method, "batch_size": 512}
        study = config["studies"]["suppression"]
        study.update(saes=["topk", "gated"], tune=["topk", "gated"], methods=["own"])

    if not refused:
        resolve(changed(change))
        return
    with pytest.raises(ConfigError, match="own on gated: a method that moves the encoder cannot"):
        resolve(changed(change))


def test_ghost_gradients_are_refused_for_gates():
    def change(config):
        gated = {"architecture": "gated", "l1": 0.1, "batch_size": 512}
        config["saes"]["gated"] = {**gated, "penalties": {"ghost_gradients": 1.0}}

    with pytest.raises(ConfigError, match="gated > penalties > ghost_gradients: ghost gradients"):
        resolve(changed(change))
