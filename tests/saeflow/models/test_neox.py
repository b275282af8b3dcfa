"""Tests of the small GPT-NeoX that is trained."""

import pytest
import torch

from saeflow.models.neox import build_neox
from saeflow.models.training_plan import TrainingPlan


def build(**changes):
    settings = {"n_layers": 2, "d_model": 16, "n_heads": 2, "tokens": 2048} | changes
    plan = TrainingPlan(**settings)
    return build_neox(plan, vocab_size=50, context_length=24, bos_id=3, eos_id=4)


def test_the_config_is_what_was_asked_for():
    config = build().config
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (2, 16, 64)
    assert (config.vocab_size, config.max_position_embeddings) == (50, 24)
    assert (config.bos_token_id, config.eos_token_id) == (3, 4)


def test_the_seed_alone_decides_the_weights():
    weights = []
    for seed in (0, 0, 1):
        torch.rand(3)  # the state of the global generator must not matter
        weights.append(build(seed=seed).get_input_embeddings().weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    build()
    assert torch.equal(torch.rand(1), expected)


def test_the_spread_of_initial_weights_is_the_one_asked_for():
    spread = build(initializer_range=0.2, d_model=64).get_input_embeddings().weight.std().item()
    assert spread == pytest.approx(0.2, rel=0.05)


def test_distant_order_matters_so_positions_are_rotated():
    model = build(initializer_range=0.3).eval()
    first, second = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[6, 5, 7, 8]])
    with torch.no_grad():
        a, b = (model(input_ids=ids).logits[0, -1] for ids in (first, second))
    assert (a - b).abs().max() > 1e-4
