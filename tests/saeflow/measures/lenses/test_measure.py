"""Lenses as a job: from states and words to fits and scores."""

import numpy as np
import pandas as pd
import pytest
import torch

from labelled_by_hand import labelled, publish_labelled
from measured import measure_at_hooks, publish_words, table
from saeflow.files import hash_tree, read_json
from saeflow.measures.states import open_states
from saeflow.probing.scores import auc
from tiny_models import make_model, make_tokenizer
from tiny_stores import save_model

HOOKS = ("resid_pre.1", "mlp_out.1", "resid_post.2")
STATES = {"pooling": ["last"], "bos": "auto", "long": "cut", "batch_tokens": 64}
LENSES = {"tokens": 500, "seed": 0}
RNG = np.random.default_rng(0)
N = 40
TEXTS = [" ".join(f"w{i}" for i in RNG.integers(3, 61, n)) for n in RNG.integers(3, 12, N)]
SPLITS = ["train"] * 20 + ["test"] * 12 + ["shift"] * 8
WORDS = {"words": {"positive": " w7", "negative": " w9"}}
SAME = {"words": {"positive": " w7 w3", "negative": " w7 w4"}}


def logits(model, text):
    with torch.no_grad():
        return model(make_tokenizer()(text, return_tensors="pt")["input_ids"]).logits[0, -1]


def said(model):
    """Return what the model says of each text: the logit of w7 less that of w9."""
    return np.array([float(one[7] - one[9]) for one in (logits(model, text) for text in TEXTS)])


MODEL = make_model("gpt_neox")
TRUE = (said(MODEL) > np.median(said(MODEL))).astype(int)


def publish(root, texts=TEXTS):
    labels = dict(enumerate(TRUE.tolist()))
    tasks = {"asked": labels, "part": dict(list(labels.items())[:32]), "without": labels}
    tasks |= {"same": labels}
    facts = {"asked": WORDS, "part": WORDS, "same": SAME}
    made = labelled(texts, splits=SPLITS, tasks=tasks, facts=facts)
    return publish_labelled(root / "labelled.json", made)


def run(root, given, hooks=HOOKS, **settings):
    states = measure_at_hooks("states", root / "states", hooks, STATES, **given)
    each = {hook: {"states": states[hook].output} for hook in hooks}
    return measure_at_hooks("lenses", root, hooks, {**LENSES, **settings}, each=each, **given)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    return {
        "model": save_model(MODEL, root / "model" / "model.json"),
        "tokenizer": publish_words(root),
        "labelled": publish(root / "texts"),
    }


@pytest.fixture(scope="module")
def tasks(given, tmp_path_factory):
    return run(tmp_path_factory.mktemp("run"), given)


def both(task):
    return table(task, "fits"), table(task, "scores")


def test_fits_say_what_was_scored(tasks):
    fits, scores = both(tasks["resid_pre.1"])
    rows = fits[["task", "setting", "method"]].to_numpy().tolist()
    assert rows == [
        [task, setting, lens]
        for task, settings in (("asked", ("normal", "shift")), ("part", ("normal",)))
        for lens in ("logit_lens", "tuned_lens")
        for setting in settings
    ]
    assert set(fits["input"]) == {"states"} and set(fits["pooling"]) == {"last"}
    assert (fits["n_train"] == 20).all() and (fits["k"] == 0).all() and fits["converged"].all()
    assert fits["validation_auc"].isna().all() and (fits["seed"] == 0).all()
    for number, setting in enumerate(fits["setting"]):
        own = scores[scores["fit"] == number]
        assert own["example"].tolist() == [
            i for i, split in enumerate(SPLITS) if split == {"normal": "test"}.get(setting, setting)
        ]
        assert own["label"].tolist() == TRUE[own["example"]].tolist()


def test_at_the_last_block_both_lenses_say_what_the_model_says(tasks):
    fits, scores = both(tasks["resid_post.2"])
    expected = said(MODEL)
    for number in fits["fit"]:
        own = scores[scores["fit"] == number]
        shifted = own["score"] - expected[own["example"]]
        np.testing.assert_allclose(shifted, shifted.iloc[0], atol=1e-3)
        assert auc(own["score"].to_numpy(), own["label"].to_numpy() == 1) == 1
    assert (fits["train_auc"] == 1).all() and (fits["train_accuracy"] == 1).all()


