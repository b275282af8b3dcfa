"""Run a whole study of this directory on a model and on texts that nobody here made."""

import os
import subprocess
import sys
from pathlib import Path

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
