"""Runs through the profile for Slurm, with a stand-in for the cluster."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from dag.slurm import LAUNCHER, Slurm
from dag.test_run import pretending, wait_for
from dag.tree import ROOT

pytest.importorskip(
    "snakemake_executor_plugin_slurm", reason="needs the extra `cluster`: pip install -e .[cluster]"
)

PROFILE = ROOT / "profiles/slurm/config.yaml"
BEFORE_MODEL = ("fetch_dataset", "train_tokenizer", "tokenize_dataset")
SAVES = """'''Pretend.'''
import time
from pathlib import Path
from saeflow.interrupt import interruptible
from saeflow.script import run

def main(*, tasks):
    with interruptible() as stop:
        Path("begun").touch()
        while True:
            time.sleep(0.02)
            if stop.requested:
                Path("saved").touch()
                stop.check()

if __name__ == "__main__":
    run(main)
"""


@pytest.fixture
def tree(tmp_path):
    """A fresh tree whose scripts do no work, with what comes before the model."""
    tree = pretending(tmp_path / "tree")
    tree.pretend(*BEFORE_MODEL)
    return tree


@pytest.fixture
def slurm(tmp_path):
    return Slurm(tmp_path / "slurm")


def submit(tree, slurm, *arguments, **environment):
    """Start Snakemake with the profile for Slurm, to train the language model."""
    return subprocess.Popen(
        [
            *(sys.executable, "-c", LAUNCHER, "--workflow-profile", "slurm"),
            *("--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "1"),
            *(*arguments, "--until", "train_lm", "--"),
        ],
        cwd=tree.path,
        env={
            "PYTHONPATH": str(tree.path / "workflow"),
            "PATH": f"{slurm.path}:/usr/bin:/bin",
            "HOME": str(slurm.path),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def filled_in():
    """Return the profile with everything that it leaves to fill in."""
    lines = PROFILE.read_text().splitlines()
    keys = re.compile(r"# (default-resources:|set-resources:|  \w+: )")
    return "\n".join(line.removeprefix("# ") if keys.match(line) else line for line in lines)


def test_a_job_is_asked_for_with_the_memory_the_time_and_the_cores_of_its_rule(tree, slurm):
    running = submit(tree, slurm, "--cores", "1")
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output
    (asked,) = slurm.asked("sbatch")
    given = dict(zip(asked, asked[1:], strict=False))
    assert given["--mem"] == "4000" and given["-t"] == "240"
    assert "--cpus-per-task=1" in asked and not [one for one in asked if "gpu" in one]
    assert given["-p"] == "main", "the cluster's own choice"
    (step,) = slurm.asked("srun")
    assert "--cpus-per-task=1" in step
    (receipt,) = tree.path.glob("results/.receipts/train_lm/small/*.json")
    assert json.loads(receipt.read_text())["usage"]["threads"] == 1, "not those of its node"


@pytest.mark.slow
def test_what_the_profile_leaves_to_fill_in_is_what_slurm_is_asked(tree, slurm):
    profile = yaml.safe_load(filled_in())
    assert profile["default-resources"] == {"slurm_partition": "main", "slurm_account": "myaccount"}
    (tree.path / "profiles/slurm/config.yaml").write_text(filled_in())
    running = submit(tree, slurm)
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output
    (asked,) = slurm.asked("sbatch")
    given = dict(zip(asked, asked[1:], strict=False))
    assert (given["-p"], given["-A"]) == ("main", "myaccount")
    assert "--gpus=1" in asked and f"--cpus-per-task={profile['cores']}" in asked


def test_passes_that_may_use_a_gpu_are_named_and_nothing_overrides_an_estimate(tree):
    profile = yaml.safe_load(filled_in())
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    models = {"train_lm", "sample_dataset", "harvest", "train_saes", "finetune_saes", "measure"}
    assert profile["set-resources"].keys() == models <= scripts
    assert set().union(*profile["set-resources"].values()) == {"gpu"}
    shipped = yaml.safe_load(PROFILE.read_text())
    assert not {"set-resources", "set-threads", "default-resources"} & shipped.keys()


@pytest.mark.slow
def test_after_a_failure_more_memory_is_asked_for(tree, slurm):
    fails = "    raise MemoryError('made to fail')\n    for task in tasks:"
    tree.edit("scripts/train_lm.py", "    for task in tasks:", fails)
    running = submit(tree, slurm, "--retries", "1")
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 1 and "made to fail" in output
    asked = [dict(zip(one, one[1:], strict=False)) for one in slurm.asked("sbatch")]
    assert [one["--mem"] for one in asked] == ["4000", "8000"]


@pytest.mark.slow
def test_a_job_that_slurm_ends_saves_its_state_first(tree, slurm):
    (tree.path / "scripts/train_lm.py").write_text(SAVES)
    running = submit(tree, slurm, "--retries", "0")
    wait_for(lambda: (tree.path / "begun").exists() or running.poll() is not None)
    subprocess.run([slurm.path / "scancel", "1"], env={"PATH": str(slurm.path)}, check=True)
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 1, output
    assert (tree.path / "saved").exists()
    assert not list(tree.path.glob("results/.receipts/train_lm/**/*.json"))


def test_without_a_number_of_cores_nothing_is_submitted(tree, slurm):
    profile = tree.path / "profiles/slurm/config.yaml"
    profile.write_text(re.sub(r"(?m)^cores:.*\n", "", profile.read_text()))
    running = submit(tree, slurm)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "error in cores: jobs run on other machines" in output
    assert slurm.asked("sbatch") == []
