"""Which SAEs the study has, and what it has to show of them."""

import copy

import pytest

from made_up_latents import with_architectures
from made_up_study import table
from saeflow.studies.suppression import STUDY

SECTION = {
    "models": ["m"], "train_on": {"dataset": "d", "packing": "p"}, "hooks": ["resid_post.0"],
    "saes": ["relu", "topk"], "seeds": [0, 1], "methods": ["scale", "closed"], "tune": None,
}  # fmt: skip
CONFIG = {
    "saes": {"relu": {"architecture": "relu", "l1": 0.1}, "topk": {"architecture": "topk", "k": 8}},
    "methods": {
        "scale": {"method": "scale", "solver": "steps"},
        "decoder": {"method": "decoder", "solver": "steps"},
        "closed": {"method": "decoder", "solver": "exact"},
        "loop": {"method": "decoder", "solver": "kl_mse"},
    },
}
OF_TUNED = {
    "mse_reduction", "perplexity_recovery", "language_change", "probe_change", "kept", "latents",
    "correlations", "shift", "closed_form", "published", "tuning_curves",
}  # fmt: skip


def saes(**changes):
    return [(r["sae"], r["seed"]) for r in STUDY.rows(CONFIG, {**SECTION, **changes})]


def tables(**changes):
    section = {**copy.deepcopy(SECTION), **changes}
    return {name for name, table in STUDY.tables.items() if table.when(CONFIG, section)}


def test_relu_saes_are_fine_tuned_unless_others_are_named():
    assert saes() == [
        ("relu", 0), ("relu~scale", 0), ("relu~closed", 0),
        ("relu", 1), ("relu~scale", 1), ("relu~closed", 1), ("topk", 0), ("topk", 1),
    ]  # fmt: skip
    assert saes(tune=["topk"], seeds=[0]) == [
        ("relu", 0), ("topk", 0), ("topk~scale", 0), ("topk~closed", 0),
    ]  # fmt: skip


def test_without_fine_tuning_there_is_nothing_to_compare():
    assert tables(methods=[]) == tables(tune=[]) == set(STUDY.tables) - OF_TUNED


@pytest.mark.parametrize(
    ("methods", "absent"),
    [
        (["decoder", "closed"], set()),
        (["decoder"], {"closed_form"}),
        (["closed", "scale"], {"closed_form"}),
        (["loop", "scale"], {"closed_form", "latents", "correlations", "shift"}),
    ],
)
def test_tables_about_decoders_need_one_that_was_fitted(methods, absent):
    assert tables(methods=methods) == set(STUDY.tables) - absent


def test_the_theory_is_shown_where_an_l1_penalty_was_paid():
    assert "shift" in tables() and "shift" not in tables(tune=["topk"])
    assert "latents" in tables(tune=["topk"])
    figure = STUDY.figures["scaling_and_theory"]
    for tune, shown in ((None, True), (["topk"], False)):
        assert figure.when(CONFIG, {**SECTION, "tune": tune}) == shown


def test_suppression_stands_beside_the_architecture_of_each_original():
    runs = with_architectures({"relu": (0.9, 20.0), "gated": (1.0, 30.0)})
    found = table(STUDY, "suppression_by_architecture", runs)
    assert found["sae"].tolist() == found["architecture"].tolist() == ["relu", "gated"]
    assert set(found["method"]) == {"original"}
    assert found["reconstruction_bias"].tolist() == pytest.approx([0.9, 1.0])
    assert found["l0"].tolist() == pytest.approx([20, 30])
    assert found["l2_ratio"].tolist() == pytest.approx([0.8, 0.8])
