"""The post's own table: its numbers, and its figures drawn by ours."""

from __future__ import annotations

import pandas as pd
import pytest

from readable import faults
from saeflow.studies.reconstruction import post
from saeflow.studies.reconstruction.authors import (
    answers,
    classes,
    context_sizes,
    draw,
    drawings,
    prompts,
)
from saeflow.studies.reconstruction.context import figures, selections

WITHIN, BEYOND = (2, 128), (129, 1023)
L1 = {0: 4.61, 5: 87.2, 11: 254}
"""Of the post's figures, by layer: means over positions 2 to 128."""


@pytest.fixture(scope="module")
def table(real_data):
    return context_sizes(real_data / "evanhanders" / "context_size_df.csv")


def test_means_within_and_beyond_the_context_are_the_published_ones(table):
    for (first, last), numbers in ((WITHIN, post.WITHIN), (BEYOND, post.BEYOND)):
        rows = table[table["position"].between(first, last)]
        means = rows.groupby("block")[["l1", *post.WITHIN]].mean()
        for name, expected in numbers.items():
            assert means[name].tolist() == pytest.approx(expected, rel=6e-3, abs=6e-4), name
        if first == WITHIN[0]:
            assert means["l1"][list(L1)].to_dict() == pytest.approx(L1, rel=6e-3)
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


# of the post's text and figures and its authors' files, layer by layer
CHANGE = {
    "lambada": [0.0074, -0.0900, -0.4251, -0.6673, -0.7017, -0.9132, -0.9146, -0.9467, -1.0029,
                -1.2202, -1.6129, -1.8709],
    "cbt": [-7.7624, -5.9231, -11.2394, -10.9010, -8.2347, -5.4730, -3.9654, -3.1785, -2.3808,
            -2.0745, -1.7426, -1.4125],
}  # fmt: skip
MEDIAN = {
    "lambada": [0.0023, -0.0633, -0.2690, -0.4447, -0.4873, -0.7119, -0.7323, -0.7630, -0.8511,
                -1.0371, -1.3988, -1.6226],
    "cbt": [-7.8288, -6.0753, -11.3642, -10.9144, -7.5237, -5.2742, -3.7739, -2.8406, -2.0222,
            -1.6994, -1.4902, -1.1902],
}  # fmt: skip
# both, baseline only, SAE only, neither
COUNTS = {
    "lambada": {0: (244, 22, 12, 722), 5: (164, 102, 8, 726), 11: (98, 168, 8, 726)},
    "cbt": {0: (0, 419, 1, 580), 5: (22, 397, 4, 577), 11: (243, 176, 33, 548)},
}


@pytest.mark.parametrize("name", ["lambada", "cbt"])
def test_accuracies_changes_and_counts_are_the_published_ones(real_data, name):
    own = prompts(real_data / "evanhanders" / f"{name}_df.csv")
    assert own.groupby("block").size().tolist() == [1000] * 12
    table = answers(own)
    accuracy = list((post.LAMBADA if name == "lambada" else post.CBT)["accuracy"])
    assert table["accuracy_first_token"].round(3).tolist() == accuracy
    clean = table["accuracy_first_token_clean"].round(3).tolist()
    assert clean == [post.CLEAN[name]["accuracy"]] * 12
    assert table["delta_logp_first_token"].tolist() == pytest.approx(CHANGE[name], abs=6e-5)
    by_layer = own.groupby("block")
    assert by_layer["delta_logp"].median().tolist() == pytest.approx(MEDIAN[name], abs=6e-5)
    assert by_layer["norm"].mean().tolist() == pytest.approx(
        post.AS_PUBLISHED[name]["norm"], rel=0.02
    )
    counted = classes(own).set_index("block")
    for block, expected in COUNTS[name].items():
        names = ["n_both", "n_baseline_only", "n_sae_only", "n_neither"]
        assert tuple(counted.loc[block, names]) == expected
    half = (table["accuracy_first_token_high"] - table["accuracy_first_token"])[11]
    p = accuracy[11]
    assert half == pytest.approx(1.96 * (p * (1 - p) / 1000) ** 0.5, rel=0.25)


@pytest.mark.parametrize("name", ["lambada", "cbt"])
def test_all_published_values_that_the_file_holds_are_found(real_data, name):
    """Against the list of published values, where it lies beside the data."""
    path = real_data.parent / "notes" / "published_values.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    values = pd.read_csv(path)
    values = values[(values["figure"] == name) & values["layer"].notna()]
    own = prompts(real_data / "evanhanders" / f"{name}_df.csv")
    layers = own.groupby("block")
    share = {
        kind: (own["outcome"] == kind).groupby(own["block"]) for kind in own["outcome"].unique()
    }
    found = {
        "accuracy": answers(own, bootstrap=100).set_index("block")["accuracy_first_token"],
        "delta_lnp_mean": layers["delta_logp"].mean(),
        "delta_lnp_median": layers["delta_logp"].median(),
        "delta_lnp_std": layers["delta_logp"].std(ddof=0),
        "frac_delta_lnp_gt0": (own["delta_logp"] > 0).groupby(own["block"]).mean(),
        "L0_mean": layers["l0"].mean(),
        "L1_times_coeff_mean": layers["l1"].mean() * 8e-5,
        "mse_saelens_mean": layers["mse_saelens24"].mean(),
        "act_L2_mean": layers["norm"].mean(),
        "delta_CE_mean": layers["delta_ce"].mean(),
        "n_both_correct": share["both"].sum(),
        "n_baseline_only": share["baseline_only"].sum(),
        "n_sae_only": share["sae_only"].sum(),
        "n_both_wrong": share["neither"].sum(),
    }
    n_checked = 0
    for row in values.itertuples():
        if row.quantity in found:  # the loss with one SAE is in no file, only in a figure
            got = found[row.quantity][int(row.layer)]
            assert got == pytest.approx(row.value, rel=1e-3, abs=1.1e-4), (row.quantity, row.layer)
            n_checked += 1
    assert n_checked == 14 * 12


@pytest.mark.slow
def test_every_figure_of_the_post_can_be_drawn_of_its_tables(real_data, tmp_path):
    directory = real_data / "evanhanders"
    for name, drawing in drawings(directory):
        assert faults(drawing.figure) == [], name
    files = draw(directory, tmp_path / "out")
    assert len(files) == 2 * (3 + 2 * 6) and all(file.stat().st_size > 5000 for file in files)


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
