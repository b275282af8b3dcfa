"""One pass in words: where it is, what it makes, what it is doing, why it failed."""

import json

import pytest

from saeflow import paths
from saeflow.files import write_json
from snakemake_logger_plugin_saeflow import passes as module
from snakemake_logger_plugin_saeflow.passes import FAILED, Pass, left_s, read_plan

HOOK = {"hook": "resid_post.1", "model": "world-s", "packing": "sae-256", "dataset": "world"}
SAES = "results/saes/world-s/world/sae-256/resid_post.1"


def result(record, noun="SAE"):
    return {"record": record, "identity": "made", "noun": noun}


def saes(*names):
    return [result(f"{SAES}/{name}/sae.json") for name in names]


def made_up(tmp_path, results=(), rule="train_saes", place=HOOK, **more):
    return Pass(tmp_path, rule, place, results=list(results), **more)


def test_a_place_is_said_in_the_order_of_its_path(tmp_path):
    one = made_up(tmp_path)
    assert one.where() == "world-s world sae-256 resid_post.1"
    assert one.where({"dataset", "packing"}) == "world-s resid_post.1"


@pytest.mark.parametrize(
    ("nouns", "part", "words"),
    [
        (["SAE"], None, "1 SAE"),
        (["SAE", "SAE"], None, "2 SAEs"),
        (["table", "figure", "table"], None, "2 tables, 1 figure"),
        (["store", "store"], [2, 8], "2 stores, part 2 of 8"),
        ([], None, ""),
    ],
)
def test_what_a_pass_makes_is_counted(tmp_path, nouns, part, words):
    results = [result(f"{SAES}/{i}/sae.json", noun) for i, noun in enumerate(nouns)]
    assert made_up(tmp_path, results, part=part).what() == words


@pytest.mark.parametrize(
    ("rule", "place", "records", "names"),
    [
        (
            "train_saes",
            HOOK,
            [f"{SAES}/topk/seed-0/sae.json", f"{SAES}/relu/seed-0/sae.json"],
            ["topk", "relu"],
        ),
        (
            "train_saes",
            HOOK,
            [f"{SAES}/topk/seed-0/sae.json", f"{SAES}/topk/seed-1/sae.json"],
            ["seed-0", "seed-1"],
        ),
        ("train_saes", HOOK, [f"{SAES}/topk/seed-0/sae.json"], ["topk/seed-0"]),
        (
            "measure",
            {**HOOK, "measure": "probes", "eval_dataset": "news", "eval_packing": "short"},
            [
                f"{SAES}/topk/seed-0/on/news/short/probes.json",
                f"{SAES}/relu/seed-0/on/news/short/probes.json",
                "results/models/world-s/on/news/short/probes.json",
            ],
            ["topk/seed-0", "relu/seed-0", "models"],
        ),
        (
            "tabulate",
            {"study": "suppression"},
            [
                "results/studies/config/tables/suppression/loss.json",
                "results/studies/config/tables/suppression/shrinkage.json",
            ],
            ["loss", "shrinkage"],
        ),
        ("train_lm", {"model": "world-s"}, ["results/models/world-s/model.json"], ["model"]),
        ("build_report", {}, ["results/report.json"], ["report"]),
    ],
)
def test_results_are_named_by_what_tells_them_apart(tmp_path, rule, place, records, names):
    one = made_up(tmp_path, map(result, records), rule, place)
    assert list(one.names().values()) == names


def test_what_a_job_reports_is_said_in_words(tmp_path):
    one = made_up(tmp_path, saes("a", "b", "c"), plan="ab")
    assert one.doing() == ""
    state = {"desc": "exact, train", "done": 250, "total": 1000, "unit": "rows", "speed": 50.0}
    report = tmp_path / paths.PROGRESS / "ab.json"
    write_json(report, {**state, "results_done": 2})
    words = "exact, train 25% of 1,000 rows, 50 rows/s, 15 s left, 2 of 3 SAEs made"
    assert one.doing() == words
    write_json(
        report, {**state, "desc": "resid_post.1: 3 in one pass", "total": None, "speed": 0.5}
    )
    assert one.doing() == "250 rows, 0.5 rows/s"
    report.write_text("{")
    assert one.doing() == ""


