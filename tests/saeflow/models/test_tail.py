"""The tail of a model, and the slices that it is made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saeflow.errors import ModelError
from saeflow.models.hooks import Hook, available_hooks, block_modules, capture, replace
from saeflow.models.layout import forward_arguments
from saeflow.models.slices import run_until
from saeflow.models.tail import Tail
from tiny_models import make_model, same


def logits_of(tail, *arguments, **options):
    return tail.head(tail.states(*arguments, **options))


@pytest.mark.parametrize("padded", [False, True])
def test_the_tail_gives_the_whole_models_logits_bit_for_bit(any_model, ids, padded):
    mask = torch.ones_like(ids) if padded else None
    if padded:
        mask[1, :4] = 0
    hooks = available_hooks(any_model)
    with capture(any_model, hooks) as found:
        logits = any_model(ids, **forward_arguments(any_model, mask)).logits
    for hook in hooks:
        tail = Tail(any_model, hook)
        below = found[Hook("resid_pre", hook.block)] if tail.needs_resid_pre else None
        assert torch.equal(logits_of(tail, found[hook], ids, mask, resid_pre=below), logits), hook


def test_the_tail_and_a_patched_model_agree_bit_for_bit_on_any_activations(any_model, ids):
    for hook in available_hooks(any_model):
        noise = torch.randn(3, 9, 16, generator=torch.Generator().manual_seed(7))
        with replace(any_model, hook, lambda _, noise=noise: noise):
            patched = any_model(ids).logits
        tail = Tail(any_model, hook)
        below = Hook("resid_pre", hook.block)
        stream = run_until(any_model, ids, None, [below])[below]
        got = logits_of(tail, noise, ids, resid_pre=stream if tail.needs_resid_pre else None)
        assert same(any_model, got, patched), hook


def test_the_tail_runs_only_the_blocks_after_its_hook(model, ids):
    tail = Tail(model, Hook("resid_post", 1))
    ran = []
    handles = [
        block.register_forward_hook(lambda *_, index=index: ran.append(index))
        for index, block in enumerate(block_modules(model))
    ]
    tail.states(torch.randn(3, 9, 16), ids)
    for handle in handles:
        handle.remove()
    assert ran == [2]


def test_the_tail_shares_the_models_weights_and_leaves_the_model_alone(model, ids):
    before = model(ids).logits
    tail = Tail(model, Hook("resid_post", 0))
    own = {parameter.data_ptr() for parameter in model.parameters()}
    assert {parameter.data_ptr() for parameter in tail._part.parameters()} <= own
    assert torch.equal(model(ids).logits, before)


def test_a_tail_without_the_stream_it_needs_says_so(model, ids):
    with pytest.raises(ModelError, match="resid_pre.1"):
        Tail(model, Hook("mlp_out", 1)).states(torch.zeros(3, 9, 16), ids)


def test_a_model_that_reads_more_than_the_stream_is_refused():
    class Counting(nn.Module):
        """A block whose answer depends on what an earlier block of the same pass did."""

        def __init__(self, block, note):
            super().__init__()
            self.attn, self.mlp = block.attn, block.mlp
            self.block, self.note = block, note

        def forward(self, x, *args, **kwargs):
            self.note.append(1)
            return self.block(x, *args, **kwargs) * len(self.note)

    model, note = make_model("gpt2"), []
    model.base_model.h = nn.ModuleList(Counting(b, note) for b in block_modules(model))
    model.base_model.register_forward_pre_hook(lambda *_: note.clear())
    with pytest.raises(ModelError, match="whole"):
        Tail(model, Hook("resid_post", 0))


def test_gradients_flow_through_the_tail(model, ids):
    x = torch.randn(3, 9, 16, requires_grad=True)
    logits_of(Tail(model, Hook("resid_post", 0)), x, ids).square().sum().backward()
    assert x.grad.abs().sum() > 0
