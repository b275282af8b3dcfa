"""Histograms of how often features are active: every feature is in them once."""

import numpy as np
import pandas as pd
import pytest

import made_up_pairs as made
from readable import faults
from saeflow.studies.universality.post.frequencies import EDGES, frequencies
from saeflow.studies.universality.post.histograms import by_expansion, by_model
from saeflow.tables.files import read_csv, write_csv
from saeflow.tables.runs import Key, Record, Run

RATIOS = {"vary": ["sae"], "saes": ["topk-x1", "topk-x2"], "hooks": ["mlp_out.0", "mlp_out.1"]}
MODELS = {"vary": ["model"], "models": ["small", "large"]}


def one(active, n_tokens=1_000_000):
    """Return an SAE whose latents are active on so many tokens."""
    facts = {"d_in": 2, "d_sae": len(active), "n_tokens": n_tokens, "n_documents": 7}
    latents = pd.DataFrame({"latent": np.arange(len(active)), "active": active})
    codes = Record(facts, {"latents.parquet": latents}.__getitem__)
    sae = Record({"architecture": "relu", "d_in": 2, "d_sae": len(active)}, {}.__getitem__)
    on = {"eval_dataset": "d", "eval_packing": "p"}
    return Run(Key("m", "d", "p", "mlp_out.0", "relu", 0, **on), {"codes": codes, "sae": sae})


def test_a_feature_is_in_the_bin_of_its_share_of_tokens():
    # shares 0, 0, 1e-6, 0.5, 0.5, 1 of a million tokens; bins have twentieths of a decade
    table = frequencies([one([0, 0, 1, 500_000, 500_000, 1_000_000])], pairs=[])
    assert table["n_features"].tolist() == [2, 1]
    assert table["low"].tolist() == pytest.approx([10**-0.35, 10**-0.05])
    assert table["high"].tolist() == pytest.approx([10**-0.3, 1.0])
    first = table.iloc[0]
    assert (first["n_dead"], first["n_below"], first["n_latents"]) == (2, 1, 6)
    assert (first["n_tokens"], first["n_documents"], first["expansion"]) == (1_000_000, 7, 3)
    assert not table[["among_models", "among_expansions"]].any(axis=None)


def test_an_sae_of_dead_features_has_a_row():
    table = frequencies([one([0, 0])], pairs=[])
    assert table[["n_features", "n_dead", "low"]].to_numpy().tolist() == [[0, 2, EDGES[0]]]


def test_every_feature_is_counted_once_and_nulls_are_no_models():
    study = made.study({"ratios": RATIOS, "models": MODELS})
    table = frequencies(study.runs, **study.given)
    sae = ["model", "hook", "sae", "seed"]
    of_saes = table.groupby(sae).agg(
        {"n_features": "sum", "n_dead": "first", "n_below": "first", "n_latents": "first"}
    )
    counted = of_saes[["n_features", "n_dead", "n_below"]].sum(axis=1)
    assert counted.tolist() == of_saes["n_latents"].tolist()
    assert set(table.loc[table["among_models"], "model"]) == {"small", "large"}
    assert set(table.loc[table["among_expansions"], "sae"]) == {"topk-x1", "topk-x2"}
    assert "shuffled" in set(table["model"])


@pytest.fixture(scope="module", params=["few", "many"])
def table(request, tmp_path_factory):
    ratios, models = RATIOS, MODELS
    if request.param == "many":
        names, hooks = [f"topk-x{2**i}" for i in range(6)], [f"mlp_out.{i}" for i in range(6)]
        ratios = {**RATIOS, "saes": names, "hooks": hooks, "against": names[-1]}
        models = {**MODELS, "models": list("abcde"), "hooks": hooks, "against": "a"}
    study = made.study({"ratios": ratios, "models": models})
    path = tmp_path_factory.mktemp("tables") / "frequencies.csv"
    write_csv(frequencies(study.runs, **study.given), path)
    return read_csv(path), request.param


def test_a_histogram_can_be_read(table):
    table, shape = table
    for draw, column, n_rows in ((by_model, "model", 4), (by_expansion, "expansion", 6)):
        drawing = draw(table)
        assert faults(drawing.figure) == []
        assert "10,000 tokens" in drawing.notes[0]
        shown = drawing.rows
        places = [ax for ax in drawing.figure.axes if ax.get_visible()]
        assert len(places) == shown.groupby(["model", "hook", column]).ngroups
        assert shown["hook"].nunique() == (n_rows if shape == "many" else 2 - (draw is by_model))
    assert any("4 of 6 hooks" in note for note in by_model(table).notes) == (shape == "many")


def test_bars_are_as_high_as_bins_are_full(table):
    ax = by_expansion(table[0]).figure.axes[0]
    rows = table[0][table[0]["among_expansions"] & (table[0]["sae"] == "topk-x1")]
    rows = rows[rows["hook"] == "mlp_out.0"]
    heights = [patch.get_data().values for patch in ax.patches]
    wanted = sorted(rows["n_features"])
    assert wanted in [sorted(values[values > 0]) for values in heights]
    assert "2 of 16 dead" in {text.get_text() for text in ax.texts}
