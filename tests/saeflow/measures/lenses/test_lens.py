"""The model's end as a reader of states, and the threshold of its scores."""

import numpy as np
import pytest
import torch

from saeflow.measures.lenses.lens import Lens, best_threshold, last_hook
from saeflow.models.hooks import Hook
from saeflow.probing.fitted import Training
from tiny_models import make_model

NORMS = {
    "gpt2": lambda m: m.transformer.ln_f,
    "gpt_neox": lambda m: m.gpt_neox.final_layer_norm,
    "llama": lambda m: m.model.norm,
    "gemma2": lambda m: m.model.norm,
}


@pytest.mark.parametrize("family", NORMS)
def test_scores_are_products_of_normalised_states(family, monkeypatch):
    monkeypatch.setattr("saeflow.measures.lenses.lens._ROWS", 3)
    model = make_model(family)
    assert last_hook(model) == Hook("resid_post", 2)
    states = 5 * torch.randn(40, 16)  # more than the model has positions
    weights = model.get_output_embeddings().weight
    direction = weights[7] - weights[9]
    expected = NORMS[family](model)(states) @ direction
    found = Lens(model)(states.double(), direction.double())
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_at_the_last_block_it_is_what_the_model_says():
    model, ids = make_model("gpt_neox"), torch.tensor([[5, 6, 7, 8]])
    from saeflow.models.slices import run_until

    hook = Hook("resid_post", 2)
    states = run_until(model, ids, None, [hook])[hook][0]
    weights = model.get_output_embeddings().weight.double()
    logits = model(ids).logits[0]
    found = Lens(model)(states, weights[3] - weights[4])
    np.testing.assert_allclose(found, (logits[:, 3] - logits[:, 4]).numpy(), atol=1e-4)


def fitted(scores, positive):
    x, labels = np.array(scores, float)[:, None], np.array(positive, bool)
    (found,) = best_threshold(Training(x, labels, [], {}))
    return found.score(x)


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([1, 2, 4, 6], [0, 0, 1, 1], [-2, -1, 1, 3]),  # between 2 and 4
        ([1, 1, 1], [1, 1, 0], [1, 1, 1]),  # one below all: two of three are right
        ([5, 5], [0, 0], [-1, -1]),
        ([3, 1, 2], [0, 1, 0], [1, -1, 0]),  # the lens is wrong; its sign stays: 2 errors of 3
    ],
)
def test_the_threshold_makes_the_fewest_errors(scores, positive, expected):
    found = fitted(scores, positive)
    if expected[-1] != 0:
        assert found.tolist() == expected
    order = np.argsort(scores)
    assert (np.diff(found[order]) >= 0).all()  # never turned around


def test_no_threshold_makes_fewer_errors():
    rng = np.random.default_rng(0)
    for _ in range(30):
        n = int(rng.integers(2, 12))
        scores, positive = rng.integers(0, 6, n).astype(float), rng.random(n) < 0.5
        least = min(((scores > t) != positive).sum() for t in np.arange(-0.5, 7))
        assert ((fitted(scores, positive) > 0) != positive).sum() == least
