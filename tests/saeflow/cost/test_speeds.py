"""Estimates of seconds, from receipts of round numbers that are written by hand."""

import json
import os

import pytest

from saeflow.cost import speeds as module
from saeflow.cost.guess import Guess
from saeflow.cost.speeds import Speeds, foreseen, memory_of, threads_of
from saeflow.cost.work import Works
from saeflow.device import machine

BUSY_S, WHOLE_S = 40.0, 53.0
"""A pass of two SAEs: 40 seconds for its rows, 13 before and after them."""


def leave(one, *, seconds=WHOLE_S, busy=BUSY_S, done=None, name="0" * 16, written=0, **other):
    """Leave the receipt of a pass."""
    work = foreseen(one)["work"]
    rows = work["rows"] if done is None else done
    counted = {"desc": "pass", "unit": other.pop("unit", "tokens"), "done": rows, "seconds": busy}
    threads = threads_of(one.rule, 2)
    usage = {"seconds": seconds, "threads": threads, "peak_memory_bytes": 10**9, "results": 2}
    receipt = {
        "rule": one.rule,
        "place": dict(one.place),
        "part": None,
        "work": work | other.pop("work", {}),
        "machine": other.pop("machine", machine()),
        "speeds": [counted] if busy else [],
        "usage": usage | other,
    }
    file = one.receipt.parent / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(receipt))
    os.utime(file, (written, written))


def seconds_of(one, cores=2):
    return Speeds(cores)(one, Works()(one.results))


def more(config):
    config["packings"]["some"]["tokens"].update(train=200_000)


def seeds(config):
    config["studies"]["suppression"]["seeds"] = [0, 1, 2, 3]


def test_a_pass_that_was_timed_takes_what_it_took(passes):
    for kind, found in passes().items():
        for number, one in enumerate(found):
            leave(one, seconds=10.0 + number, busy=4.0, results=len(one.results))
            assert seconds_of(one).value == pytest.approx(10.0 + number), kind


def test_rows_take_as_long_as_they_took_and_what_is_besides_no_longer(passes):
    leave(passes()["train_saes"][0])
    assert seconds_of(passes(more)["train_saes"][0]) == (pytest.approx(13 + 2 * 40), 1.5)


def test_results_take_products_and_a_moment_each_or_their_share_of_what_has_no_rows(passes):
    leave(passes()["train_saes"][0])
    # four SAEs: twice the products of each row, and half a second for each of two more
    assert seconds_of(passes(seeds)["train_saes"][0]).value == pytest.approx(2 * 40 + 13 + 2 * 0.5)
    few, many = sorted(passes()["tabulate"], key=lambda one: len(one.results))
    leave(many, seconds=13.0, busy=0, results=len(many.results))
    share = len(few.results) / len(many.results)
    assert seconds_of(few).value == pytest.approx(3 + 10 * share)


def wider(config):
    config["saes"]["relu"]["expansion"] = 12


def test_operations_that_others_have_more_go_as_fast_as_a_core(passes):
    leave(passes()["train_saes"][0])
    # beside the operations of 40 seconds, twice as many more: 2 x 6 x 2 x 64 x 256 for each row
    more = 2 * 100_000 * 2 * 6 * 2 * 64 * 256 / 4e10
    assert seconds_of(passes(wider)["train_saes"][0]) == (pytest.approx(13 + 40 + more), 2.5)


def test_where_operations_were_all_they_go_as_fast_as_they_went(passes):
    wide, narrow = passes(wider)["train_saes"][0], passes()["train_saes"][0]
    leave(wide, busy=0.1, seconds=13.1)
    # 63e10 operations in a tenth of a second; a third of them is left
    assert seconds_of(narrow).value == pytest.approx(13 + 0.1 / 3)


def test_the_nearest_is_taken_then_the_same_place_then_the_latest(passes):
    first, second = passes()["train_saes"]
    leave(passes(wider)["train_saes"][0], seconds=1000, name="a" * 16, written=9)
    assert seconds_of(first).value < 1000
    leave(second, seconds=63, written=8)
    assert seconds_of(first).value == pytest.approx(63)
    leave(first, seconds=54, name="1" * 16, written=1)
    assert seconds_of(first).value == pytest.approx(54)
    leave(first, seconds=55, name="2" * 16, written=2)
    assert seconds_of(first).value == pytest.approx(55)


def test_another_machine_tells_less_than_this_one(passes):
    first, second = passes()["train_saes"]
    leave(first, seconds=500, machine="64 x a fast one", written=2)
    assert seconds_of(first) == (pytest.approx(500), 2.5)
    leave(second, seconds=60, written=1)
    assert seconds_of(first) == (pytest.approx(60), 1.5)


