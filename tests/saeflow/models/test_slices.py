"""Parts of models that share their weights."""

from __future__ import annotations

import torch

from saeflow.models.hooks import Hook, block_modules, check_hooks
from saeflow.models.slices import Head, final_states, run_until
from tiny_models import same


def test_left_padded_text_gives_the_activations_of_the_text_alone(model, ids):
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    hooks = [Hook("resid_post", 2)]
    padded = run_until(model, ids, mask, hooks)[hooks[0]]
    alone = run_until(model, ids[1:2, 4:], None, hooks)[hooks[0]]
    assert torch.allclose(padded[1:2, 4:], alone, atol=1e-5)


def test_the_head_gives_the_models_own_logits_and_caps(any_model, ids):
    logits = any_model(ids).logits
    states = final_states(any_model, ids)
    assert same(any_model, Head(any_model)(states), logits)
    assert torch.allclose(Head(any_model)(states[1]), logits[1], atol=1e-6)


def test_no_block_after_the_last_wanted_hook_is_computed(model, ids):
    check_hooks(model, [Hook("resid_pre", 0)])  # which looks at the whole model, once
    ran = []
    handles = [
        block.register_forward_hook(lambda *_, index=index: ran.append(index))
        for index, block in enumerate(block_modules(model))
    ]
    run_until(model, ids, None, [Hook("resid_pre", 0), Hook("mlp_out", 1)])
    for handle in handles:
        handle.remove()
    assert ran == [0, 1]


def test_final_states_are_what_the_models_head_reads(model, ids):
    states = final_states(model, ids)
    assert torch.equal(model.get_output_embeddings()(states), model(ids).logits)


def test_a_slice_leaves_the_model_as_it_was(model, ids):
    before, names = model(ids).logits, [name for name, _ in model.named_modules()]
    run_until(model, ids, None, [Hook("resid_post", 0)])
    Head(model)
    assert [name for name, _ in model.named_modules()] == names
    assert torch.equal(model(ids).logits, before)
