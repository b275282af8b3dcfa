"""What stands in the table of changes. Read `Change`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dag.tree import Tree


class Change(NamedTuple):
    """A change and its consequence.

    Attributes
    ----------
    title : str
        In a reader's words.
    apply : callable
        Makes the change in a tree.
    results : set of str
        What `Tree.stale` must then return.
    """

    title: str
    apply: Callable[[Tree], object]
    results: set[str]
