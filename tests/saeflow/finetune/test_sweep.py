"""Fine-tuning from a store: shared codes, resuming, and what stays the same."""

from __future__ import annotations

import re

import pytest
import torch

from sae_stores import (
    content,
    let_diverge,
    make_activations,
    place,
    published,
    sparse_data,
    stopped,
    task_of,
    train_saes,
    tune_saes,
)
from saeflow.finetune.sweep import finetune_sweep
from saeflow.sae.model import SAE
from saeflow.sae.saved.load import load_sae
from saeflow.sae.saved.save import header_of, save
from saeflow.sae.training import trainee

COMMON = {"expansion": 2, "batch_size": 64, "log_tokens": 512, "seed": 0, "learning_rate": 3e-3}
PARENTS = {
    "relu": {"architecture": "relu", "l1": 0.03, "epochs": 6, **COMMON},
    "topk": {"architecture": "topk", "k": 3, "epochs": 6, **COMMON},
}
METHOD = {"solver": "steps", "batch_size": 64, "learning_rate": 3e-3, "epochs": 3}
FROZEN = ("scale", "unrotated_decoder", "decoder")
MOVING = ("unrotated_encoder", "encoder", "unrotated_all", "baseline")
JOBS = [(parent, method) for parent in PARENTS for method in (*FROZEN, *MOVING)]
X = sparse_data(66 * 33, 12, 20, mean_l0=3)


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    return make_activations(tmp_path_factory.mktemp("activations"), x=X)


@pytest.fixture(scope="module")
def parents(tmp_path_factory, activations):
    root = tmp_path_factory.mktemp("parents")
    return {
        name: published(root, name, lambda w, s=settings: train_saes([(w, s)], activations))
        for name, settings in PARENTS.items()
    }


def job(root, parents, parent, method):
    work = place(root, f"{parent}~{method}")
    return work, {"method": method, **METHOD}, parents[parent]


@pytest.fixture(scope="module")
def together(tmp_path_factory, activations, parents):
    root = tmp_path_factory.mktemp("together")
    jobs = {key: job(root, parents, *key) for key in JOBS}
    tune_saes(list(jobs.values()), activations)
    return {key: work for key, (work, *_) in jobs.items()}


@pytest.mark.parametrize("key", JOBS)
def test_one_of_a_sweep_is_the_one_tuned_alone(key, together, activations, parents, tmp_path):
    own = job(tmp_path, parents, *key)
    tune_saes([own], activations)
    assert content(own[0]) == content(together[key])


@pytest.mark.parametrize("key", [key for key in JOBS if key[1] in FROZEN])
def test_the_active_latents_are_the_parents(key, together, parents):
    parent, tuned = load_sae(parents[key[0]]), load_sae(together[key].final)
    assert tuned.architecture == parent.architecture
    before, after = parent.encode_sparse(X), tuned.encode_sparse(X)
    if (
        key[0] == "topk" and key[1] != "scale"
    ):  # the encoder's input bias was moved: equal within rounding
        same = (before.dense() > 0) == (after.dense() > 0)
        assert float(same.all(1).float().mean()) > 0.999
        torch.testing.assert_close(after.dense().sum(1), before.dense().sum(1), atol=1e-4, rtol=0)
    else:
        for name in ("values", "index", "offsets"):
            assert torch.equal(getattr(before, name), getattr(after, name))


def test_the_error_falls_in_the_order_decoder_scale_original(together, parents):
    for name in PARENTS:
        errors = [
            float((sae(X) - X).square().mean())
            for sae in (
                load_sae(together[name, "decoder"].final),
                load_sae(together[name, "scale"].final),
                load_sae(parents[name]),
            )
        ]
        assert errors[0] < errors[1] < errors[2], name
        assert name == "topk" or errors[1] < 0.95 * errors[2]  # L1 shrinks, top-k does not


@pytest.mark.parametrize("parent", PARENTS)
def test_every_method_but_the_baseline_lowers_the_error(parent, together, parents):
    before = float((load_sae(parents[parent])(X) - X).square().mean())
    for method in (*FROZEN, *MOVING[:-1]):
        tuned = load_sae(together[parent, method].final)
        assert float((tuned(X) - X).square().mean()) < before, method


@pytest.mark.parametrize("method", MOVING)
def test_a_method_that_moves_the_encoder_changes_the_codes(method, together, parents):
    parent, tuned = load_sae(parents["relu"]), load_sae(together["relu", method].final)
    assert not torch.equal(tuned.encode(X), parent.encode(X))
    if method.startswith("unrotated"):
        torch.testing.assert_close(tuned.W_enc, parent.W_enc)
        cosine = torch.cosine_similarity(tuned.W_dec, parent.W_dec, dim=1)
        torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_the_record_names_parent_and_method(together, parents):
    record = together["relu", "scale"].manifest
    parent = parents["relu"]
    assert record["parent"] == place(parent.parents[1], "relu").identity
    assert record["method"] == "scale" and record["seed"] == 0 and record["hook"] == "resid_post.0"
    assert record["architecture"] == "relu" and record["settings"]["epochs"] == 3
    assert record["training"]["tokens"] == 3 * 2048


