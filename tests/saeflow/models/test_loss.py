"""Losses per token, by hand, against Hugging Face, and under padding."""

from __future__ import annotations

import math

import pytest
import torch

from saeflow.errors import SaeflowError
from saeflow.models import loss
from saeflow.models.hooks import available_hooks, replace
from saeflow.models.slices import Head, final_states


def losses(model, ids, mask=None, attention_mask=None):
    scored = loss.scored_tokens(torch.ones_like(ids) if mask is None else mask)
    states = final_states(model, ids, attention_mask)
    return loss.token_losses(Head(model), states, ids, scored)


def test_cross_entropy_of_a_known_distribution():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])) + 3
    got = loss.cross_entropy(logits, torch.tensor([1, 2]))
    assert got.tolist() == pytest.approx([math.log(4), -math.log(0.7)], abs=1e-6)


def test_kl_of_known_distributions_and_its_direction():
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    forward = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    backward = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert loss.kl_divergence(p, q).item() == pytest.approx(forward, abs=1e-6)
    assert loss.kl_divergence(q, p).item() == pytest.approx(backward, abs=1e-6)
    assert loss.kl_divergence(p, p + 5).item() == pytest.approx(0, abs=1e-6)


def test_scored_tokens_follow_a_real_token_and_are_wanted():
    mask = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])
    assert loss.scored_tokens(mask).tolist() == [
        [False, True, True, False],
        [False] * 2 + [True] * 2,
    ]
    excluded = torch.tensor([[True, False, True, False], [False] * 4])
    assert loss.scored_tokens(mask, excluded)[0].tolist() == [False, True, False, False]


def test_the_mean_loss_is_hugging_faces_own(model, ids):
    own = model(ids, labels=ids).loss
    got = losses(model, ids)
    assert got[:, 1:].mean().item() == pytest.approx(own.item(), rel=1e-6)
    assert got[:, 0].isnan().all()


def test_each_loss_belongs_to_the_token_it_predicts(model, ids):
    logp = model(ids).logits.log_softmax(-1)
    assert losses(model, ids)[2, 5].item() == pytest.approx(-logp[2, 4, ids[2, 5]].item(), rel=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_no_loss_and_has_none(model, ids, side):
    pad = torch.full((3, 4), 2)
    one, none = torch.ones_like(ids), torch.zeros_like(pad)
    order = (lambda a, b: [b, a]) if side == "left" else (lambda a, b: [a, b])
    padded, mask = torch.cat(order(ids, pad), 1), torch.cat(order(one, none), 1)
    got = losses(model, padded, mask, attention_mask=mask)
    text = got[:, 4:] if side == "left" else got[:, :9]
    assert torch.allclose(text[:, 1:], losses(model, ids)[:, 1:], atol=1e-5)
    assert got.isfinite().sum() == 3 * 8
    if side == "right":  # a causal model needs no mask there
        assert torch.allclose(losses(model, padded, mask)[:, 1:9], text[:, 1:], atol=1e-5)


def test_a_reference_compares_known_distributions():
    p, q = torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([[0.9, 0.1], [0.9, 0.1]])
    reference = loss.Reference(p.log() + 3, torch.tensor([0, 1]))
    assert reference.ce.tolist() == pytest.approx([math.log(2), -math.log(0.1)], abs=1e-6)
    ce, kl = reference.compare(q.log() - 5)
    assert ce.tolist() == pytest.approx([-math.log(0.9), -math.log(0.1)], abs=1e-6)
    forward = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert kl.tolist() == pytest.approx([forward, 0], abs=1e-6)


def test_an_identity_patch_leaves_every_loss_bit_for_bit(any_model, ids):
    head, targets = Head(any_model), ids[:, 1:].flatten()
    clean = head(final_states(any_model, ids)[:, :-1].flatten(0, 1))
    reference = loss.Reference(clean, targets)
    torch.testing.assert_close(reference.ce, loss.cross_entropy(clean, targets))
    for hook in available_hooks(any_model):
        with replace(any_model, hook, lambda x: x.clone()):
            patched = head(final_states(any_model, ids)[:, :-1].flatten(0, 1))
        ce, kl = reference.compare(patched)
        assert torch.equal(ce, reference.ce), hook
        assert kl.eq(0).all(), hook


def test_a_reference_agrees_with_losses_and_divergences_on_their_own():
    g = torch.Generator().manual_seed(0)
    p, q = 3 * torch.randn(2, 50, 61, generator=g)
    targets = torch.randint(61, (50,), generator=g)
    reference = loss.Reference(p, targets)
    ce, kl = reference.compare(q)
    torch.testing.assert_close(reference.ce, loss.cross_entropy(p, targets))
    torch.testing.assert_close(ce, loss.cross_entropy(q, targets))
    torch.testing.assert_close(kl, loss.kl_divergence(p, q))


def test_the_losses_do_not_depend_on_the_size_of_a_chunk(model, ids, monkeypatch):
    whole, rows = losses(model, ids), []
    monkeypatch.setattr(loss, "CHUNK_LOGITS", 2 * 61)
    original = Head.__call__
    monkeypatch.setattr(
        Head, "__call__", lambda self, x: (rows.append(len(x)), original(self, x))[1]
    )
    assert torch.allclose(losses(model, ids)[:, 1:], whole[:, 1:], atol=1e-6)
    assert max(rows) == 2


def test_no_scored_token_gives_no_loss_and_no_error(model, ids):
    mask = torch.zeros_like(ids)
    assert losses(model, ids, mask).isnan().all()


def test_scoring_the_first_token_is_refused(model, ids):
    with pytest.raises(SaeflowError, match="scored_tokens"):
        loss.token_losses(Head(model), torch.zeros(3, 9, 16), ids, torch.ones(3, 9, dtype=bool))
