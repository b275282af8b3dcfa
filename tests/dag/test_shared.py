"""Results of somebody else, or of a group: a message says what to do, without a traceback."""

import os
import shutil
import subprocess
import sys

import pytest

from dag.edits import entry
from dag.test_run import pretending

# Root may write everywhere: it is tried without that power.
NOBODY = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
needs_setpriv = pytest.mark.skipif(
    bool(NOBODY) and not shutil.which("setpriv"), reason="run by root, without setpriv"
)


@pytest.fixture
def tree(tmp_path):
    """A finished workflow with an SAE whose recipe was changed since."""
    tree = pretending(tmp_path / "tree")
    tree.pretend()
    entry("saes", "topk", k=8)(tree)
    return tree


def snakemake(tree, *arguments, umask=0o022):
    return subprocess.run(
        [*NOBODY, sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=tree.path,
        env={"PYTHONPATH": str(tree.path / "workflow"), "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        umask=umask,
        capture_output=True,
        text=True,
    )


def forbid(*directories):
    """Let nobody write below these directories, as with files of another user."""
    for directory in directories:
        for path in (directory, *directory.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)


@needs_setpriv
def test_results_of_another_user_are_a_message_and_no_traceback(tree):
    results = tree.path / "results"
    forbid(results / "saes")
    done = snakemake(tree, "--until", "train_saes")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "may not be done here (got Permission denied)" in done.stderr
    assert "`umask 002`" in done.stderr
    assert "results/saes/small/texts/ctx-64/resid_post.1/topk/seed-0" in done.stderr
    shutil.rmtree(results / ".plans")
    forbid(results)
    planned = snakemake(tree)
    assert planned.returncode == 1 and "Traceback" not in planned.stderr
    assert "may not be done here" in planned.stderr


@pytest.mark.slow
def test_what_a_group_makes_with_its_umask_all_of_it_may_write(tmp_path):
    tree = pretending(tmp_path / "tree")
    done = snakemake(tree, umask=0o002)
    assert done.returncode == 0, done.stderr
    made = [path for top in ("results", ".snakemake") for path in (tree.path / top).rglob("*")]
    assert len(made) > 100
    assert [path for path in made if not path.lstat().st_mode & 0o020] == []
