"""Figures of controls: what stands beside an SAE, and that it can be read in any study."""

import numpy as np
import pandas as pd
import pytest

import made_up_study
from readable import faults, keep
from saeflow.figures.places import learned
from saeflow.studies.reconstruction import STUDY
from saeflow.studies.reconstruction.controls.figures import controls_by_layer

FACTORS = {  # what each costs, in units of what the SAE costs
    "controls_delta_ce": 1.0,
    "delta_ce_random_norm": 0.4,
    "delta_ce_random_cosine": 0.3,
    "delta_ce_mean": 30.0,
    "delta_ce_zero": 60.0,
    "pathology_kl_norm": 20.0,
}


def row(block, sae, seed, l0, cost, baseline=""):
    found = {
        "model": "world-s", "hook": f"resid_post.{block}", "site": "resid_post", "block": block,
        "sae": sae, "seed": seed, "method": "original", "architecture": baseline or "topk",
        "baseline": baseline, "n_tokens": 20_000, "n_documents": 150, "l0": l0,
    }  # fmt: skip
    for name, factor in FACTORS.items():
        value = cost * factor * (1 + 0.1 * seed)
        found |= {name: value, f"{name}_low": 0.9 * value, f"{name}_high": 1.1 * value}
    return found


def made_up(n_hooks=4, recipes=("topk-32",), n_seeds=1, pcas=(8, 32)):
    rows = []
    for block in range(n_hooks):
        cost = 0.02 * (1 + block)
        for seed in range(n_seeds):
            rows += [row(block, sae, seed, 30.0 + i, cost) for i, sae in enumerate(recipes)]
            rows += [row(block, f"pca-{n}", seed, n, 400 * cost / n, "pca") for n in pcas]
            rows.append(row(block, "identity", seed, 128, 0.0, "identity"))
    return pd.DataFrame(rows)


def line_of(ax, label, figure):
    looks = {h.get_label(): h.get_color() for h in figure.legends[0].legend_handles}
    (line,) = [one for one in ax.lines if one.get_color() == looks[label]]
    return line


def test_each_line_has_its_own_columns_values_and_pca_is_that_of_the_nearest_size():
    drawing = controls_by_layer(made_up())
    (ax,) = drawing.figure.axes
    cost = np.array([0.02, 0.04, 0.06, 0.08])
    for label, expected in {
        "SAE": cost,
        "random error, equal norm": 0.4 * cost,
        "random error, equal norm and cosine": 0.3 * cost,
        "PCA of about that size": 400 / 32 * cost,
        "mean": 30 * cost,
        "zero": 60 * cost,
    }.items():
        found = line_of(ax, label, drawing.figure).get_ydata()
        np.testing.assert_allclose(found, expected, err_msg=label)
    assert ax.get_yscale() == "log"
    assert any("1.1 times as many components" in note for note in drawing.notes)


def test_points_are_means_over_seeds_and_baselines_have_no_panel():
    drawing = controls_by_layer(made_up(n_seeds=3))
    (ax,) = drawing.figure.axes
    expected = np.array([0.02, 0.04, 0.06, 0.08]) * 1.1  # seeds 0, 1, 2: 1, 1.1, 1.2
    np.testing.assert_allclose(line_of(ax, "SAE", drawing.figure).get_ydata(), expected)
    assert set(drawing.rows["sae"]) == {"topk-32"}
    assert any("means over 3 seeds" in note for note in drawing.notes)


def test_without_a_pca_there_is_none_and_values_below_zero_are_counted():
    table = made_up(pcas=())
    table.loc[table["block"] == 2, "delta_ce_random_norm"] = -0.001
    drawing = controls_by_layer(table)
    labels = [text.get_text() for text in drawing.figure.legends[0].texts]
    assert "PCA of about that size" not in labels
    assert any(note.startswith("1 of 20 values is left out") for note in drawing.notes)


def test_a_pca_of_another_size_stands_beside_no_sae():
    labels = [
        {text.get_text() for text in controls_by_layer(made_up(pcas=(n,))).figure.legends[0].texts}
        for n in (14, 16, 60, 64)
    ]  # beside an L0 of 30
    assert ["PCA of about that size" in names for names in labels] == [False, True, True, False]


def test_only_baselines_are_not_learned():
    # as read back from a file, where an empty text is NaN
    table = made_up().replace({"baseline": {"": np.nan}})
    assert set(learned(table)["sae"]) == {"topk-32"}


@pytest.mark.parametrize("n_hooks", [1, 4, 24])
@pytest.mark.parametrize("n_saes", [1, 3])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_figures_can_be_read(n_hooks, n_saes, n_seeds):
    recipes = ("relu-weak", "topk-32", "batchtopk-32")[:n_saes]
    table = made_up(n_hooks, recipes, n_seeds)
    for name in ("controls_by_layer", "pathology_by_layer"):
        drawing = made_up_study.drawing(STUDY, name, table)
        assert faults(drawing.figure) == []
        keep(drawing.figure, f"{n_hooks}-hooks-{n_saes}-saes-{n_seeds}-seeds", name)
