"""The figures about single latents, by what their artists hold."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from made_up_latents import family
from saeflow.errors import DataError
from saeflow.figures.scatter import decoder_tuned
from saeflow.figures.style import METHODS
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
    np.testing.assert_allclose(points.get_array(), rows[column])


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


def test_the_shift_is_drawn_beside_the_line_of_the_theory(runs):
    figure = shift_by_penalty.draw(shift_table.build(runs, **OPTIONS))
    ax = panel(figure, "resid_post.0")
    xs = {
        method: container.lines[0].get_xydata()
        for method, container in zip(("decoder", "decoder-exact"), ax.containers, strict=True)
    }
    np.testing.assert_allclose(xs["decoder"][:, 1], [2.0, 4.0])
    np.testing.assert_allclose(xs["decoder"][:, 0], [2.0, 4.0], rtol=0.05)
    assert ax.get_xlabel() == "Predicted, c d / 2"


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
    ax = panel(tuning_curves.draw(tuning_table.build(trained)), "resid_post.0, relu")
    curve, dashed = ax.lines
    assert curve.get_ydata().tolist() == [2.0, 1.0] and set(dashed.get_ydata()) == {0.7}
    for line in (curve, dashed):
        assert to_hex(line.get_color()) == METHODS["decoder"].colour


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
    ax = panel(figure, "scaling, relu")
    rows = table[(table["effect"] == "scaling") & (table["sae"] == "relu")]
    rows = rows[rows["solver"] == "exact"]
    drawn = {c.lines[0].get_fillstyle(): [] for c in ax.containers}
    for container in ax.containers:
        drawn[container.lines[0].get_fillstyle()].extend(container.lines[0].get_ydata())
    for style, kind in (("full", "plain"), ("none", "partial")):
        assert sorted(drawn[style]) == pytest.approx(sorted(rows[rows["kind"] == kind]["r"]))
