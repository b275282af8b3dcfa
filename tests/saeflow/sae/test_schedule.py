"""The learning rate over a run."""

from __future__ import annotations

import math

import pytest

from saeflow.sae.schedule import learning_rate, ramp


@pytest.mark.parametrize(
    ("tokens", "expected"), [(0, 0.5), (10, 1.0), (60, 1.0), (80, 1.0), (90, 0.5)]
)
def test_the_learning_rate_rises_and_falls_with_the_tokens(tokens, expected):
    found = learning_rate(2.0, tokens=tokens, batch=10, total=100, warmup=20, decay=20)
    assert found == pytest.approx(2 * expected)


def test_the_learning_rate_is_constant_without_a_schedule():
    for tokens in (0, 50, 99):
        assert learning_rate(2.0, tokens=tokens, batch=1, total=100, warmup=0, decay=0) == 2.0


@pytest.mark.parametrize(("left", "expected"), [(1.0, 1.0), (0.75, None), (0.5, 0.5), (0.0, 0.0)])
def test_a_cosine_falls_by_half_a_period(left, expected):
    found = learning_rate(
        1.0, tokens=round(100 - 40 * left), batch=1, total=100, warmup=0, decay=40, shape="cosine"
    )
    assert found == pytest.approx((1 + math.cos(math.pi * (1 - left))) / 2)
    assert expected is None or found == pytest.approx(expected)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_the_rate_at_the_end_of_a_token_does_not_depend_on_the_batches_before_the_decay(shape):
    # the step that ends after 60 of 200 tokens, in batches of 5, 10 and 20
    rates = {
        batch: learning_rate(
            1.0, tokens=60 - batch, batch=batch, total=200, warmup=100, decay=100, shape=shape
        )
        for batch in (5, 10, 20)
    }
    assert set(rates.values()) == {0.6}


def test_a_coefficient_rises_over_its_tokens_or_over_a_twentieth_of_the_run():
    assert [ramp(t, 100, 4000) for t in (0, 25, 100, 3000)] == [0.0, 0.25, 1.0, 1.0]
    assert [ramp(t, None, 4000) for t in (0, 50, 200, 3000)] == [0.0, 0.25, 1.0, 1.0]
    assert ramp(0, 0, 4000) == ramp(0, None, 0) == 1.0