def test_rows_change_by_their_effective_scale_and_latents_that_never_fire_not_at_all(
    tmp_path, activations, parents
):
    parent = load_sae(parents["relu"])
    parent.b_enc[:4] = -100.0
    silent = published(tmp_path, "silent", lambda work: _finish(work, parent))
    works = {method: place(tmp_path, method) for method in ("scale", "decoder")}
    tune_saes(
        [(work, {"method": method, **METHOD}, silent) for method, work in works.items()],
        activations,
    )
    for method, work in works.items():
        tuned = load_sae(work.final)
        scale = tuned.W_dec.norm(dim=1) / parent.W_dec.norm(dim=1)
        cosine = torch.cosine_similarity(tuned.W_dec, parent.W_dec, dim=1)
        torch.testing.assert_close(scale[:4], torch.ones(4))
        assert float((scale[4:] - 1).abs().mean()) > 0.01
        if method == "scale":
            torch.testing.assert_close(cosine, torch.ones(parent.d_sae))
            torch.testing.assert_close(tuned.W_dec, parent.W_dec * scale[:, None])
        else:
            torch.testing.assert_close(cosine[:4], torch.ones(4))
            assert float(cosine[4:].min()) < 0.9999


def _finish(work, sae):
    save(sae, work.path)
    work.finish(header_of(work.path))


def test_interrupted_it_goes_on_to_the_same_bytes(together, activations, parents, tmp_path):
    jobs = {key: job(tmp_path, parents, *key) for key in JOBS}
    with stopped(7):
        tune_saes(list(jobs.values()), activations)
    tune_saes(list(jobs.values()), activations)
    for key, (work, *_) in jobs.items():
        assert content(work) == content(together[key])


def test_codes_are_computed_once_for_all_methods_of_an_sae(
    activations, parents, tmp_path, monkeypatch
):
    calls = []
    encode = SAE.encode_sparse
    monkeypatch.setattr(
        SAE, "encode_sparse", lambda self, x: (calls.append(len(x)), encode(self, x))[1]
    )
    jobs = [job(tmp_path, parents, "relu", method) for method in ("scale", "decoder")]
    tune_saes(jobs, activations)
    # besides, a file's evidence is checked when it is read and gathered when it is written
    assert calls.count(64) - 3 * 2048 // 64 in range(len(jobs) + 1)


def test_the_decoder_method_keeps_directions_and_sizes_apart(
    activations, parents, tmp_path, monkeypatch
):
    worst, train = [], trainee.Trainee.train

    def watched(self, batch, workspace):
        train(self, batch, workspace)
        worst.append(float((self.weights["W_dec"].norm(dim=1) - 1).abs().max()))

    monkeypatch.setattr(trainee.Trainee, "train", watched)
    tune_saes([job(tmp_path, parents, "relu", "decoder")], activations)
    assert max(worst) < 1e-6


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("solver", ["steps", "exact"])
def test_one_that_fails_leaves_the_others_alone(
    solver, first, activations, parents, tmp_path, other_width, monkeypatch
):
    """Its parent is missing or of another width, its setting means nothing, or it diverges."""
    let_diverge(monkeypatch)
    own = {**(METHOD if solver == "steps" else {"ridge": 1.0}), "solver": solver}
    broken = {
        "missing": (tmp_path / "no.json", {}, "missing"),
        "wide": (other_width, {}, r"width 5.*got width 12|width 12.*got width 5"),
        "unknown": (parents["relu"], {"l2": 1.0}, "unknown key 'l2'"),
        "long": (parents["relu"], {"tokens": 10**6}, "more activations than there are"),
    }
    if solver == "steps":
        broken["diverging"] = parents["relu"], {"learning_rate": 1}, "diverged"

    def task(root, name, parent, **change):
        settings = {"method": "decoder", **own, **change}
        return task_of(place(root, name), settings, parent=parent, activations=activations)

    bad = [task(tmp_path, name, parent, **change) for name, (parent, change, _) in broken.items()]
    good = [task(tmp_path, name, parents[name]) for name in PARENTS]
    finetune_sweep([*bad, *good] if first else [*good, *bad])
    for failed, (*_, message) in zip(bad, broken.values(), strict=True):
        assert re.search(message, str(failed.error)) and not failed.finished
    for one, name in zip(good, PARENTS, strict=True):
        alone = task(tmp_path / "alone", name, parents[name])
        finetune_sweep([alone])
        assert one.error is None and content(one.work) == content(alone.work)


@pytest.fixture(scope="module")
def other_width(tmp_path_factory):
    root = tmp_path_factory.mktemp("other")
    store = make_activations(root, n_sequences=8, d_in=5)
    settings = {**PARENTS["relu"], "epochs": 1}
    return published(root, "wide", lambda work: train_saes([(work, settings)], store))


def test_one_pass_serves_all_solvers(together, activations, parents, tmp_path):
    settings = {
        "exact": {"solver": "exact", "method": "scale", "ridge": 1.0},
        "steps": {"method": "scale", **METHOD},
        "guess": {"solver": "guess", "method": "scale"},
    }
    tasks = {
        name: task_of(place(tmp_path, name), one, parent=parents["relu"], activations=activations)
        for name, one in settings.items()
    }
    finetune_sweep(list(tasks.values()))
    assert "there is no 'guess'" in str(tasks["guess"].error)
    assert tasks["exact"].finished and not tasks["guess"].finished
    assert content(tasks["steps"].work) == content(together["relu", "scale"])
    done = tasks["steps"].output.stat().st_mtime_ns
    finetune_sweep([tasks["steps"]])  # nothing is left to do
    assert tasks["steps"].output.stat().st_mtime_ns == done
