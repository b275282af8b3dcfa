"""The figures about single latents and fine-tuning, by what their artists hold."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from made_up_latents import family, with_architectures
from made_up_study import draw, table
from saeflow.errors import DataError
from saeflow.figures.style import ARCHITECTURES, METHODS
from saeflow.studies.suppression import STUDY
from saeflow.studies.suppression.drawing import decoder_tuned, of_decoders


@pytest.fixture(scope="module")
def runs():
    return family() + family(l1=0.5, sae="relu-strong") + family(block=1)


def panel(figure, title):
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes]
    return figure.axes[titles.index(title)]


def drawn(name, runs):
    return draw(STUDY, name, table(STUDY, STUDY.figures[name].table, runs))


@pytest.mark.parametrize("column", ["scaling", "increase", "rotation"])
def test_points_are_the_live_latents_of_the_closed_form_in_the_colour_of_their_value(column, runs):
    found = table(STUDY, "latents", runs)
    figure = draw(STUDY, f"{column}_of_latents", found)
    (points,) = [
        c for c in panel(figure, "resid_post.0, relu").collections if isinstance(c, PathCollection)
    ]
    rows = found[(found["hook"] == "resid_post.0") & (found["sae"] == "relu")]
    rows = rows[(rows["solver"] == "exact") & rows["live"]]
    np.testing.assert_allclose(points.get_offsets(), rows[["log10_frequency", "strength"]])
    # with c d / 2 = 2 an increase is a share of 2
    unit = 2.0 if column == "increase" else 1.0
    np.testing.assert_allclose(points.get_array(), rows[column] / unit)


def test_without_a_prediction_the_increase_is_drawn_as_it_is(runs):
    found = table(STUDY, "latents", runs).copy()
    rows = found[(found["solver"] == "exact") & found["live"]]
    rows = rows[(rows["hook"] == "resid_post.0") & (rows["sae"] == "relu")]
    found.loc[found["sae"] == "relu-strong", "predicted"] = np.nan  # an SAE of another kind
    (points,) = panel(draw(STUDY, "increase_of_latents", found), "resid_post.0, relu").collections
    np.testing.assert_allclose(points.get_array(), rows["increase"])


def test_the_scale_of_the_rotation_begins_below_98_percent_of_the_latents(runs):
    found = table(STUDY, "latents", runs).copy()
    rows = found["live"] & (found["solver"] == "exact")
    found.loc[rows, "rotation"] = np.linspace(0.68, 0.97, rows.sum())
    figure = draw(STUDY, "rotation_of_latents", found)
    norm = panel(figure, "resid_post.0, relu").collections[0].norm
    assert (norm.vmin, norm.vmax) == (pytest.approx(0.68 + 0.02 * 0.29), 1.0)


def test_steps_stand_in_where_there_is_no_closed_form(runs):
    found = table(STUDY, "latents", runs)
    assert set(decoder_tuned(found)["method"]) == {"decoder-exact"}
    assert set(decoder_tuned(found[found["solver"] == "steps"])["method"]) == {"decoder"}
    with pytest.raises(DataError, match="decoder"):
        decoder_tuned(found.assign(fit="scale"))


def test_the_theory_is_drawn_over_the_points_with_nothing_fitted(runs):
    found = table(STUDY, "latents", runs)
    found = found[found["solver"] == "steps"]  # gives back exactly what was taken
    figure = draw(STUDY, "scaling_and_theory", found)
    for sae, shift in (("relu", 2.0), ("relu-strong", 4.0)):
        points, curve = panel(figure, f"resid_post.0, {sae}").lines
        a, scaling = curve.get_xydata().T
        np.testing.assert_allclose(scaling, (a + 1) / a)
        x, y = points.get_xydata().T
        rows = found[(found["hook"] == "resid_post.0") & (found["sae"] == sae) & found["live"]]
        np.testing.assert_allclose(x * shift, rows["strength"])
        np.testing.assert_allclose(y, (x + 1) / x)


def test_saes_whose_loss_predicts_nothing_are_in_no_figure_of_the_theory(runs):
    gated = family(sae="gated", architecture="gated", taken=2.0)
    for name, titles in (
        (
            "scaling_and_theory",
            {"resid_post.0, relu", "resid_post.0, relu-strong", "resid_post.1, relu"},
        ),
        ("shift_by_penalty", {"resid_post.0", "resid_post.1"}),
    ):
        figure = drawn(name, runs + gated)
        assert {ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()} == titles
        ticks = {text.get_text() for ax in figure.axes for text in ax.get_xticklabels()}
        assert not any("gated" in text for text in ticks)


def test_a_recipe_that_scales_its_inputs_has_its_own_shift_below_each_panel():
    """l1 .25 at width 16 takes 2; of activations times 4 and times 8 that is .5 and .25."""
    scaled = [family(sae="scaled", scale=s, taken=2 / s, block=b) for b, s in ((0, 4.0), (1, 8.0))]
    figure = drawn("shift_by_penalty", family() + family(block=1) + scaled[0] + scaled[1])
    for title, own in (("resid_post.0", "scaled\n0.5"), ("resid_post.1", "scaled\n0.25")):
        ax = panel(figure, title)
        assert [text.get_text() for text in ax.get_xticklabels()] == [own, "relu\n2"]
        np.testing.assert_allclose(ax.containers[0].lines[0].get_xydata()[:, 1], 1.0)


def test_the_shift_is_drawn_as_a_share_of_what_is_predicted(runs):
    found = table(STUDY, "shift", runs + family(l1=1.0, taken=2.0, sae="relu-other"))
    ax = panel(draw(STUDY, "shift_by_penalty", found), "resid_post.0")
    steps = ax.containers[0].lines[0].get_xydata()
    order = np.argsort(steps[:, 0])
    # c d / 2 is 2, 4 and 8; what was taken from the last is a quarter of it
    np.testing.assert_allclose(steps[order, 1], [1.0, 1.0, 0.25])
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == ["relu\n2", "relu-strong\n4", "relu-other\n8"]
    assert [1, 1] in [list(line.get_ydata()) for line in ax.lines]
    row = found[(found["sae"] == "relu-strong") & (found["method"] == "decoder")].iloc[0]
    arms = [segment[:, 1] for segment in ax.containers[0].lines[2][0].get_segments()]
    quartiles = [row["increase_low"] / 4, row["increase_high"] / 4]
    assert any(np.allclose(arm, quartiles) for arm in arms)


def test_sorted_curves_fall_and_are_as_long_as_there_are_latents_that_fired(runs):
    for name in ("frequencies", "activation_sums"):
        lines = panel(drawn(name, runs), "relu").lines
        assert len(lines) == 2  # a layer each
        for line in lines:
            x, y = line.get_xydata().T
            assert x.tolist() == list(range(1, 40)) and (np.diff(y) <= 0).all(), name


def test_tuning_curves_end_above_the_dashed_line_of_their_method(runs):
    ax = panel(drawn("tuning_curves", runs), "resid_post.0, relu, encoder frozen")
    curve, dashed = ax.lines
    assert curve.get_ydata().tolist() == [2.0, 1.0] and set(dashed.get_ydata()) == {0.7}
    for line in (curve, dashed):
        assert to_hex(line.get_color()) == METHODS["decoder"].colour


def test_methods_that_move_the_encoder_have_panels_of_their_own(runs):
    found = table(STUDY, "tuning_curves", runs)
    moving = found[found["solver"] == "steps"].assign(method="encoder", fit="encoder", mse=0.01)
    loop = moving.assign(method="kl_mse", fit="all", solver="kl_mse", mse=0.5)
    figure = draw(STUDY, "tuning_curves", pd.concat([found, moving, loop]))
    ax = panel(figure, "resid_post.0, relu, encoder free")
    colours = {to_hex(line.get_color()): line.get_ydata()[0] for line in ax.lines}
    assert colours == {METHODS["encoder"].colour: 0.01, METHODS["kl_mse"].colour: 0.5}
    assert panel(figure, "resid_post.0, relu, encoder frozen").get_ylim()[0] > 0.5


def test_bars_of_the_excess_are_named_by_the_steps(runs):
    figure = drawn("closed_form_excess", runs)
    heights = [patch.get_height() for patch in panel(figure, "relu").patches]
    assert heights == pytest.approx([80 / 75 - 1] * 2)
    assert "decoder" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    ("name", "heights"),
    [
        ("mse_reduction_by_method", [0.2, 0.2, 0.25, 0.25]),
        ("language_change_by_method", [-0.6, -0.6, -0.5, -0.5]),
    ],
)
def test_what_fine_tuning_changed_has_a_bar_per_method_and_layer(name, heights, runs):
    found = [patch.get_height() for patch in panel(drawn(name, runs), "relu").patches]
    assert sorted(found) == pytest.approx(heights)


def test_correlations_are_drawn_hollow_where_the_other_cause_is_held(runs):
    found = table(STUDY, "correlations", runs)
    figure = draw(STUDY, "correlations", found)
    assert set(of_decoders(found)["kind"]) == {"plain", "partial"}  # rank ones are not drawn
    for title, solver in (("by steps", "steps"), ("closed form", "exact")):
        ax = panel(figure, f"relu: scaling, {title}")
        rows = found[(found["effect"] == "scaling") & (found["sae"] == "relu")]
        rows = rows[rows["solver"] == solver]
        points = {c.lines[0].get_fillstyle(): [] for c in ax.containers}
        for container in ax.containers:
            points[container.lines[0].get_fillstyle()].extend(container.lines[0].get_ydata())
        for style, kind in (("full", "plain"), ("none", "partial")):
            assert sorted(points[style]) == pytest.approx(sorted(rows[rows["kind"] == kind]["r"]))


def test_architectures_are_points_of_bias_above_and_of_the_l2_ratio_below():
    known = {"relu": (0.9, 20.0), "gated": (1.0, 30.0), "topk": (0.99, 8.0)}
    runs = with_architectures(known) + with_architectures({"relu": (0.85, 5.0)}, block=1)
    found = table(STUDY, "suppression_by_architecture", runs)
    for name in ("reconstruction_bias", "l2_ratio"):  # of even sums: too narrow to be seen
        found[f"{name}_low"], found[f"{name}_high"] = found[name] - 0.01, found[name] + 0.01
    figure = draw(STUDY, "suppression_by_architecture", found)
    upper = panel(figure, "resid_post.0")
    (below,) = [ax for ax in figure.axes if ax.get_ylabel() == "L2 ratio"]
    ratios = dict.fromkeys(known, 0.8)
    for ax, expected in ((upper, {k: v[0] for k, v in known.items()}), (below, ratios)):
        points = {}
        for container in ax.containers:
            line = container.lines[0]
            ((x, y),) = line.get_xydata()
            points[to_hex(line.get_color())] = (x, y)
            segments = [s for bars in container.lines[2] for s in bars.get_segments()]
            ends = {tuple(map(tuple, np.round(s, 6))) for s in segments}
            x6 = round(x, 6)
            assert ((x6, round(y - 0.01, 6)), (x6, round(y + 0.01, 6))) in ends
        for name, y in expected.items():
            assert points.pop(ARCHITECTURES[name].colour) == pytest.approx((known[name][1], y))
        assert not points
        assert [1, 1] in [list(line.get_ydata()) for line in ax.lines]
        assert ax.get_xscale() == "log"
    assert upper.get_ylabel() == "Rel. reconstr. bias"
    # panels beside one another have one axis, or points would be compared with the wrong ones
    assert panel(figure, "resid_post.1").get_ylim() == upper.get_ylim() != below.get_ylim()


def test_the_post_and_we_stand_beside_one_another_by_method():
    methods = ("baseline", "scale", "unrotated_decoder", "decoder")
    rows = [
        {"claim": f"{effect}, {method}", "published": 0.1 * i, "ours": 0.2 * i,
         "lowest": 0.15 * i, "highest": 0.3 * i}
        for effect in ("mse_reduction", "perplexity_recovery")
        for i, method in enumerate(methods)
    ]  # fmt: skip
    left, right = draw(STUDY, "published_beside_ours", pd.DataFrame(rows)).axes
    assert left.get_ylabel() == "Fractional MSE reduction"
    for ax in (left, right):
        ours = ax.lines[1]
        assert list(ours.get_ydata()) == pytest.approx([0.0, 0.2, 0.4, 0.6])
        (ranges,) = ax.collections
        ends = [segment[:, 1].tolist() for segment in ranges.get_segments()]
        np.testing.assert_allclose(ends, [[0.15 * i, 0.3 * i] for i in range(4)])
        assert list(ax.lines[-1].get_ydata()) == pytest.approx([0.0, 0.1, 0.2, 0.3])
        assert [t.get_text() for t in ax.get_xticklabels()][2] == "unrotated\ndecoder"
