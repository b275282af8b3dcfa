"""How often latents are active, and which of them are alive."""

import numpy as np
import pandas as pd
import pytest

from saeflow.tables.latents import activity, border, is_live


def test_frequency_and_strength_of_a_hand_made_case():
    latents = pd.DataFrame({"fired": [100, 0, 1], "activation_sum": [50.0, 0.0, 3.0]})
    found = activity(latents, 1000)
    assert found["log10_frequency"].tolist() == [-1.0, -np.inf, -3.0]
    np.testing.assert_array_equal(found["strength"], [0.5, np.nan, 3.0])


def test_the_border_lies_between_two_classes():
    values = np.array([-1.0, -1.2, -1.4, -1.6, -4.0, -4.2, -np.inf])
    found = border(values)
    assert found.threshold == pytest.approx(-2.8)
    assert found.decades == pytest.approx(4.1 - 1.3)
    assert is_live(values).tolist() == [True] * 4 + [False] * 3


def test_one_class_has_no_border_and_all_that_fire_are_alive():
    values = np.array([*np.linspace(-1, -2.5, 50), -np.inf])
    assert border(values).threshold == -np.inf
    assert is_live(values).tolist() == [True] * 50 + [False]


def test_the_border_does_not_need_a_gap():
    """Rare latents that thin out without a jump, as they do after training."""
    random = np.random.default_rng(0)
    alive, dying = random.normal(-2, 0.2, 440), random.uniform(-5, -2.9, 70)
    assert -3.5 < border(np.concatenate([alive, dying])).threshold < -2.6


@pytest.mark.parametrize("values", [np.array([]), np.full(4, -np.inf), np.array([-2.0])])
def test_hardly_any_latents_have_no_border(values):
    assert border(values).threshold == -np.inf
    assert is_live(values).sum() == np.isfinite(values).sum()
