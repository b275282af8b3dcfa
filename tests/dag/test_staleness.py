"""The promise of the project: after a change, exactly these results are made, and no other."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from dag.changes import CHANGES
from dag.edits import study
from dag.jobs import ALL_SAES, EVERYTHING, HOOKS, below_saes, clean, harvest
from dag.tree import Tree


def test_in_a_fresh_checkout_everything_is_to_be_made(tmp_path):
    assert Tree.make(tmp_path / "tree").stale() == EVERYTHING


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.title)
def test_a_change_makes_exactly_these_results_stale(tree, change):
    change.apply(tree)
    assert tree.stale() == change.results


def test_touching_every_file_makes_nothing_stale(tree):
    for path in sorted(tree.path.rglob("*")):
        os.utime(path, (time.time() + 5, time.time() + 5))
    assert tree.stale() == set()


def test_results_copied_into_a_fresh_clone_are_not_stale(finished, tmp_path):
    clone = Tree.make(tmp_path / "clone")
    shutil.copytree(finished.path / "results", clone.path / "results", copy_function=shutil.copy)
    assert clone.stale() == set()


def test_results_of_another_l1_copied_over_the_own_ones_are_stale(tree, tmp_path):
    other = tree.copy(tmp_path / "other")
    other.configure(lambda config: config["saes"]["relu"].update(l1=0.2))
    other.pretend()
    for _ in range(2):
        shutil.copytree(other.path / "results", tree.path / "results", dirs_exist_ok=True)
        assert tree.stale() == below_saes(["relu", "relu~scale"])
        tree.pretend()
        assert tree.stale() == set()


def test_going_back_to_earlier_settings_finds_the_earlier_weights(tree):
    tree.configure(lambda config: config["saes"]["relu"].update(l1=0.2))
    tree.pretend()
    tree.configure(lambda config: config["saes"]["relu"].update(l1=0.1))
    assert tree.stale() == below_saes(["relu", "relu~scale"]), "they are published again"
    record = "results/saes/small/texts/ctx-64/resid_post.1/relu/seed-0/sae.json"
    identity = tree.ask("identities")[record]
    bulk = (tree.path / record).with_name(f"sae.{identity[:16]}")
    assert (bulk / "manifest.json").is_file()


def test_what_is_wanted_of_one_reading_is_one_pass(tmp_path):
    passes = Tree.make(tmp_path / "tree").ask("passes")
    kept = [(one["rule"], *one["place"].values()) for one in passes]
    assert len(kept) == len(set(kept))
    harvests = [one for one in passes if one["rule"] == "harvest"]
    assert [len(one["records"]) for one in harvests] == [len(HOOKS)]
    assert sum(one["rule"] == "train_saes" for one in passes) == len(HOOKS)
    measured = [one for one in passes if one["rule"] == "measure"]
    of_hooks = [one for one in measured if one["place"]["measure"] == "clean"]
    assert [len(one["records"]) for one in of_hooks] == [len(HOOKS)]
    of_saes = [one for one in measured if one not in of_hooks]
    assert len(of_saes) == 3 * len(HOOKS)
    assert all(len(one["records"]) == len(ALL_SAES) for one in of_saes)


def test_an_added_sae_is_trained_alone_in_one_pass_of_each_hook(tree):
    from dag.edits import add_sae

    add_sae(tree)
    passes = tree.ask("passes")
    names = [one["rule"] for one in passes]
    assert names.count("train_saes") == len(HOOKS) and "harvest" not in names
    trained = [record for one in passes if one["rule"] == "train_saes" for record in one["records"]]
    assert all("/topk-8/" in record for record in trained)


def test_after_a_killed_add_hook_no_existing_sae_retrains(tree):
    study("hooks", "resid_post.3")(tree)
    added = ["resid_post.3"]
    expected = harvest(added) | clean(added) | below_saes(ALL_SAES, added)
    assert tree.stale() == expected
    # what a SIGKILL in the middle of the harvest leaves behind
    place = tree.path / "results/activations/small/texts/ctx-64"
    (place / "resid_post.3.0123456789abcdef.zarr.partial").mkdir()
    (place / ".resid_post.3.json.lock").touch()
    assert tree.stale() == expected


def test_single_results_are_made_with_what_they_need_and_nothing_else(tmp_path):
    tree = Tree.make(tmp_path / "tree")
    place = "results/saes/small/texts/ctx-64/resid_post.1"
    passes = tree.ask("passes", [f"{place}/topk/seed-0/sae.json", f"{place}/relu/seed-0/sae.json"])
    assert [one["rule"] for one in passes][-2:] == ["harvest", "train_saes"]
    assert [len(one["records"]) for one in passes][-2:] == [1, 2]
    assert not {"measure", "tabulate", "finetune_saes"} & {one["rule"] for one in passes}


def test_planning_leaves_everything_alone_that_a_job_reads(tree):
    """Also of another configuration, and while Snakemake looks at it."""
    tree.configure(lambda config: config["saes"]["relu"].update(l1=0.2))
    tree.snakemake("-n")
    results = tree.path / "results"

    def state():
        files = (p for p in results.rglob("*") if p.is_file() and ".cache" not in p.parts)
        return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in files}

    before = state()
    plans = list((results / ".plans").glob("*.json"))
    assert plans and json.loads(plans[0].read_text())["results"]
    tree.configure(lambda config: config["saes"]["relu"].update(l1=0.3))
    tree.snakemake("-n")
    after = state()
    assert {p: after[p] for p in before} == before
    assert {p.parent.name for p in after.keys() - before.keys()} <= {".plans", "code"}


def test_a_study_is_one_file_and_is_found_by_its_name(tmp_path):
    tree = Tree.make(tmp_path / "tree")
    made_up = Path(__file__).parents[1] / "saeflow/studies/made_up.py"
    assert len(made_up.read_text().splitlines()) <= 25
    shutil.copy(made_up, tree.path / "workflow/saeflow/studies/made_up.py")
    keys = ("models", "train_on", "evaluate_on", "hooks", "saes")
    tree.configure(
        lambda config: config.update(
            studies={"made_up": {key: config["studies"]["suppression"][key] for key in keys}}
        )
    )
    rules = {one["rule"] for one in tree.ask("passes")}
    assert {"train_saes", "measure", "tabulate", "plot", "build_report"} <= rules
    assert not {"finetune_saes", "simulate"} & rules
    done = tree.snakemake("-n", "made_up")
    assert re.search(r"plot +made_up", done.stdout) and "build_report" not in done.stdout


def test_imported_saes_can_be_measured_without_any_training(tree):
    from dag.edits import add_import

    add_import(tree)
    tree.configure(
        lambda config: config["studies"]["suppression"].update(saes=["theirs"], methods=[])
    )
    assert {result.split()[0] for result in tree.stale()} == {
        "import_saes", "measure", "tabulate", "plot", "build_report",
    }  # fmt: skip
