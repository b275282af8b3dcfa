"""The post's own table: its numbers, and its figures drawn by ours."""

from __future__ import annotations

import pytest

from readable import faults
from saeflow.studies.reconstruction.authors import context_sizes
from saeflow.studies.reconstruction.context import figures, selections

WITHIN, BEYOND = (2, 128), (129, 1023)
# layer -> what the post's figures show: means over positions 2 to 128, and 129 to 1,023
PUBLISHED = {
    0: {"l0": (13.0, 1634), "squared_error": (0.290, 497), "l1": (4.61, None),
        "act_norm": (4.74, None), "delta_ce": (0.021, 6.20)},
    5: {"l0": (44.8, 1388), "squared_error": (312, 4.45e5), "l1": (87.2, None),
        "act_norm": (72.5, None), "delta_ce": (0.145, 4.09)},
    11: {"l0": (60.5, 255), "squared_error": (3626, 4.29e4), "l1": (254, None),
         "act_norm": (225.0, None), "delta_ce": (0.241, 0.50)},
}  # fmt: skip


@pytest.fixture(scope="module")
def table(real_data):
    return context_sizes(real_data / "evanhanders" / "context_size_df.csv")


def test_means_within_and_beyond_the_context_are_the_published_ones(table):
    for layer, values in PUBLISHED.items():
        rows = table[table["block"] == layer]
        for name, expected in values.items():
            for (first, last), value in zip((WITHIN, BEYOND), expected, strict=True):
                if value is None:
                    continue
                found = rows.loc[rows["position"].between(first, last), name].mean()
                assert found == pytest.approx(value, rel=6e-3, abs=6e-4), (layer, name, first)
    clean = table[table["block"] == 0].set_index("position")["ce_clean"]
    assert clean.loc[2:128].mean() == pytest.approx(3.347, abs=5e-4)
    assert clean.loc[129:1023].mean() == pytest.approx(3.001, abs=5e-4)
    assert clean.loc[1] == pytest.approx(8.27, abs=5e-3)


def test_bos_is_special_and_the_last_position_predicts_nothing(table):
    bos = table[table["special"]]
    assert bos["position"].unique().tolist() == [1] and len(bos) == 12
    assert bos["act_norm"].round().tolist()[-1] == 3156
    assert table.loc[table["position"] == 1024, "delta_ce"].isna().all()
    assert not table.loc[table["position"] < 1024, "delta_ce"].isna().any()


@pytest.mark.slow
def test_our_figures_can_be_drawn_of_it(table):
    with_bos = selections.with_special(table)
    drawn = {
        "sizes": figures.by_position(with_bos, values=["l0", "squared_error", "l1"]),
        "ce": figures.by_position(with_bos, values=["delta_ce"], log=False, beside=True),
        "norms": figures.norms_and_errors(with_bos),
    }
    for name, drawing in drawn.items():
        assert not faults(drawing.figure), name
        assert "on documents of its training" in drawing.notes[0]
    line = drawn["sizes"].figure.axes[0].lines[0]
    assert len(line.get_xdata()) == 1024
    assert selections.of_shortest_context(table)["position"].min() == 2