def test_more_threads_do_a_little_less_than_as_much_more(passes):
    leave(passes()["train_saes"][0])
    loop = seconds_of(passes()["train_saes"][0], cores=8).value - 13
    assert 40 / 4 < loop < 40 / 3


def test_a_job_that_went_on_counts_what_it_did_itself(passes):
    one = passes()["train_saes"][0]
    leave(one, done=25_000, busy=10.0, seconds=23.0)
    assert seconds_of(one).value == pytest.approx(13 + 4 * 10)


def test_a_few_rows_that_are_left_out_change_nothing(passes):
    one = passes()["train_saes"][0]
    leave(one, done=97_280)
    assert seconds_of(one).value == pytest.approx(WHOLE_S)


def test_where_no_rows_are_counted_only_a_whole_pass_tells_something(passes):
    one = passes()["measure language"][0]
    assumed = seconds_of(one)
    leave(one, unit="batches", results=1)
    assert seconds_of(one) == assumed
    leave(one, unit="batches", results=2)
    assert seconds_of(one).value == pytest.approx(WHOLE_S)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"work": null, "usage": {}}', '{"work": {}}'])
def test_a_receipt_that_tells_nothing_is_passed_over(passes, text):
    one = passes()["train_saes"][0]
    assumed = seconds_of(one)
    one.receipt.parent.mkdir(parents=True)
    (one.receipt.parent / f"{'0' * 16}.json").write_text(text)
    assert seconds_of(one) == assumed
    assert memory_of(one, Works()) > 0


def test_the_job_that_completes_a_divided_harvest_has_no_work_of_its_own(plan):
    from saeflow.plan.passes import Schedule

    outputs = plan()
    divided = [one for one in Schedule(outputs.wanted, outputs.current, {"harvest": 2})]
    *parts, whole = [one for one in divided if one.rule == "harvest"]
    assert [one.part for one in parts] == [(1, 2), (2, 2)]
    assert foreseen(whole)["work"]["amount"] == 0 < foreseen(parts[0])["work"]["amount"]
    leave(whole, seconds=4, done=0)
    leave(parts[0], name="1" * 16, done=55_000)
    # a part of 55,000 tokens in 40 seconds: all of them in 80
    assert seconds_of(whole).value == pytest.approx(13 + 80)


def test_more_rows_never_take_less_time(passes):
    for timed in (False, True):
        for kind, found in passes().items():
            for few, many in zip(found, passes(more)[kind], strict=True):
                if timed:
                    leave(few, results=len(few.results))
                assert seconds_of(many).value >= seconds_of(few).value, kind


def test_nothing_recorded_takes_what_operations_tell(passes):
    one = passes()["train_saes"][0]
    amount = 2 * 100_000 * 6 * 2 * 64 * 256 / 4e10
    assert seconds_of(one) == (pytest.approx(3 + 2 * 0.5 + amount), 5.0)
    found = Speeds(2, lambda: 2.0)(one, Works()(one.results))
    assert found == (pytest.approx(3 + 2 * 0.5 + amount / 2), 3.0)


def test_a_core_is_measured_once_and_only_for_what_computes_and_was_not_timed(passes):
    found, measured = passes(), []
    every = [one for group in found.values() for one in group]

    def ask():
        measured.clear()
        speeds = Speeds(2, lambda: measured.append(1) or 1.0)
        for one in every:
            speeds(one, Works()(one.results))
        return len(measured)

    assert ask() == 1
    for one in every:
        leave(one, results=len(one.results))
    assert ask() == 0


def test_a_core_is_measured(monkeypatch):
    monkeypatch.setattr(module, "_MEASURED_S", 0.01)
    assert 0.01 < module.measure() < 100


def test_what_has_no_figures_takes_no_time(passes):
    found = passes(lambda c: c["models"].update(m={"hub": "org/m", "revision": "0" * 40}))
    assert seconds_of(found["fetch_model"][0]) == Guess(0.0)


def test_the_memory_that_was_seen_goes_before_what_sizes_tell(passes):
    one = passes()["train_saes"][0]
    told = memory_of(one, Works())
    assert told == round(foreseen(one)["work"]["peak"]) == foreseen(one)["memory_bytes"]
    leave(one)
    assert memory_of(one, Works()) == foreseen(one)["memory_bytes"] == 10**9
    larger = passes(seeds)["train_saes"][0]
    grown = foreseen(larger)["work"]["peak"] / foreseen(one)["work"]["peak"]
    assert memory_of(larger, Works()) == round(10**9 * grown)
    assert memory_of(passes()["train_saes"][1], Works()) == told, "another place"


def test_jobs_get_the_threads_that_their_rules_declare():
    assert [threads_of(rule, 8) for rule in ("train_lm", "train_saes", "plot")] == [8, 4, 1]
    assert threads_of("measure", 1) == 1
