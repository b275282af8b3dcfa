"""Probes of whole tasks: what is fitted, tested and written; of nothing, nothing is told."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix

from saeflow.config.probing import Probing
from saeflow.labelled.labelled import LabelledTask
from saeflow.probing.draws import SETTINGS
from saeflow.probing.fitted import Fitted
from saeflow.probing.methods import methods_of
from saeflow.probing.probe import Input, probe, probe_task, units_of, write_probes
from saeflow.probing.scores import auc

SIZES = {"sizes": [8, 40], "shares": [0.2, 0.8], "flips": [0.2], "permutations": 1}


def settings(**more):
    return Probing.read({**SIZES, **more}, where="test").plain()


ALONE = settings(sizes=[], shares=[], flips=[])
"""Without settings that are drawn."""


def task(labels, splits, name="a", first=0):
    examples = np.arange(first, first + len(labels))
    return LabelledTask(name, name, examples, np.asarray(labels, np.int8), np.asarray(splits), {})


@pytest.fixture
def told(rng):
    """A task (300 examples, of which 60 are tested and 40 of another source) and its inputs."""
    labels = rng.random(300) < 0.4
    splits = np.array(["train"] * 200 + ["test"] * 60 + ["shift"] * 40)
    x = np.maximum(rng.normal(size=(300, 20)), 0)
    x[:260, :4] += labels[:260, None]
    return task(labels, splits), csr_matrix(x)


def methods(names, own, settings_=SETTINGS, **ks):
    return {name: methods_of(names, own, **ks) for name in settings_}


def test_every_setting_is_fitted_and_tested_on_examples_that_no_fit_read(told):
    own = settings()
    one, x = told
    found = probe_task(one, Input("codes", "last", x, methods(["logistic"], own)), own)
    levels = [(fit["setting"], fit["level"]) for fit in found.fits]
    assert [str(level) for level in levels] == [
        "('normal', nan)", "('shift', nan)", "('scarcity', 8.0)", "('scarcity', 40.0)",
        "('imbalance', 0.2)", "('imbalance', 0.8)", "('noise', 0.2)", "('shuffled', nan)",
    ]  # fmt: skip
    for fit, (examples, labels, scores) in zip(found.fits, found.scores, strict=True):
        expected = range(260, 300) if fit["setting"] == "shift" else range(200, 260)
        assert examples.tolist() == list(expected)
        np.testing.assert_array_equal(labels, one.labels[examples])
        assert scores.dtype == np.float32
    tested = {
        fit["setting"]: auc(s.astype(float), y == 1)
        for fit, (_, y, s) in zip(found.fits, found.scores, strict=True)
    }
    assert tested["normal"] > 0.8
    assert tested["shift"] < 0.7  # there the columns say nothing
    normal, shift = found.fits[:2]
    assert {**normal, "setting": "shift"}.keys() == shift.keys()
    assert normal["n_train"] == 200
    assert normal["n_features"] == 20


def test_test_examples_say_nothing_to_a_fit(told):
    own = settings()
    one, x = told
    every = methods(["published", "logistic", "pca", "knn", "k_sparse"], own, ks=[4])
    found = probe_task(one, Input("codes", "last", x, every), own)
    other = x.toarray()
    other[200:] = other[200:][::-1]
    turned = one._replace(labels=np.concatenate([one.labels[:200], 1 - one.labels[200:]]))
    again = probe_task(turned, Input("codes", "last", csr_matrix(other), every), own)
    assert str(found.fits) == str(again.fits)


@pytest.mark.parametrize("sparse", [True, False])
def test_shuffled_labels_are_told_by_chance_with_many_columns_of_noise(sparse):
    names = ["published", "logistic", "k_sparse"] if sparse else ["logistic", "pca", "knn"]
    aucs = {}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = np.maximum(rng.normal(size=(160, 800)) - 1, 0)
        labels = x[:, 0] > 0.1
        one = task(labels, ["train"] * 100 + ["test"] * 60)
        given = csr_matrix(x) if sparse else x
        every = methods(names, ALONE, ["shuffled"], ks=[16])
        found = probe_task(one, Input("codes", "last", given, every), ALONE)
        for fit, (_, y, scores) in zip(found.fits, found.scores, strict=True):
            aucs.setdefault(fit["method"], []).append(auc(scores.astype(float), y == 1))
            if fit["method"] == "k_sparse":
                assert fit["train_auc"] > 0.8  # it does fit what it is given
    for method, own in aucs.items():
        error = np.std(own, ddof=1) / np.sqrt(len(own))
        assert abs(np.mean(own) - 0.5) < 3 * error, method


def test_seeds_and_ks_are_fits_of_their_own(told):
    own = settings(seeds=[0, 1], sizes=[], shares=[], flips=[])
    one, x = told
    every = methods(["k_sparse"], own, ["normal"], ks=[1, 4])
    found = probe_task(one, Input("codes", "mean", x, every), own)
    assert [(fit["seed"], fit["k"]) for fit in found.fits] == [(0, 1), (0, 4), (1, 1), (1, 4)]
    assert all(len(fit["latents"]) == fit["k"] for fit in found.fits)
    assert {fit["pooling"] for fit in found.fits} == {"mean"}


def test_a_task_that_fails_leaves_the_others_alone_and_says_why(told):
    one, x = told

    def breaks(training):
        if len(training.positive) == 100:
            raise ValueError("no such thing")
        return [Fitted(lambda rows: np.ones(rows.shape[0]))]

    bad = task([0, 1] * 50 + [0, 1], ["train"] * 100 + ["test"] * 2, "b")
    same = task([1] * 9 + [0], ["train"] * 9 + ["test"], "c")
    untested = task([0, 1] * 5, ["train"] * 10, "d")
    given = Input("codes", "last", x, {"normal": {"broken": breaks}})
    found = probe(units_of(7, [bad, one, same, untested], [given]), ALONE)
    assert {fit["task"] for fit in found[7].fits} == {"a"}
    assert found[7].left_out == {
        "b: codes": "ValueError: no such thing",
        "c": "the training examples are all of one class",
        "d": "there is no test example",
    }


@pytest.mark.slow
def test_the_number_of_processes_changes_no_byte(told, tmp_path):
    own = settings()
    one, x = told
    tasks = [one, one._replace(name="b", labels=one.labels[::-1].copy())]
    names = ["published", "logistic", "pca", "knn"]
    given = [Input(name, "last", values, methods(names, own)) for name, values in
             (("codes", x), ("states", x.toarray()))]  # fmt: skip
    for n in (1, 2):
        (tmp_path / str(n)).mkdir()
        found = probe(units_of(0, tasks, given), own, n_jobs=n)
        write_probes(tmp_path / str(n), found[0])
    for name in ("fits.parquet", "scores.parquet"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.mark.parametrize("sparse", [True, False])
def test_a_handful_of_examples_is_enough_for_every_method(told, sparse):
    own = settings(sizes=[2, 3, 4, 5, 6, 13], shares=[0.01, 0.99], flips=[])
    one, x = told
    every = ["published", "logistic", "pca", "knn", "boosting", "mlp", "k_sparse"]
    wanted = methods(every, own, ["scarcity", "imbalance"], ks=[3])
    given = Input("codes", "last", x if sparse else x.toarray(), wanted)
    found = probe(units_of(0, [one], [given]), own)[0]
    sizes = {fit["n_train"] for fit in found.fits if fit["setting"] == "scarcity"}
    assert sizes == {2, 3, 4, 5, 6, 13}
    assert len(found.fits) == 6 * 7 + 2 * 7
    assert all(np.isfinite(scores).all() for _, _, scores in found.scores)
    assert found.left_out == {}


def test_inputs_that_are_not_numbers_are_refused(told):
    one, x = told
    x = x.toarray()
    x[3, 0] = np.nan
    given = Input("states", "last", x, methods(["published"], ALONE, ["normal"]))
    found = probe(units_of(0, [one], [given]), ALONE)[0]
    assert "not a number" in found.left_out["a: states"]
    assert not found.fits


def test_examples_without_a_row_are_not_asked_for(told):
    one, x = told
    known = np.arange(300) % 2 == 0
    given = Input("states", "concept", x, methods(["published"], ALONE, ["normal"]), known)
    found = probe(units_of(0, [one], [given]), ALONE)[0]
    assert found.scores[0][0].tolist() == list(range(200, 260, 2))
    assert found.fits[0]["n_train"] == 100


def test_tables_have_a_row_per_fit_and_per_tested_example(told, tmp_path):
    own = settings()
    one, x = told
    every = methods(["k_sparse"], own, ks=[2])
    found = probe_task(one, Input("codes", "last", x, every), own)
    facts = write_probes(tmp_path, found)
    fits = pq.read_table(tmp_path / "fits.parquet").to_pandas()
    scores = pq.read_table(tmp_path / "scores.parquet").to_pandas()
    assert facts == {"n_fits": 8, "n_not_converged": 0, "left_out": {}}
    assert fits["fit"].tolist() == list(range(8))
    assert [list(latents) for latents in fits["latents"]] == [fit["latents"] for fit in found.fits]
    assert (fits["k"] == 2).all()
    assert scores.groupby("fit").size().tolist() == [60, 40, 60, 60, 60, 60, 60, 60]
    np.testing.assert_array_equal(scores[scores["fit"] == 3]["score"], found.scores[3][2])


def test_without_fits_the_tables_are_empty(tmp_path):
    assert write_probes(tmp_path, None)["n_fits"] == 0
    assert pq.read_table(tmp_path / "fits.parquet").num_rows == 0
    assert pq.read_table(tmp_path / "scores.parquet").column_names == [
        "fit", "example", "label", "score",
    ]  # fmt: skip
