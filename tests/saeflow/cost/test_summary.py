from pathlib import Path

import pytest

from saeflow.cost import summary as module
from saeflow.cost.guess import Guess
from saeflow.cost.speeds import ALL_CORES, HALF, Speeds
from saeflow.cost.summary import summarise
from saeflow.cost.work import store_size
from saeflow.plan.passes import Pass

RULES = Path(__file__).parents[3] / "rules"
STORES = 2 * store_size(110_000, 64, "float16")[0]


@pytest.fixture
def summary(plan):
    return summarise(plan(), Speeds(2))


def test_totals_are_the_sums_of_the_kinds(summary):
    for name in ("n_bytes", "files", "rows"):
        parts = [getattr(row.work, name).value for row in summary.rows]
        assert getattr(summary.work, name).value == pytest.approx(sum(parts))
    assert summary.kept_bytes == summary.work.n_bytes


def test_kinds_have_their_passes_and_results(summary):
    found = {row.kind: (row.passes, row.missing, row.wanted) for row in summary.rows}
    assert found["harvest"] == (1, 2, 2)
    assert found["train_saes"] == (2, 4, 4)
    assert found["measure language"] == (2, 4, 4)
    order = [row.kind for row in summary.rows]
    assert order.index("harvest") < order.index("train_saes") < order.index("measure language")


def test_the_largest_results_are_named(summary):
    names = [(Path(record).stem, n_bytes) for record, n_bytes in summary.largest[:2]]
    assert names == [("resid_post.1", STORES / 2), ("resid_post.3", STORES / 2)]


def test_temporary_stores_do_not_stay(plan):
    summary = summarise(plan(lambda c: c.update(activations={"temporary": True})), Speeds(2))
    assert summary.work.n_bytes.value - summary.kept_bytes.value == pytest.approx(STORES)


def test_what_is_there_costs_nothing(plan):
    outputs = plan()
    outputs.current = lambda result: True
    summary = summarise(outputs, Speeds(2))
    assert summary.work.n_bytes.value == summary.seconds.value == 0
    assert {(row.passes, row.missing, row.work.unknown) for row in summary.rows} == {(0, 0, "")}
    assert summary.largest == []


def test_what_is_not_known_is_named_and_not_counted(plan):
    def change(config):
        hub = {"hub": "org/texts", "revision": "0" * 40, "split": "train"}
        config["datasets"]["world"] = hub
        config["packings"]["some"]["tokens"] = {}

    summary = summarise(plan(change), Speeds(2))
    (harvest,) = [row for row in summary.rows if row.kind == "harvest"]
    assert "org/texts is not fetched" in harvest.work.unknown
    assert harvest.work.n_bytes.value == 0
    assert any(line.startswith("results/activations/m/world/some: ") for line in summary.unknown)


# -- passes side by side ----------------------------------------------------------------------


def chain(**wanted):
    """Return passes by name: (rule, seconds, names of those before)."""
    passes, seconds = {}, {}
    for name, (rule, taken, *before) in wanted.items():
        above = tuple(passes[other] for other in before)
        passes[name] = Pass(rule, {"study": name}, (), above)
        seconds[passes[name]] = Guess(taken)
    return list(passes.values()), seconds


def span(cores, monkeypatch, **wanted):
    monkeypatch.setattr(module, "_JOB_S", 0.0)
    return module._side_by_side(*chain(**wanted), cores).value


@pytest.mark.parametrize(("cores", "expected"), [(1, 30), (2, 20), (3, 10)])
def test_passes_run_side_by_side_as_far_as_cores_allow(monkeypatch, cores, expected):
    wanted = {name: ("plot", 10) for name in "abc"}
    assert span(cores, monkeypatch, **wanted) == expected


def test_a_pass_waits_for_those_before_it(monkeypatch):
    wanted = {"a": ("plot", 5), "b": ("plot", 7, "a"), "c": ("plot", 1, "a", "b")}
    assert span(4, monkeypatch, **wanted) == 13


def test_a_pass_of_all_cores_runs_alone(monkeypatch):
    wanted = {"a": ("harvest", 4), "b": ("train_saes", 3), "c": ("train_saes", 3)}
    assert span(2, monkeypatch, **wanted) == 7


def test_nothing_takes_no_time(monkeypatch):
    assert span(2, monkeypatch) == 0


def test_every_job_takes_a_moment_to_begin():
    assert module._side_by_side(*chain(a=("plot", 5)), 1).value == 6


def test_threads_are_those_of_the_rule_files():
    declared = {}
    for file in RULES.glob("*.smk"):
        rule = None
        for line in file.read_text().splitlines():
            if line.startswith("rule "):
                rule = line.split()[1].rstrip(":")
            if line.strip().startswith("threads:"):
                declared[rule] = line.partition(":")[2].strip()
    assert {rule for rule, text in declared.items() if text == "CORES"} == {*ALL_CORES}
    assert {rule for rule, text in declared.items() if text == "max(1, CORES // 2)"} == {*HALF}
