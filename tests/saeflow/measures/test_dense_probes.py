"""Probes of states as a job: every hook, pooling and task, each by itself."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from labelled_by_hand import labelled, publish_labelled
from measured import measure_at_hooks, publish_words, table
from saeflow.config.measures import States
from saeflow.config.probing import Probing
from saeflow.files import read_json
from saeflow.measures.dense_probes import centred
from saeflow.measures.states import open_states
from tiny_models import make_model
from tiny_stores import save_model

HOOKS = ("resid_post.0", "resid_post.1")
SETTINGS = Probing.read(
    {
        "sizes": [8], "shares": [0.5], "flips": [0.2],
        "states": {"normal": ["published", "logistic"]},
    },
    where="test",
).plain()  # fmt: skip
RNG = np.random.default_rng(0)
TEXTS = [" ".join(f"w{i}" for i in RNG.integers(5, 40, n)) for n in RNG.integers(3, 8, 90)]
MARKED = RNG.random(90) < 0.5
TEXTS = [f"{text} w{45 if mark else 50} w60" for text, mark in zip(TEXTS, MARKED, strict=True)]
SPLITS = ["train"] * 60 + ["test"] * 30


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """States at two hooks, probed: of a task that is told, and one of one class."""
    root = tmp_path_factory.mktemp("made")
    concepts = [None if i % 3 == 0 else text.split()[:1] for i, text in enumerate(TEXTS)]
    tasks = {
        "marked": {i: int(mark) for i, mark in enumerate(MARKED)},
        "one_class": dict.fromkeys(range(70), 1),
    }
    texts = labelled(TEXTS, concepts=concepts, splits=SPLITS, tasks=tasks)
    inputs = {
        "model": save_model(make_model("gpt_neox"), root / "model" / "model.json"),
        "tokenizer": publish_words(root),
        "labelled": publish_labelled(root / "texts" / "labelled.json", texts),
    }
    how = States.read({"pooling": ["last", "mean", "concept"]}, where="test").plain()
    states = measure_at_hooks("states", root, HOOKS, how, **inputs)
    each = {hook: {"states": task.output} for hook, task in states.items()}
    measured = measure_at_hooks(
        "dense_probes", root, HOOKS, SETTINGS, each=each, labelled=inputs["labelled"]
    )
    return measured, each


def fits(task):
    return table(task, "fits")


def scores(task):
    return table(task, "scores")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_pooling_and_centred_states_are_probed(made, hook):
    found = fits(made[0][hook])
    assert set(found["pooling"]) == {"last", "mean", "concept"}
    of_normal = found[found["setting"] == "normal"]
    both = of_normal.groupby(["pooling", "input"])["method"].agg(set)
    assert len(both) == 6
    assert all(one == {"published", "logistic"} for one in both)
    assert set(found[found["input"] == "centred"]["setting"]) == {"normal"}
    assert set(found[found["pooling"] == "mean"]["setting"]) == {"normal", "shuffled"}
    assert {"scarcity", "imbalance", "noise"} < set(found[found["pooling"] == "last"]["setting"])


@pytest.mark.parametrize("hook", HOOKS)
def test_a_fit_is_that_of_scikit_learn_on_the_states(made, hook):
    measured, each = made
    states = open_states(each[hook]["states"])
    fitted, found = fits(measured[hook]), scores(measured[hook])
    for pooling in ("last", "mean"):
        x = states.pooled(pooling).astype(np.float64)
        train, test = x[:60], x[60:]
        mean, scale = train.mean(0), train.std(0)
        model = LogisticRegression(solver="liblinear", C=0.01, max_iter=50, random_state=0)
        model.fit((train - mean) / scale, MARKED[:60])
        expected = model.decision_function((test - mean) / scale)
        (number,) = fitted.query(
            "pooling == @pooling and input == 'states' and method == 'published'"
            " and setting == 'normal'"
        )["fit"]
        own = found[found["fit"] == number]
        assert own["example"].tolist() == list(range(60, 90))
        np.testing.assert_allclose(own["score"], expected, rtol=1e-3, atol=1e-5)
    assert roc_auc_score(MARKED[60:], expected) > 0.8


def test_of_a_concept_only_texts_that_have_it_are_read(made):
    fitted, found = fits(made[0][HOOKS[0]]), scores(made[0][HOOKS[0]])
    own = found[found["fit"].isin(fitted[fitted["pooling"] == "concept"]["fit"])]
    assert set(own["example"]) == {i for i in range(60, 90) if i % 3}


def test_what_cannot_be_told_is_left_out_with_the_reason(made):
    record = read_json(made[0][HOOKS[0]].output)
    assert record["tasks"] == {"marked": {"dataset": "texts"}, "one_class": {"dataset": "texts"}}
    assert record["left_out"]["one_class"] == "the training examples are all of one class"
    assert set(fits(made[0][HOOKS[0]])["task"]) == {"marked"}
    assert record["n_fits"] == len(fits(made[0][HOOKS[0]]))


def test_centred_states_have_no_mean_over_the_width():
    x = np.array([[1.0, 2.0, 6.0], [1e4, 1e4 + 1, 1e4 + 2]], dtype=np.float32)
    np.testing.assert_array_equal(centred(x), [[-2, -1, 3], [-1, 0, 1]])
    assert centred(x).dtype == np.float32


def test_states_that_are_damaged_leave_other_hooks_alone(made, tmp_path):
    measured, each = made
    broken = {HOOKS[0]: {"states": tmp_path / "nothing.json"}, HOOKS[1]: each[HOOKS[1]]}
    labelled_record = measured[HOOKS[0]].inputs["labelled"]
    again = measure_at_hooks(
        "dense_probes", tmp_path, HOOKS, SETTINGS, each=broken, labelled=labelled_record
    )
    assert again[HOOKS[0]].error is not None
    assert fits(again[HOOKS[1]]).equals(fits(measured[HOOKS[1]]))
