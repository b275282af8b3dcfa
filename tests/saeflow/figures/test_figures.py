"""Figures are tested by what their artists hold, not by pixels."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Annotation

import made_up_study
from saeflow.figures.style import METHODS
from saeflow.metrics.registry import METRICS
from saeflow.studies.suppression import STUDY


def built(name, **which):
    """Return a table of the suppression study, of a made-up one."""
    return made_up_study.table(STUDY, name, made_up_study.runs(**which))


def drawn(name, table):
    return made_up_study.draw(STUDY, name, table)


def bars(ax):
    """Return colour and far end of every bar from left to right."""
    ordered = sorted(ax.patches, key=lambda p: p.get_x())
    return [(to_hex(p.get_facecolor()), p.get_y() + p.get_height()) for p in ordered]


def panel(figure, title):
    return next(ax for ax in figure.axes if ax.get_title(loc="left") == title)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_bars_are_the_values_by_layer_and_method_in_the_methods_colours():
    table = built("l2_ratio", n_blocks=2)
    found = bars(panel(drawn("l2_ratio_by_layer", table), "relu-weak"))
    rows = table[table["sae"] == "relu-weak"].set_index(["block", "method"])["l2_ratio"]
    expected = [
        (METHODS[method].colour, rows[block, method])
        for block in (0, 1)
        for method in ("original", "scale", "decoder")
    ]
    assert [c for c, _ in found] == [c for c, _ in expected]
    np.testing.assert_allclose([end for _, end in found], [end for _, end in expected])


def test_bars_of_a_ratio_stand_on_the_line_so_that_their_length_is_the_suppression():
    figure = drawn("l2_ratio_by_layer", built("l2_ratio", n_blocks=1))
    assert {p.get_y() for p in panel(figure, "relu-weak").patches} == {1.0}


def test_recipes_that_were_not_fine_tuned_take_no_panel_from_those_that_were():
    table = built("l2_ratio", n_blocks=1)
    titles = {ax.get_title(loc="left") for ax in drawn("l2_ratio_by_layer", table).axes}
    assert titles == {"relu-strong", "relu-weak"}
    untuned = table[table["method"] == "original"]
    titles = {ax.get_title(loc="left") for ax in drawn("l2_ratio_by_layer", untuned).axes}
    assert titles == set(made_up_study.RECIPES)


def test_the_reference_line_and_the_axis_say_what_they_are():
    figure = drawn("l2_ratio_by_layer", built("l2_ratio", n_blocks=2))
    ax = panel(figure, "relu-weak")
    assert [1, 1] in [list(line.get_ydata()) for line in ax.lines]
    assert figure.axes[0].get_ylabel() == METRICS["l2_ratio"].axis
    assert ax.get_xlabel() == "Block (resid_post)"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1"]
    assert legend(figure) == [
        "original", "scale", "decoder", "a seed, 95 % interval", "no suppression",
    ]  # fmt: skip


def test_bars_are_means_over_seeds_and_each_seed_is_shown_with_its_interval():
    table = built("l2_ratio", n_blocks=1, seeds=(0, 1, 2))
    ax = panel(drawn("l2_ratio_by_layer", table), "relu-weak")
    rows = table[(table["sae"] == "relu-weak") & (table["method"] == "original")]
    assert rows["l2_ratio"].nunique() == 3
    assert bars(ax)[0][1] == pytest.approx(rows["l2_ratio"].mean())
    arms = [segment[:, 1] for c in ax.collections for segment in c.get_segments()]
    np.testing.assert_allclose(arms[:3], rows[["l2_ratio_low", "l2_ratio_high"]].to_numpy())


def test_the_line_of_no_change_is_not_hidden_by_the_axis():
    figure = drawn("mse_reduction_by_method", built("mse_reduction", n_blocks=1))
    assert panel(figure, "relu-weak").get_ylim()[0] < 0
    assert {ax.get_title(loc="left") for ax in figure.axes} == {"relu-strong", "relu-weak"}


def test_a_hook_that_was_not_trained_leaves_a_gap_not_a_shift():
    table = built("l2_ratio", n_blocks=3)
    table = table[~((table["sae"] == "relu-weak") & (table["block"] == 1))]
    ax = panel(drawn("l2_ratio_by_layer", table), "relu-weak")
    centres = sorted(p.get_x() + p.get_width() / 2 for p in ax.patches)
    assert centres[1::3] == pytest.approx([0, 2])  # the second of three methods


def test_l0_after_fine_tuning_stands_beside_a_line_at_the_originals():
    table = built("l0", n_blocks=2)
    tuned = (table["method"] == "decoder") & (table["sae"] == "relu-weak")
    columns = ["l0", "l0_low", "l0_high"]
    table.loc[tuned, columns] = 10 * table.loc[tuned, columns].to_numpy()
    ax = panel(drawn("l0_by_method", table), "relu-weak")
    rows = table[table["sae"] == "relu-weak"].set_index("method")["l0"]
    lines = [line.get_ydata().tolist() for line in ax.lines if len(line.get_ydata()) == 2][:2]
    assert lines == [[value] * 2 for value in rows["original"]]
    dots = {to_hex(c.lines[0].get_color()): c.lines[0].get_ydata() for c in ax.containers}
    assert set(dots) == {METHODS["scale"].colour, METHODS["decoder"].colour}
    np.testing.assert_allclose(list(dots[METHODS["decoder"].colour]), rows["decoder"].to_list())
    assert ax.get_yscale() == "log"


def test_no_legend_is_wider_than_its_figure():
    table = built("l0", n_blocks=1)
    for n in range(1, 14):
        more = table[table["method"] == "scale"]
        parts = [more.assign(method=f"a method with a name, {i:02}") for i in range(n)]
        figure = drawn("l0_by_method", pd.concat([table, *parts]))
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent(renderer)
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width, n


def test_hooks_of_two_sites_have_panels_of_their_own_with_the_layers_of_each():
    table = built("l0", n_blocks=3)
    other = table[table["block"] > 0]
    other = other.assign(hook="mlp_out." + other["block"].astype(str), site="mlp_out")
    figure = drawn("l0_by_method", pd.concat([table, other]))
    for site, blocks in (("mlp_out", ["1", "2"]), ("resid_post", ["0", "1", "2"])):
        ax = panel(figure, f"relu-weak, {site}")
        assert [t.get_text() for t in ax.get_xticklabels()] == blocks
    assert figure.axes[-1].get_xlabel() == "Block"  # of which site says the title


def test_panels_name_the_model_where_there_are_several():
    table = built("l0", models=("m", "n"), n_blocks=1)
    titles = {ax.get_title(loc="left") for ax in drawn("l0_by_method", table).axes}
    assert titles == {f"{m}, relu-{s}" for m in "mn" for s in ("weak", "strong")}


def test_frontier_points_are_the_saes_at_their_hook():
    table = built("frontier", n_blocks=2, seeds=(0, 1))
    ax = panel(drawn("frontier_fvu", table), "resid_post.1")
    for method in ("original", "scale", "decoder"):
        rows = table[(table["hook"] == "resid_post.1") & (table["method"] == method)]
        (points,) = [c for c in ax.containers if c.get_label() == method]
        np.testing.assert_array_equal(points.lines[0].get_xydata(), rows[["l0", "fvu"]])
        assert points.lines[0].get_marker() == METHODS[method].marker
    assert ax.get_xlabel() == METRICS["l0"].axis


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_no_name_covers_another_name_or_a_point(seeds):
    table = built("frontier", n_blocks=4, seeds=seeds)
    figure = drawn("frontier_fvu", table)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for ax in figure.axes:
        notes = [t for t in ax.texts if isinstance(t, Annotation)]
        assert {n.get_text() for n in notes} == set(made_up_study.RECIPES)
        boxes = [note.get_window_extent(canvas.get_renderer()) for note in notes]
        for a, b in itertools.combinations(boxes, 2):
            assert not a.overlaps(b)
        rows = table[table["hook"] == ax.get_title(loc="left")]
        points = ax.transData.transform(rows[["l0", "fvu"]].to_numpy())
        assert not any(box.contains(*point) for box in boxes for point in points)


def test_lines_of_a_frontier_go_from_the_original_to_what_it_became():
    table = built("frontier", n_blocks=1)
    ax = panel(drawn("frontier_fvu", table), "resid_post.0")
    points = table.set_index(["sae", "method"])[["l0", "fvu"]]
    expected = [
        [points.loc[sae, "original"].tolist(), points.loc[sae, method].tolist()]
        for sae in ("relu-strong", "relu-weak")
        for method in ("scale", "decoder")
    ]
    found = [line.get_xydata().tolist() for line in ax.lines if line.get_color() == "#c8c8c8"]
    assert sorted(found) == sorted(expected)


def test_every_training_log_is_a_line():
    table = built("training_curves", n_blocks=2, seeds=(0, 1))
    figure = drawn("training_curves", table)
    upper = panel(figure, "resid_post.1")
    assert len(upper.lines) == 2 * len(made_up_study.RECIPES)
    log = table[
        (table["hook"] == "resid_post.1") & (table["sae"] == "topk-8") & (table["seed"] == 1)
    ]
    assert any(np.array_equal(line.get_xydata(), log[["tokens", "fvu"]]) for line in upper.lines)