def test_the_logit_lens_is_for_the_residual_stream(tasks):
    assert set(table(tasks["mlp_out.1"], "fits")["method"]) == {"tuned_lens"}


def test_the_tuned_lens_is_nearer_to_what_the_model_says(tasks):
    fits, scores = both(tasks["resid_pre.1"])
    expected, near = said(MODEL), {}
    for lens in ("logit_lens", "tuned_lens"):
        (number,) = fits.loc[(fits[["task", "setting", "method"]] == ["asked", "normal", lens])
                             .all(axis=1), "fit"]  # fmt: skip
        own = scores[scores["fit"] == number]
        near[lens] = np.corrcoef(own["score"], expected[own["example"]])[0, 1]
    assert near["tuned_lens"] > near["logit_lens"]


def test_scores_are_thresholded_on_the_training_examples(given, tasks):
    from saeflow.measures.lenses.lens import Lens

    x = torch.tensor(np.array(open_states(read_states(tasks, "resid_pre.1")).pooled("last")))
    rows = MODEL.get_output_embeddings().weight.double()
    raw = Lens(MODEL)(x, rows[7] - rows[9])
    train = raw[:20]
    edges = np.concatenate([[-np.inf], np.sort(train)])
    least = min(((train > t) != (TRUE[:20] == 1)).sum() for t in edges)
    fits, scores = both(tasks["resid_pre.1"])
    own = scores[scores["fit"] == 0]
    threshold = raw[own["example"]] - own["score"]
    np.testing.assert_allclose(threshold, threshold.iloc[0], atol=1e-4)
    errors = ((train > threshold.iloc[0]) != (TRUE[:20] == 1)).sum()
    assert errors == least and fits["train_accuracy"][0] == 1 - least / 20


def read_states(tasks, hook):
    return tasks[hook].inputs["states"]


def test_records_count_the_tasks_without_words_and_say_which_tokens_stand_for_words(tasks):
    facts = read_json(tasks["resid_pre.1"].output)
    assert facts["n_without_words"] == 1 and list(facts["left_out"]) == ["same"]
    assert facts["words"]["asked"] == {"positive": "w7", "negative": "w9", "whole_words": True}
    assert set(facts["tasks"]) == {"asked", "part", "same", "without"}
    assert 0 < facts["n_translator_tokens"] <= 500 and 0 < facts["left_over"] < 1


def test_nothing_is_fitted_to_test_texts(given, tasks, tmp_path):
    """Other test texts: the same translators and thresholds, by what is said of training texts."""
    other = [*TEXTS[:20], *(f"{text} w11 w12" for text in TEXTS[20:])]
    changed = run(tmp_path, {**given, "labelled": publish(tmp_path / "texts", other)})
    for hook in HOOKS:
        one, two = (read_json(own[hook].output) for own in (tasks, changed))
        same = ("ridge", "left_over", "n_translator_tokens")
        assert [one[name] for name in same] == [two[name] for name in same]
        names = ["train_auc", "train_accuracy"]
        pd.testing.assert_frame_equal(
            table(tasks[hook], "fits")[names], table(changed[hook], "fits")[names]
        )
        assert hash_tree(tasks[hook].work.final) != hash_tree(changed[hook].work.final)


def test_together_and_alone_give_the_same_bytes(given, tasks, tmp_path):
    for hook in HOOKS:
        alone = run(tmp_path / hook, given, [hook])[hook]
        assert hash_tree(alone.work.final) == hash_tree(tasks[hook].work.final)


def test_texts_without_words_take_no_pass_and_give_no_fits(given, tmp_path, monkeypatch):
    record = publish_labelled(
        tmp_path / "labelled.json",
        labelled(TEXTS, splits=SPLITS, tasks={"a": dict(enumerate(TRUE.tolist()))}),
    )
    monkeypatch.delattr("saeflow.measures.lenses.measure.fit_translators")
    task = run(tmp_path, {**given, "labelled": record})["resid_pre.1"]
    fits, scores = both(task)
    assert task.finished and len(fits) == len(scores) == 0
    assert read_json(task.output)["n_without_words"] == 1
