"""SAEs from elsewhere against the model, and what the gate rests on: centring changes nothing."""

import copy

import numpy as np
import pytest
import torch

from measured import measure, table
from saeflow.errors import ModelError
from saeflow.measures.gate import APART, check, held_against, stated_l0, trained_on
from saeflow.models.hooks import Hook, capture
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.fits import FitWarning
from saeflow.sae.saved.save import save
from saeflow.tokens.sequences import Sequences
from saeflow.work import hold
from tiny_models import make_model
from tiny_stores import make_tokens, save_model

D = 16
LENGTHS = {"train": [9], "validation": [5], "test": [12, 7, 12, 9]}


def make_sae(input_norm="center", scale=1.0, seed=0, **metadata):
    g = torch.Generator().manual_seed(seed)
    W_dec = torch.nn.functional.normalize(torch.randn(4 * D, D, generator=g), dim=1)
    weights = {
        "W_enc": W_dec.T.clone(), "b_enc": torch.full((4 * D,), -0.3),
        "W_dec": scale * W_dec, "b_dec": torch.zeros(D),
    }  # fmt: skip
    facts = {"hook": "resid_post.1", "input_norm": input_norm, "imported": {"accepted": []}}
    settings = architecture_settings("relu", {"l1": 0.0})
    return SAE("relu", settings, weights, facts | metadata)


def some_tokens():
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS["test"])])
    special = np.zeros(offsets[-1], dtype=bool)
    special[offsets[:-1]] = True
    documents = np.repeat(np.arange(4), LENGTHS["test"])
    return Sequences(rng.integers(3, 61, offsets[-1]), documents, special, offsets)


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
    model, tokens, sae = make_model("gpt2"), some_tokens(), make_sae()
    columns = held_against(PatchedModel(model, Hook.parse("resid_post.1")), sae, tokens)
    active = []
    for start, end in zip(tokens.offsets, tokens.offsets[1:], strict=False):
        hook, ids = Hook.parse("resid_post.1"), torch.from_numpy(tokens.token_ids[start:end])[None]
        with capture(processed(model), [hook]) as found:
            processed(model)(ids)
        with capture(other := processed(model), [hook]) as found:
            other(ids)
        z = found[hook][0, 1:] @ sae.W_enc - 0.3
        active.append(float((z > 0).sum()))
    np.testing.assert_allclose(columns["active"], active)
    assert columns["tokens"].tolist() == [n - 1 for n in LENGTHS["test"]]
    check(sae, columns, sum(active) / columns["tokens"].sum(), where="here")


def test_with_its_error_a_reconstruction_is_the_activation():
    tokens, patched = some_tokens(), PatchedModel(make_model("gpt2"), Hook.parse("resid_post.1"))
    columns = held_against(patched, make_sae(), tokens)
    assert columns["gap_identity"].sum() / columns["predictions"].sum() < 1e-5
    for scale in (1e9, float("nan")):  # beside so much, float32 has no digit for an activation
        bad = make_sae(scale=scale)
        with pytest.raises(ModelError, match="its error together are not the activation"):
            check(bad, held_against(patched, bad, tokens), None, where="here")


@pytest.mark.parametrize(("family", "fits"), [("gpt2", True), ("gpt_neox", True), ("llama", False)])
def test_only_models_with_layer_norms_can_have_saes_that_take_the_mean_off(family, fits):
    tokens, hook = some_tokens(), "resid_post.1"
    patched = PatchedModel(make_model(family), Hook.parse(hook))
    sae = make_sae()
    columns = held_against(patched, sae, tokens)
    if fits:
        check(sae, columns, None, where="here")
    else:
        with pytest.raises(ModelError, match="minds that mean.*center_input: false"):
            check(sae, columns, None, where="here")
    plain = make_sae(input_norm="none")
    columns = held_against(patched, plain, tokens)
    assert "gap_centring" not in columns
    check(plain, columns, None, where="here")


def columns_with(l0):
    return {
        "predictions": np.array([10.0]), "gap_identity": np.zeros(1), "tokens": np.array([10.0]),
        "active": np.array([10.0 * l0]),
    }  # fmt: skip


def test_an_l0_unlike_the_stated_one_is_doubted_and_one_that_is_far_off_refused(recwarn):
    sae = make_sae()
    for l0 in (100, 81, 124):
        check(sae, columns_with(l0), 100.0, where="here")
    assert not recwarn
    for l0 in (79, 126, 299, 34):
        with pytest.warns(FitWarning, match="and 100 by its own files"):
            check(sae, columns_with(l0), 100.0, where="here")
    for l0 in (301, 33, 0):
        with pytest.raises(ModelError, match=f"factor of {APART:g}.*accept: .evidence"):
            check(sae, columns_with(l0), 100.0, where="here")
    accepted = make_sae(imported={"accepted": ["evidence"]})
    with pytest.warns(FitWarning):
        check(accepted, columns_with(301), 100.0, where="here")


def test_the_stated_l0_is_that_of_its_files_or_of_its_evidence():
    assert stated_l0({"l0": 60.0, "evidence": {"l0": 50.0}}) == 60
    assert stated_l0({"evidence": {"l0": 50.0}}) == 50
    assert stated_l0({"evidence": None}) is None


def test_tokens_are_those_within_the_trained_context():
    found = trained_on({"context_length": 8}, some_tokens(), 20)
    assert np.diff(found.offsets).tolist() == [8, 7, 8]
    whole = some_tokens()
    assert found.token_ids.tolist() == [
        *whole.token_ids[:8], *whole.token_ids[12:19], *whole.token_ids[19:27]
    ]  # fmt: skip
    assert np.diff(trained_on({}, whole, 20).offsets).tolist() == [12, 7, 12]


def publish(record, **options):
    with hold(record, f"sae {record.parent.name}") as work:
        save(make_sae(**options), work.path)
        work.finish({})
    return record


def test_the_job_lets_each_sae_of_any_hook_pass_or_fail_by_itself(tmp_path):
    model = save_model(make_model("gpt2"), tmp_path / "model" / "model.json")
    tokens = make_tokens(tmp_path / "tokens", LENGTHS)
    saes = {
        "good": publish(tmp_path / "good" / "sae.json", l0=20.0),
        "elsewhere": publish(tmp_path / "elsewhere" / "sae.json", hook="resid_pre.0"),
        "wrong": publish(tmp_path / "wrong" / "sae.json", l0=1000.0),
        "huge": publish(tmp_path / "huge" / "sae.json", scale=1e9),
    }
    done = measure("gate", tmp_path, saes, {"tokens": 20}, model=model, tokens=tokens)
    assert {name for name, task in done.items() if task.finished} == {"good", "elsewhere"}
    assert "by its own files" in str(done["wrong"].error)
    assert done["good"].work.manifest["l0_stated"] == 20.0
    assert "l0_stated" not in done["elsewhere"].work.manifest
    columns = table(done["good"])
    assert columns["predictions"].tolist() == [11, 6, 11]
    assert {"gap_identity", "gap_centring", "tokens", "active"} <= set(columns)
