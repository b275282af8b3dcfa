"""Tables of answers: what is in them, counted by hand on a few prompts."""

import numpy as np
import pandas as pd
import pytest

import made_up_answers
from made_up_study import OPTIONS, table
from saeflow.metrics.registry import METRICS
from saeflow.studies.reconstruction import STUDY
from saeflow.studies.reconstruction.benchmarks import FIGURES, TABLES
from saeflow.studies.reconstruction.benchmarks.tables import (
    FIRST,
    OUTCOME_COLUMNS,
    WHOLE,
    outcome_of,
)
from saeflow.tables.runs import DOCUMENTS, Key, Record, Run

HOOKS = ["resid_post.0", "resid_post.1", "resid_post.2"]
FOUR = pd.DataFrame(
    {
        "document": range(4), "prompts": 1.0, "choices": 0.0, "chance": 0.0, "contrasts": 0.0,
        "right_clean": [1.0, 1, 0, 0], "right_sae": [1.0, 0, 1, 0],
        "right_first_clean": [1.0, 1, 1, 0], "right_first_sae": [1.0, 0, 1, 0],
        "right_choice_clean": 0.0, "right_choice_sae": 0.0,
        "log_p_clean": [-1.0, -2, -3, -4], "log_p_sae": [-1.5, -3, -2, -4],
        "ce_tokens": [2.0, 4, 0, 4], "ce_clean": [2.0, 4, 0, 8], "ce_sae": [3.0, 4, 0, 4],
        "window": [2.0, 2, 2, 1], "active": [4.0, 6, 8, 3], "activation": [2.0, 2, 2, 2],
        "squared_error": [1.0, 2, 3, 4], "mse": [0.2, 0.4, 0.6, 0.0], "mse_tokens": [2.0, 2, 2, 0],
        "norm": [10.0, 20, 30, 40],
    }
)  # fmt: skip


def by_hand(name, **options):
    """Return a table of a single SAE on four prompts."""
    texts = pd.DataFrame(
        {"prompt": range(4), "end": list("abcd"), "answer": "x", "top_clean": "y", "top": "z"}
    )
    key = Key("m", "d", "p", "resid_post.0", "s", 0, eval_dataset="set", eval_packing="prompts")
    files = {DOCUMENTS: FOUR, "prompts.parquet": texts}
    run = Run(
        key,
        {
            "answers": Record({"kind": "cloze"}, files.__getitem__),
            "sae": Record({"architecture": "relu"}, {}.__getitem__),
        },
    )
    return table(STUDY, name, [run], **options)


def test_who_answers_is_counted_by_each_way_to_score():
    found = by_hand("answer_classes").set_index("scoring")
    names = ["n_both", "n_baseline_only", "n_sae_only", "n_neither"]
    assert found.loc[WHOLE, names].tolist() == [1, 1, 1, 1]
    assert found.loc[FIRST, names].tolist() == [2, 1, 0, 1]
    assert list(found.index) == [WHOLE, FIRST]  # nothing is chosen in this set
    assert found["main"].tolist() == [True, False]
    assert (found["n_prompts"] == 4).all()


def test_prompts_have_differences_and_means_over_their_ends():
    found = by_hand("answer_outcomes")
    assert list(found) == list(OUTCOME_COLUMNS)
    assert found["outcome"].tolist() == ["both", "baseline_only", "sae_only", "neither"]
    assert found["delta_logp"].tolist() == [-0.5, -1, 1, 0]
    np.testing.assert_array_equal(found["delta_ce"], [0.5, 0, np.nan, -1])
    assert found["l0"].tolist() == [2, 3, 4, 3]
    assert found["norm"].tolist() == [5, 10, 15, 40]
    np.testing.assert_array_equal(found["mse_saelens24"], [0.1, 0.2, 0.3, np.nan])


def test_a_tie_is_no_answer():
    sums = FOUR.assign(right_choice_clean=[1, 0.5, 0.5, 0], right_choice_sae=[0.5, 0.5, 1, 0])
    found = outcome_of(sums, "among candidates")
    assert found.tolist() == ["baseline_only", "neither", "sae_only", "neither"]


def test_examples_are_the_first_of_each_outcome_with_their_texts():
    found = by_hand("answer_examples")
    assert found["outcome"].tolist() == ["both", "baseline_only", "sae_only", "neither"]
    assert found["end"].tolist() == list("abcd") and (found["top"] == "z").all()
    assert found["prompt"].tolist() == [0, 1, 2, 3]
    made = table(STUDY, "answer_examples", made_up_answers.runs(HOOKS, ["a", "b"], 2))
    assert set(made["hook"]) == {"resid_post.1"} and set(made["seed"]) == {0}
    sizes = made.groupby(["prompts", "sae", "outcome"]).size()
    assert sizes.max() == 2 and set(made["sae"]) == {"a", "b"}


