"""Which jobs make what is missing, and the files by which they know it."""

import json
from pathlib import Path

import pytest

from saeflow import paths
from saeflow.plan.current import HARVEST, Current
from saeflow.plan.passes import Schedule, write_plan

from .conftest import finish


def schedule(results, **jobs):
    return list(Schedule(results, Current(results), jobs))


def names(one):
    return [result.output.stem for result in one.results]


@pytest.fixture
def chain(make):
    """A store, two SAEs of it at one hook and one at another, and a table of all."""
    store = make("store", rule=HARVEST)
    saes = [
        make(name, hook=hook, inputs={"activations": store})
        for name, hook in (("a", "h1"), ("b", "h1"), ("c", "h2"))
    ]
    table = make("table", rule="tabulate", files=(Path("results/t.csv"),), inputs={"sae": (*saes,)})
    return [store, *saes, table]


def test_results_of_one_place_are_made_together_after_what_they_read(chain):
    passes = schedule(chain)
    assert [(one.rule, names(one)) for one in passes] == [
        ("harvest", ["store"]),
        ("train_saes", ["a", "b"]),
        ("train_saes", ["c"]),
        ("tabulate", ["table"]),
    ]
    assert [other.rule for other in passes[3].before] == ["train_saes", "train_saes"]
    assert [other.rule for other in passes[1].before] == ["harvest"]


def test_what_is_there_is_in_no_pass_and_nothing_waits_for_it(chain):
    store, a, b, c, table = chain
    for one in (store, a, c):
        finish(one)
    passes = schedule(chain)
    assert [names(one) for one in passes] == [["b"], ["table"]]
    assert passes[0].before == ()


def test_what_was_lost_above_a_result_that_is_there_is_made_for_itself(chain):
    store, *rest = chain
    for one in rest:
        finish(one)
    (one,) = schedule(chain)
    assert names(one) == ["store"]


def test_results_that_read_other_stores_are_kept_apart(make):
    one, other = make("a"), make("b")
    object.__setattr__(other, "apart", ("target",))
    assert [names(found) for found in schedule([one, other])] == [["a"], ["b"]]


def test_a_plan_is_named_by_what_it_makes(chain, make):
    first = {tuple(names(one)): one.plan for one in schedule(chain)}
    assert {tuple(names(one)): one.plan for one in schedule(chain)} == first
    finish(chain[1])
    second = {tuple(names(one)): one.plan for one in schedule(chain)}
    assert second["b",] not in first.values()
    assert second["c",] == first["c",]


def test_a_receipt_of_data_that_were_lost_since_is_not_taken_for_theirs(make):
    one = make("a")
    (before,) = schedule([one])
    before.receipt.parent.mkdir(parents=True)
    before.receipt.write_text("{}")
    (after,) = schedule([one])
    assert after.receipt != before.receipt and not after.receipt.exists()


def test_a_plan_that_is_there_is_never_written_again(chain):
    one = schedule(chain)[1]
    write_plan(one)
    path = paths.plan_file(one.plan)
    content = json.loads(path.read_text())
    assert content["rule"] == "train_saes"
    assert [result["record"] for result in content["results"]] == [
        "results/a.json", "results/b.json",
    ]  # fmt: skip
    before = path.stat().st_mtime_ns
    write_plan(one)
    assert path.stat().st_mtime_ns == before


def test_a_pass_is_divided_by_results_and_one_job_gathers_them(chain):
    passes = schedule(chain, train_saes=2)
    found = [(names(one), one.part, len(one.before)) for one in passes if one.rule == "train_saes"]
    assert found == [(["a"], None, 1), (["b"], None, 1), (["a", "b"], None, 3), (["c"], None, 1)]


def test_stores_are_divided_by_their_shards(chain):
    first, second, whole = schedule(chain, harvest=2)[:3]
    assert [one.part for one in (first, second, whole)] == [(1, 2), (2, 2), None]
    assert names(first) == names(second) == names(whole) == ["store"]
    assert set(whole.before) == {first, second}
    assert len({one.plan for one in (first, second, whole)}) == 3


def test_live_activations_are_described_by_one_job(make):
    live = make("store", rule=HARVEST, live=True)
    assert [one.part for one in schedule([live], harvest=4)] == [None]
