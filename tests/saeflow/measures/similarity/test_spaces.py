"""CKA, SVCCA and RSA: by another formula, and what they do not see."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from saeflow.measures.similarity.spaces import LEAST, cka, compare_spaces, rsa, svcca


def drawn(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def rotation(d, seed=9):
    return np.linalg.qr(drawn(d, d, seed))[0]


def rows_of_length_1(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_cka_is_the_similarity_of_centred_gram_matrices():
    x, y = drawn(12, 3), drawn(12, 5, 1)
    centring = np.eye(12) - 1 / 12
    k, m = (centring @ one @ one.T @ centring for one in (x, y))
    expected = np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))
    assert cka(x, y) == pytest.approx(expected)


def test_rsa_is_the_rank_correlation_of_cosines():
    x, y = drawn(10, 3), drawn(10, 4, 1)
    above = np.triu_indices(10, 1)
    cosines = [(rows_of_length_1(one) @ rows_of_length_1(one).T)[above] for one in (x, y)]
    assert rsa(x, y) == pytest.approx(spearmanr(*cosines).statistic, abs=1e-6)


def test_svcca_of_two_columns_is_their_correlation():
    x, y = drawn(40, 1), drawn(40, 1, 1)
    assert svcca(x, y) == pytest.approx(abs(np.corrcoef(x[:, 0], y[:, 0])[0, 1]))


def test_svcca_leaves_out_directions_of_hardly_any_variance():
    noise = drawn(40, 1, 2) * 1e-3
    x, y = drawn(40, 1), drawn(40, 1, 1)
    assert svcca(np.hstack([x, noise]), y) == pytest.approx(svcca(x, y), abs=1e-3)


@pytest.mark.parametrize("compared", [cka, svcca, rsa])
def test_a_rotation_and_a_scale_change_nothing(compared):
    x = drawn(60, 7)
    assert compared(x, 3.0 * x @ rotation(7)) == pytest.approx(1.0, abs=1e-5)
    y = x + drawn(60, 7, 1)
    assert compared(x, y) == pytest.approx(compared(y @ rotation(7), 2.0 * x), abs=1e-3)
    assert compared(x, y) < 0.99


def test_rsa_does_not_see_the_length_of_a_row():
    x, y = drawn(30, 5), drawn(30, 5, 1)
    assert rsa(x * np.linspace(0.2, 4, 30)[:, None], y) == pytest.approx(rsa(x, y), abs=1e-6)


def test_random_pairings_say_what_unrelated_directions_give():
    x = rows_of_length_1(drawn(80, 6))
    facts, left_out = compare_spaces(x, rows_of_length_1(x @ rotation(6)), seed=0)
    assert facts["matched"] == 80 and not left_out
    for name in ("cka", "svcca", "rsa"):
        assert facts[name] == pytest.approx(1.0, abs=1e-5)
        assert facts[name] > facts[f"{name}_null"] + 5 * facts[f"{name}_null_sd"]
    # two unrelated ones lie where random pairings do
    facts, _ = compare_spaces(x, rows_of_length_1(drawn(80, 6, 1)), seed=0)
    for name in ("cka", "svcca", "rsa"):
        assert abs(facts[name] - facts[f"{name}_null"]) < 4 * facts[f"{name}_null_sd"]


def test_exchanged_sides_give_the_same_numbers():
    x, y = (rows_of_length_1(drawn(50, d, d)) for d in (6, 9))
    (one, _), (other, _) = compare_spaces(x, y, seed=3), compare_spaces(y, x, seed=3)
    assert other == pytest.approx(one)


def test_too_few_matched_latents_are_left_out_with_the_reason():
    few = rows_of_length_1(drawn(LEAST - 1, 4))
    facts, left_out = compare_spaces(few, few, seed=0)
    assert facts == {"matched": LEAST - 1} and {*left_out} == {"cka", "svcca", "rsa"}
    # 20 rows of 12 dimensions each: 12 + 12 of 19 have some in common, whatever they are
    x, y = (rows_of_length_1(drawn(20, 12, seed)) for seed in (0, 1))
    facts, left_out = compare_spaces(x, y, seed=0)
    assert {*left_out} == {"svcca"} and "svcca" not in facts
    assert svcca(x, y) > 0.6 and "20 matched latents" in left_out["svcca"]


def test_of_many_rows_rsa_takes_some(monkeypatch):
    monkeypatch.setattr("saeflow.measures.similarity.spaces._RSA_LATENTS", 30)
    x = drawn(200, 5)
    assert rsa(x, x @ rotation(5)) == pytest.approx(1.0, abs=1e-5)
    y = x + drawn(200, 5, 1)
    some = np.linspace(0, 199, 30).round().astype(int)
    assert rsa(x, y) == pytest.approx(rsa(x[some], y[some]))
