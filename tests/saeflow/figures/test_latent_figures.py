"""The figures about single latents, by what their artists hold."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from made_up_latents import family, with_architectures
from saeflow.errors import DataError
from saeflow.figures.scatter import decoder_tuned
from saeflow.figures.style import ARCHITECTURES, METHODS
from saeflow.figures.suppression import (
    activation_sums,
    closed_form_excess,
    frequencies,
    increase_of_latents,
    language_change_by_method,
    perplexity_recovery_by_method,
    rotation_of_latents,
    scaling_and_theory,
    scaling_of_latents,
    shift_by_penalty,
    suppression_by_architecture,
    tuning_curves,
)
from saeflow.figures.suppression import correlations as correlations_figure
from saeflow.tables.suppression import (
    closed_form,
    correlations,
    language_change,
    latents,
    perplexity_recovery,
)
from saeflow.tables.suppression import frequencies as frequencies_table
from saeflow.tables.suppression import shift as shift_table
from saeflow.tables.suppression import suppression_by_architecture as architecture_table
from saeflow.tables.suppression import tuning_curves as tuning_table

OPTIONS = dict(bootstrap=100, seed=0)


@pytest.fixture(scope="module")
def runs():
    return family() + family(l1=0.5, sae="relu-strong") + family(block=1)


def panel(figure, title):
    return next(ax for ax in figure.axes if ax.get_title(loc="left") == title)


@pytest.mark.parametrize(
    ("module", "column"),
    [
        (scaling_of_latents, "scaling"),
        (increase_of_latents, "increase"),
        (rotation_of_latents, "rotation"),
    ],
)
def test_points_are_the_live_latents_of_the_closed_form_in_the_colour_of_their_value(
    module, column, runs
):
    table = latents.build(runs)
    figure = module.draw(table)
    (points,) = [
        c for c in panel(figure, "resid_post.0, relu").collections if isinstance(c, PathCollection)
    ]
    rows = table[(table["hook"] == "resid_post.0") & (table["sae"] == "relu")]
    rows = rows[(rows["solver"] == "exact") & rows["live"]]
    np.testing.assert_allclose(points.get_offsets(), rows[["log10_frequency", "strength"]])
    # with c d / 2 = 2 an increase is a share of 2
    unit = 2.0 if column == "increase" else 1.0
    np.testing.assert_allclose(points.get_array(), rows[column] / unit)


def test_without_a_prediction_the_increase_is_drawn_as_it_is(runs):
    table = latents.build(runs)
    rows = table[(table["solver"] == "exact") & table["live"]]
    rows = rows[(rows["hook"] == "resid_post.0") & (rows["sae"] == "relu")]
    table.loc[table["sae"] == "relu-strong", "predicted"] = np.nan  # an SAE of another kind
    figure = increase_of_latents.draw(table)
    (points,) = panel(figure, "resid_post.0, relu").collections
    np.testing.assert_allclose(points.get_array(), rows["increase"])


def test_the_rotation_is_clipped_where_the_post_clips_it(runs):
    figure = rotation_of_latents.draw(latents.build(runs))
    points = panel(figure, "resid_post.0, relu").collections[0]
    assert (points.norm.vmin, points.norm.vmax) == (0.95, 1.0)


def test_steps_stand_in_where_there_is_no_closed_form(runs):
    table = latents.build(runs)
    assert set(decoder_tuned(table)["method"]) == {"decoder-exact"}
    assert set(decoder_tuned(table[table["solver"] == "steps"])["method"]) == {"decoder"}
    with pytest.raises(DataError, match="decoder"):
        decoder_tuned(table.assign(fit="scale"))


def test_the_theory_is_drawn_over_the_points_with_nothing_fitted(runs):
    table = latents.build(runs)
    table = table[table["solver"] == "steps"]  # gives back exactly what was taken
    for title, shift in (("resid_post.0, relu", 2.0), ("resid_post.0, relu-strong", 4.0)):
        points, curve = panel(scaling_and_theory.draw(table), title).lines
        a, scaling = curve.get_xydata().T
        np.testing.assert_allclose(scaling, (a + shift) / a)
        x, y = points.get_xydata().T
        np.testing.assert_allclose(y, (x + shift) / x)


def test_the_shift_is_drawn_as_a_share_of_what_is_predicted(runs):
    table = shift_table.build(runs + family(l1=1.0, taken=2.0, sae="relu-other"), **OPTIONS)
    ax = panel(shift_by_penalty.draw(table), "resid_post.0")
    steps = ax.containers[0].lines[0].get_xydata()
    order = np.argsort(steps[:, 0])
    # c d / 2 is 2, 4 and 8; what was taken from the last is a quarter of it
    np.testing.assert_allclose(steps[order, 1], [1.0, 1.0, 0.25])
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == ["relu\n2", "relu-strong\n4", "relu-other\n8"]
    assert [1, 1] in [list(line.get_ydata()) for line in ax.lines]
    row = table[(table["sae"] == "relu-strong") & (table["method"] == "decoder")].iloc[0]
    arms = [segment[:, 1] for segment in ax.containers[0].lines[2][0].get_segments()]
    quartiles = [row["increase_low"] / 4, row["increase_high"] / 4]
    assert any(np.allclose(arm, quartiles) for arm in arms)


def test_sorted_curves_fall_and_are_as_long_as_there_are_latents_that_fired(runs):
    table = frequencies_table.build([run for run in runs if run.key.eval_dataset])
    for module, column in ((frequencies, "log10_frequency"), (activation_sums, "activation_sum")):
        lines = panel(module.draw(table), "relu").lines
        assert len(lines) == 2  # a layer each
        for line in lines:
            x, y = line.get_xydata().T
            assert x.tolist() == list(range(1, 40)) and (np.diff(y) <= 0).all(), column


def test_tuning_curves_end_above_the_dashed_line_of_their_method(runs):
    trained = [run for run in runs if not run.key.eval_dataset]
    figure = tuning_curves.draw(tuning_table.build(trained))
    ax = panel(figure, "resid_post.0, relu\nencoder frozen")
    curve, dashed = ax.lines
    assert curve.get_ydata().tolist() == [2.0, 1.0] and set(dashed.get_ydata()) == {0.7}
    for line in (curve, dashed):
        assert to_hex(line.get_color()) == METHODS["decoder"].colour


def test_methods_that_move_the_encoder_have_panels_of_their_own(runs):
    trained = [run for run in runs if not run.key.eval_dataset]
    table = tuning_table.build(trained)
    moving = table[table["solver"] == "steps"].assign(method="encoder", fit="encoder", mse=0.01)
    loop = moving.assign(method="kl_mse", fit="all", solver="kl_mse", mse=0.5)
    figure = tuning_curves.draw(pd.concat([table, moving, loop]))
    ax = panel(figure, "resid_post.0, relu\nencoder free")
    colours = {to_hex(line.get_color()): line.get_ydata()[0] for line in ax.lines}
    assert colours == {METHODS["encoder"].colour: 0.01, METHODS["kl_mse"].colour: 0.5}
    assert panel(figure, "resid_post.0, relu\nencoder frozen").get_ylim()[0] > 0.5


def test_bars_of_the_excess_are_named_by_the_steps(runs):
    figure = closed_form_excess.draw(closed_form.build(runs, **OPTIONS))
    heights = [patch.get_height() for patch in panel(figure, "relu").patches]
    assert heights == pytest.approx([80 / 75 - 1] * 2)
    assert "decoder" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_recovery_has_a_bar_per_method_and_layer(runs):
    measured = [run for run in runs if run.key.eval_dataset]
    figure = perplexity_recovery_by_method.draw(perplexity_recovery.build(measured, **OPTIONS))
    assert len(panel(figure, "relu").patches) == 4


def test_a_change_of_the_loss_has_a_bar_per_method_and_layer(runs):
    measured = [run for run in runs if run.key.eval_dataset]
    figure = language_change_by_method.draw(language_change.build(measured, **OPTIONS))
    heights = [patch.get_height() for patch in panel(figure, "relu").patches]
    assert sorted(heights) == pytest.approx([-0.6, -0.6, -0.5, -0.5])


def test_correlations_are_drawn_hollow_where_the_other_cause_is_held(runs):
    table = correlations.build(runs)
    figure = correlations_figure.draw(table)
    for title, solver in (("by steps", "steps"), ("closed form", "exact")):
        ax = panel(figure, f"scaling, relu\n{title}")
        rows = table[(table["effect"] == "scaling") & (table["sae"] == "relu")]
        rows = rows[rows["solver"] == solver]
        drawn = {c.lines[0].get_fillstyle(): [] for c in ax.containers}
        for container in ax.containers:
            drawn[container.lines[0].get_fillstyle()].extend(container.lines[0].get_ydata())
        for style, kind in (("full", "plain"), ("none", "partial")):
            assert sorted(drawn[style]) == pytest.approx(sorted(rows[rows["kind"] == kind]["r"]))


def test_architectures_are_points_of_bias_above_and_of_the_l2_ratio_below():
    known = {"relu": (0.9, 20.0), "gated": (1.0, 30.0), "topk": (0.99, 8.0)}
    runs = with_architectures(known) + with_architectures({"relu": (0.85, 5.0)}, block=1)
    figure = suppression_by_architecture.draw(architecture_table.build(runs))
    upper = panel(figure, "resid_post.0")
    (below,) = [ax for ax in figure.axes if ax.get_ylabel() == "L2 ratio"]
    ratios = dict.fromkeys(known, 0.8)
    for ax, expected in ((upper, {k: v[0] for k, v in known.items()}), (below, ratios)):
        drawn = {}
        for container in ax.containers:
            line = container.lines[0]
            ((x, y),) = line.get_xydata()
            drawn[to_hex(line.get_color())] = (x, y)
            segments = [s for bars in container.lines[2] for s in bars.get_segments()]
            ends = {tuple(map(tuple, np.round(s, 6))) for s in segments}
            assert ((x, round(y - 0.01, 6)), (x, round(y + 0.01, 6))) in ends
        assert drawn == {
            ARCHITECTURES[name].colour: (known[name][1], y) for name, y in expected.items()
        }
        assert [1, 1] in [list(line.get_ydata()) for line in ax.lines]
        assert ax.get_xscale() == "log"
    assert upper.get_ylabel() == "Rel. reconstr. bias"
    # panels beside one another have one axis, or points would be compared with the wrong ones
    assert panel(figure, "resid_post.1").get_ylim() == upper.get_ylim() != below.get_ylim()
