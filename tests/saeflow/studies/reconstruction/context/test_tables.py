"""Tables of positions, of sums small enough for a sheet of paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import made_up_positions as made_up
from made_up_study import table
from saeflow.studies.reconstruction import STUDY
from saeflow.studies.reconstruction.context import selections
from saeflow.studies.reconstruction.context.tables import border_of, by_range, exact, summary
from saeflow.tables.runs import ORIGINAL, Key, Run

# two documents; position 0 (BOS), 1, and 2 to 3; the second document ends at position 1
ROWS = [
    ("held_out", True, 7, 0, 0, (1, 9, 90.0, 1.0, 30.0, 4.0, 1, 5.0, 5.0)),
    ("held_out", False, 7, 1, 1, (1, 4, 8.0, 2.0, 3.0, 4.0, 1, 3.0, 3.5)),
    ("held_out", False, 7, 2, 3, (2, 20, 40.0, 18.0, 8.0, 12.0, 1, 2.0, 4.0)),
    ("held_out", False, 9, 1, 1, (1, 6, 12.0, 4.0, 5.0, 4.0, 0, 0.0, 0.0)),
    ("seen", False, 1, 1, 1, (1, 5, 9.0, 2.0, 3.0, 8.0, 1, 2.0, 2.5)),
]  # fmt: skip


def run(packing="short", context=2, rows=ROWS, **facts):
    key = Key("m", "d", packing, "resid_post.0", "topk", 0, ORIGINAL, "d", "long")
    return Run(key, {"positions": made_up.of_rows(rows, context=context, **facts)})


def test_each_range_has_means_over_its_tokens_and_its_predictions():
    found = by_range([run()], bootstrap=50, seed=0)
    held_out = found[found["part"] == "held_out"].set_index(["special", "first"])
    assert list(held_out.index) == [(False, 2), (False, 3), (True, 1)]  # counted from 1
    second, rest, bos = (held_out.loc[key] for key in held_out.index)
    assert second["l0"] == (4 + 6) / 2 and second["act_norm"] == (3 + 5) / 2
    assert second["fvu"] == (2 + 4) / (4 + 4) and second["squared_error"] == 3
    assert second["delta_ce"] == 0.5 and second["ce_clean"] == 3  # of one prediction
    assert (second["n_documents"], second["n_tokens"], second["n_predictions"]) == (2, 2, 1)
    assert rest["l1"] == 20 and rest["delta_ce"] == 2 and rest["n_documents"] == 1
    assert (rest["first"] if "first" in rest else 3, rest["last"]) == (3, 4)
    assert rest["position"] == pytest.approx(12**0.5)
    assert bos["l0"] == 9 and bos["delta_ce"] == 0
    assert set(found["training_context"]) == {2} and set(found["packing"]) == {"short"}


def test_intervals_are_of_documents_also_of_those_without_a_token_in_the_range():
    found = by_range([run()], bootstrap=200, seed=0).set_index(["part", "special", "first"])
    second = found.loc[("held_out", False, 2)]
    # resamples are twice the one document, twice the other, or both
    assert second["l0_low"] == 4 and second["l0_high"] == 6
    # a quarter of the resamples has no document with a token there
    assert pd.isna(found.loc[("held_out", False, 3), "l0_low"])
    assert pd.isna(found.loc[("seen", False, 2), "l0_low"])  # a single document
    assert pd.isna(found.loc[("held_out", True, 1), "l0_low"])  # BOS


def test_exact_positions_are_powers_of_two_and_the_last_that_predicts():
    losses = {p: (1, 1.0, 2.0) if p < 7 else (0, 0.0, 0.0) for p in range(1, 8)}
    rows = [
        ("held_out", False, 1, p, p, (1, p, 1.0, 1.0, 1.0, 1.0, *loss))
        for p, loss in losses.items()
    ]
    found = exact([run(rows=rows, length=8)])
    assert found["position"].tolist() == [2, 4, 7, 8]
    assert found["l0"].tolist() == [1, 3, 6, 7]
    assert found["delta_ce"].tolist()[:3] == [1, 1, 1] and np.isnan(found["delta_ce"].iloc[3])


def test_the_summary_holds_beyond_against_within_at_one_position_for_all():
    runs = [run(), run("long", 4)]
    found = table(STUDY, "context", runs).set_index("packing")
    for packing in ("short", "long"):
        row = found.loc[packing]
        assert row["border"] == 2
        assert row["l0_within"] == 5 and row["l0_beyond"] == 10 and row["l0_beyond_ratio"] == 2
        assert row["fvu_within"] == 6 / 8 and row["fvu_beyond"] == 18 / 12
        assert row["squared_error_beyond_ratio"] == 9 / 3
        assert row["norm_beyond_ratio"] == 4 / 4
        assert row["delta_ce_growth"] == 2 - 0.5
    row = found.loc["short"]
    assert row["fvu_seen_ratio"] == pytest.approx((2 / 8) / (24 / 20))
    assert row["delta_ce_seen_difference"] == 0.5 - (0.5 + 2) / 2
    assert row["ce_clean_seen_difference"] == 2 - 5 / 2
    assert (row["n_documents"], row["n_documents_seen"], row["n_tokens_beyond"]) == (2, 1, 2)


def test_without_seen_documents_it_says_why():
    runs = [run(rows=ROWS[:-1], why="it was trained elsewhere")]
    found = summary(runs, metrics=["l0_within"], bootstrap=50, seed=0).iloc[0]
    assert found["why_unseen"] == "it was trained elsewhere"
    assert pd.isna(found["fvu_seen_ratio"]) and pd.isna(found["fvu_seen_ratio_low"])
    assert pd.isna(found["n_documents_seen"])


def test_the_border_is_the_shortest_context_that_is_known_and_shorter_than_sequences():
    runs = [run("a", 3), run("b", 4), run("c", None)]
    assert border_of(runs) == 3
    assert border_of(runs[1:]) == 2  # half of the context: no training was shorter


def test_a_figure_of_one_sae_is_of_the_shortest_context_without_special_tokens():
    found = by_range(made_up.runs(["resid_post.0"]))
    first = selections.of_shortest_context(found)
    assert set(first["packing"]) == {"ctx-64"} and set(first["sae"]) == {"topk-8"}
    assert set(first["part"]) == {"held_out"} and not first["special"].any()
    assert first["first"].min() == 2
    assert selections.with_special(found)["first"].min() == 1
    every = selections.ordinary(found)
    assert every[["sae", "packing"]].drop_duplicates().shape[0] == 3
    seen = selections.ordinary(found[found["part"] == "seen"])
    assert set(seen["part"]) == {"seen"} and len(seen)
