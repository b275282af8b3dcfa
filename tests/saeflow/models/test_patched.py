"""A model with other activations, held against plain hooks on the whole model."""

from __future__ import annotations

import pytest
import torch

from saeflow.errors import ModelError
from saeflow.models.hooks import Hook, available_hooks, block_modules, capture
from saeflow.models.layout import forward_arguments
from saeflow.models.patched import PatchedModel
from saeflow.models.points import get_output, with_output
from tiny_models import same

PADDINGS = ("none", "left", "right")


def padded(ids, side):
    """Return ids (3, 9) whose second text is padded by four, the mask, and where tokens are."""
    real = torch.ones_like(ids, dtype=torch.bool)
    if side == "none":
        return ids, None, real
    part = slice(0, 4) if side == "left" else slice(5, 9)
    real[1, part] = False
    return ids.where(real, 2), real.long() if side == "left" else None, real


def whole(model, ids, mask=None):
    """Return the logits of an ordinary forward pass of the whole model."""
    return model(ids, **forward_arguments(model, mask)).logits


def plainly(block, function, run):
    """Run with a block's output changed by a forward hook that knows nothing of saeflow's."""

    def change(_module, _args, output):
        return with_output(output, function(get_output(output)))

    handle = block.register_forward_hook(change)
    try:
        return run()
    finally:
        handle.remove()


@pytest.mark.parametrize("side", PADDINGS)
@torch.no_grad()
def test_an_identity_patch_changes_no_bit(any_model, ids, side):
    ids, mask, _ = padded(ids, side)
    expected = whole(any_model, ids, mask)
    for hook in available_hooks(any_model):
        patched = PatchedModel(any_model, hook)
        clean = patched.clean(ids, mask)
        for states in (clean.states, patched.states(clean.x, clean, ids)):
            assert same(any_model, patched.head(states), expected), hook


@pytest.mark.parametrize("side", PADDINGS)
@torch.no_grad()
def test_stored_activations_give_what_the_whole_model_gives_with_them(model, ids, side):
    ids, mask, real = padded(ids, side)
    for number, block in enumerate(block_modules(model)):
        patched = PatchedModel(model, Hook("resid_post", number))
        x = patched.clean(ids, mask).x.half().float()  # as from a store of 16 bits
        expected = plainly(block, lambda _, x=x: x, lambda: whole(model, ids, mask))
        found = patched.resume(ids, x.where(real[..., None], 0.0), attention_mask=mask)
        states = patched.states(found.x, found, ids)
        torch.testing.assert_close(patched.head(states)[real], expected[real], atol=1e-5, rtol=0)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
        expected = plainly(block, lambda _: noise, lambda: whole(model, ids, mask))  # noqa: B023
        got = patched.head(patched.states(noise, found, ids))
        torch.testing.assert_close(got[real], expected[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("site", ["attn_out", "mlp_out"])
@torch.no_grad()
def test_the_input_of_a_block_is_computed_where_only_its_part_is_stored(model, ids, site):
    patched = PatchedModel(model, Hook(site, 1))
    clean = patched.clean(ids)
    found = patched.resume(ids, clean.x)
    assert torch.equal(found.resid_pre, clean.resid_pre)
    assert torch.equal(patched.states(found.x, found, ids), clean.states)
    ran = []
    handle = block_modules(model)[2].register_forward_hook(lambda *_: ran.append(1))
    patched.resume(ids, clean.x)
    handle.remove()
    assert not ran, "no block behind it"


@torch.no_grad()
def test_an_ablation_touches_only_what_is_replaced(model, ids):
    """The attention's output is zero, and the MLP reads what it would read without attention."""
    block = block_modules(model)[1]
    patched = PatchedModel(model, Hook("attn_out", 1))
    clean = patched.clean(ids)
    others = [Hook("resid_pre", 1), Hook("mlp_out", 1), Hook("resid_post", 1)]
    with capture(model, others) as found:
        patched.states(torch.zeros_like(clean.x), clean, ids)
    stream, mlp, after = (found[hook] for hook in others)
    assert torch.equal(stream, clean.resid_pre)
    norm = next(
        part
        for name in ("ln_2", "post_attention_layernorm")
        if (part := getattr(block, name, None))
    )
    torch.testing.assert_close(mlp, block.mlp(norm(stream)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(after, stream + mlp, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_several_hooks_are_exchanged_in_one_run_each_on_what_the_earlier_ones_left(model, ids):
    functions = {0: lambda x: 0.5 * x, 1: lambda x: x + 1, 2: lambda x: x.flip(-1)}
    blocks = block_modules(model)
    expected = plainly(blocks[0], functions[0], lambda: plainly(
        blocks[1], functions[1], lambda: plainly(blocks[2], functions[2], lambda: whole(model, ids))
    ))  # fmt: skip
    patched = PatchedModel(model, Hook("resid_post", 0))
    clean = patched.clean(ids)
    also = {Hook("resid_post", number): functions[number] for number in (2, 1)}
    states = patched.states(functions[0](clean.x), clean, ids, also=also)
    torch.testing.assert_close(patched.head(states), expected, atol=1e-5, rtol=0)
    again = patched.states(clean.x, clean, ids)
    assert torch.equal(again, clean.states), "nothing is left behind"


@torch.no_grad()
def test_parts_of_one_block_are_exchanged_together(any_model, ids):
    patched = PatchedModel(any_model, Hook("attn_out", 1))
    clean = patched.clean(ids)
    zero, mlp = torch.zeros_like(clean.x), torch.full_like(clean.x, 0.25)
    after = Hook("resid_post", 1)
    with capture(any_model, [after]) as found:
        patched.states(zero, clean, ids, also={Hook("mlp_out", 1): lambda _: mlp})
    torch.testing.assert_close(found[after], clean.resid_pre + 0.25, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_hook_before_the_first_one_is_refused(model, ids):
    patched = PatchedModel(model, Hook("resid_post", 1))
    clean = patched.clean(ids)
    for text in ("resid_post.0", "mlp_out.1", "resid_post.1"):
        with pytest.raises(ModelError, match="a later hook"):
            patched.states(clean.x, clean, ids, also={Hook.parse(text): lambda x: x})
