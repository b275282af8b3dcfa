"""Concepts taken out of a small model, as a job: from labelled texts to tables on disk."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from labelled_by_hand import publish_labelled
from measured import measure, measure_at_hooks, publish_words, table
from saeflow.labelled.labelled import Labelled, LabelledTask
from saeflow.measures.erasure.concepts import concepts_of
from saeflow.measures.erasure.erasers import leace
from saeflow.measures.erasure.prepare import alternating, read_clean
from saeflow.measures.states import open_states
from saeflow.models.hooks import Hook
from saeflow.tokens.sequences import Sequences
from tiny_models import make_model
from tiny_saes import make_sae, publish_sae
from tiny_stores import save_model

D, D_SAE, N = 16, 24, 96
HOOKS = {"a": "resid_post.0", "b": "resid_post.2", "c": "resid_post.0"}
STATES = {"pooling": ["last"], "bos": "auto", "long": "cut", "batch_tokens": 512}
SETTINGS = {
    "tasks": 1, "others": 1, "examples": 80, "features": [1, 3], "strengths": [-1.0, 2.0],
    "tokens": 60, "seed": 0,
}  # fmt: skip


def make_labelled():
    """Texts that end in a word of the first twenty where the first task says so; a coin besides."""
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 2
    coin = rng.permutation(labels)
    texts = [
        " ".join(f"w{i}" for i in [*rng.integers(3, 61, rng.integers(2, 7)), last])
        for last in np.where(labels == 1, rng.integers(3, 23, N), rng.integers(23, 61, N))
    ]
    splits = np.array(["train", "train", "test", "test"])[np.arange(N) % 4]
    spans = np.array([[0, len(text)] for text in texts])
    words = {"positive": " w5", "negative": " w50"}
    tasks = [
        LabelledTask(name, "made", np.arange(N), own.astype(np.int8), splits, {"words": words})
        for name, own in (("made.ending", labels), ("made.coin", coin))
    ]
    return Labelled(texts, splits, np.full(N, "made"), spans, [None] * N, tasks)


def publish(root, seed, hook, **options):
    sae = make_sae(D_SAE, D, seed, bias=-0.1, hook=hook, **options)
    return publish_sae(root, sae, {"hook": hook})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    labelled = make_labelled()
    shared = {
        "model": save_model(make_model("gpt_neox"), root / "model" / "model.json"),
        "tokenizer": publish_words(root),
        "labelled": publish_labelled(root / "labelled.json", labelled),
    }
    tasks = measure_at_hooks("states", root / "on", set(HOOKS.values()), STATES, **shared)
    states = {hook: task.output for hook, task in tasks.items()}
    saes = {
        name: publish(root / name, seed, hook) for seed, (name, hook) in enumerate(HOOKS.items())
    }
    return shared, states, saes, labelled


def run(made, place, names=tuple(HOOKS), saes=None, **settings):
    shared, states, own, _ = made
    chosen = {name: (saes or own)[name] for name in names}
    each = {name: {"states": states[HOOKS[name]]} for name in names}
    return measure("erasure", place, chosen, SETTINGS | settings, each=each, **shared)


@pytest.fixture(scope="module")
def done(made, tmp_path_factory):
    tasks = run(made, tmp_path_factory.mktemp("done"))
    assert all(task.error is None for task in tasks.values())
    return tasks


def reading(task, edit, of):
    rows = table(task, "readings")
    return rows[(rows["edit"] == edit) & (rows["of"] == of)]


def number(task, **wanted):
    edits = table(task, "edits")
    (found,) = edits[(edits[list(wanted)] == pd.Series(wanted)).all(axis=1)]["edit"]
    return found


def fitted(x, labels):
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.03, tol=1e-10)).fit(x, labels)


def test_readers_are_logistic_regressions_of_the_other_half(made, done):
    _, states, _, labelled = made
    x = open_states(states["resid_post.0"]).pooled("last").astype(np.float64)
    (concept,), read, _ = concepts_of(labelled.tasks, SETTINGS, where="")
    erased = number(done["a"], way="leace")
    other = read[1]
    tokens = read_clean(*own_texts(made, concept.read.numbers), [Hook("resid_post", 0)])
    eraser = leace(
        x[concept.edit.numbers], concept.edit.labels, shrunk=True,
        changed=tokens.at_hooks[Hook("resid_post", 0)],
    )  # fmt: skip
    for edit, edited in ((0, x), (erased, eraser(x))):
        for of in (concept, other):
            got = reading(done["a"], edit, of.name)
            assert got["example"].tolist() == of.test.numbers.tolist()
            assert got["label"].tolist() == of.test.labels.tolist()
            tested = edited[of.test.numbers]
            for name, fit_to in (("old", x), ("fresh", edited)):
                reader = fitted(fit_to[of.read.numbers], of.read.labels)
                np.testing.assert_allclose(got[name], reader.decision_function(tested), atol=2e-3)


def own_texts(made, numbers):
    """The model, and the tokens of some texts as its words say: w7 is the token 7."""
    ids = [[int(w[1:]) for w in made[3].texts[n].split()] for n in numbers]
    offsets = np.concatenate([[0], np.cumsum([len(own) for own in ids])])
    texts = np.repeat(np.arange(len(ids)), np.diff(offsets))
    flat = np.concatenate(ids)
    return make_model("gpt_neox"), Sequences(flat, texts, np.zeros(len(flat), bool), offsets)


def test_the_model_runs_on_texts_of_both_classes(made, done):
    texts = table(done["a"], "texts")
    own = texts[texts["edit"] == 0]
    (concept,), _, _ = concepts_of(made[3].tasks, SETTINGS, where="")
    chosen = alternating(concept.test).numbers[: len(own)]
    assert own["example"].tolist() == chosen.tolist()
    assert own["label"].tolist() == [1, 0] * (len(own) // 2) + [1] * (len(own) % 2)
    model, tokens = own_texts(made, chosen)
    lengths = np.diff(tokens.offsets)
    assert lengths[:-1].sum() < SETTINGS["tokens"] <= lengths.sum()
    assert own["tokens"].tolist() == (lengths - 1).tolist()
    for row, start, end in zip(own.itertuples(), tokens.offsets, tokens.offsets[1:], strict=False):
        with torch.no_grad():
            logits = model(torch.from_numpy(tokens.token_ids[start:end])[None]).logits[0].double()
        ids = torch.from_numpy(tokens.token_ids[start + 1 : end])
        ce = -logits.log_softmax(-1)[:-1].gather(-1, ids[:, None]).sum()
        assert row.ce == pytest.approx(ce.item(), rel=1e-5)
        assert row.logit_difference == pytest.approx(
            (logits[-1, 5] - logits[-1, 50]).item(), abs=1e-5
        )


def test_what_needs_no_sae_is_the_same_for_all_of_a_hook(done):
    for name in ("texts", "readings"):
        one, other = (table(done[sae], name).query("edit < 8") for sae in ("a", "c"))
        pd.testing.assert_frame_equal(one, other)


def test_steering_has_no_readings_since_it_moves_all_states_alike(done):
    edits, read = (table(done["b"], name) for name in ("edits", "readings"))
    steered = edits.loc[edits["kind"] == "steering", "edit"]
    assert len(steered) == 3 * 2 and not read["edit"].isin(steered).any()
    assert set(read["edit"]) == set(edits["edit"]) - set(steered)
    assert set(table(done["b"], "texts")["edit"]) == set(edits["edit"])


def test_an_sae_alone_gives_the_same_bytes(made, done, tmp_path):
    alone = run(made, tmp_path, ["c"])["c"]
    for name in ("edits", "readings", "texts"):
        file = f"{name}.parquet"
        assert (alone.work.final / file).read_bytes() == (done["c"].work.final / file).read_bytes()


def test_one_that_fails_leaves_the_others_alone(made, tmp_path):
    saes = dict(made[2])
    saes["a"] = publish(tmp_path / "t", 8, "resid_post.0", target={"hook": "mlp_out.0"})
    saes["b"] = publish(tmp_path / "n", 9, "resid_post.2", scale=3e38)
    tasks = run(made, tmp_path / "out", saes=saes)
    assert "transcoder" in str(tasks["a"].error)
    assert "not numbers" in str(tasks["b"].error)
    assert tasks["c"].error is None and tasks["c"].finished


def test_no_task_with_examples_is_an_error_of_the_entry(made, tmp_path):
    tasks = run(made, tmp_path, ["a"], examples=2)
    assert "no task has enough examples" in str(tasks["a"].error)


def test_records_say_what_was_done(done):
    facts = done["a"].work.manifest
    assert facts["tasks"] == ["made.ending"] and facts["read"] == ["made.ending", "made.coin"]
    assert facts["left_out"] == {}
    texts = table(done["a"], "texts").query("edit == 0")
    assert (facts["n_documents"], facts["n_tokens"]) == (len(texts), texts["tokens"].sum())
