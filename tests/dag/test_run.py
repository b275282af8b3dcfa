"""Whole runs of Snakemake with scripts that only pretend to compute."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

from dag.edits import add_sae, code
from dag.jobs import HOOKS, TABLES
from dag.tree import ROOT, Tree

PRETEND = '''"""Pretend."""
import json, os, time
from pathlib import Path
from saeflow.errors import DataError
from saeflow.files import read_json
from saeflow.script import run

def identities(task):
    lists = [one if isinstance(one, list) else [one] for one in task.inputs.values()]
    read = [path for paths in lists for path in paths]
    return json.dumps(sorted(read_json(path)["identity"] for path in read))

def main(*, tasks, part=None):
    with Path("counted.txt").open("a") as file:
        file.write("{rule} " + str(len(tasks)) + " " + str(tasks[0].output) + "\\n")
    for task in tasks:
        time.sleep(float(os.environ.get("SLOW", 0)))
        if "{rule}" == os.environ.get("FAIL") and os.environ["FAIL_AT"] in str(task.output):
            task.fail(DataError("made to fail", where=task.output))
            continue
        for file in task.files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(identities(task))
        if task.work is not None:
            (task.work.path / ("data" if part is None else f"part-{{part[0]}}")).write_text("x")
        if part is None:
            task.finish({{}})

if __name__ == "__main__":
    run(main)
'''


@pytest.fixture
def tree(tmp_path):
    """A fresh tree whose scripts do no work."""
    return pretending(tmp_path / "tree")


def pretending(path):
    """Make a tree whose scripts do no work."""
    tree = Tree.make(path)
    for script in (tree.path / "scripts").glob("*.py"):
        script.write_text(PRETEND.format(rule=script.stem))
    return tree


def begin(tree, *arguments, **environment):
    """Start Snakemake in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=tree.path,
        env={
            "PYTHONPATH": str(tree.path / "workflow"),
            "PATH": "/usr/bin:/bin",
            "HOME": "/tmp",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def text_of(file):
    return file.read_text() if file.exists() else ""


def counted(tree):
    """Return rule, number of results and first record of each pass that was made; forget them."""
    file = tree.path / "counted.txt"
    lines = text_of(file).splitlines()
    file.unlink(missing_ok=True)
    return [(rule, int(n), record) for rule, n, record in (line.split() for line in lines)]


def rules(tree):
    return sorted(rule for rule, _, _ in counted(tree))


OF_A_HOOK = ("train_saes", "finetune_saes", "measure", "measure", "measure")
ALL = sorted(
    [
        *("fetch_dataset", "train_tokenizer", "tokenize_dataset", "train_lm", "harvest"),
        *(OF_A_HOOK * len(HOOKS)),
        *("measure", "simulate", "tabulate", "plot", "build_report"),
    ]
)


def test_each_pass_runs_once_from_nothing_after_an_added_sae_and_after_a_kill(tree):
    tree.snakemake()
    assert rules(tree) == ALL
    assert (tree.path / "results/studies/config/report.html").exists()
    again = tree.snakemake()
    assert "Nothing to do" in again.stdout + again.stderr
    assert counted(tree) == []

    add_sae(tree)
    tree.snakemake()
    passes = counted(tree)
    below = ["train_saes", "measure", "measure", "measure"] * len(HOOKS)
    expected = sorted([*below, "tabulate", "plot", "build_report"])
    assert sorted(rule for rule, _, _ in passes) == expected
    assert {n for rule, n, _ in passes if rule in ("train_saes", "measure")} == {1}

    shutil.rmtree(tree.path / "results/saes")
    process = begin(tree, SLOW="0.2")
    wait_for(lambda: list(tree.path.glob("results/saes/**/sae.json")))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    made = set(tree.path.glob("results/saes/**/sae.json"))
    before = {path: path.stat().st_mtime_ns for path in made}
    counted(tree)
    tree.snakemake()
    found = rules(tree)
    assert found.count("train_saes") <= len(HOOKS) and found.count("measure") == 3 * len(HOOKS)
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert tree.stale() == set()


def test_one_result_that_fails_costs_only_what_is_made_of_it_alone(tree):
    """The relu SAE of one hook fails: its fine-tuned one and their measures have nothing to read.

    Tables, figures and the report are made of all others, and say what they lack.
    """
    results = tree.path / "results"
    place = results / "saes/small/texts/ctx-64"
    bad = {"FAIL": "train_saes", "FAIL_AT": "resid_post.2/relu/"}
    failed = tree.snakemake("--workflow-profile", "none", check=False, **bad)
    assert failed.returncode, "though each job was done"
    text = failed.stdout + failed.stderr
    why = "results/saes/small/texts/ctx-64/resid_post.2/relu/seed-0/sae.json: made to fail"
    assert why in text
    assert "log: results/logs/train_saes/small/texts/ctx-64/resid_post.2/" in text
    assert text.index("Some results could not be made (and 7 that need them)") < text.rindex(why)
    expected = list(ALL)
    expected.remove("finetune_saes")  # at that hook there is nothing to fine-tune
    assert rules(tree) == expected
    made = {str(path.parents[1].relative_to(place)) for path in place.rglob("sae.json")}
    others = {f"resid_post.1/{name}" for name in ("relu", "relu~scale", "topk")}
    assert made == others | {"resid_post.2/topk"}
    lacks = [[why.partition(": ")[0], f"{why}."]]
    shown = results / "studies/config"
    for record in ("tables/suppression/l2_ratio", "figures/suppression/l0_by_method", "report"):
        assert json.loads((shown / f"{record}.json").read_text())["missing"] == lacks
    kept = {path: path.read_bytes() for path in place.rglob("sae*/*")}

    again = tree.snakemake(check=False, **bad)
    assert again.returncode, "it is tried again, and what lacks it"
    assert {"train_saes", "tabulate", "plot", "build_report"} <= {*rules(tree)}
    tree.snakemake()
    trained = [found for found in counted(tree) if found[0] == "train_saes"]
    assert [n for _, n, _ in trained] == [1] and "resid_post.2/relu/" in trained[0][2]
    assert {path: path.read_bytes() for path in kept} == kept
    assert tree.stale() == set()
    assert "missing" not in json.loads((shown / "report.json").read_text())
    assert not list((results / ".failed").rglob("*.json"))


def test_divided_passes_make_the_same_and_are_not_missed_afterwards(tree):
    tree.configure(lambda config: config.update(jobs={"harvest": 2, "train_saes": 2}))
    tree.snakemake()
    found = rules(tree)
    assert found.count("harvest") == 3, "two parts, and the job that completes their stores"
    assert found.count("train_saes") == 2 * len(HOOKS)
    (store,) = tree.path.glob("results/activations/*/*/*/resid_post.1.*.zarr")
    assert {path.name for path in store.iterdir()} >= {"part-1", "part-2", "data"}
    tree.configure(lambda config: config.pop("jobs"))
    assert tree.stale() == set()


def test_a_lost_shard_is_redone_and_nothing_below_it_runs(tree):
    tree.snakemake()
    counted(tree)
    results = tree.path / "results"
    (shard,) = (results / "activations/small/texts/ctx-64").glob("resid_post.1.*/data")
    saes = (results / "saes").rglob("sae.json")
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in saes}
    assert before
    shard.unlink()
    tree.snakemake()
    assert [(rule, n) for rule, n, _ in counted(tree)] == [("harvest", 1)]
    assert shard.read_text() == "x"
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in before} == before

    code("metrics/reconstruction.py", '"squared_error", "squared_dev', '"active", "squared_dev')(
        tree
    )
    tree.snakemake()
    assert rules(tree) == ["build_report", "plot", "tabulate"], "no pass over tokens"
    assert tree.stale() == set()


