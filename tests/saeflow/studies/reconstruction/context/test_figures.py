"""The figures by position: what is in them for one hook and many, one SAE and several."""

from __future__ import annotations

import numpy as np
import pytest

import made_up_positions as made_up
import made_up_study
from readable import faults
from saeflow.errors import DataError
from saeflow.studies.reconstruction import STUDY, context

NAMES = list(context.FIGURES)
SHAPES = {"one": (1, 1, 1), "several": (3, 2, 3)}  # hooks, seeds, SAEs


def tables(n_hooks, n_seeds, n_saes, **options):
    hooks = [f"resid_post.{block}" for block in range(n_hooks)]
    runs = made_up.runs(hooks, n_seeds, n_saes, **options)
    names = {figure.table for figure in context.FIGURES.values()}
    return {name: made_up_study.table(STUDY, name, runs) for name in names}


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES)
def drawings(request):
    found = tables(*request.param)
    return request.param, {
        name: made_up_study.drawing(STUDY, name, found[STUDY.figures[name].table]) for name in NAMES
    }


def lines(ax):
    """Return the lines that are data: those of more than two points, or with a marker."""
    return [line for line in ax.lines if len(line.get_xdata()) > 2]


def test_texts_lie_apart_within_the_figure_and_every_panel_has_content(drawings):
    found = {name: faults(drawing.figure) for name, drawing in drawings[1].items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_posts_figure_has_a_line_per_layer_and_below_one_per_position(drawings):
    (n_hooks, _, _), found = drawings
    figure = found["context_sizes"].figure
    panels = [ax for ax in figure.axes if not hasattr(ax, "_colorbar")]
    assert len(panels) == 6
    assert [ax.get_ylabel() for ax in panels[:3]] == [ax.get_ylabel() for ax in panels[3:]]
    for ax in panels[:3]:
        assert ax.get_xlabel() == "Context position" and len(lines(ax)) == n_hooks
        (end,) = [line for line in ax.lines if set(line.get_xdata()) == {64.0}]
        assert end.get_linestyle() == "--"
    drawn = lines(panels[0])[0]
    rows = found["context_sizes"].rows.query("block == 0").groupby("position")["l0"].mean()
    np.testing.assert_allclose(drawn.get_ydata(), rows.to_numpy())
    np.testing.assert_allclose(drawn.get_xdata(), rows.index)
    assert all(ax.get_xlabel() == "Block" for ax in panels[3:])


def test_it_says_which_sae_is_shown_and_of_how_many_seeds(drawings):
    (_, n_seeds, _), found = drawings
    notes = " ".join(found["context_sizes"].notes)
    assert "Of topk-8, trained at a context of 64 tokens, on held-out documents." in notes
    assert ("means over 2 seeds" in notes) == (n_seeds == 2)
    assert "dashed" not in " ".join(found["activations_vs_error"].notes)


def test_several_saes_have_a_line_each_in_the_panel_of_each_hook(drawings):
    (n_hooks, n_seeds, n_saes), found = drawings
    figure = found["context_saes"].figure
    panels = [ax for ax in figure.axes if ax.get_visible()]
    assert len(panels) == 3 * n_hooks
    assert {len(lines(ax)) for ax in panels} == {n_seeds * n_saes}
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "topk-8, context 64" in names and "context 64 ends" in names


def test_the_summary_has_a_point_per_sae_at_each_layer(drawings):
    (n_hooks, n_seeds, n_saes), found = drawings
    panels = [ax for ax in found["context_beyond"].figure.axes if ax.get_visible()]
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in panels]
    assert titles == ["L0, beyond / within", "Unexplained, beyond / within",
                      "Added loss (nats/token)", "Unexplained, seen / held out"]  # fmt: skip
    for ax, both in zip(panels, (1, 1, 2, 1), strict=True):
        points = [line for line in ax.lines if line.get_marker() == "o"]
        n_points = sum(len(line.get_xdata()) for line in points)
        assert n_points == both * n_hooks * n_seeds * n_saes
    assert "Beyond is after position 64." in found["context_beyond"].notes


def test_without_seen_documents_their_panel_is_left_out_and_said():
    found = tables(2, 1, 2, seen=False)
    drawing = made_up_study.drawing(STUDY, "context_beyond", found["context"])
    assert len([ax for ax in drawing.figure.axes if ax.get_visible()]) == 3
    assert any("trained on another dataset" in note for note in drawing.notes)


def test_where_nothing_was_measured_there_is_an_error():
    table = tables(1, 1, 1)["context"]
    empty = table.assign(**{name: np.nan for name in table if "beyond" in name or "seen" in name})
    with pytest.raises(DataError, match="nothing to draw"):
        made_up_study.drawing(STUDY, "context_beyond", empty)
