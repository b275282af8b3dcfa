"""What a configuration makes of the measure: one pass, and what is stale after a change."""

import pytest


@pytest.fixture
def planned(outputs):
    """Return a function that plans the study after a change of its configuration."""
    hooks = ["resid_post.0", "resid_post.1", "resid_post.2"]
    own = {"hooks": hooks, "saes": ["plain", "topk"], "seeds": [0]}
    return lambda *change, **study: outputs(*change, **{**own, **study})


def measured(outputs):
    (table,) = (outputs.table("reconstruction", name) for name in ["propagation"])
    return {(r.output.parts[-7], r.output.parts[-6]): r for r in table.inputs["propagation"]}


def identities(outputs):
    return {key: result.identity for key, result in measured(outputs).items()}


def changed(planned, *change, **study):
    before, after = identities(planned()), identities(planned(*change, **study))
    return {key for key in after if before.get(key) != after[key]}


def test_all_hooks_are_one_pass_and_the_last_has_nothing_after_it(planned):
    found = measured(planned())
    assert set(found) == {(f"resid_post.{b}", s) for b in (0, 1) for s in ("plain", "topk")}
    assert len({tuple(result.place.items()) for result in found.values()}) == 1
    assert len(found["resid_post.0", "plain"].inputs["others"]) == 4


def test_a_setting_makes_all_stale_and_an_sae_those_that_it_is_in(planned):
    everything = set(measured(planned()))

    def tokens(config):
        config["measures"] = {"propagation": {"tokens": 99}}

    def recipe(config):
        config["saes"]["plain"]["l1"] = 0.2

    later = {"hooks": [f"resid_post.{block}" for block in range(4)]}
    assert changed(planned, tokens) == everything
    assert changed(planned, recipe) == everything  # the other recipe's SAEs read it too
    assert changed(planned, **later) == everything | {
        ("resid_post.2", s) for s in ("plain", "topk")
    }


def test_a_study_of_one_hook_has_none_of_its_tables_and_figures(planned):
    outputs = planned(hooks=["resid_post.1"])
    names = {*outputs.tables("reconstruction"), *outputs.figures("reconstruction")}
    assert not [name for name in names if name.startswith("propagation")]


def test_the_measure_can_be_left_out(planned):
    def without(config):
        config["measures"] = {"propagation": None}

    assert "propagation" not in planned(without).tables("reconstruction")


def test_one_recipe_has_no_comparison_of_recipes(planned):
    figures = planned(saes=["topk"]).figures("reconstruction")
    assert "propagation_maps" in figures and "propagation_by_recipe" not in figures


def test_hooks_of_different_sites_have_no_maps(planned):
    figures = planned(hooks=["resid_post.0", "mlp_out.1"]).figures("reconstruction")
    assert "propagation_split" in figures and "propagation_maps" not in figures