def test_accuracies_have_a_row_per_set_and_sae_and_intervals_over_prompts():
    runs = made_up_answers.runs(HOOKS, ["a", "mean"], 2)
    found = table(STUDY, "answers", runs)
    assert len(found) == 4 * 3 * 2 * 2 and found["prompts"].is_monotonic_increasing
    assert (found["n_prompts"] == made_up_answers.N).all()
    assert set(found[found["baseline"] == "mean"]["sae"]) == {"mean"}
    row = found[(found["prompts"] == "cbt") & (found["sae"] == "a")].iloc[0]
    (run,) = [
        run for run in runs
        if str(run.key) == "small resid_post.0 a seed 0" and run.key.eval_dataset == "cbt"
    ]  # fmt: skip
    sums = run.documents("answers")
    assert row["accuracy"] == pytest.approx(sums["right_sae"].mean())
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    spread = 1.96 * sums["right_sae"].std() / len(sums) ** 0.5
    assert row["accuracy_high"] - row["accuracy"] == pytest.approx(spread, rel=0.3)
    assert found.loc[found["prompts"] == "lambada", "accuracy_choice"].isna().all()
    assert found.loc[found["prompts"] == "cbt", "logit_diff"].isna().all()


def test_baselines_and_further_seeds_are_not_among_the_prompts():
    runs = made_up_answers.runs(HOOKS, ["a", "mean"], 2)
    found = table(STUDY, "answer_outcomes", runs)
    assert set(found["sae"]) == {"a"} and set(found["seed"]) == {0}
    assert len(found) == 4 * 3 * made_up_answers.N


def shown(prompts, published_mode=False, recipe="topk"):
    """Return the tables and figures of a study that asks these prompt sets."""
    config = {
        "prompts": prompts,
        "saes": {"topk": {"architecture": "topk"}, "mean": {"architecture": "mean"}},
        "measures": {"answers": {"after": False, "published_mode": published_mode}},
    }
    section = {"prompts": list(prompts), "saes": [recipe]}
    found = [
        {n for n, one in kind.items() if one.when(config, section)} for kind in (TABLES, FIGURES)
    ]
    return found[0], found[1]


CHOICES, CONTRASTS = {"choices_by_layer"}, {"indirect_objects"}


@pytest.mark.parametrize(
    ("entry", "absent"),
    [
        ({"path": "x", "form": "auto"}, CHOICES | CONTRASTS),
        ({"path": "x", "form": "cloze"}, CONTRASTS),
        ({"path": "x", "form": "choice", "distractor": "other"}, set()),
        ({"generate": "last_word"}, CHOICES | CONTRASTS),
        ({"generate": "owner_binding"}, CONTRASTS),
        ({"generate": "ioi"}, set()),
    ],
)
def test_what_is_shown_is_what_the_prompt_sets_are_known_to_have(entry, absent):
    tables, figures = shown({"mine": entry})
    assert tables == set(TABLES) - {"answers_as_published"}
    assert figures == set(FIGURES) - absent


def test_without_prompt_sets_there_is_nothing_and_published_numbers_are_asked_for():
    assert shown({}) == (set(), set())
    assert "answers_as_published" in shown({"mine": {"generate": "ioi"}}, published_mode=True)[0]


def test_of_baselines_alone_no_prompts_are_shown():
    tables, _ = shown({"mine": {"generate": "ioi"}}, recipe="mean")
    assert tables == {"answers", "answer_classes"}


def test_what_was_published_is_a_mean_over_prompts():
    sums = FOUR.assign(
        published=[1.0, 1, 0, 0], published_active=[4.0, 8, 0, 0], published_norm=[2.0, 4, 0, 0],
        published_activation=0.0, published_mse=0.0,
        published_ce_once=[1.0, 2, 0, 0], published_ce_twice=[1.5, 2.5, 0, 0],
    ).sum()  # fmt: skip
    found = {name: METRICS[name].formula(sums) for name in TABLES["answers_as_published"].metrics}
    assert found["published_l0"] == 6 and found["published_norm"] == 3
    assert found["published_delta_ce"] == 0.5
    assert OPTIONS["bootstrap"]
