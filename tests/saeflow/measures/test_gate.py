"""SAEs from elsewhere against the model, and what the gate rests on: centring changes nothing."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch

from measured import measure, table
from saeflow.errors import ModelError
from saeflow.measures.gate import APART, check, held_against, stated_l0, trained_on
from saeflow.models.hooks import Hook, capture
from saeflow.models.patched import PatchedModel
from saeflow.sae.saved.fits import FitWarning
from tiny_models import make_model
from tiny_saes import make_sae, make_sequences, publish_sae
from tiny_stores import make_tokens, save_model

D, HOOK = 16, Hook.parse("resid_post.1")
LENGTHS = {"train": [9], "validation": [5], "test": [12, 7, 12, 9]}


TOKENS = make_sequences(LENGTHS["test"])


def an_sae(input_norm="center", **options):
    facts = {"hook": str(HOOK), "input_norm": input_norm, "imported": {"accepted": []}}
    return make_sae(4 * D, bias=-0.3, **(facts | options))


def processed(model):
    """Return a GPT-2 whose weights that write to the residual stream have no mean over d_model.

    As TransformerLens does it (center_writing_weights).
    """
    found = copy.deepcopy(model)
    head = torch.nn.Linear(D, 61, bias=False)
    head.weight.data = model.lm_head.weight.data.clone()
    found.lm_head = head
    body = found.transformer
    for weight in (body.wte.weight, body.wpe.weight):
        weight.data = weight.data - weight.data.mean(-1, keepdim=True)
    for block in body.h:
        for written in (block.attn.c_proj, block.mlp.c_proj):
            written.weight.data = written.weight.data - written.weight.data.mean(-1, keepdim=True)
            written.bias.data = written.bias.data - written.bias.data.mean()
    return found


@torch.no_grad()
def test_processed_weights_have_the_centred_residual_stream_and_the_same_loss():
    model = make_model("gpt2")
    other, ids = processed(model), torch.randint(3, 61, (3, 20))
    for name in ("resid_pre.0", "resid_pre.2", "resid_post.2", "attn_out.1", "mlp_out.1"):
        hook = Hook.parse(name)
        streams = []
        for one in (model, other):
            with capture(one, [hook]) as found:
                loss = one(ids, labels=ids).loss
            streams.append((found[hook], loss))
        (raw, loss), (centred, same) = streams
        expected = raw - raw.mean(-1, keepdim=True)
        assert (centred - expected).abs().max() <= 1e-4 * expected.abs().max()
        assert abs(loss - same) <= 1e-4
        assert (raw - expected).abs().max() > 0.01  # there is a mean to take off


@torch.no_grad()
def test_an_sae_of_processed_weights_has_on_raw_ones_the_l0_that_it_has_there():
    model, sae, active = make_model("gpt2"), an_sae(), []
    columns = held_against(PatchedModel(model, HOOK), sae, TOKENS)
    other = processed(model)
    for start, end in pairwise(TOKENS.offsets):
        with capture(other, [HOOK]) as found:
            other(torch.from_numpy(TOKENS.token_ids[start:end])[None])
        z = found[HOOK][0, 1:] @ sae.W_enc - 0.3
        active.append(float((z > 0).sum()))
    np.testing.assert_allclose(columns["active"], active)
    assert columns["tokens"].tolist() == [n - 1 for n in LENGTHS["test"]]
    check(sae, columns, sum(active) / columns["tokens"].sum(), where="here")


def test_with_its_error_a_reconstruction_is_the_activation():
    patched = PatchedModel(make_model("gpt2"), HOOK)
    columns = held_against(patched, an_sae(), TOKENS)
    assert columns["gap_identity"].sum() / columns["predictions"].sum() < 1e-5
    for scale in (1e9, float("nan")):  # beside so much, float32 has no digit for an activation
        bad = an_sae(scale=scale)
        with pytest.raises(ModelError, match="its error together are not the activation"):
            check(bad, held_against(patched, bad, TOKENS), None, where="here")


@pytest.mark.parametrize(("family", "fits"), [("gpt2", True), ("gpt_neox", True), ("llama", False)])
def test_only_models_with_layer_norms_can_have_saes_that_take_the_mean_off(family, fits):
    patched, sae = PatchedModel(make_model(family), HOOK), an_sae()
    columns = held_against(patched, sae, TOKENS)
    if fits:
        check(sae, columns, None, where="here")
    else:
        with pytest.raises(ModelError, match="minds that mean.*center_input: false"):
            check(sae, columns, None, where="here")
    plain = an_sae(input_norm="none")
    columns = held_against(patched, plain, TOKENS)
    assert "gap_centring" not in columns
    check(plain, columns, None, where="here")


def columns_with(l0):
    return {
        "predictions": np.array([10.0]), "gap_identity": np.zeros(1), "tokens": np.array([10.0]),
        "active": np.array([10.0 * l0]),
    }  # fmt: skip


def test_an_l0_unlike_the_stated_one_is_doubted_and_one_that_is_far_off_refused(recwarn):
    sae = an_sae()
    for l0 in (100, 81, 124):
        check(sae, columns_with(l0), 100.0, where="here")
    assert not recwarn
    for l0 in (79, 126, 299, 34):
        with pytest.warns(FitWarning, match="and 100 by its own files"):
            check(sae, columns_with(l0), 100.0, where="here")
    for l0 in (301, 33, 0):
        with pytest.raises(ModelError, match=f"factor of {APART:g}.*accept: .evidence"):
            check(sae, columns_with(l0), 100.0, where="here")
    accepted = an_sae(imported={"accepted": ["evidence"]})
    with pytest.warns(FitWarning):
        check(accepted, columns_with(301), 100.0, where="here")


def test_the_stated_l0_is_that_of_its_files_or_of_its_evidence():
    assert stated_l0({"l0": 60.0, "evidence": {"l0": 50.0}}) == 60
    assert stated_l0({"evidence": {"l0": 50.0}}) == 50
    assert stated_l0({"evidence": None}) is None


def test_tokens_are_those_within_the_trained_context():
    found, ids = trained_on({"context_length": 8}, TOKENS, 20), TOKENS.token_ids
    assert np.diff(found.offsets).tolist() == [8, 7, 8]
    assert found.token_ids.tolist() == [*ids[:8], *ids[12:19], *ids[19:27]]
    assert np.diff(trained_on({}, TOKENS, 20).offsets).tolist() == [12, 7, 12]


def test_the_job_lets_each_sae_of_any_hook_pass_or_fail_by_itself(tmp_path):
    model = save_model(make_model("gpt2"), tmp_path / "model" / "model.json")
    tokens = make_tokens(tmp_path / "tokens", LENGTHS)
    facts = {
        "good": {"l0": 20.0}, "elsewhere": {"hook": "resid_pre.0"}, "wrong": {"l0": 1000.0},
        "huge": {"scale": 1e9},
    }  # fmt: skip
    saes = {name: publish_sae(tmp_path / name, an_sae(**own)) for name, own in facts.items()}
    done = measure("gate", tmp_path, saes, {"tokens": 20}, model=model, tokens=tokens)
    assert {name for name, task in done.items() if task.finished} == {"good", "elsewhere"}
    assert "by its own files" in str(done["wrong"].error)
    assert done["good"].work.manifest["l0_stated"] == 20.0
    assert "l0_stated" not in done["elsewhere"].work.manifest
    columns = table(done["good"])
    assert columns["predictions"].tolist() == [11, 6, 11]
    assert {"gap_identity", "gap_centring", "tokens", "active"} <= set(columns)
