"""Pairs with what was measured of them and with the facts of both SAEs."""

import math

import made_up_pairs as made_up
from saeflow.studies.universality import reading
from saeflow.tables.runs import Key

LAYERS = {"layers": {"vary": ["hook"], "hooks": ["mlp_out.0", "mlp_out.1", "mlp_out.2"]}}


def test_each_pair_of_the_study_comes_with_its_similarity():
    study = made_up.study(LAYERS)
    found = list(reading.compared(study.runs, **study.given))
    hooks = [(one.first.key.hook, one.second.key.hook) for one in found[:3]]
    assert hooks == [
        ("mlp_out.0", "mlp_out.1"), ("mlp_out.0", "mlp_out.2"), ("mlp_out.1", "mlp_out.2"),
    ]  # fmt: skip
    assert [one.is_null for one in found] == [False] * 3 + [True] * 3
    assert [one.comparison for one in found[3:]] == [
        "another layer", "random weights", "shuffled model",
    ]  # fmt: skip
    assert found[0].differ == ("hook",)
    record = next(
        run for run in study.runs if run.key.hook == "mlp_out.0"
        and [other.hook for other in run.key.other] == ["mlp_out.2"]
    ).records["similarity"]  # fmt: skip
    assert found[1].record is record
    assert found[1].side("first") is record.table("first.parquet")


def test_what_is_said_of_both_saes():
    study = made_up.study(
        {"steps": {"vary": ["model", "sae"], "models": ["small@64", "small"],
                   "saes": ["topk-x4-order-1-part-2", "relu-x8"]}},
    )  # fmt: skip
    one = next(
        one for one in reading.compared(study.runs, **study.given)
        if one.differ == ("checkpoint", "architecture", "expansion", "order", "part")
        and one.first.key.sae == "topk-x4-order-1-part-2"
    )  # fmt: skip
    columns = one.columns()
    assert tuple(columns) == reading.COLUMNS
    assert columns["differ"] == "checkpoint, architecture, expansion, order, part"
    first, second = (
        {name: columns[f"{side}_{name}"] for name in reading.OF_SAE} for side in reading.SIDES
    )
    assert (first["model"], second["model"]) == ("small", "small@64")
    assert math.isnan(first["step"]) and second["step"] == 64
    assert (first["architecture"], first["expansion"], first["order"], first["part"]) == (
        "topk", 4, 1, "2/2",
    )  # fmt: skip
    assert (second["architecture"], second["expansion"], second["order"], second["part"]) == (
        "relu", 8, 0, "",
    )  # fmt: skip
    assert (first["site"], first["block"]) == ("mlp_out", 1)


def test_what_failed_to_be_measured_is_left_out():
    study = made_up.study(LAYERS)
    runs = [run for run in study.runs if not run.key.other or run.key.hook != "mlp_out.0"]
    found = list(reading.compared(runs, **study.given))
    assert len(found) == 4  # one of the three, and three nulls


def test_nulls_are_looked_at_from_the_study_s_own_sae():
    hooks = {"hooks": ["mlp_out.0", "mlp_out.1"]}
    study = made_up.study(LAYERS, **hooks, nulls=hooks)
    nulls = [one for one in reading.compared(study.runs, **study.given) if one.is_null]
    found = [[(own.key.hook, other.key.hook) for _, own, other in one.directions()]
             for one in nulls]  # fmt: skip
    assert found == [[("mlp_out.0", "mlp_out.1")], [("mlp_out.1", "mlp_out.0")]]
    assert [one.reference for one in nulls] == ["first", "second"]
    (first, *_) = reading.compared(study.runs, **study.given)
    assert [side for side, _, _ in first.directions()] == ["first", "second"]


def test_an_untrained_sae_is_a_baseline():
    study = made_up.study(LAYERS)
    found = {sae.key.sae: sae.run.baseline for sae in reading.saes_of(study.runs).values()}
    assert found == {"topk-x4": "", "random-x4": "topk, untrained"}


def test_saes_are_known_from_the_runs_of_their_pairs_where_nothing_else_is_read():
    study = made_up.study(LAYERS)
    paired = [run for run in study.runs if run.key.other]
    alone = reading.saes_of(paired)
    assert {key.hook for key in alone} == {"mlp_out.0", "mlp_out.1"}  # the second ones are not
    assert all(reading.CODES not in sae.run.records for sae in alone.values())
    both = reading.saes_of([*paired, *study.runs])
    assert all(sae.codes.facts["n_tokens"] == made_up.N_TOKENS for sae in both.values())


def test_a_tuned_sae_is_told_from_its_parent():
    row = {"model": "m", "dataset": "d", "packing": "p", "hook": "mlp_out.0", "seed": 3}
    assert reading.key_of({**row, "sae": "topk~decoder"}) == Key(
        "m", "d", "p", "mlp_out.0", "topk", 3, "decoder"
    )
    assert reading.key_of({**row, "sae": "topk"}).method == "original"


def test_what_is_made_up_is_as_it_says():
    study = made_up.study(
        {"all": {"vary": ["hook", "sae"], "hooks": ["mlp_out.0", "mlp_out.1"],
                 "saes": ["topk-x4", "relu-x8"]}},
    )  # fmt: skip
    for one in reading.compared(study.runs, **study.given):
        own, other = one.first.key, one.second.key
        for side in reading.SIDES:
            table = one.side(side)
            for name in made_up.of_similarity(own, other, one.differ):
                known = made_up.mean_best(own, other, one.differ, name)
                assert math.isclose(table[name].mean(), known)
                matched = table.loc[table[f"{name}_one_match"] >= 0, f"{name}_one_match"]
                assert matched.is_unique and len(matched) == min(
                    made_up.n_live(own), made_up.n_live(other)
                )
            groups = one.record.table("groups.parquet")
            sums = groups[groups["side"] == side].drop(columns="side").groupby("latent").sum()
            n = sums["n"]
            covariance = sums["both"] / n - sums["sum"] * sums["match_sum"] / n**2
            variances = (
                (sums["square"] / n - (sums["sum"] / n) ** 2)
                * (sums["match_square"] / n - (sums["match_sum"] / n) ** 2)
            )  # fmt: skip
            pearson = covariance / variances**0.5
            assert abs(pearson.to_numpy() - table["correlation"].to_numpy()).max() < 1e-9
            own, other = other, own
