"""What stands at a hook in each batch comes from the right rows, and so does what is exchanged."""

import numpy as np
import pytest
import torch

from saeflow.activations.reader import open_store
from saeflow.errors import DataError, StoreError
from saeflow.measures.exchange import evaluated_tokens, exchanges, stored
from saeflow.models.hooks import Hook
from saeflow.models.load import load_model
from saeflow.models.patched import PatchedModel
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_tokens, save_model

LENGTHS = {"train": [32] * 4, "validation": [7], "test": [20, 32, 9, 31, 15]}
READ, PREDICTED = Hook.parse("resid_pre.1"), Hook.parse("mlp_out.1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    model = save_model(make_model("llama"), root / "model" / "model.json")
    tokens = make_tokens(root / "tokens", LENGTHS)
    stores = harvest_hooks(root / "hooks", [str(READ), str(PREDICTED)], model, tokens)
    return load_model(model), tokens, stores


@pytest.mark.parametrize("batch_tokens", [1, 40, 4096])
@torch.no_grad()
def test_each_batch_has_the_rows_of_its_tokens(made, batch_tokens):
    model, tokens, records = made
    found, texts = stored(tokens, *records.values()), evaluated_tokens(tokens)
    patched = PatchedModel(model, PREDICTED, READ)
    seen, scored = [], []
    for part in exchanges(patched, texts, found, batch_tokens=batch_tokens):
        for hook, values in ((READ, part.x), (PREDICTED, part.own)):
            store = open_store(records[str(hook)])
            rows = store.ranges("test")[0] + part.tokens.replaced
            np.testing.assert_array_equal(values.numpy(), store.activations[rows])
        ids = texts.token_ids[part.tokens.scored].astype("int64")
        assert part.tokens.targets.tolist() == ids.tolist()
        assert len(part.states) == len(ids)
        seen.extend(part.tokens.replaced.tolist())
        scored.extend(part.tokens.scored.tolist())
    assert sorted(seen) == np.flatnonzero(~texts.special).tolist()
    assert sorted(scored) == texts.scored.tolist()


@torch.no_grad()
def test_what_is_stored_changes_nothing_but_the_rounding(made):
    model, tokens, records = made
    texts, patched = evaluated_tokens(tokens), PatchedModel(model, PREDICTED, READ)
    stores = stored(tokens, *records.values())
    pairs = zip(exchanges(patched, texts, stores), exchanges(patched, texts), strict=True)
    for kept, computed in pairs:
        torch.testing.assert_close(kept.x, computed.x, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(kept.states, computed.states, atol=1e-5, rtol=1e-5)
        value = torch.ones_like(kept.own)
        one, other = kept.states_with(value), computed.states_with(value)
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_its_own_activations_in_their_place_change_no_bit(made):
    model, tokens, records = made
    stores = stored(tokens, *records.values())
    for patched in (PatchedModel(model, PREDICTED, READ), PatchedModel(model, READ)):
        for part in exchanges(patched, evaluated_tokens(tokens), stores):
            assert torch.equal(part.states_with(part.own), part.states)
            ce, found = part.compare({"own": part.states_with(part.own)})
            np.testing.assert_array_equal(found["own"], [ce, 0 * ce])
            np.testing.assert_array_equal(part.losses(part.states), ce)


def test_activations_of_other_tokens_are_refused(made, tmp_path):
    _, _, records = made
    with pytest.raises(StoreError, match="not those of the tokens"):
        stored(make_tokens(tmp_path, LENGTHS, seed=1), *records.values())


def test_a_split_without_a_token_to_predict_is_an_error(tmp_path):
    tokens = make_tokens(tmp_path, {**LENGTHS, "test": [1, 1]})
    with pytest.raises(DataError, match="no token that can be predicted"):
        evaluated_tokens(tokens)
