"""What is said of the language models, on answers that are known."""

import made_up_study
from made_up_study import table
from saeflow.studies.models import STUDY
from saeflow.studies.models.scores import summary


def scores(*models):
    return table(STUDY, "language_model", made_up_study.benchmarks(models or ("world-s",)))


def test_each_task_has_the_model_chance_and_every_baseline():
    cloze = scores()[lambda t: t["task"] == "cloze"].set_index("series")
    assert list(cloze.index) == ["model", "chance", "last_sentence", "copy_bigram"]
    assert cloze.loc["copy_bigram", "value"] == 0.95 and cloze.loc["chance", "value"] == 0.1
    assert cloze["low"].notna().tolist() == [True, False, False, False]
    assert (cloze["n"] == 400).all() and set(cloze["dataset"]) == {"world"}


def test_a_task_at_chance_is_marked():
    found = scores()
    assert set(found[found["at_chance"]]["task"]) == {"owner_binding"}


def test_the_summary_names_the_loss_and_what_was_learned_with_what_chance_gives():
    text = summary({"language_model": scores()})
    loss = scores().query("task == 'held_out_loss' and series == 'model'").iloc[0]
    assert f"{loss['value']:.3f} nats per token ({loss['low']:.3f} to {loss['high']:.3f})" in text
    assert "; counts of trigrams reach 2.4" in text
    assert "better than chance: last word (81 %, by chance 0.1 %), cloze (93 %, by" in text
    assert "owner binding" not in text, "the report names those at chance"


def test_each_model_has_its_sentence():
    text = summary({"language_model": scores("m", "n")})
    assert [text.count(f"{model} predicts held-out text") for model in "mn"] == [1, 1]


def test_it_is_made_where_a_model_of_some_study_was_trained_on_the_world():
    config = {
        "studies": {"suppression": {"models": ["own@12", "hub"]}},
        "models": {"own": {"train": {"dataset": "d", "packing": "p"}}, "hub": {"hub": "x"}},
        "datasets": {"d": {"generate": {"seed": 0}}},
    }
    assert STUDY.automatic(config)
    assert list(STUDY.rows(config, {})) == [{"model": "own@12", "dataset": "d", "packing": "p"}]
    config["datasets"]["d"] = {"hub": "texts"}
    assert not STUDY.automatic(config)


def test_models_that_others_are_compared_with_are_among_them_but_for_checkpoints():
    comparisons = {"sizes": {"models": ["own", "small"]}, "steps": {"models": ["own", "own@12"]}}
    study = {"models": ["own"], "comparisons": {**comparisons, "seeds": {"models": None}}}
    entry = {"train": {"dataset": "d", "packing": "p"}}
    config = {
        "studies": {"universality": {**study, "nulls": {"models": ["noise"]}}},
        "models": {"own": entry, "small": entry, "noise": {"shuffle": "own"}},
        "datasets": {"d": {"generate": {"seed": 0}}},
    }
    assert [row["model"] for row in STUDY.rows(config, {})] == ["own", "small"]
