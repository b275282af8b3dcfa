import pytest

from dag.tree import Tree


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A tree in which everything was made; copied for each test."""
    tree = Tree.make(tmp_path_factory.mktemp("dag") / "tree")
    tree.pretend()
    return tree


@pytest.fixture
def tree(finished, tmp_path):
    return finished.copy(tmp_path / "tree")
