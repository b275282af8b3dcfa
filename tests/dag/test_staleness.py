"""The promise of the project: after a change, exactly these jobs run, and no other."""

import json
import os
import shutil
import time

import pytest

from dag.changes import CHANGES
from dag.edits import study
from dag.jobs import ALL_SAES, EVERYTHING, HOOKS, below_saes, harvest
from dag.tree import Tree


def test_a_fresh_checkout_plans_everything(tmp_path):
    assert Tree.make(tmp_path / "tree").planned() == EVERYTHING


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.title)
def test_a_change_makes_exactly_these_jobs_stale(tree, change):
    change.apply(tree)
    assert tree.planned() == change.jobs


def test_threads_device_and_profile_make_nothing_stale(tree, monkeypatch):
    arguments = ["--cores", "7", "--set-threads", "train_sae=3"]
    profile = ["--workflow-profile", "workflow/profiles/workstation"]
    assert tree.planned(*arguments) == set()
    assert tree.planned(*profile) == set()


def test_touching_every_file_makes_nothing_stale(tree):
    for path in sorted(tree.path.rglob("*")):
        os.utime(path, (time.time() + 5, time.time() + 5))
    assert tree.planned() == set()


def test_results_copied_into_a_fresh_clone_are_not_stale(finished, tmp_path):
    clone = Tree.make(tmp_path / "clone")
    shutil.copytree(finished.path / "results", clone.path / "results", copy_function=shutil.copy)
    assert clone.planned() == set()


def test_results_copied_next_to_another_l1_rerun_that_sae_and_what_is_below(finished, tmp_path):
    clone = Tree.make(tmp_path / "clone")
    clone.configure(lambda config: config["saes"]["relu"].update(l1=0.2))
    shutil.copytree(finished.path / "results", clone.path / "results", copy_function=shutil.copy)
    assert clone.planned() == below_saes(["relu", "relu~scale"])


def test_results_of_another_l1_copied_over_the_own_ones_are_stale(tree, tmp_path):
    """Also with Snakemake's own records in place, and with the job file seen before."""
    other = tree.copy(tmp_path / "other")
    other.configure(lambda config: config["saes"]["relu"].update(l1=0.2))
    other.pretend()
    for _ in range(2):
        shutil.copytree(other.path / "results", tree.path / "results", dirs_exist_ok=True)
        assert tree.planned() == below_saes(["relu", "relu~scale"])
        tree.pretend()
        assert tree.planned() == set()


def test_going_back_to_earlier_settings_finds_the_earlier_weights(tree):
    tree.configure(lambda config: config["saes"]["relu"].update(l1=0.2))
    tree.pretend()
    tree.configure(lambda config: config["saes"]["relu"].update(l1=0.1))
    planned = tree.planned()
    assert planned == below_saes(["relu", "relu~scale"])
    job = json.loads(
        (
            tree.path / "results/.jobs/saes/small/texts/ctx-64/resid_post.1/relu/seed-0/sae.json"
        ).read_text()
    )
    bulk = tree.path / "results/saes/small/texts/ctx-64/resid_post.1/relu/seed-0"
    assert (bulk / f"sae.{job['identity'][:16]}" / "manifest.json").is_file()


def test_an_added_hook_is_harvested_alone(tree):
    study("hooks", "resid_post.3")(tree)
    tree.planned()
    directory = tree.path / "results/.jobs/activations/small/texts/ctx-64"
    assert json.loads((directory / "resid_post.3.json").read_text())["together"] == []


def test_hooks_wanted_at_the_same_time_share_a_pass(tree):
    shutil.rmtree(tree.path / "results/activations")
    assert tree.planned() >= harvest()
    directory = tree.path / "results/.jobs/activations/small/texts/ctx-64"
    together = json.loads((directory / "resid_post.1.json").read_text())["together"]
    assert [job["settings"]["hook"] for job in together] == ["resid_post.2"]


def test_after_a_killed_add_hook_no_existing_sae_retrains(tree):
    study("hooks", "resid_post.3")(tree)
    expected = harvest(["resid_post.3"]) | below_saes(ALL_SAES, ["resid_post.3"])
    assert tree.planned() == expected
    # what a SIGKILL in the middle of the harvest leaves behind
    place = tree.path / "results/activations/small/texts/ctx-64"
    (place / "resid_post.3.0123456789abcdef.zarr.partial").mkdir()
    (place / ".resid_post.3.json.lock").touch()
    assert tree.planned() == expected


def test_within_one_call_an_added_hook_reruns_no_existing_sae(tree):
    """Snakemake's own account of the reasons names no existing hook."""
    study("hooks", "resid_post.3")(tree)
    assert not [job for job in tree.planned() for hook in HOOKS if f" {hook}" in job]


def test_a_stale_figure_below_deleted_weights_is_made_in_the_same_call(tree):
    """Snakemake sees a job below one that runs only if every job between them runs."""
    (directory,) = (tree.path / "results/saes/small/texts/ctx-64/resid_post.1/topk").iterdir()
    next(directory.glob("sae.*/manifest.json")).unlink()
    (tree.path / "results/figures/suppression/frontier_fvu.pdf").unlink()
    between = {
        *(f"measure_{kind} resid_post.1/topk/{kind}" for kind in ("reconstruction", "language")),
        "tabulate_suppression frontier",
    }
    assert (
        tree.planned()
        == {"train_sae resid_post.1/topk/sae", "plot_suppression frontier_fvu"} | between
    )


def test_planning_leaves_the_results_alone(tree):
    tree.configure(lambda config: config["saes"]["relu"].update(l1=0.2))
    results = tree.path / "results"

    def state():
        files = (
            p for p in results.rglob("*") if p.is_file() and not {".jobs", ".cache"} & {*p.parts}
        )
        return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in files}

    before = state()
    tree.planned()
    assert state() == before
