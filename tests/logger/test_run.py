"""How far a run is, and how long the rest may take."""

import pytest

from saeflow import paths
from saeflow.files import write_json
from snakemake_logger_plugin_saeflow.passes import DONE, FAILED, read_plan
from snakemake_logger_plugin_saeflow.passes import Pass as One
from snakemake_logger_plugin_saeflow.run import Run

A, B, C, D = (letter * 16 for letter in "abcd")


@pytest.fixture
def run(passes, clock):
    """Three passes with 4, 2 and 6 SAEs, and one with a model."""
    passes.saes(A, "resid_post.0", [f"sae-{i}" for i in range(4)])
    passes.saes(B, "resid_post.1", [f"sae-{i}" for i in range(2)])
    passes.saes(C, "resid_post.2", [f"sae-{i}" for i in range(6)])
    passes.model(D)
    return Run(passes.root)


def start(run, plan):
    one = One(run.root, plan=plan, **read_plan(run.root, plan))
    run.passes[len(run.passes)] = one
    return one


def receipt(run, plan, n_results, seconds):
    path = paths.fill(
        paths.receipt("train_saes"), model="m", dataset="d", packing="p", hook="h", plan=plan
    )
    write_json(run.root / path, {"results": [{}] * n_results, "usage": {"seconds": seconds}})


def test_jobs_without_a_plan_are_no_passes(run):
    run.expect({"train_saes": 3, "all": 1, "suppression": 1, "total": 5})
    assert run.counted() == "0 of 3 passes"


def test_passes_to_come_take_as_long_per_result_as_those_before(run, clock):
    run.expect({"train_saes": 3, "total": 3})
    assert run.left_s() is None
    first = start(run, A)
    clock.now += 40
    first.end(DONE)  # 10 s for each SAE; to come are 2 and 6
    assert run.left_s() == 80
    assert run.so_far() == "1 of 3 passes, about 1 min left"
    second = start(run, B)
    clock.now += 5
    assert run.left_s() == pytest.approx(15 + 60)
    clock.now += 15
    second.end(DONE)
    assert run.left_s() == 60
    assert run.so_far() == "2 of 3 passes, about 1 min left"


def test_passes_side_by_side_take_a_share_of_the_time(run, clock):
    run.expect({"train_saes": 3, "total": 3})
    first, second = start(run, A), start(run, B)
    clock.now += 40
    first.end(DONE)
    second.end(DONE)  # 80 s of work in 40 s, for 6 SAEs; 6 to come
    assert run.left_s() == pytest.approx(80 / 2)


def test_receipts_tell_how_long_such_passes_took(run, clock):
    for plan, n_results, seconds in (("1" * 16, 2, 300.0), ("2" * 16, 4, 600.0)):
        receipt(run, plan, n_results, seconds)
    run.expect({"train_saes": 3, "total": 3})
    clock.now += 1
    assert run.left_s() == 12 * 150  # of three passes with 12 SAEs
    assert run.so_far() == "0 of 3 passes, about 30 min left"
    start(run, A)
    clock.now += 100
    assert run.left_s() == (4 * 150 - 100) + (2 + 6) * 150
    assert run.so_far().endswith("about 28 min left")


def test_a_plan_that_has_a_receipt_is_not_to_come(run, clock):
    receipt(run, C, 6, 60.0)
    run.expect({"train_saes": 2, "total": 2})
    clock.now += 1
    assert run.left_s() == (4 + 2) * 10


def test_what_a_running_job_reports_counts_where_it_is_longer(run, clock):
    run.expect({"train_saes": 1, "total": 1})
    start(run, A)
    clock.now += 10
    write_json(
        run.root / paths.PROGRESS / f"{A}.json",
        {"desc": "training", "done": 100, "total": 1000, "unit": "rows", "speed": 10.0},
    )
    assert run.left_s() == 90
    assert run.so_far() == "0 of 1 pass, about 2 min left"


def test_rules_without_any_measure_are_judged_by_a_third_of_all_passes(run, clock):
    run.expect({"train_lm": 1, "train_saes": 3, "total": 4})
    model = start(run, D)
    clock.now += 50
    model.end(DONE)
    assert run.left_s() is None  # a model says little of SAEs
    run.expect({"train_lm": 1, "train_saes": 2, "total": 3})
    assert run.left_s() == 2 * 50


def test_failures_are_counted_and_no_time_is_left_at_the_end(run, clock):
    receipt(run, C, 6, 1.0)
    run.expect({"train_saes": 2, "total": 2})
    for plan, state in ((A, DONE), (B, FAILED)):
        one = start(run, plan)
        clock.now += 3600 * 3
        one.end(state)
        if state == DONE:
            assert run.so_far() == "1 of 2 passes, about 1 h 30 min left"
    assert run.so_far() == "1 of 2 passes, 1 failed"


def test_data_that_are_the_same_everywhere_are_not_said(run, passes):
    run.expect({"train_lm": 1, "train_saes": 3, "total": 4})
    assert run.where(start(run, A)) == "world-s resid_post.0"
    assert run.widest == len("world-s resid_post.0")
    place = {"model": "world-s", "dataset": "news", "packing": "sae-256", "hook": "resid_post.0"}
    passes.add("e" * 16, "train_saes", place, ["results/saes/e/sae.json"])
    run.expect({"train_lm": 1, "train_saes": 4, "total": 5})
    assert run.where(start(run, A)) == "world-s world resid_post.0"


def test_of_passes_of_data_the_data_are_said(tmp_path):
    run = Run(tmp_path)
    run.hidden = frozenset({"dataset"})
    assert run.where(One(tmp_path, "fetch_dataset", {"dataset": "news"})) == "news"
