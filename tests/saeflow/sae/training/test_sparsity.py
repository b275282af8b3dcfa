"""Who trains or imports an SAE that is not sparse, or hardly ever active, is told."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from sae_stores import make_activations, place, task_of, train_saes
from saeflow.code import NEUTRAL
from saeflow.sae.training.sparsity import warn_if_not_sparse
from saeflow.work import hold

COMMON = {"expansion": 2, "batch_size": 128, "log_tokens": 512, "dead_tokens": 400, "seed": 1}
RECIPES = {  # of 24 latents
    "seven": {"architecture": "topk", "k": 7, **COMMON},
    "five": {"architecture": "topk", "k": 5, **COMMON},
    "free": {"architecture": "relu", "l1": 0.0001, **COMMON},
    "dead": {"architecture": "relu", "l1": 10.0, "learning_rate": 0.1, **COMMON},
    "untrained": {"architecture": "relu", "l1": 0.1, "tokens": 0, **COMMON},
}


def warnings(caplog):
    return {m.split("/")[1]: m for m in caplog.messages if "latents are active" in m}


def test_an_sae_with_more_than_a_quarter_of_its_latents_active_is_told_of(tmp_path, caplog):
    activations = make_activations(tmp_path / "activations")
    with ExitStack() as stack:
        works = {}
        for name in RECIPES:
            output = place(tmp_path / "resid_post.0" / name, "seed-0").output
            works[name] = stack.enter_context(hold(output, name.ljust(64, "0")))
        train_saes([(works[name], RECIPES[name]) for name in RECIPES], activations)
    found = warnings(caplog)
    assert set(found) == {"seven", "free", "dead"}
    assert found["seven"].startswith("resid_post.0/seven/seed-0: 6.9")
    assert "of 24 latents are active on a token, more than a quarter" in found["seven"]
    assert found["seven"].endswith("not sparse; lower k")
    assert "not sparse; raise l1" in found["free"]
    assert "fewer than one" in found["dead"] and "lower l1, or set target_l0" in found["dead"]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"training": {"final": {"l0": 9.0}}, "evidence": {"l0": 1.0}}, True),
        ({"evidence": {"l0": 9.0}}, True),  # imported, of rows that came with it
        ({"evidence": None}, False),
        ({"evidence": {"l0": 6.0}}, False),
        ({"evidence": {"l0": 9.0}, "baseline": "pca"}, False),
        ({"training": {"final": {"l0": 9.0}}, "method": "encoder"}, False),
    ],
)
def test_it_is_told_of_what_was_trained_and_of_imports_that_say_it(tmp_path, caplog, header, told):
    task = task_of(place(tmp_path / "resid_post.0" / "a", "seed-0"), {})
    warn_if_not_sparse(task, {"architecture": "jumprelu", "d_sae": 24, **header})
    assert [
        m.endswith("raise l0_coef, or set target_l0 in its place") for m in caplog.messages
    ] == ([True] if told else [])


def test_the_words_of_the_warning_are_in_no_identity():
    assert "saeflow.sae.training.sparsity" in NEUTRAL
