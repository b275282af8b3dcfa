"""Whole runs of Snakemake with scripts that only pretend to compute."""

import json
import shutil
import subprocess
import sys

import pytest

from dag.edits import study
from dag.jobs import EVERYTHING, HOOKS, TABLES, parts
from dag.tree import ROOT, Tree

BULK = '''"""Pretend."""
import os, time
from saeflow.script import run

def main(*, tasks):
    start = time.time()
    for task in tasks:
        (task.work.path / "data").write_text("x")
        if "{rule}" == os.environ.get("FAIL") and os.environ["FAIL_AT"] in str(task.work.output):
            raise ValueError("made to fail")
        time.sleep(float(os.environ.get("SLOW", 0)))
        task.work.finish(
            {{"pass": str(tasks[0].work.output), "start": start, "end": time.time()}}
        )

if __name__ == "__main__":
    run(main)
'''
PLAIN = '''"""Pretend."""
from saeflow.files import write_json
from saeflow.script import run

def main(*, output, files, identity):
    for file in files:
        file.write_text("x")
    write_json(output, {"identity": identity})

if __name__ == "__main__":
    run(main)
'''
NO_BULK = (
    "harvest_part", "simulate_suppression", "tabulate_suppression", "plot_suppression",
    "build_report",
)  # fmt: skip


@pytest.fixture
def pretending(tmp_path):
    """A fresh tree whose scripts do no work."""
    tree = Tree.make(tmp_path / "tree")
    for script in (tree.path / "scripts").glob("*.py"):
        text = PLAIN if script.stem in NO_BULK else BULK.format(rule=script.stem)
        script.write_text(text)
    return tree


