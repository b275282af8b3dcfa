"""Probes of codes as a job: held against fits made by hand, and against SAEs of known answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import made_up_texts as made
import measured
from measured import table
from saeflow.config.probing import Probing
from saeflow.errors import SaeflowError
from saeflow.files import hash_tree
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.save import save
from saeflow.work import hold

D, HOOK = made.D, "resid_post.1"
SETTINGS = Probing.read(
    {
        "sizes": [16], "shares": [0.5], "flips": [0.2],
        "codes": {"normal": ["published", "logistic", "k_sparse"], "ks": [1, 4], "few_ks": [4]},
    },
    where="probing",
).plain()  # fmt: skip


def an_sae(seed=0, hook=HOOK, threshold=1.5, **metadata):
    g = torch.Generator().manual_seed(seed)
    W_dec = torch.nn.functional.normalize(torch.randn(3 * D, D, generator=g), dim=1)
    weights = {
        "W_enc": W_dec.T.clone(), "b_enc": torch.full((3 * D,), -threshold),
        "W_dec": W_dec, "b_dec": torch.zeros(D),
    }  # fmt: skip
    settings = architecture_settings("relu", {"l1": 0.0, "subtract_b_dec": False})
    return SAE("relu", settings, weights, {"hook": hook, **metadata})


def publish(root, name, sae):
    with hold(root / name / "sae.json", name) as work:
        save(sae, work.path)
        work.finish({})
    return work.output


@pytest.fixture(scope="module")
def texts():
    return made.labelled()


@pytest.fixture(scope="module")
def x(texts):
    return made.states_of(texts, gap=4.0)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, texts, x):
    root = tmp_path_factory.mktemp("inputs")
    (root / "model.json").write_text("{}")
    return {
        "labelled": made.publish_labelled(root, texts),
        "states": made.publish_states(root, x),
        "model": root / "model.json",
    }


@pytest.fixture(scope="module")
def saes(tmp_path_factory):
    root = tmp_path_factory.mktemp("saes")
    first = an_sae()
    tuned = replace(first, weights={**first.weights, "W_dec": 0.5 * first.W_dec})
    return {name: publish(root, name, sae) for name, sae in
            {"first": first, "tuned": tuned, "other": an_sae(1)}.items()}  # fmt: skip


def run(root, saes, inputs, settings=SETTINGS):
    return measured.measure("sparse_probes", root, saes, settings, **inputs)


@pytest.fixture(scope="module")
def tasks(saes, inputs, tmp_path_factory):
    return run(tmp_path_factory.mktemp("together"), saes, inputs)


def only(of, /, **columns):
    fits = table(of, "fits")
    for name, value in columns.items():
        fits = fits[fits[name] == value]
    return fits


def scores(task, fit):
    found = table(task, "scores")
    return found[found["fit"] == fit]


def test_the_published_probe_of_codes_is_that_of_dense_standardised_codes(tasks, texts, x):
    (fit,) = only(tasks["first"], task="a", setting="normal", method="published",
                  input="codes")["fit"]  # fmt: skip
    codes = an_sae().encode(torch.from_numpy(x)).numpy().astype(float)
    own = texts.tasks[0]
    (train, y), (test, labels) = own.of("train"), own.of("test")
    scaler = StandardScaler().fit(codes[train])
    model = LogisticRegression(solver="liblinear", C=0.01, tol=1e-8, max_iter=10_000)
    model.fit(scaler.transform(codes[train]), y)
    found = scores(tasks["first"], fit)
    assert found["example"].tolist() == test.tolist()
    assert found["label"].tolist() == labels.tolist()
    expected = model.decision_function(scaler.transform(codes[test]))
    np.testing.assert_allclose(found["score"], expected, atol=2e-3)
    assert ((found["score"] > 0) == labels).mean() > 0.7


@pytest.mark.parametrize("given", ["decoded", "residual"])
def test_reconstructions_and_what_they_leave_out_are_probed(tasks, texts, x, given):
    (fit,) = only(tasks["first"], task="b", method="published", input=given)["fit"]
    x_hat = an_sae()(torch.from_numpy(x)).numpy().astype(float)
    rows = x_hat if given == "decoded" else x - x_hat
    (train, y), (test, _) = (texts.tasks[1].of(split) for split in ("train", "test"))
    scaler = StandardScaler().fit(rows[train])
    model = LogisticRegression(solver="liblinear", C=0.01, tol=1e-8, max_iter=10_000)
    model.fit(scaler.transform(rows[train]), y)
    expected = model.decision_function(scaler.transform(rows[test]))
    np.testing.assert_allclose(scores(tasks["first"], fit)["score"], expected, atol=2e-2)


def test_projections_have_as_many_directions_as_features_are_active_or_on(tasks, texts, x):
    train, _ = texts.tasks[0].of("train")
    codes = an_sae().encode(torch.from_numpy(x[train])).numpy()
    active, on = round((codes > 0).sum(1).mean()), int((codes > 0).any(0).sum())
    for method, k in (("pca_active", active), ("random_active", active), ("pca_on", min(on, D))):
        (fit,) = only(tasks["first"], task="a", method=method).itertuples()
        assert (fit.k, fit.input, fit.setting) == (k, "states", "normal")
    assert 1 < active < on


def test_every_setting_has_its_methods_and_shuffled_labels_are_chance(tasks):
    fits = only(tasks["first"], input="codes")
    of = fits.groupby("setting")["method"].agg(lambda names: sorted(set(names))).to_dict()
    assert of["normal"] == ["k_sparse", "logistic", "published"]
    assert of["scarcity"] == of["noise"] == of["imbalance"] == ["k_sparse"]
    assert of["shuffled"] == ["k_sparse", "published"]
    normal = fits[(fits["setting"] == "normal") & (fits["method"] == "k_sparse")]
    assert sorted(set(normal["k"])) == [1, 4]
    chosen = normal[normal["k"] == 4]["latents"]
    assert all(len(latents) == 4 for latents in chosen)


def test_sums_by_text_and_features_that_are_on(tasks, texts, x):
    sae = an_sae()
    codes = sae.encode(torch.from_numpy(x)).numpy()
    error = (sae(torch.from_numpy(x)).numpy().astype(float) - x) ** 2
    found = table(tasks["first"], "examples")
    np.testing.assert_array_equal(found["active"], (codes > 0).sum(1))
    np.testing.assert_allclose(found["squared_error"], error.sum(1), rtol=1e-4)
    train = (texts.datasets == "b") & (texts.splits == "train")
    deviation = ((x[train] - x[train].mean(0, dtype=float)) ** 2).sum(1)
    np.testing.assert_allclose(found["squared_deviation"][train], deviation, rtol=1e-4)
    on = table(tasks["first"], "features").set_index(["dataset", "split"])
    assert on.loc[("b", "train"), "n"] == train.sum()
    assert on.loc[("b", "train"), "on"] == (codes[train] > 0).any(0).sum()
    assert on.loc[("b", "train"), "always"] == (codes[train] > 0).all(0).sum()
    assert tasks["first"].work.manifest["d_in"] == D
    assert tasks["first"].work.manifest["tasks"]["b"]["dataset"] == "b"


def test_together_and_alone_give_the_same_bytes(saes, inputs, tasks, tmp_path):
    for name, sae in saes.items():
        alone = run(tmp_path, {name: sae}, inputs)[name]
        assert hash_tree(alone.work.final) == hash_tree(tasks[name].work.final), name


def test_the_number_of_processes_changes_nothing(saes, inputs, tasks, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    found = run(tmp_path, {"other": saes["other"]}, inputs)["other"]
    assert hash_tree(found.work.final) == hash_tree(tasks["other"].work.final)


def test_saes_with_one_encoder_differ_in_reconstructions_alone(tasks):
    first, tuned = (table(tasks[name], "fits") for name in ("first", "tuned"))
    codes = first["input"] == "codes"
    np.testing.assert_array_equal(first[codes]["train_auc"], tuned[codes]["train_auc"])
    errors = [table(tasks[name], "examples")["squared_error"] for name in ("first", "tuned")]
    assert (errors[0] != errors[1]).all()


def test_an_sae_that_fails_leaves_the_others_alone(saes, inputs, tasks, tmp_path):
    bad = an_sae(2)
    bad.weights["b_enc"][0] = torch.inf
    wide = publish(tmp_path, "bad", bad)
    found = run(tmp_path / "run", {"bad": wide, "other": saes["other"]}, inputs)
    assert isinstance(found["bad"].error, SaeflowError) and not found["bad"].finished
    assert hash_tree(found["other"].work.final) == hash_tree(tasks["other"].work.final)


def test_other_poolings_are_probed_where_states_have_them(saes, inputs, x, tmp_path):
    states = made.publish_states(tmp_path / "many", x, n_tokens=3)
    (task,) = run(tmp_path, {"first": saes["first"]}, {**inputs, "states": states}).values()
    pooled = only(task, input="codes", setting="normal", method="published")
    assert sorted(set(pooled["pooling"])) == ["last", "max", "mean"]
    assert set(only(task, input="decoded")["pooling"]) == {"last"}


def test_a_transcoder_is_probed_without_an_error(inputs, tmp_path):
    sae = publish(tmp_path, "transcoder", an_sae(target={"hook": "mlp_out.1"}))
    (task,) = run(tmp_path, {"transcoder": sae}, inputs).values()
    assert set(table(task, "fits")["input"]) == {"codes", "decoded", "states"}
    assert list(table(task, "examples").columns) == [
        "example", "dataset", "split", "active", "active_centred",
    ]  # fmt: skip


def test_controls_can_be_left_out(saes, inputs, tmp_path):
    settings = {**SETTINGS, "codes": {**SETTINGS["codes"], "controls": ["pca_on"]}}
    (task,) = run(tmp_path, {"first": saes["first"]}, inputs, settings).values()
    fits = table(task, "fits")
    assert set(fits["input"]) == {"codes", "states"}
    assert set(fits[fits["input"] == "states"]["method"]) == {"pca_on"}
