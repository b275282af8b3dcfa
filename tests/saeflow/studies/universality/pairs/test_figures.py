"""Figures of pairs for studies of many shapes: what is drawn, and what is said of it."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

import made_up_pairs as made_up
import made_up_study
from readable import faults
from saeflow.errors import DataError
from saeflow.metrics.registry import METRICS
from saeflow.registry import function
from saeflow.studies.universality import STUDY, pairs
from saeflow.studies.universality.comparisons import NULLS
from saeflow.studies.universality.pairs import maps
from saeflow.studies.universality.rows import has_maps
from saeflow.tables.files import read_csv, write_csv


def hooks(n):
    return [f"mlp_out.{i}" for i in range(n)]


SHAPES = {
    "one": {"comparisons": {"seeds": {"vary": ["seed"], "seeds": [0, 1]}}},
    "usual": {
        "comparisons": {
            "layers": {"vary": ["hook"], "hooks": hooks(4)},
            "seeds": {"vary": ["seed"], "seeds": [0, 1, 2]},
            "ratios": {"vary": ["sae"], "saes": ["topk-x1", "topk-x4", "topk-x32"]},
            "sizes": {"vary": ["model"], "models": ["small", "large"]},
            "checkpoints": {"vary": ["model"], "models": ["small@64", "small@512", "small"]},
            "architectures": {"vary": ["sae"], "saes": ["topk-x4", "relu-x4", "gated-x4"]},
            "factorial": made_up.factorial(),
        }
    },
    "models": {
        "comparisons": {
            "sizes": {
                "vary": ["model"],
                "models": ["small", "large", "m-b", "m-c-with-a-rather-long-name", "m-d"],
            },
            "ratios": {"vary": ["sae"], "saes": [f"relu-x{2**i}" for i in range(6)]},
        },
        "models": ["small", "large"],
    },
    "deep": {
        "comparisons": {
            "layers": {"vary": ["hook"], "hooks": hooks(24)},
            "seeds": {"vary": ["seed"], "seeds": [0, 1, 2]},
        },
        "hooks": hooks(24),
    },
}
QUICK = ["one", "usual", "models", pytest.param("deep", marks=pytest.mark.slow)]


@cache
def study(shape):
    return made_up.study(**SHAPES[shape])


@cache
def table(shape, name):
    """Return a table of the part as a figure gets it, through a file."""
    entry = pairs.TABLES[name]
    drawn = {"bootstrap": 20, "seed": 0} if entry.resampled else {}
    named = {"metrics": entry.metrics} if entry.metrics else {}
    given = study(shape).given if entry.given(study(shape).config, study(shape).section) else {}
    made = function(entry.build)(study(shape).runs, **named, **drawn, **given)
    with TemporaryDirectory() as directory:
        write_csv(made, Path(directory) / "table.csv")
        return read_csv(Path(directory) / "table.csv")


@cache
def drawing(shape, name):
    return made_up_study.drawing(STUDY, name, table(shape, pairs.FIGURES[name].table))


@pytest.mark.parametrize("name", pairs.FIGURES)
@pytest.mark.parametrize("shape", QUICK)
def test_every_figure_can_be_read(shape, name):
    own = study(shape)
    if not pairs.FIGURES[name].when(own.config, own.section):
        pytest.skip("the configuration has nothing for it")
    found = drawing(shape, name)
    width, height = found.figure.get_size_inches()
    assert width <= 10.5 and height <= 24
    assert faults(found.figure) == []
    assert not set(found.rows["comparison"]) & set(NULLS)
    assert {*found.rows} <= {*table(shape, pairs.FIGURES[name].table)}  # for the table below it


def panel(figure, start):
    return next(ax for ax in figure.axes if ax.get_title(loc="left").startswith(start))


def rows_of(ax):
    """Return the y of each point of a panel by its x, rounded."""
    return {
        (round(float(x), 3), float(y))
        for line in ax.lines if line.get_marker() != "None"
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }  # fmt: skip


def test_a_row_has_both_directions_above_its_nulls():
    found = drawing("usual", "similarity")
    ax = panel(found.figure, "Correlation")
    names = [label.get_text() for label in found.figure.axes[0].get_yticklabels()]
    assert names[:4] == ["layers: hook", "seeds", "ratios: expansion", "sizes: model"]
    rows = table("usual", "similarity")
    rows = rows[(rows["comparison"] == "sizes") & (rows["quantity"] == "correlation")]
    rows = rows[rows["statistic"] == "mean_max"].set_index("direction")
    large, small = rows["value"]  # of the first in the second: the large one is first by name
    here = {x for x, y in rows_of(ax) if 2.5 < y < 3.5}
    assert {round(large, 3), round(small, 3), round(rows["null_tokens"].iloc[0], 3)} <= here
    upper = {x for x, y in rows_of(ax) if 2.5 < y < 2.75}
    assert upper == {round(small, 3)}  # the features of the SAE with fewer
    assert "1 to 6 pairs" in " ".join(found.notes)


def test_of_several_statistics_each_has_its_largest_null():
    found = drawing("one", "similarity_shares")
    notes = found.notes
    ax = panel(found.figure, "Cosine of decoder")
    found_at = {}
    for x, y in rows_of(ax):
        found_at.setdefault(y, set()).add(x)
    above_07, above_09 = (found_at[y] for y in sorted(found_at))
    # of another layer the half that is shared is at 0.7 in the mean
    assert above_07 == {0.5, 0.25}
    assert above_09 == {0.0, 0.5}
    assert "largest null" in " ".join(notes)


def test_a_map_goes_from_the_features_of_a_row_to_those_of_a_column():
    ax = panel(drawing("usual", "similarity_maps").figure, "ratios: decoder rows")
    values = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "topk-x1",
        "topk-x4",
        "topk-x32",
    ]
    rows = table("usual", "similarities")
    rows = rows[(rows["comparison"] == "ratios") & (rows["quantity"] == "cosine")]
    rows = rows[rows["statistic"] == "mean_max"]
    row = rows[(rows["first_sae"] == "topk-x1") & (rows["second_sae"] == "topk-x32")]
    forward, backward = row["value"]
    assert values[0, 2] == pytest.approx(forward) and values[2, 0] == pytest.approx(backward)
    assert np.isnan(values[1, 1]) and forward > backward


def test_checkpoints_of_a_map_are_in_the_order_of_training():
    ax = panel(drawing("usual", "similarity_maps").figure, "checkpoints: activations")
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["small@64", "small@512", "small"]


def test_there_are_maps_where_three_are_held_against_each_other():
    of = study("one")
    assert not has_maps(of.config, of.section) and has_maps({}, study("usual").section)
    star = made_up.study({"ratios": {"vary": ["sae"], "against": "topk-x1",
                                     "saes": ["topk-x1", "topk-x2", "topk-x4"]}})  # fmt: skip
    assert not has_maps(star.config, star.section)
    with pytest.raises(DataError, match="no comparison has a map"):
        maps.maps(table("one", "similarities"), labels={"mean_max": "S"})


def test_a_histogram_is_that_of_the_pair_in_the_middle():
    found = drawing("usual", "similarity_distribution")
    own = found.rows[(found.rows["comparison"] == "ratios")]
    assert own[["first_sae", "second_sae"]].drop_duplicates().shape == (1, 2)
    ax = panel(found.figure, "ratios: expansion\nCorrelation")
    filled = ax.patches[0].get_data()
    assert filled.values.sum() == pytest.approx(1)
    assert "47 in all" in found.notes[0] and "8 of 13" in found.notes[1]


def test_spaces_have_their_null_with_two_standard_deviations():
    ax = panel(drawing("one", "spaces").figure, "SVCCA")
    (null,) = [c.get_segments()[0][:, 0] for c in ax.collections if len(c.get_segments()) == 1
               and np.ptp(c.get_segments()[0][:, 0]) > 0]  # fmt: skip
    assert null.tolist() == pytest.approx([0.26, 0.34])


def test_rows_that_are_too_many_are_said_to_be():
    rows = table("one", "similarity")
    rows = rows[rows["comparison"] == "seeds"]
    many = pd.concat([rows.assign(comparison=f"c-{i}") for i in range(40)])
    found = made_up_study.drawing(STUDY, "similarity", many)
    assert "30 of 40 rows" in " ".join(found.notes)
    assert found.rows["comparison"].nunique() == 30
    assert METRICS["mean_max"].axis in {ax.get_xlabel() for ax in found.figure.axes}
