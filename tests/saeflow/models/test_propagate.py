"""What becomes of a change, against whole forward passes through plain hooks."""

from contextlib import ExitStack

import pytest
import torch

from saeflow.errors import ModelError
from saeflow.hooks import Hook
from saeflow.models import propagate
from saeflow.models.propagate import ATTENTION, FREEZING, MLP, PATTERNS, Propagation
from tiny_models import make_model

STACKS = {
    "gpt2": ("transformer", "h", "attn", "ln_f"),
    "gpt_neox": ("gpt_neox", "layers", "attention", "final_layer_norm"),
    "gpt_neox_sequential": ("gpt_neox", "layers", "attention", "final_layer_norm"),
    "llama": ("model", "layers", "self_attn", "norm"),
}
HOOKS = [Hook.parse(name) for name in ("resid_pre.0", "resid_post.0", "attn_out.1", "mlp_out.1")]
LATER = Hook.parse("resid_post.1")


@pytest.fixture(params=STACKS)
def family(request):
    return request.param


class ByHand:
    """Whole passes of a model in which outputs of modules are written over."""

    def __init__(self, family):
        self.model = make_model(family)
        trunk, blocks, self.attention, norm = STACKS[family]
        self.trunk = self.model.get_submodule(trunk)
        self.blocks = self.trunk.get_submodule(blocks)
        self.norm = self.trunk.get_submodule(norm)

    def module(self, hook):
        block = self.blocks[hook.block]
        parts = {"attn_out": self.attention, "mlp_out": "mlp"}
        return block.get_submodule(parts[hook.site]) if hook.site in parts else block

    def run(self, ids, given=(), seen=()):
        """Return final states and what was seen, with given values in the place of others."""
        found = {}
        with ExitStack() as stack:
            for hook, value in dict(given).items():
                stack.callback(self._write(hook, value).remove)
            for hook in seen:
                stack.callback(self._read(hook, found).remove)
            states = self.trunk(ids).last_hidden_state
        return states, found

    def _write(self, hook, value):
        def after(_module, _args, output):
            return (value, *output[1:]) if isinstance(output, tuple) else value

        if hook.site == "resid_pre":
            return self.module(hook).register_forward_pre_hook(lambda _, args: (value, *args[1:]))
        return self.module(hook).register_forward_hook(after)

    def _read(self, hook, found):
        def after(_module, _args, output):
            found[hook] = output[0] if isinstance(output, tuple) else output

        if hook.site == "resid_pre":
            return self.module(hook).register_forward_pre_hook(
                lambda _, args: found.update({hook: args[0]})
            )
        return self.module(hook).register_forward_hook(after)


@pytest.fixture
def changed(family, ids):
    """The model twice, a clean run, and a changed value at each hook."""
    by_hand = ByHand(family)
    ours = Propagation(make_model(family), HOOKS, [*HOOKS, LATER])
    clean = ours.clean(ids)
    g = torch.Generator().manual_seed(0)
    values = {h: clean.at[h] + 0.5 * torch.randn(clean.at[h].shape, generator=g) for h in HOOKS}
    return by_hand, ours, clean, values


def close(one, other):
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_the_whole_effect_is_that_of_a_whole_pass(changed, ids):
    by_hand, ours, clean, values = changed
    close(clean.states, by_hand.run(ids)[0])
    for hook, value in values.items():
        states, arrived = ours.full(hook, value, clean, [LATER])
        expected, seen = by_hand.run(ids, {hook: value}, [LATER])
        close(states, expected)
        close(arrived[LATER], seen[LATER])


@pytest.mark.parametrize(("name", "site"), [(ATTENTION, "attn_out"), (MLP, "mlp_out")])
def test_held_parts_give_in_a_whole_pass_what_they_gave_before(changed, ids, name, site):
    by_hand, ours, clean, values = changed
    every = [Hook(site, block) for block in range(3)]
    _, seen = by_hand.run(ids, seen=every)
    for hook, value in values.items():
        held = {other: seen[other] for other in every if hook < other}
        close(ours.frozen(name, hook, value, clean), by_hand.run(ids, {**held, hook: value})[0])


