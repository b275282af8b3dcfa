"""The closed form as a job: its sums, its resumption, and gradient steps beside it."""

from __future__ import annotations

import os
import signal
import struct

import numpy as np
import pytest
import torch

from damage import put
from sae_stores import (
    content,
    make_activations,
    place,
    published,
    sparse_data,
    task_of,
    train_saes,
    tune_saes,
)
from saeflow.activations.reader import open_store
from saeflow.errors import ConfigError, DataError, StoreError
from saeflow.finetune.closed_form import Decoder, solve
from saeflow.finetune.normal import NormalEquations
from saeflow.finetune.solvers import exact
from saeflow.finetune.sweep import finetune_sweep
from saeflow.interrupt import Interrupted
from saeflow.metrics.intervals import FEW_DOCUMENTS
from saeflow.sae.saved.load import load_sae
from saeflow.tokens.flags import excluded

METHODS = ("scale", "unrotated_decoder", "decoder")
COMMON = {"expansion": 2, "batch_size": 64, "epochs": 6, "seed": 0, "learning_rate": 3e-3}
PARENTS = {
    "relu": {"architecture": "relu", "l1": 0.03, **COMMON},
    "topk": {"architecture": "topk", "k": 3, **COMMON},
}
N_TRAIN = 64 * 32


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    x = sparse_data(76 * 33, 12, 20, mean_l0=3)
    return make_activations(tmp_path_factory.mktemp("activations"), x=x, n_validation=10)


@pytest.fixture(scope="module")
def parents(tmp_path_factory, activations):
    root = tmp_path_factory.mktemp("parents")
    return {
        name: published(root, name, lambda w, s=settings: train_saes([(w, s)], activations))
        for name, settings in PARENTS.items()
    }


def job(root, parents, parent, method, **settings):
    work = place(root, f"{parent}~{method}")
    return work, {"solver": "exact", "method": method, **settings}, parents[parent]


@pytest.fixture(scope="module")
def together(tmp_path_factory, activations, parents):
    root = tmp_path_factory.mktemp("together")
    jobs = {(p, m): job(root, parents, p, m) for p in PARENTS for m in METHODS}
    tune_saes(list(jobs.values()), activations)
    return {key: work for key, (work, *_) in jobs.items()}


def rows(activations, split):
    with open_store(activations) as store:
        first, end = store.ranges(split)
        kept = ~excluded(store.rows.flags[first:end])
        return store.activations.tensor(slice(first, end))[torch.from_numpy(kept)]


