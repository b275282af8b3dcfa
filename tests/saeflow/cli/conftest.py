import os
import subprocess
import sys

import pytest

from dag.tree import Tree
from saeflow.cli.main import main


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A workflow in which everything was made."""
    tree = Tree.make(tmp_path_factory.mktemp("cli") / "tree")
    tree.pretend()
    return tree


@pytest.fixture
def tree(finished, tmp_path, monkeypatch):
    """A copy of the finished workflow, which is also the working directory."""
    tree = finished.copy(tmp_path / "tree")
    monkeypatch.chdir(tree.path)
    return tree


@pytest.fixture
def saeflow(capsys):
    """Return a function that runs the command line and gives its code and what it printed."""

    def run(*arguments):
        capsys.readouterr()  # what came before is not the command's
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.fixture
def done(saeflow):
    """Return a function that runs the command line, which succeeds, and gives what it printed."""

    def run(*arguments):
        code, printed = saeflow(*arguments)
        assert code == 0, printed
        return printed

    return run


@pytest.fixture
def refused(saeflow):
    """Return the same for a command that ends with 1."""

    def run(*arguments):
        code, printed = saeflow(*arguments)
        assert code == 1, printed
        return printed

    return run


@pytest.fixture
def process(tree):
    """The same in a process of its own, with the sources of the tree."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "saeflow.cli.main", *map(str, arguments)],
            cwd=tree.path,
            env={**os.environ, "PYTHONPATH": str(tree.path / "workflow")},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    return run
