"""Probes of codes as a job: held against fits made by hand, and against SAEs of known answer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import made_up_probes
import made_up_texts as made
import measured
from measured import table
from saeflow.config.probing import Probing
from saeflow.errors import SaeflowError
from saeflow.files import hash_tree
from tiny_saes import make_sae, publish_sae

D, HOOK = made.D, "resid_post.1"
SETTINGS = Probing.read(
    {
        "sizes": [16], "shares": [0.5], "flips": [0.2],
        "codes": {"normal": ["published", "logistic", "k_sparse"], "ks": [1, 4], "few_ks": [4]},
    },
    where="probing",
).plain()  # fmt: skip


an_sae = partial(make_sae, 3 * D, D, bias=-1.5, hook=HOOK)


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
    made = {"first": first, "tuned": tuned, "other": an_sae(1)}
    return {name: publish_sae(root / name, sae) for name, sae in made.items()}


def run(root, saes, inputs, settings=SETTINGS):
    return measured.measure("sparse_probes", root, saes, settings, **inputs)


@pytest.fixture(scope="module")
def tasks(saes, inputs, tmp_path_factory):
    return run(tmp_path_factory.mktemp("together"), saes, inputs)


def only(of, /, **columns):
    return made_up_probes.only(table(of, "fits"), **columns)


def scores(task, fit):
    found = table(task, "scores")
    return found[found["fit"] == fit]


@pytest.mark.parametrize(
    ("given", "name", "atol"),
    [("codes", "a", 2e-3), ("decoded", "b", 2e-2), ("residual", "b", 2e-2)],
)
def test_the_published_probe_is_that_of_dense_standardised_inputs(
    tasks, texts, x, given, name, atol
):
    (fit,) = only(tasks["first"], task=name, setting="normal", method="published",
                  input=given)["fit"]  # fmt: skip
    codes, x_hat = an_sae().encode(torch.from_numpy(x)), an_sae()(torch.from_numpy(x)).numpy()
    inputs = {"codes": codes.numpy(), "decoded": x_hat, "residual": x - x_hat.astype(float)}
    rows, own = inputs[given].astype(float), texts.tasks["ab".index(name)]
    (train, y), (test, labels) = own.of("train"), own.of("test")
    model = LogisticRegression(solver="liblinear", C=0.01, tol=1e-8, max_iter=10_000)
    model = make_pipeline(StandardScaler(), model).fit(rows[train], y)
    found = scores(tasks["first"], fit)
    assert found["example"].tolist() == test.tolist()
    assert found["label"].tolist() == labels.tolist()
    np.testing.assert_allclose(found["score"], model.decision_function(rows[test]), atol=atol)
    assert given != "codes" or ((found["score"] > 0) == labels).mean() > 0.7


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
    wide = publish_sae(tmp_path / "bad", bad)
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
    sae = publish_sae(tmp_path / "transcoder", an_sae(target={"hook": "mlp_out.1"}))
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
