"""The study of universality on a model and texts that nobody here made."""

from functools import partial

import pytest

from e2e import running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cores")]


@pytest.fixture(scope="module")
def finished(real_data, tmp_path_factory):
    """A directory in which the study was run."""
    return running.run_study("universality", tmp_path_factory.mktemp("universality"), real_data)


table = partial(running.table, "universality")


def test_a_second_run_has_nothing_to_do(finished):
    running.assert_nothing_to_do("universality", finished)


def test_every_latent_is_counted_once(finished):
    counts = table(finished, "counts")
    parts = counts[["live", "dead", "rare", "duplicate"]].sum(axis=1)
    assert (parts == counts["width"]).all()


def test_no_sae_is_held_against_itself(finished):
    found = table(finished, "similarities")
    keys = ("model", "dataset", "packing", "hook", "sae", "seed")
    same = [found[f"first_{key}"] == found[f"second_{key}"] for key in keys]
    assert not (same[0] & same[1] & same[2] & same[3] & same[4] & same[5]).any()


def test_seeds_and_halves_have_more_in_common_than_chance_gives(finished):
    found = table(finished, "similarities").query("statistic == 'mean_max'")
    for comparison in ("seeds", "halves"):
        rows = found[found["comparison"] == comparison]
        weights = rows[rows["quantity"] == "cosine"]
        assert len(weights) and (weights["value"] > weights["null_gaussian"]).all()
        activations = rows[rows["quantity"] == "correlation"]
        assert len(activations) and (activations["value"] > activations["null_tokens"]).all()


def test_cosines_of_two_layers_are_near_chance(finished):
    """Their directions are in the same space, but of other features."""
    found = table(finished, "similarities").query("statistic == 'mean_max'")
    cosine = found[found["quantity"] == "cosine"].groupby("comparison")["value"].mean()
    assert cosine["layers"] < cosine["halves"] < 1


def test_every_figure_is_there(finished):
    figures = finished / "results/studies/universality/figures/universality"
    names = {kind: {path.stem for path in figures.glob(f"*.{kind}")} for kind in ("png", "pdf")}
    assert names["png"] == names["pdf"]
    assert len(names["png"]) >= 10