def test_two_results_of_a_fresh_study_can_be_asked_for_then_the_study_by_name(tree):
    place = "results/saes/small/texts/ctx-64/resid_post.1"
    wanted = [f"{place}/topk/seed-0/sae.json", f"{place}/relu/seed-0/sae.json"]
    command = "import sys; from saeflow.cli.main import main; sys.exit(main())"
    made = subprocess.run(
        [sys.executable, "-c", command, "make", *wanted],
        cwd=tree.path,
        env={"PYTHONPATH": str(tree.path / "workflow"), "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert all((tree.path / record).exists() for record in wanted)
    assert not {"measure", "tabulate"} & {*rules(tree)}
    tree.snakemake("suppression")
    shown = {"theory"}.union(*map(set, TABLES.values()))
    figures = tree.path / "results/studies/config/figures/suppression"
    assert {path.stem for path in figures.glob("*.pdf")} == shown
    assert not (tree.path / "results/studies/config/report.html").exists()


def trained_with(tree):
    """Return the ``k`` that each topk SAE was trained with, in its own words."""
    made = tree.path.glob("results/.made/saes/**/topk/**/sae.*.json")
    return [json.loads(path.read_text())["settings"]["k"] for path in made]


def test_a_running_job_makes_what_it_was_planned_with(tree):
    """The configuration is edited while a run is in its harvest, planned dryly, and by a second run
    that Snakemake refuses: another one holds its lock."""
    waiting = "\n    while not Path('go').exists(): time.sleep(0.02)\n    for task in tasks:"
    tree.edit("scripts/harvest.py", "\n    for task in tasks:", waiting)
    running = begin(tree, "--workflow-profile", "none", "--until", "train_saes")
    wait_for(lambda: "harvest" in text_of(tree.path / "counted.txt"))
    tree.configure(lambda config: config["saes"]["topk"].update(k=8))
    tree.snakemake("-n")
    refused = tree.snakemake("--workflow-profile", "none", "--until", "train_saes", check=False)
    assert refused.returncode and "LockException" in refused.stdout + refused.stderr
    (tree.path / "go").touch()
    output, _ = running.communicate(timeout=120)
    assert running.returncode == 0, output
    assert set(trained_with(tree)) == {4}


def test_two_configurations_side_by_side_share_what_is_the_same(tree):
    """Another recipe of the same name and a study of fewer hooks, run at once, then in turn."""
    other = yaml.safe_load((tree.path / "config.yaml").read_text())
    other["saes"]["topk"]["k"] = 8
    other["studies"]["suppression"]["hooks"] = [HOOKS[0]]
    (tree.path / "wide.yaml").write_text(yaml.safe_dump(other))
    runs = [begin(tree, *more, SLOW="0.1") for more in ([], ["--configfile", "wide.yaml"])]
    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert run.returncode == 0, output
    passes = counted(tree)
    assert [rule for rule, _, _ in passes].count("train_lm") == 1
    studies = tree.path / "results/studies"
    assert {path.parent.name for path in studies.glob("*/report.html")} == {"config", "wide"}
    for name in ("config", "wide"):
        table = f"results/studies/{name}/tables/suppression/l0.csv"
        read = json.loads((tree.path / table).read_text())
        assert read == tree.ask("read_by", f"{name}.yaml", table)
    before = {path: path.read_bytes() for path in studies.rglob("*.*")}
    for arguments in ([], ["--configfile", "wide.yaml"], []):
        tree.snakemake(*arguments)  # what has the other's name now is published again, not made
        assert counted(tree) == []
    assert {path: path.read_bytes() for path in studies.rglob("*.*")} == before


def test_threads_and_profiles_change_nothing(tree):
    tree.snakemake()
    for profile in ("none", "default", "slurm"):
        arguments = ["--executor", "local"] if profile == "slurm" else []
        arguments += ["--set-threads", "train_saes=3", "--workflow-profile", profile]
        done = tree.snakemake("-n", *arguments)
        assert "Nothing to " in done.stdout + done.stderr, "in Snakemake's words, or in ours"


def test_another_configuration_replaces_the_default_one(tree):
    other = tree.path / "other.yaml"
    other.write_text((tree.path / "config.yaml").read_text().replace("small", "other"))
    done = tree.snakemake("-n", "--configfile", "other.yaml")
    (line,) = [line.split() for line in done.stdout.splitlines() if "train_lm" in line]
    assert line[:2] == ["train_lm", "other"]


def test_a_wrong_configuration_is_one_line_and_no_traceback(tree):
    tree.configure(lambda config: config["saes"]["topk"].update(kk=1))
    done = tree.snakemake("-n", check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "kk" in line]
    assert line.startswith("error in config.yaml > saes > topk > kk: unknown key 'kk' (expected")
    assert line.endswith("Did you mean 'k'?")
    assert "Traceback" not in done.stderr


def test_the_workflow_runs_from_another_directory(tree, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("config.yaml", "texts.txt"):
        (elsewhere / name).write_bytes((tree.path / name).read_bytes())
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--cores", "2"),
            *("-s", str(tree.path / "Snakefile"), "--until", "train_lm"),
        ],
        cwd=elsewhere,
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "results/models/small/model.json").exists()
    assert ROOT not in elsewhere.parents
