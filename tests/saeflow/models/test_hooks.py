"""Hooks: what they name, what they capture, what they replace."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from saeflow.errors import ModelError
from saeflow.hooks import SITES
from saeflow.models.hooks import Hook, available_hooks, block_modules, capture, replace
from saeflow.models.points import get_output
from saeflow.models.slices import run_until
from tiny_models import make_model


class Block(nn.Module):
    """A block that answers in one of the forms that transformers' versions have used."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.attn, self.mlp = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> object:
        middle = x + self.attn(x)
        y = middle + self.mlp(middle)
        if self.form == "object":
            return BaseModelOutput(last_hidden_state=y)
        return (y, "cache") if self.form == "tuple" else y


class Trunk(nn.Module):
    """The blocks of a model and what it does before them."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.h = nn.ModuleList([Block(form), Block(form)])

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(input_ids)
        for block in self.h:
            x = get_output(block(x))
        return x


class Fake(nn.Module):
    """A model of such blocks, without a head."""

    def __init__(self, form: str = "tensor") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = Trunk(form)

    def get_input_embeddings(self) -> nn.Module:
        return self.inner.embed

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.inner(input_ids)


@pytest.mark.parametrize("form", ["tensor", "tuple", "object"])
@torch.no_grad()
def test_captured_activations_keep_their_batch_whatever_form_the_block_returns(form):
    ids, fake = torch.tensor([[1, 2], [3, 4], [5, 6]]), Fake(form)
    with capture(fake, [Hook("resid_post", 0), Hook("resid_pre", 1)]) as found:
        fake(ids)
    expected = get_output(fake.inner.h[0](fake.inner.embed(ids)))
    assert torch.equal(found[Hook("resid_post", 0)], expected)
    assert torch.equal(found[Hook("resid_pre", 1)], expected)


@pytest.mark.parametrize("form", ["tensor", "tuple", "object"])
@pytest.mark.parametrize("site", SITES)
@torch.no_grad()
def test_a_replacement_reaches_the_result_whatever_form_the_block_returns(form, site):
    ids, fake = torch.tensor([[1, 2], [3, 4], [5, 6]]), Fake(form)
    clean, first = fake(ids), fake.inner.h[0]
    with replace(fake, Hook(site, 0), lambda y: y * 10):
        patched = fake(ids)
    x = fake.inner.embed(ids) * (10 if site == "resid_pre" else 1)
    x = x + first.attn(x) * (10 if site == "attn_out" else 1)
    x = x * (10 if site == "resid_mid" else 1)
    x = x + first.mlp(x) * (10 if site == "mlp_out" else 1)
    x = x * (10 if site == "resid_post" else 1)
    assert torch.allclose(patched, get_output(fake.inner.h[1](x)), rtol=1e-6)
    assert torch.equal(fake(ids), clean)  # the hook is gone


def test_capture_entered_before_replace_sees_the_clean_value_and_after_it_the_patched():
    model, ids = make_model("llama"), torch.tensor([[3, 4, 5]])
    for hook in available_hooks(model):
        clean = run_until(model, ids, None, [hook])[hook]
        with capture(model, [hook]) as first, replace(model, hook, torch.zeros_like):
            with capture(model, [hook]) as second:
                model(ids)
        assert torch.equal(first[hook], clean), hook
        assert second[hook].eq(0).all(), hook


def test_the_hook_of_each_block_is_the_sum_of_all_blocks_up_to_it(model, ids):
    """Traps X9 and X10: counted against a loop over the blocks, made by hand."""
    arguments = {}
    with capture(model, [Hook("resid_pre", 0)]) as found:
        handle = block_modules(model)[0].register_forward_pre_hook(
            lambda _, args, kwargs: arguments.update(kwargs), with_kwargs=True
        )
        model(ids)
        handle.remove()
    x = found[Hook("resid_pre", 0)]
    for index, block in enumerate(block_modules(model)):
        hooks = [Hook("resid_pre", index), Hook("resid_post", index)]
        got = run_until(model, ids, None, hooks)
        assert torch.equal(got[hooks[0]], x)
        x = block(x, **arguments)
        assert torch.equal(got[hooks[1]], x)


def test_the_last_hook_is_the_blocks_output_not_the_last_hidden_state(model, ids):
    last = Hook("resid_post", 2)
    hidden = model(ids, output_hidden_states=True).hidden_states
    got = run_until(model, ids, None, [last, Hook("resid_post", 1)])
    assert torch.equal(got[Hook("resid_post", 1)], hidden[2])
    assert not torch.allclose(got[last], hidden[3])


def test_the_parts_of_a_block_add_up_to_its_output(any_model, ids):
    hooks = available_hooks(any_model)
    got = run_until(any_model, ids, None, hooks)
    for block in range(3):
        here = {hook.site: got[hook] for hook in hooks if hook.block == block}
        total = here["resid_pre"] + here["attn_out"] + here["mlp_out"]
        assert torch.allclose(total, here["resid_post"], atol=1e-5)
        if "resid_mid" in here:
            assert torch.allclose(
                here["resid_mid"], here["resid_pre"] + here["attn_out"], atol=1e-5
            )


def test_parallel_blocks_have_no_middle_and_sequential_ones_do():
    def sites(family):
        return {hook.site for hook in available_hooks(make_model(family))}

    assert "resid_mid" not in sites("gpt_neox")
    assert {"resid_mid"} <= sites("gpt_neox_sequential") & sites("gpt2") & sites("llama")


def test_zeroing_the_middle_leaves_only_what_the_mlp_makes_of_zeros(ids):
    model, hook = make_model("llama"), Hook("resid_mid", 1)
    with capture(model, [Hook("mlp_out", 1), Hook("resid_post", 1)]) as found:
        with replace(model, hook, torch.zeros_like):
            model(ids)
    assert torch.equal(found[Hook("resid_post", 1)], found[Hook("mlp_out", 1)])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resid_post.3", "resid_pre, attn_out, mlp_out, resid_post and BLOCK from 0 to 2"),
        ("mlp_out.99", "BLOCK from 0 to 2"),
        ("resid_mid.0", "same stream.*one of resid_pre, attn_out, mlp_out, resid_post in block 0"),
    ],
)
def test_a_hook_that_the_model_lacks_is_an_error_that_lists_those_it_has(name, message):
    model = make_model("gpt_neox")
    with pytest.raises(ModelError, match=message):
        run_until(model, torch.tensor([[3]]), None, [Hook.parse(name)])


def test_a_model_without_a_stream_from_block_to_block_is_refused():
    fake = Fake()
    fake.inner.forward = lambda ids: fake.inner.h[1](fake.inner.h[0](fake.inner.embed(ids)) + 1)
    with pytest.raises(ModelError, match=r"no residual stream.*inner\.h"):
        available_hooks(fake)


def test_a_model_that_cannot_run_on_text_alone_is_refused():
    fake = Fake()
    fake.inner.forward = lambda ids, pixels: None
    with pytest.raises(ModelError, match="few tokens fails.*pixels"):
        available_hooks(fake)


def test_a_replacement_of_another_shape_is_refused(model, ids):
    with replace(model, Hook("mlp_out", 0), lambda x: x[:1]):
        with pytest.raises(ModelError, match=r"expected \(3, 9, 16\); got \(1, 9, 16\)"):
            model(ids)
    model(ids)  # and the hook is gone


def test_a_replacement_can_be_trained_at_every_hook(any_model, ids):
    for hook in available_hooks(any_model):
        matrix = torch.eye(16, requires_grad=True)
        with replace(any_model, hook, lambda x, matrix=matrix: (x @ matrix).tanh()):
            any_model(ids).logits.square().mean().backward()
        assert matrix.grad.abs().sum() > 0, hook
