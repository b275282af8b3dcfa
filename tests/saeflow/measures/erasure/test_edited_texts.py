"""Texts under edits, held against the whole model with the edit in a hook of torch's own."""

import numpy as np
import pytest
import torch

from saeflow.errors import ModelError
from saeflow.measures.erasure.edited_texts import EditedTexts
from saeflow.measures.erasure.edits import Coded, Edit
from saeflow.measures.erasure.erasers import projection
from saeflow.measures.erasure.prepare import read_clean
from saeflow.models.hooks import Hook, capture
from saeflow.models.patched import PatchedModel
from saeflow.models.slices import final_states
from tiny_models import make_model
from tiny_saes import make_sae, make_sequences

D, D_SAE = 16, 24


@pytest.fixture(scope="module")
def model():
    return make_model("gpt_neox")


@pytest.fixture(scope="module")
def texts():
    """Three texts of unlike length; the first token of each is special."""
    return make_sequences([6, 11, 3])


@pytest.fixture(scope="module")
def sae():
    return make_sae(D_SAE, D, bias=0.0)


EDITS = [
    Edit(),
    Edit("steering", "mean_difference", strength=1.0, shift=np.linspace(-1, 1, D)),
    Edit("removal", "mean_difference", eraser=projection(np.ones(D), np.arange(1, D + 1))),
    Edit("removal", "features", 2, latents=(3, 8)),
]


def by_hand(model, texts, block, edit, sae):
    """Run each text alone, and edit the block's output from its second token on."""
    ce, ends = [], []
    for start, end in zip(texts.offsets[:-1], texts.offsets[1:], strict=True):
        ids = torch.from_numpy(texts.token_ids[start:end])[None]

        def hook(module, args, output):
            x = output[0] if isinstance(output, tuple) else output
            rows = x[0, 1:]
            x = torch.cat([x[:, :1], edit.of(rows, Coded.of(sae, rows))[None]], dim=1)
            return (x, *output[1:]) if isinstance(output, tuple) else x

        handle = model.gpt_neox.layers[block].register_forward_hook(hook)
        try:
            logits = model(ids).logits[0]
            ends.append(final_states(model, ids)[0, -1].numpy())
        finally:
            handle.remove()
        log_p = logits.double().log_softmax(-1)[:-1]
        ce.append(-log_p.gather(-1, ids[0, 1:, None]).sum().item())
    return np.array(ce), np.array(ends)


@pytest.mark.parametrize("block", [0, 2])
def test_edits_stand_at_all_ordinary_tokens(model, texts, sae, block):
    read = EditedTexts(PatchedModel(model, Hook("resid_post", block)), texts)
    assert read.n_tokens.tolist() == [5, 10, 2]
    with torch.no_grad():
        expected = [by_hand(model, texts, block, edit, sae) for edit in EDITS]
    for outcome, (ce, ends) in zip(read.under(EDITS, sae), expected, strict=True):
        np.testing.assert_allclose(outcome.ce, ce, rtol=1e-5)
        np.testing.assert_allclose(outcome.ends, ends, atol=1e-5)
    assert len({ce.sum() for ce, _ in expected}) == len(EDITS)


def test_what_gives_no_numbers_is_said(model, texts):
    read = EditedTexts(PatchedModel(model, Hook("resid_post", 1)), texts)
    huge = Edit("steering", "features", 1, 1.0, (0,), shift=np.full(D, np.nan))
    with pytest.raises(ModelError, match="not numbers"):
        read.under([huge])


def test_clean_texts_are_read_as_they_are(model, texts):
    hook = Hook("resid_post", 1)
    clean = read_clean(model, texts, [hook])
    kept, ends = [], []
    with torch.no_grad(), capture(model, [hook]) as found:
        for start, end in zip(texts.offsets[:-1], texts.offsets[1:], strict=True):
            ids = torch.from_numpy(texts.token_ids[start:end])[None]
            ends.append(final_states(model, ids)[0, -1].numpy())
            kept.append(found[hook][0, 1:].numpy())
    np.testing.assert_allclose(clean.ends, ends, atol=1e-5)
    order = np.lexsort(np.concatenate(kept).T)
    own = np.lexsort(clean.at_hooks[hook].T)
    np.testing.assert_allclose(clean.at_hooks[hook][own], np.concatenate(kept)[order], atol=1e-5)


def test_the_states_kept_are_spread_over_the_texts(model, texts, monkeypatch):
    monkeypatch.setattr("saeflow.measures.erasure.prepare._MOST_TOKENS", 6)
    clean = read_clean(model, texts, [Hook("resid_post", 0)])
    assert clean.at_hooks[Hook("resid_post", 0)].shape == (6, D)  # every third of 17
