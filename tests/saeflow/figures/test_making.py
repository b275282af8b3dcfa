import pandas as pd

import made_up_study
from saeflow.figures.facts import facts, sentence
from saeflow.figures.making import make_figure
from saeflow.tables.files import write_csv
from saeflow.tables.models import language_model
from saeflow.tables.suppression import l0


def test_a_figure_is_made_from_a_csv_with_the_same_bytes_each_time(tmp_path):
    write_csv(l0.build(made_up_study.runs(n_blocks=2)), tmp_path / "l0.csv")
    records = [
        make_figure("suppression", "l0_by_method", tmp_path / "l0.csv", tmp_path / name)
        for name in ("a", "b")
    ]
    for extension in ("pdf", "png"):
        a, b = (tmp_path / f"{name}.{extension}" for name in ("a", "b"))
        assert a.read_bytes() == b.read_bytes()
    assert records[0] == records[1]
    assert records[0]["title"] == "L0 by method and layer" and records[0]["table"] == "l0"


def test_facts_say_how_many_tokens_documents_and_seeds():
    found = facts(l0.build(made_up_study.runs(n_blocks=1, seeds=(0, 5))))
    n_saes = 2 * (2 * 3 + 2)  # seeds, ReLU recipes with three methods each, TopK recipes
    assert found == {
        "n_tokens": [15_000, 15_000], "n_documents": [60, 60], "n_saes": n_saes,
        "seeds": [0, 5], "interval": "documents",
    }  # fmt: skip
    assert sentence(found) == (
        "16 SAEs (2 seeds of each). Measured on 15,000 tokens of 60 documents of the test split,"
        " special tokens left out. Intervals: 95 % bootstrap over documents."
    )


def test_facts_of_scores_name_the_interval_over_prompts():
    text = sentence(facts(language_model.build(made_up_study.scores())))
    assert "300 to 98,000" in text and "Wilson" in text


def test_an_interval_is_over_documents_only_where_there_are_documents():
    assert facts(pd.DataFrame({"slope": [1.0], "slope_low": [0.9]})) == {}


def test_facts_of_a_table_without_any_are_empty():
    assert sentence(facts(pd.DataFrame({"x": [1]}))) == ""
