import pandas as pd

import made_up_study
from saeflow.report.parts import number, scores_part, table_part
from saeflow.tables.models import language_model


def test_numbers_keep_four_digits():
    values = [0.123456, 12.0, 15_000, 1e-7, float("nan"), None, -3.14159, 0.0]
    assert [number(v) for v in values] == [
        "0.1235", "12", "15,000", "1.000e-07", "–", "–", "-3.142", "0",
    ]  # fmt: skip


def test_an_interval_stands_in_the_cell_of_its_value():
    frame = pd.DataFrame(
        {"sae": ["a", "b"], "l0": [8.0, 9.0], "l0_low": [7.5, None], "l0_high": [8.5, None]}
    )
    table = table_part("t", frame, csv="t.csv")
    assert [c.name for c in table.columns] == ["sae", "l0"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["a", "8 [7.5, 8.5]"],
        ["b", "9"],
    ]
    assert [row[1].sort for row in table.rows] == ["8.0", "9.0"]


def test_the_head_of_a_metric_says_what_it_means():
    (column,) = table_part("t", pd.DataFrame({"fvu": [0.1]}), csv="").columns
    assert column.title == "Fraction of variance unexplained: Σ |x̂ − x|² / Σ |x − μ|²"


def test_scores_name_those_at_chance():
    scores, verdict = scores_part(language_model.build(made_up_study.scores()))
    assert verdict == "At chance, so not learned: owner binding."
    assert [s.task for s in scores if s.at_chance] == ["owner binding"]
    loss = scores[0]
    assert (loss.value, loss.interval, loss.chance) == ("1.22 nats", "1.2 to 1.24", "6.9")
    assert loss.baselines == "unigram 5.3, bigram 3, trigram 2.4, fourgram 2.3"


def test_with_several_models_the_verdict_says_which():
    _, verdict = scores_part(language_model.build(made_up_study.scores(("m", "n"))))
    assert verdict == "At chance, so not learned: owner binding (m), owner binding (n)."


def test_scores_above_chance_are_said_to_be():
    table = language_model.build(made_up_study.scores())
    _, verdict = scores_part(table[table["task"] != "owner_binding"])
    assert verdict == "Every score is above chance."