def run(tree, *arguments, **environment):
    """Run snakemake and return the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=tree.path,
        env={
            "PYTHONPATH": str(tree.path / "workflow"),
            "PATH": "/usr/bin:/bin",
            "HOME": "/tmp",
            **environment,
        },
        capture_output=True,
        text=True,
    )


def passes(tree, pattern):
    """Return the job that led the pass of each record that matches ``pattern``."""
    found = sorted((tree.path / "results").glob(pattern))
    assert found
    return {path.stem: json.loads(path.read_text())["pass"] for path in found}


def test_a_run_makes_everything_and_a_second_one_nothing(pretending):
    assert pretending.planned() == EVERYTHING
    done = run(pretending)
    assert done.returncode == 0, done.stderr
    assert (pretending.path / "results/report.html").exists()
    assert pretending.planned() == set()
    again = run(pretending)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_jobs_that_share_a_pass_are_done_by_one_of_them(pretending):
    run(pretending)
    assert len(set(passes(pretending, "activations/*/*/*/*.json").values())) == 1
    assert len(set(passes(pretending, "saes/*/*/*/resid_post.1/*/seed-0/sae.json").values())) <= 2


def test_a_job_that_waits_for_its_pass_holds_no_core(pretending):
    """Two hooks train side by side although each has two recipes to train."""
    assert run(pretending, "--until", "harvest_activations").returncode == 0
    assert run(pretending, "--until", "train_sae", SLOW="4").returncode == 0
    saes = pretending.path / "results/saes/small/texts/ctx-64"
    spans = {}
    for hook in ("resid_post.1", "resid_post.2"):
        made = [json.loads(p.read_text()) for p in (saes / hook).glob("*/seed-0/sae.json")]
        assert len(made) == 2
        spans[hook] = min(m["start"] for m in made), max(m["end"] for m in made)
    (start_1, end_1), (start_2, end_2) = spans.values()
    # had a waiting twin taken the second core, the second hook would begin after the first
    assert max(start_1, start_2) < min(end_1, end_2)


def test_a_failing_job_harms_no_other_and_says_where_its_log_is(pretending):
    failed = run(pretending, "--keep-going", FAIL="train_sae", FAIL_AT="resid_post.2/topk")
    assert failed.returncode
    text = failed.stdout + failed.stderr
    assert "ValueError: made to fail" in text
    assert "log: results/logs/saes/small/texts/ctx-64/resid_post.2/" in text
    kept = pretending.path / "results/saes/small/texts/ctx-64/resid_post.1"
    assert (kept / "topk/seed-0/sae.json").exists()
    before = {p: p.read_bytes() for p in kept.rglob("*") if p.is_file()}
    assert run(pretending).returncode == 0
    assert {p: p.read_bytes() for p in before} == before
    assert pretending.planned() == set()


def test_an_added_hook_leaves_every_finished_file_alone(pretending):
    run(pretending)
    saes = pretending.path / "results/saes"
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in saes.rglob("sae.json")}
    study("hooks", "resid_post.3")(pretending)
    assert run(pretending).returncode == 0
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in before} == before
    assert (saes / "small/texts/ctx-64/resid_post.3/topk/seed-0/sae.json").exists()


def test_the_parts_of_a_harvest_come_before_the_store_and_are_not_missed_afterwards(pretending):
    pretending.configure(lambda config: config.update(harvest={"jobs": 2}))
    assert pretending.planned() == EVERYTHING | parts(2)
    assert run(pretending).returncode == 0
    place = pretending.path / "results/activations/small/texts/ctx-64"
    receipts = sorted(place.glob("parts/*.json"))
    assert [receipt.name for receipt in receipts] == ["1-of-2.json", "2-of-2.json"]
    made = max(receipt.stat().st_mtime for receipt in receipts)
    assert made <= min((place / f"{hook}.json").stat().st_mtime for hook in HOOKS)
    assert pretending.planned() == set()
    shutil.rmtree(place / "parts")
    pretending.configure(lambda config: config.pop("harvest"))
    assert pretending.planned() == set()


def test_a_lost_shard_is_redone_and_nothing_below_it_runs(pretending):
    run(pretending)
    results = pretending.path / "results"
    (shard,) = (results / "activations/small/texts/ctx-64").glob("resid_post.1.*/data")
    saes = (results / "saes").rglob("sae.json")
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in saes}
    assert before
    shard.unlink()
    assert pretending.planned() == {"harvest_activations resid_post.1"}
    assert run(pretending).returncode == 0
    assert shard.read_text() == "x"
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in before} == before
    assert pretending.planned() == set()


def test_one_study_can_be_asked_for_by_name(pretending):
    assert run(pretending, "suppression").returncode == 0
    figures = pretending.path / "results/figures/suppression"
    shown = {"theory"}.union(*map(set, TABLES.values()))
    assert {path.stem for path in figures.glob("*.pdf")} == shown
    assert not (pretending.path / "results/report.html").exists()


def test_another_configuration_replaces_the_default_one(pretending):
    other = pretending.path / "other.yaml"
    other.write_text((pretending.path / "config.yaml").read_text().replace("small", "other"))
    text = pretending.snakemake("-n", "--configfile", "other.yaml")
    assert "results/models/other/model.json" in text
    assert "results/models/small" not in text


def test_a_wrong_configuration_is_one_line_and_no_traceback(pretending):
    pretending.configure(lambda config: config["saes"]["topk"].update(kk=1))
    done = run(pretending, "-n")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "kk" in line]
    (line,) = lines
    assert line.startswith("error in config.yaml > saes > topk > kk: unknown key 'kk' (expected")
    assert line.endswith("Did you mean 'k'?")
    assert "Traceback" not in done.stderr


def test_the_workflow_runs_from_another_directory(pretending, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("config.yaml", "texts.txt"):
        (elsewhere / name).write_bytes((pretending.path / name).read_bytes())
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "2",
            "-s",
            str(pretending.path / "Snakefile"),
        ],
        cwd=elsewhere,
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "results/report.html").exists()
    assert ROOT not in elsewhere.parents
