import made_up_study
from saeflow.files import write_json
from saeflow.tables.models import language_model
from saeflow.tables.scores import read_scores


def test_each_task_has_the_model_chance_and_every_baseline():
    table = language_model.build(made_up_study.scores())
    cloze = table[table["task"] == "cloze"].set_index("series")
    assert list(cloze.index) == ["model", "chance", "last_sentence", "most_frequent", "copy_bigram"]
    assert cloze.loc["copy_bigram", "value"] == 0.95 and cloze.loc["chance", "value"] == 0.1
    assert cloze["low"].notna().tolist() == [True, False, False, False, False]


def test_a_task_at_chance_is_marked():
    table = language_model.build(made_up_study.scores())
    assert set(table[table["at_chance"]]["task"]) == {"owner_binding"}


def test_scores_are_read_with_the_model_of_their_path(tmp_path):
    for model in ("b", "a"):
        path = tmp_path / f"results/models/{model}/on/world/p/benchmarks.json"
        write_json(path, {"scores": [{"task": "cloze"}]})
    found = read_scores(tmp_path.rglob("benchmarks.json"))
    assert [(s.model, s.dataset, len(s.scores)) for s in found] == [
        ("a", "world", 1),
        ("b", "world", 1),
    ]