def test_time_is_left_where_total_and_speed_are_known():
    assert left_s({"done": 250, "total": 1000, "speed": 50.0}) == 15.0
    assert left_s({"done": 1100, "total": 1000, "speed": 50.0}) == 0.0
    assert left_s({"done": 250, "total": None, "speed": 50.0}) is None
    assert left_s({"done": 0, "total": 1000, "speed": 0}) is None


def failed(tmp_path, log, error, made=(), names=("a", "b", "c")):
    one = made_up(tmp_path, saes(*names), logs=["job.log"], error=error)
    (tmp_path / "job.log").write_text(log)
    for name in made:
        write_json(tmp_path / SAES / name / "sae.json", {"identity": "made"})
    one.end(FAILED)
    return list(one.failure())


STATUS_1 = "Command 'python train_saes.py' returned non-zero exit status 1."


def test_each_failed_result_is_told_with_its_reason_and_once(tmp_path):
    log = f"""\
10:00:00 INFO begin
10:00:01 ERROR {SAES}/b/sae.json: the loss is not finite. Lower `lr`.
10:00:02 INFO end
"""
    assert failed(tmp_path, log, STATUS_1, made="a") == [
        "  b  the loss is not finite. Lower `lr`.",
        "  not made: c",
        "  log: job.log",
        "  | 10:00:00 INFO begin",
        "  | 10:00:02 INFO end",
    ]


def test_a_result_that_an_earlier_code_made_is_missing(tmp_path):
    write_json(tmp_path / SAES / "a" / "sae.json", {"identity": "of old"})
    assert failed(tmp_path, "", STATUS_1, names=["a"])[0] == "  not made: a"


def test_an_error_of_the_whole_pass_is_told_with_the_end_of_the_log(tmp_path):
    log = "".join(f"10:00:{i:02d} INFO step {i}\n" for i in range(20))
    lines = failed(tmp_path, log + "Traceback\nERROR the disk is full.\n", STATUS_1, made="ab")
    assert lines[:4] == [
        "  not made: c",
        "  the disk is full.",
        "  log: job.log",
        "  | 10:00:06 INFO step 6",
    ]
    assert lines[-1] == "  | Traceback"
    assert len(lines) == 3 + 15


@pytest.mark.parametrize("error", ["exit status 137", "died with <Signals.SIGKILL: 9>"])
def test_a_killed_job_is_told_as_such(tmp_path, error):
    lines = failed(tmp_path, "10:00:00 INFO begin\n", f"Command 'x' returned non-zero {error}.")
    assert "  The process was killed, most likely because memory ran out." in lines


def test_what_the_scheduler_of_a_cluster_says_is_told(tmp_path):
    lines = failed(tmp_path, "", "SLURM-job '12' failed, SLURM status is: 'OUT_OF_MEMORY'")
    assert "  SLURM-job '12' failed, SLURM status is: 'OUT_OF_MEMORY'" in lines


def test_many_failed_results_are_told_in_few_lines(tmp_path):
    names = [f"sae-{i:02d}" for i in range(30)]
    log = "".join(f"10:00:00 ERROR {SAES}/{name}/sae.json: no\n" for name in names[:20])
    lines = failed(tmp_path, log, STATUS_1, names=names)
    assert lines[9:11] == [
        "  sae-09  no",
        "  not made: sae-10, sae-11, sae-12, sae-13 and 16 more",
    ]


def test_a_plan_that_is_missing_or_torn_is_no_plan(tmp_path):
    assert read_plan(tmp_path, "ab") == {}
    file = tmp_path / paths.plan_file("ab")
    file.parent.mkdir(parents=True)
    for content in ("{", "[]", json.dumps({"rule": "train_lm"})):
        file.write_text(content)
        assert read_plan(tmp_path, "ab") == {}


def test_a_pass_that_is_over_takes_no_more_time(tmp_path, clock):
    one = made_up(tmp_path)
    clock.now += 7
    assert one.elapsed == 7
    one.end(module.DONE)
    clock.now += 7
    assert one.elapsed == 7
