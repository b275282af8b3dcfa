"""Run a whole study of this directory on a model and on texts that nobody here made."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]


def snakemake(name, directory, *arguments):
    """Run snakemake with the configuration ``name`` in a directory and return what came of it."""
    config = Path(__file__).with_name(f"{name}.yaml")
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--configfile",
         str(config), "--cores", str(os.cpu_count()), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
    )  # fmt: skip


def run_study(name, directory, real_data):
    """Run a study in a directory, and return the directory."""
    (directory / "real-data").symlink_to(real_data)
    done = snakemake(name, directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def table(study, directory, name):
    """Return a table of a study that was run in a directory by the configuration of its name."""
    return pd.read_csv(directory / f"results/studies/{study}/tables/{study}/{name}.csv")


def assert_nothing_to_do(study, directory):
    """Run a study once more, and hold that there is nothing to make."""
    again = snakemake(study, directory)
    assert "Nothing to do" in again.stdout + again.stderr
