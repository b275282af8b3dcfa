"""Losses of stored activations and ablations, held against plain hooks on single sequences."""

import logging

import numpy as np
import pytest
import torch

from measured import measure_hooks
from saeflow.activations.reader import open_store
from saeflow.errors import DamagedError, ModelError
from saeflow.files import hash_tree
from saeflow.measures.clean import Source, clean_losses
from saeflow.measures.exchange import evaluated_tokens, exchanges, stored
from saeflow.measures.language import predictions
from saeflow.measures.losses import KINDS, Losses
from saeflow.models.hooks import Hook, available_hooks, capture, replace
from saeflow.models.load import load_model
from saeflow.models.patched import PatchedModel
from saeflow.tokens.store import open_tokens
from saeflow.work import bulk_of
from tiny_models import make_model
from tiny_saes import Rescale
from tiny_stores import harvest_hooks, make_tokens, save_model

LENGTHS = {"train": [32] * 4, "validation": [7], "test": [32, 20, 9, 32, 15]}
N_TEST = sum(LENGTHS["test"]) - len(LENGTHS["test"])  # a BOS in each
HOOKS = ["resid_pre.1", "mlp_out.1", "attn_out.2", "resid_post.2"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    sources = {
        "model": save_model(make_model("gpt_neox"), root / "model" / "model.json"),
        "tokens": make_tokens(root / "tokens", LENGTHS),
    }
    stores = harvest_hooks(root / "hooks", HOOKS, *sources.values(), dtype="float16")
    tasks = measure_hooks(root / "clean", stores, **sources)
    assert [task.error for task in tasks.values()] == [None] * len(HOOKS)
    return sources, stores, tasks


def kept(task, sources):
    """Return everything that a task kept, by kind."""
    tokens = evaluated_tokens(sources["tokens"])
    return Losses(task.work.final, tokens).at(tokens.scored)


@torch.no_grad()
def by_hand(sources, store, hook, change):
    """Return the loss of each scored token, given what ``change`` makes of a sequence's rows."""
    model, tokens, store = (
        load_model(sources["model"]),
        open_tokens(sources["tokens"]),
        open_store(store),
    )
    losses = []
    for sequence in range(*tokens.sequence_range("test")):
        rows = slice(*tokens.sequence_offsets[sequence : sequence + 2])
        ids = torch.from_numpy(tokens.token_id[rows].astype("int64"))[None]
        x = torch.from_numpy(store.activations[rows].astype("float32"))
        x[1:] = change(x[1:])  # a BOS before them
        with replace(model, Hook.parse(hook), lambda _, x=x: x[None]):
            log_p = model(ids).logits[0].log_softmax(-1)
        losses.append(-log_p[:-1].gather(1, ids[0, 1:, None])[:, 0])
    return torch.cat(losses).numpy()


@pytest.mark.parametrize("hook", HOOKS)
def test_losses_are_those_of_a_plain_hook_with_what_is_stored(made, hook):
    sources, stores, tasks = made
    store = open_store(stores[hook])
    ordinary = slice(*store.ranges("test"))
    x = store.activations[ordinary].astype("float64")[store.rows.flags[ordinary] == 0]
    mean = torch.from_numpy(x.mean(0).astype("float32"))
    found = kept(tasks[hook], sources)
    for kind, change in {
        "ce_clean": lambda x: x,
        "ce_zero": torch.zeros_like,
        "ce_mean": lambda x: mean.expand_as(x),
    }.items():
        expected = by_hand(sources, stores[hook], hook, change)
        np.testing.assert_allclose(found[kind], expected, atol=1e-5, err_msg=kind)


def test_the_storage_error_is_the_distance_to_the_running_model_and_is_told(made, tmp_path, caplog):
    sources, stores, tasks = made
    model, tokens = load_model(sources["model"]), open_tokens(sources["tokens"])
    losses = []
    for sequence in range(*tokens.sequence_range("test")):
        rows = slice(*tokens.sequence_offsets[sequence : sequence + 2])
        ids = torch.from_numpy(tokens.token_id[rows].astype("int64"))[None]
        losses.append(model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0])
    running = -torch.cat(losses).numpy()
    for hook, task in tasks.items():
        added = kept(task, sources)["ce_clean"] - running
        facts = task.work.manifest
        assert facts["n_tokens"] == N_TEST and facts["n_documents"] == len(LENGTHS["test"])
        assert facts["storage_error_max"] == pytest.approx(np.abs(added).max(), abs=2e-6), hook
        assert facts["storage_error_max"] > 1e-5, hook
        assert facts["storage_error_mean"] == pytest.approx(added.mean(), abs=2e-6), hook
    with caplog.at_level(logging.INFO):
        measure_hooks(tmp_path, {"mlp_out.1": stores["mlp_out.1"]}, **sources)
    (line,) = [r.getMessage() for r in caplog.records if "as they are stored" in r.getMessage()]
    largest = tasks["mlp_out.1"].work.manifest["storage_error_max"]
    assert line.startswith("mlp_out.1: ") and line.endswith(f"by at most {largest:.2g}")


