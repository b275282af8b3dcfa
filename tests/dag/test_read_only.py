"""Results on a disk that is not written to: what only reads goes on, the rest says so in a line."""

import os
import subprocess
import sys

import pytest

from dag.edits import entry
from dag.tree import Tree

READ_ONLY = "mount --bind results results && mount -o remount,bind,ro results && "
COMMAND = 'exec "$0" -c "import sys; from saeflow.cli.main import main; sys.exit(main())" "$@"'
SNAKEMAKE = 'exec "$0" -m snakemake "$@"'
SAE = "results/saes/small/texts/ctx-64/resid_post.1/topk/seed-0"
REFUSED = "Read-only file system"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A finished workflow with an SAE whose recipe was changed since, and without caches."""
    tree = Tree.make(tmp_path_factory.mktemp("read-only") / "tree")
    tree.pretend()
    entry("saes", "topk", k=8)(tree)
    for cache in (tree.path / "results/.cache").glob("*"):
        cache.unlink()
    if run(tree, "true", check=False).returncode:
        pytest.skip("this machine lets nobody mount anything")
    return tree


def run(tree, script, *arguments, check=True):
    """Run a script in a place of its own, where results/ is mounted to be read alone."""
    done = subprocess.run(
        ["unshare", "-m", "-r", "sh", "-c", READ_ONLY + script, sys.executable, *arguments],
        cwd=tree.path,
        env={**os.environ, "PYTHONPATH": str(tree.path / "workflow")},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def test_what_reads_alone_tells_what_it_would_without_caches(tree):
    assert "setting k: was 4, is 8" in run(tree, COMMAND, "why", SAE).stdout
    assert "train_saes" in run(tree, COMMAND, "plan", "--no-calibrate").stdout
    assert f"{SAE}/sae" in run(tree, COMMAND, "clean").stdout
    dry = run(tree, SNAKEMAKE, "-n", "--cores", "1")
    assert "train_saes" in dry.stdout


def test_what_would_write_says_in_a_line_that_it_cannot(tree):
    for script, *arguments in (
        (SNAKEMAKE, "--cores", "1", "--nolock"),
        (COMMAND, "clean", "--yes"),
        (COMMAND, "doctor"),
    ):
        done = run(tree, script, *arguments, check=False)
        assert done.returncode == 1
        assert REFUSED in done.stdout + done.stderr
