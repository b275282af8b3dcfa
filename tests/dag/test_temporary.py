"""Whole runs of Snakemake with temporary stores; the scripts only pretend, but for the removal."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from saeflow.plan.jobfile import recorded_identity

from dag.jobs import EVERYTHING, harvest, release
from dag.test_run import BULK, NO_BULK, PLAIN, run
from dag.tree import Tree

STORES = "results/activations/small/texts/ctx-64"
STORE = BULK.replace(
    'write_text("x")',
    'write_text("x")\n        (task.work.path / "zarr.json").write_text(\'{{"attributes": {{}}}}\')'
    '\n        (task.work.path / "activations").mkdir(exist_ok=True)',
    1,
)


@pytest.fixture
def tree(tmp_path):
    """A fresh tree with temporary stores."""
    tree = Tree.make(tmp_path / "tree")
    for script in sorted((tree.path / "scripts").glob("*.py")):
        if script.stem != "release_activations":
            text = STORE if script.stem == "harvest_activations" else BULK
            text = PLAIN if script.stem in NO_BULK else text.format(rule=script.stem)
            script.write_text(text)
    tree.configure(lambda config: config.update(activations={"temporary": True}))
    return tree


def stores(tree, name):
    return sorted(
        p.parent.name.partition(".zarr")[0][:12] for p in tree.path.glob(f"{STORES}/resid*/{name}")
    )


def test_a_run_removes_every_store_and_a_second_one_has_nothing_to_do(tree):
    assert tree.planned() == EVERYTHING | release()
    done = run(tree)
    assert done.returncode == 0, done.stderr
    assert stores(tree, "manifest.json") == stores(tree, "activations") == []
    assert stores(tree, "released.json") == ["resid_post.1", "resid_post.2"]
    assert tree.planned() == set()
    records = {p: p.read_bytes() for p in (tree.path / "results").rglob("*.json")}
    assert run(tree).returncode == 0
    assert {p: p.read_bytes() for p in records} == records


def test_a_stale_reader_has_its_store_made_and_removed_again(tree):
    run(tree)
    record = tree.path / STORES / "resid_post.1.json"
    before = recorded_identity(record)
    sae = tree.path / "results/saes/small/texts/ctx-64/resid_post.1/topk/seed-0"
    shutil.rmtree(next(sae.glob("sae.*/")))
    expected = {"train_sae resid_post.1/topk/sae"} | harvest(["resid_post.1"])
    assert tree.planned() == expected | release(["resid_post.1"])
    done = run(tree)
    assert done.returncode == 0, done.stderr
    assert next(sae.glob("sae.*/manifest.json")).is_file()
    assert stores(tree, "manifest.json") == []
    assert recorded_identity(record) == before
    assert tree.planned() == set()


@pytest.mark.slow
def test_a_run_that_stops_before_the_last_reader_removes_nothing(tree):
    assert run(tree, "--until", "train_sae").returncode == 0
    assert stores(tree, "released.json") == []
    assert len(stores(tree, "manifest.json")) == 2
    assert run(tree).returncode == 0
    assert len(stores(tree, "released.json")) == 2


def test_a_store_whose_reader_failed_stays(tree):
    failed = run(tree, "--keep-going", FAIL="measure_language", FAIL_AT="resid_post.2/topk")
    assert failed.returncode
    assert stores(tree, "manifest.json") == ["resid_post.2"]
    assert stores(tree, "released.json") == ["resid_post.1"]
    assert run(tree).returncode == 0
    assert stores(tree, "manifest.json") == []


@pytest.mark.slow
def test_after_a_kill_between_reader_and_removal_the_next_run_only_removes(tree):
    script = tree.path / "scripts/release_activations.py"
    text = script.read_text()
    script.write_text(
        text.replace(
            "    from saeflow.files", "    import time; time.sleep(60)\n    from saeflow.files", 1
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2"],
        cwd=tree.path,
        env={"PYTHONPATH": str(tree.path / "workflow"), "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    try:
        while not list(tree.path.glob("results/logs/activations/**/*.released.log")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(stores(tree, "manifest.json")) == 2
    script.write_text(text)
    left = tree.planned("--nolock", "--rerun-incomplete")
    assert not [job for job in left if job.startswith(("harvest", "train", "finetune", "measure"))]
    assert release() <= left
    assert run(tree, "--nolock", "--rerun-incomplete").returncode == 0
    assert stores(tree, "manifest.json") == []


@pytest.mark.slow
def test_one_study_removes_the_stores_that_only_it_reads(tree):
    assert run(tree, "suppression").returncode == 0
    assert len(stores(tree, "released.json")) == 2
    assert not (tree.path / "results/report.html").exists()


@pytest.mark.slow
def test_results_copied_without_the_rows_are_not_stale(tree, tmp_path):
    run(tree)
    clone = Tree.make(tmp_path / "clone")
    shutil.rmtree(clone.path / "scripts")
    shutil.copytree(tree.path / "scripts", clone.path / "scripts")
    clone.configure(lambda config: config.update(activations={"temporary": True}))
    shutil.copytree(tree.path / "results", clone.path / "results", copy_function=shutil.copy)
    assert clone.planned() == set()