@pytest.mark.parametrize("parent", PARENTS)
def test_the_solution_is_that_of_all_rows_at_once(parent, together, parents, activations):
    sae, x = load_sae(parents[parent]), rows(activations, "train")
    assert len(x) == N_TRAIN
    sums = NormalEquations(sae.d_sae, sae.d_in)
    sums.add(sae.encode_sparse(x), x)
    start = Decoder(sae.W_dec.double().numpy(), sae.b_dec.double().numpy())
    for method in METHODS:
        tuned = load_sae(together[parent, method].final)
        ridge = together[parent, method].manifest["training"]["ridge"]
        expected = solve(method, sums, start, ridge)
        np.testing.assert_allclose(tuned.W_dec, expected.W_dec, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(tuned.b_dec, expected.b_dec, rtol=1e-4, atol=1e-5)


def test_the_ridge_is_chosen_on_the_validation_documents(together, parents, activations):
    x = rows(activations, "validation")
    before = float((load_sae(parents["relu"])(x) - x).double().square().mean())
    for method in METHODS:
        training = together["relu", method].manifest["training"]
        gains = {row["ridge"]: before - row["mse"] for row in training["validation_mse"]}
        assert tuple(gains) == exact.STRENGTHS
        wanted = 0.99 * max(gains.values())
        assert training["ridge"] == max(tau for tau in gains if gains[tau] >= wanted)
        tuned = load_sae(together["relu", method].final)
        mse = float((tuned(x) - x).double().square().mean())
        assert before - gains[training["ridge"]] == pytest.approx(mse, rel=1e-4)


def test_a_ridge_that_was_chosen_on_few_documents_is_said_to_be(
    activations, parents, tmp_path, caplog
):
    with open_store(activations) as store:
        first, end = store.ranges("validation")
        n = len(set(store.rows.document[first:end].tolist()))
    assert n < FEW_DOCUMENTS
    chosen = job(tmp_path, parents, "relu", "scale")
    tune_saes([chosen], activations)
    assert f"ridge is chosen on {n} documents" in caplog.text
    assert chosen[0].manifest["training"]["n_validation_documents"] == n
    caplog.clear()
    given = job(tmp_path / "given", parents, "relu", "scale", ridge=1.0)
    tune_saes([given], activations)
    assert "documents" not in caplog.text
    assert given[0].manifest["training"]["n_validation_documents"] is None


def test_steps_that_have_converged_reach_the_closed_form_and_never_less(
    activations, parents, tmp_path
):
    """Without a ridge nothing is better on the fitted tokens; many steps come close to it."""
    x = rows(activations, "train")
    settings = {"solver": "steps", "batch_size": 256, "learning_rate": 1e-2, "epochs": 100}
    for method in METHODS:
        best = job(tmp_path, parents, "relu", method, ridge=0.0)
        tune_saes([best], activations)
        work = place(tmp_path, f"steps-{method}")
        tune_saes([(work, {"method": method, **settings}, parents["relu"])], activations)
        errors = {}
        for name, found in (("exact", best[0]), ("steps", work)):
            sae = load_sae(found.final).to(dtype=torch.float64)
            errors[name] = float((sae(x.double()) - x).square().mean())
        assert errors["exact"] <= errors["steps"] * (1 + 1e-6), method
        assert errors["steps"] < 1.01 * errors["exact"], method


@pytest.mark.parametrize("parent", PARENTS)
def test_the_codes_are_the_parents(parent, together, parents, activations):
    x = rows(activations, "validation")
    before = load_sae(parents[parent]).encode_sparse(x)
    for method in METHODS:
        after = load_sae(together[parent, method].final).encode_sparse(x)
        if parent == "relu" or method == "scale":
            assert torch.equal(before.index, after.index)
            assert torch.equal(before.values, after.values)
        else:  # the encoder's input bias was moved: equal within rounding
            torch.testing.assert_close(
                after.dense().sum(1), before.dense().sum(1), atol=1e-4, rtol=0
            )


def test_alone_it_is_the_same_as_with_others(together, parents, activations, tmp_path):
    for method in METHODS:
        own = job(tmp_path, parents, "relu", method)
        tune_saes([own], activations)
        assert content(own[0]) == content(together["relu", method])


def test_interrupted_it_goes_on_to_the_same_bytes(
    together, parents, activations, tmp_path, monkeypatch
):
    add, seen = NormalEquations.add, []

    def interrupted(self, codes, x):
        add(self, codes, x)
        seen.append(len(x))
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    own = job(tmp_path, parents, "relu", "decoder")
    monkeypatch.setattr(exact, "_BATCH_ROWS", 500)
    with monkeypatch.context() as patch:
        patch.setattr(NormalEquations, "add", interrupted)
        with pytest.raises(Interrupted):
            tune_saes([own], activations)
        tune_saes([own], activations)
    assert sum(seen) == N_TRAIN + 10 * 32  # no row twice
    whole = job(tmp_path / "whole", parents, "relu", "decoder")
    tune_saes([whole], activations)
    assert content(own[0]) == content(whole[0])


def test_fewer_tokens_are_the_first_ones(parents, activations, tmp_path):
    sae, x = load_sae(parents["relu"]), rows(activations, "train")[:700]
    own = job(tmp_path, parents, "relu", "decoder", tokens=700, ridge=1.0)
    tune_saes([own], activations)
    sums = NormalEquations(sae.d_sae, sae.d_in)
    sums.add(sae.encode_sparse(x), x)
    start = Decoder(sae.W_dec.double().numpy(), sae.b_dec.double().numpy())
    expected = solve("decoder", sums, start, 1.0)
    found = load_sae(own[0].final)
    np.testing.assert_allclose(found.W_dec, expected.W_dec, rtol=1e-4, atol=1e-5)
    training = own[0].manifest["training"]
    assert training["tokens"] == 700 and training["validation_mse"] == []
    final = training["final"]
    assert final["mse"] == pytest.approx(float((found(x) - x).square().mean()), rel=1e-4)
    assert final["mse_before"] == pytest.approx(float((sae(x) - x).square().mean()), rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"method": "encoder"}, ConfigError, "one of scale, unrotated_decoder, decoder"),
        ({"ridge": -1.0}, ConfigError, "ridge"),
        ({"tokens": 10**6}, DataError, "1,000,000"),
    ],
)
def test_what_cannot_be_solved_is_refused(settings, error, message, parents, activations, tmp_path):
    own = job(tmp_path, parents, "relu", **{"method": "decoder", **settings})
    with pytest.raises(error, match=message):
        tune_saes([own], activations)


def test_without_validation_documents_the_ridge_must_be_given(parents, tmp_path):
    bare = make_activations(tmp_path / "bare", x=sparse_data(66 * 33, 12, 20, mean_l0=3))
    tasks = [
        task_of(
            place(tmp_path, str(ridge)), {"solver": "exact", "method": "decoder", "ridge": ridge},
            parent=parents["relu"], activations=bare,
        )
        for ridge in (None, 1.0)
    ]  # fmt: skip
    finetune_sweep(tasks)
    assert "`ridge`" in str(tasks[0].error) and not tasks[0].finished
    assert tasks[1].error is None and tasks[1].finished


def test_activations_that_are_not_finite_are_the_failure_of_all(parents, tmp_path):
    x = sparse_data(66 * 33, 12, 20, mean_l0=3)
    damaged = make_activations(tmp_path / "damaged", x=x)
    array = next(damaged.parent.glob("resid_post.0.*.zarr")) / "activations" / "c" / "1" / "0"
    # row 400 is of the second shard of 256 rows
    put(array, (400 - 256) * 12 * 4, struct.pack("<f", float("nan")))
    with pytest.raises(StoreError, match="nan in row 400, dimension 0, shard .*c/1/0"):
        tune_saes([job(tmp_path, parents, "relu", "decoder", ridge=1.0)], damaged)


def test_the_sums_outlast_those_that_are_finished_first(
    together, parents, activations, tmp_path, monkeypatch
):
    """A run that dies between two of a parent's tasks adds nothing up again."""
    jobs = [job(tmp_path, parents, "relu", method) for method in METHODS]
    saved, finished = exact.save, []

    def dying(sae, directory, *rest, **options):
        if finished:
            raise KeyboardInterrupt
        finished.append(directory)
        saved(sae, directory, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(exact, "save", dying)
        with pytest.raises(KeyboardInterrupt):
            tune_saes(jobs, activations, checkpoint_s=0)
    assert [work.finished for work, *_ in jobs] == [True, False, False]
    monkeypatch.setattr(NormalEquations, "add", None)
    tune_saes(jobs, activations)
    for method, (work, *_) in zip(METHODS, jobs, strict=True):
        assert content(work) == content(together["relu", method])
