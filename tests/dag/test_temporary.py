"""Whole runs of Snakemake with temporary stores; only their removal is real."""

import os
import shutil
import signal

import pytest

from dag.jobs import HOOKS, harvest, release, saes
from dag.test_run import begin, counted, pretending, rules, wait_for
from dag.tree import ROOT

PLACE = "results/activations/small/texts/ctx-64"
REMOVE = "scripts/release_activations.py"


@pytest.fixture
def tree(tmp_path):
    """A fresh tree with temporary stores."""
    tree = pretending(tmp_path / "tree")
    shutil.copy(ROOT / REMOVE, tree.path / REMOVE)
    tree.edit(
        "scripts/harvest.py",
        "        if part is None:",
        "        (task.work.path / 'zarr.json').write_text('{\"attributes\": {}}')\n"
        "        (task.work.path / 'activations').mkdir(exist_ok=True)\n"
        "        if part is None:",
    )
    tree.configure(lambda config: config.update(activations={"temporary": True}))
    return tree


def hooks_with(tree, name):
    return {path.parent.name[: len(HOOKS[0])] for path in tree.path.glob(f"{PLACE}/resid*/{name}")}


def test_a_run_removes_every_store_and_makes_one_again_for_a_stale_reader_only(tree):
    tree.snakemake()
    assert hooks_with(tree, "manifest.json") == hooks_with(tree, "activations") == set()
    assert hooks_with(tree, "released.json") == set(HOOKS)
    assert tree.stale() == set()
    records = {path: path.read_bytes() for path in (tree.path / PLACE).glob("*.json")}
    counted(tree)
    tree.snakemake()
    assert counted(tree) == []

    sae = tree.path / "results/saes/small/texts/ctx-64/resid_post.1/topk/seed-0"
    shutil.rmtree(next(sae.glob("sae.*/")))
    again = ["resid_post.1"]
    assert tree.stale() == saes(["topk"], again) | harvest(again) | release(again)
    tree.snakemake()
    assert rules(tree) == ["harvest", "train_saes"]
    assert next(sae.glob("sae.*/manifest.json")).is_file()
    assert hooks_with(tree, "manifest.json") == set()
    assert {path: path.read_bytes() for path in records} == records


def test_a_store_whose_reader_failed_or_did_not_run_stays(tree):
    tree.snakemake("--until", "train_saes")
    assert hooks_with(tree, "manifest.json") == set(HOOKS)
    failed = tree.snakemake(
        "--keep-going", check=False, FAIL="measure", FAIL_AT="resid_post.2/topk/"
    )
    assert failed.returncode
    assert hooks_with(tree, "manifest.json") == {"resid_post.2"}
    assert hooks_with(tree, "released.json") == {"resid_post.1"}
    tree.snakemake()
    assert hooks_with(tree, "manifest.json") == set()


@pytest.mark.slow
def test_after_a_kill_between_reader_and_removal_the_next_run_only_removes(tree):
    tree.edit(REMOVE, "    release_stores(tasks)", "    import time; time.sleep(60)")
    process = begin(tree)
    try:
        wait_for(lambda: list(tree.path.glob("results/logs/release_activations/**/*.log")), 120)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert hooks_with(tree, "manifest.json") == set(HOOKS)
    shutil.copy(ROOT / REMOVE, tree.path / REMOVE)
    counted(tree)
    tree.snakemake()
    assert not {"harvest", "train_saes", "finetune_saes", "measure"} & set(rules(tree))
    assert hooks_with(tree, "manifest.json") == set()
