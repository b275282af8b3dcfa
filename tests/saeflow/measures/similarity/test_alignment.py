"""The rotation between two hooks: a known one is found, and what it explains is told."""

import numpy as np
import pytest
import torch

from saeflow.errors import DataError, StoreError
from saeflow.measures.similarity.alignment import Alignments, align, procrustes
from saeflow.measures.similarity.cosines import unit
from tiny_stores import make_store, make_tokens

LENGTHS = {"train": [51] * 8, "validation": [], "test": [21] * 5}
N = 51 * 8 + 21 * 5


def drawn(n, d, seed):
    return np.random.default_rng(seed).standard_normal((n, d))


def isometry(d, d_other, seed=9):
    """Return (d, d_other) with orthonormal rows."""
    return np.linalg.qr(drawn(d_other, d_other, seed))[0][:d]


def stores(root, x, y, lengths=LENGTHS):
    """Write activations of the same tokens at two hooks, in shards of different sizes."""
    made = {"resid_post.0": (x, 128), "resid_post.1": (y, 256)}
    return [
        make_store(
            root, torch.tensor(rows, dtype=torch.float32), lengths, hook=hook, shard_rows=shard
        )
        for hook, (rows, shard) in made.items()
    ]


@pytest.mark.parametrize(("d", "d_other"), [(6, 6), (4, 7), (7, 4)])
def test_a_rotation_is_found_whatever_the_scale_and_the_means(tmp_path, d, d_other):
    turned = isometry(d, d_other) if d <= d_other else isometry(d_other, d).T
    x = drawn(N, d, 0)
    if d > d_other:  # what the smaller space has no room for is not there
        x = x @ turned @ turned.T
    found = align(*stores(tmp_path, x + 5.0, 3.0 * x @ turned - 2.0), 200)
    np.testing.assert_allclose(found.rotation, turned, atol=1e-4)
    assert found.tokens == 200 and found.explained == pytest.approx(1.0, abs=1e-5)
    rows = unit(drawn(5, min(d, d_other), 3))
    small, large = (
        found.turn(rows, unit(rows @ turned))
        if d <= d_other
        else found.turn(unit(rows @ turned.T), rows)
    )
    np.testing.assert_allclose(small, large, atol=1e-4)


def test_the_share_explained_is_that_of_tokens_it_was_not_fitted_to(tmp_path):
    x = drawn(N, 6, 0)
    y = x @ isometry(6, 6) + drawn(N, 6, 1)  # half of its variance is noise
    assert align(*stores(tmp_path, x, y), 400).explained == pytest.approx(0.5, abs=0.1)
    train = np.arange(N) < 51 * 8
    alone = np.where(train[:, None], x @ isometry(6, 6), drawn(N, 6, 2))
    assert align(*stores(tmp_path / "b", x, alone), 400).explained < 0.05


def test_procrustes_is_no_further_than_any_other_rotation():
    x, y = drawn(50, 4, 0), drawn(50, 4, 1)
    best = np.linalg.norm(x @ procrustes(x.T @ y) - y)
    others = [np.linalg.norm(x @ isometry(4, 4, seed) - y) for seed in range(200)]
    assert best < min(others)


def test_exchanged_hooks_have_the_transposed_rotation_and_one_fit(tmp_path, monkeypatch):
    one, other = stores(tmp_path, drawn(N, 4, 0), drawn(N, 6, 1))
    calls = []
    name = "saeflow.measures.similarity.alignment.align"
    monkeypatch.setattr(name, lambda *a: calls.append(a) or align(*a))
    alignments = Alignments(100)
    found, turned = alignments.of(one, other), alignments.of(other, one)
    np.testing.assert_array_equal(turned.rotation, found.rotation.T)
    rows = unit(drawn(3, 4, 2)), unit(drawn(5, 6, 3))
    for a, b in zip(found.turn(*rows), reversed(turned.turn(*rows[::-1])), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (turned.tokens, turned.explained) == (found.tokens, found.explained)
    assert len(calls) == 1


def test_too_few_training_tokens_and_other_tokens_are_refused(tmp_path):
    lengths = {**LENGTHS, "train": [5]}
    few = stores(tmp_path / "few", drawn(110, 6, 0), drawn(110, 6, 1), lengths)
    with pytest.raises(DataError, match="too few training tokens"):
        align(*few, 100)
    none = stores(tmp_path / "n", drawn(105, 6, 0), drawn(105, 6, 1), {**LENGTHS, "train": []})
    with pytest.raises(DataError, match="too few training tokens"):
        align(*none, 100)
    make_tokens(tmp_path / "b" / "tokens", lengths, seed=1)
    ours, _ = stores(tmp_path / "a", drawn(N, 4, 0), drawn(N, 4, 1))
    _, theirs = stores(tmp_path / "b", drawn(110, 4, 0), drawn(110, 4, 1), lengths)
    with pytest.raises(StoreError, match="are of others"):
        align(ours, theirs, 100)