def test_activations_in_32_bits_and_live_ones_leave_the_models_own_losses(made, tmp_path):
    sources, _, _ = made
    hooks, errors = ["resid_post.0", "attn_out.1"], {}
    for name, settings in (("whole", {}), ("live", {"live": True, "dtype": "float16"})):
        stores = harvest_hooks(tmp_path / name, hooks, *sources.values(), **settings)
        tasks = measure_hooks(tmp_path / f"on-{name}", stores, **sources).values()
        errors[name] = [task.work.manifest["storage_error_max"] for task in tasks]
    assert max(errors["whole"]) < 1e-5  # another batch rounds otherwise
    assert errors["live"] == [0, 0]


def test_hooks_measured_together_give_the_bytes_of_each_alone(made, tmp_path):
    sources, stores, tasks = made
    for hook in HOOKS:
        (alone,) = measure_hooks(tmp_path, {hook: stores[hook]}, **sources).values()
        assert hash_tree(alone.work.final) == hash_tree(tasks[hook].work.final)


def test_the_look_up_behind_the_last_block_is_what_the_model_gives(made):
    """What follows a special row is not looked up: this row keeps its own activations."""
    sources, stores, tasks = made
    model, tokens = load_model(sources["model"]), evaluated_tokens(sources["tokens"])
    hook = Hook.parse("resid_post.2")
    losses = Losses(tasks[str(hook)].work.final, tokens)
    store = stored(sources["tokens"], stores[str(hook)])
    with torch.no_grad():
        for part in exchanges(PatchedModel(model, hook), tokens, store):
            zero = part.losses(part.states_with(torch.zeros_like(part.own)))
            found = losses.at(part.tokens.scored)
            np.testing.assert_allclose(found["ce_zero"], zero, atol=1e-6)
            after_bos = np.isin(part.tokens.scored - 1, tokens.offsets)
            assert after_bos.sum() == len(part.tokens.batch.input_ids)
            clean = found["ce_clean"][after_bos]
            np.testing.assert_array_equal(found["ce_zero"][after_bos], clean)


@pytest.mark.parametrize("hook", HOOKS)
def test_an_sae_without_error_on_stored_activations_has_the_kept_losses_bit_for_bit(made, hook):
    sources, stores, tasks = made
    tokens = evaluated_tokens(sources["tokens"])
    patched = PatchedModel(load_model(sources["model"]), Hook.parse(hook))
    clean = Losses(tasks[hook].work.final, tokens)
    store = stored(sources["tokens"], stores[hook])
    (sums,) = predictions(patched, [Rescale()], tokens, clean, store)
    np.testing.assert_array_equal(sums["ce_sae"], sums["ce_clean"])
    assert not sums["kl"].any()


def test_a_hook_whose_store_is_damaged_fails_alone(made, tmp_path):
    sources, stores, tasks = made
    hooks = ["resid_post.0", "resid_post.1"]
    good, bad = harvest_hooks(tmp_path / "hooks", hooks, *sources.values()).values()
    next((bulk_of(bad) / "activations").rglob("c/*/*")).unlink()
    found = measure_hooks(tmp_path, {"bad": bad, "good": good}, **sources)
    assert isinstance(found["bad"].error, DamagedError) and not found["bad"].finished
    assert found["good"].finished and found["good"].error is None


def test_losses_that_are_not_numbers_are_an_error_of_their_hook(made, tmp_path):
    sources, stores, _ = made
    tokens, hook = evaluated_tokens(sources["tokens"]), Hook.parse("resid_post.1")
    patched = PatchedModel(load_model(sources["model"]), hook)
    mean = torch.full((16,), torch.nan)
    source = Source(patched, mean, None, Losses.make(tmp_path, tokens))
    clean_losses(patched.model, [source], tokens)
    assert isinstance(source.error, ModelError)
    assert "resid_post.1, ce_mean" in str(source.error)


def test_kept_losses_are_arrays_in_the_order_of_the_scored_tokens(made):
    sources, _, tasks = made
    tokens = evaluated_tokens(sources["tokens"])
    task = tasks["resid_pre.1"]
    assert {path.name for path in task.work.final.glob("*.npy")} == {f"{k}.npy" for k in KINDS}
    array = np.load(task.work.final / "ce_zero.npy")
    assert array.dtype == np.float32 and array.shape == (N_TEST,) == tokens.scored.shape
    some = tokens.scored[[5, 2, 60]]
    found = Losses(task.work.final, tokens).at(some)["ce_zero"]
    np.testing.assert_array_equal(found, array[[5, 2, 60]].astype(np.float64))
    special = set(range(len(tokens.special))) - set(tokens.scored.tolist())
    assert special == set(tokens.offsets[:-1].tolist())


@torch.no_grad()
def test_every_site_of_a_model_can_be_resumed_from_its_store(made, tmp_path):
    """Of whatever the running model has at a hook, the losses are its own."""
    sources, _, _ = made
    model, tokens = load_model(sources["model"]), evaluated_tokens(sources["tokens"])
    for hook in available_hooks(model):
        (batch, *_) = tokens.batches()
        patched = PatchedModel(model, hook)
        with capture(model, [hook]) as found:
            expected = model(batch.input_ids).logits
        clean = patched.resume(batch.input_ids, found[hook])
        states = patched.states(clean.x, clean, batch.input_ids)
        assert torch.equal(patched.head(states), expected), hook
