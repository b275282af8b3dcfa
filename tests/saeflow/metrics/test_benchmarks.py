"""Scores of models from answers and losses that are known."""

import numpy as np
import pandas as pd
import pytest

from saeflow.metrics.benchmarks import REQUIRES, scores, share, wilson


def answers(**correct):
    """Return the answers to ten prompts of the cloze, of which some answered so many right."""
    parts = [
        {"task": "cloze", "prompt": np.arange(10), "by": by, "correct": np.arange(10) < n,
         "chance": np.repeat([0.1, 0.3], 5)}
        for by, n in correct.items()
    ]  # fmt: skip
    return pd.concat([pd.DataFrame(part) for part in parts])


LOSSES = pd.DataFrame(
    {"document": [3, 9], "tokens": [1.0, 3.0], "loss": [1.0, 9.0], "loss_unigram": [2.0, 12.0],
     "loss_uniform": [4.0, 12.0]}
)  # fmt: skip


def test_scores_are_those_computed_by_hand():
    held_out, cloze = scores(answers(model=9, copy_bigram=4), LOSSES, bootstrap=2000, seed=0)
    assert held_out.task == "held_out_loss" and held_out.unit == "nats" and held_out.n == 4
    # Two documents with means 1 and 3: drawn twice each with probability 1/4.
    assert (held_out.value, held_out.low, held_out.high) == (2.5, 1.0, 3.0)
    assert held_out.chance == 4 and not held_out.at_chance
    assert held_out.baselines == {"unigram": 3.5}
    assert (cloze.task, cloze.value, cloze.n, cloze.unit) == ("cloze", 0.9, 10, "")
    assert (cloze.low, cloze.high) == wilson(9, 10)
    assert cloze.chance == pytest.approx(0.2) and not cloze.at_chance
    assert cloze.baselines == {"copy_bigram": 0.4}
    assert cloze.requires == REQUIRES["cloze"]


def test_a_loss_whose_interval_reaches_chance_is_named():
    documents = LOSSES.assign(loss_uniform=[3.0, 9.0])
    assert scores(answers(model=1), documents, bootstrap=2000, seed=0)[0].at_chance


def test_the_loss_of_one_document_is_its_own_interval():
    held_out, _ = scores(answers(model=1), LOSSES[1:], bootstrap=100, seed=0)
    assert held_out.low == held_out.value == held_out.high == 3


def test_the_order_of_rows_changes_no_score():
    rows = answers(model=7, copy_bigram=4)
    shuffled = rows.sample(frac=1, random_state=0)
    found, again = (scores(r, LOSSES, bootstrap=100, seed=0)[1] for r in (rows, shuffled))
    assert found == again


def test_wilson_intervals_are_those_of_the_formula():
    # n = 10, z² = 3.8415: centre (p + .19207) / 1.38415, half width from sqrt(p q / n + .0096037).
    low, high = wilson(5, 10)
    assert (low, high) == pytest.approx((0.23659, 0.76341), abs=1e-5)
    low, high = wilson(10, 10)
    assert (low, high) == pytest.approx((1 / 1.38415, 1), abs=1e-5)
    assert wilson(0, 10)[0] == 0


def test_a_share_whose_interval_includes_chance_is_named():
    def at_chance(n_correct):
        correct = np.arange(10) < n_correct
        return share("sentiment", correct, chance=0.5, baselines={}).at_chance

    assert at_chance(5) and at_chance(0) and not at_chance(10)