def test_where_no_block_answers_the_stream_carries_the_change(changed, ids):
    by_hand, ours, clean, values = changed
    last = Hook.parse("resid_post.2")
    _, seen = by_hand.run(ids, seen=[*HOOKS, last, LATER])
    every = [Hook(site, block) for site in ("attn_out", "mlp_out") for block in range(3)]
    _, parts = by_hand.run(ids, seen=every)
    for hook, value in values.items():
        states, arrived = ours.direct(hook, value, clean, [LATER])
        change = value - seen[hook]
        close(arrived[LATER], seen[LATER] + change)
        close(states, by_hand.norm(seen[last] + change))
        # which is a whole pass in which all later parts are held
        held = {other: parts[other] for other in every if hook < other}
        close(states, by_hand.run(ids, {**held, hook: value})[0])


def test_a_part_of_a_block_does_not_feel_what_the_stream_carries_past_it(changed):
    _, ours, clean, values = changed
    part = Hook.parse("mlp_out.1")
    _, arrived = ours.direct(HOOKS[0], values[HOOKS[0]], clean, [part])
    assert torch.equal(arrived[part], clean.at[part])


def test_a_chain_exchanges_what_earlier_exchanges_have_changed(changed, ids):
    by_hand, ours, clean, values = changed
    first, second = HOOKS[:2]
    states = ours.chain(first, values[first], clean, {second: lambda x: 0.5 * x})
    _, seen = by_hand.run(ids, {first: values[first]}, [second])
    close(states, by_hand.run(ids, {first: values[first], second: 0.5 * seen[second]})[0])
    close(ours.chain(first, values[first], clean, {}), ours.full(first, values[first], clean)[0])


def test_nothing_changed_changes_no_bit_by_any_way(changed):
    _, ours, clean, _ = changed
    for hook in HOOKS:
        x = clean.at[hook]
        found = [ours.full(hook, x, clean)[0], ours.direct(hook, x, clean)[0]]
        found += [ours.frozen(name, hook, x, clean) for name in FREEZING]
        found.append(ours.chain(hook, x, clean, {LATER: lambda x: x}))
        assert all(torch.equal(states, clean.states) for states in found)


def test_frozen_patterns_are_between_held_attention_and_the_whole(changed):
    """They move something, and something else than either: values follow, weights do not."""
    _, ours, clean, values = changed
    hook = HOOKS[0]
    found = [ours.frozen(name, hook, values[hook], clean) for name in (ATTENTION, PATTERNS)]
    found += [ours.full(hook, values[hook], clean)[0], clean.states]
    for i, one in enumerate(found):
        assert not any(torch.allclose(one, other, atol=1e-3) for other in found[:i])


def test_what_a_family_does_not_allow_is_not_offered(ids):
    ours = Propagation(make_model("gpt_neo"), HOOKS[:1], [LATER])
    assert ours.freezing == (ATTENTION, MLP)
    assert ours.clean(ids).states.shape == (3, 9, 16)


def test_a_model_that_cannot_be_run_from_a_block_on_is_run_whole(changed, family, monkeypatch):
    _, ours, clean, values = changed

    def refuse(*_):
        raise ModelError("this model cannot be run from a block on")

    monkeypatch.setattr("saeflow.models.patched.Tail", refuse)
    whole = propagate.Propagation(make_model(family), HOOKS, [*HOOKS, LATER])
    hook = HOOKS[1]
    close(whole.full(hook, values[hook], clean)[0], ours.full(hook, values[hook], clean)[0])
    close(whole.direct(hook, values[hook], clean)[0], ours.direct(hook, values[hook], clean)[0])
    for name in (ATTENTION, MLP):
        one, other = (p.frozen(name, hook, values[hook], clean) for p in (whole, ours))
        close(one, other)
