"""One result of the workflow: what it is made from, by which code, under which identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.code import Source
from saeflow.identity import identity_of

SOURCE_ROOT = Path(__file__).parents[2]
"""The directory that holds the package ("workflow")."""

SCRIPTS = SOURCE_ROOT.parent / "scripts"

_source: Source | None = None


def source() -> Source:
    """Return the library's source, as it is when a plan begins."""
    return _source or look_at_source()


def look_at_source() -> Source:
    """Read the source anew: a plan is made for the code as it is then."""
    global _source
    _source = Source(SOURCE_ROOT, SCRIPTS, Path(paths.CACHE))
    return _source


@dataclass(frozen=True, eq=False)
class Result:
    """A store, an SAE, a measurement, a table, a figure: known before anything runs.

    Attributes
    ----------
    rule : str
        The rule whose passes make it, which is the stem of their script.
    place : Mapping
        What it shares with the other results of its pass: the wildcards of `paths.PASSES`.
    output : Path
        The record: a small JSON file that appears last and holds the identity.
    settings : Mapping
        What can change the result's bytes, and nothing else.
    inputs : Mapping
        The results that are read, by argument name.
    code_roots : tuple of str
        Definitions ("module:name") and modules that the script loads by name.
    arguments : Mapping
        What the script needs besides, such as where a local file lies; not in the identity.
    files : tuple of Path
        Of what it consists, where that is not bulk in a directory of its own.
    suffix : str
        Suffix of the bulk directory; None for a result of ``files``.
    apart : tuple
        Results of one rule and place are made in one pass only if they agree in this.
    after : tuple of Result
        Results that must be there before, though nothing of theirs is read: not in the identity.
    """

    rule: str
    place: Mapping[str, str]
    output: Path
    settings: Mapping[str, Any]
    inputs: Mapping[str, Result | tuple[Result, ...]] = field(default_factory=dict)
    code_roots: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    suffix: str | None = None
    apart: tuple[str, ...] = ()
    after: tuple[Result, ...] = ()

    @property
    def roots(self) -> tuple[str, ...]:
        """Where the code that makes it begins."""
        return (f"scripts/{self.rule}.py:main", *self.code_roots)

    @cached_property
    def code(self) -> str:
        """Digest of every definition that making it can reach."""
        return source().digest(self.roots)

    @cached_property
    def identity(self) -> str:
        """The result's identity."""
        return identity_of(
            rule=self.rule,
            settings=self.settings,
            code=self.code,
            inputs={
                name: [one.identity for one in given]
                if isinstance(given, tuple)
                else given.identity
                for name, given in self.inputs.items()
            },
        )

    def reads(self) -> Iterator[Result]:
        """Yield the results that this one is made from."""
        for given in self.inputs.values():
            yield from given if isinstance(given, tuple) else (given,)

    def upstream(self) -> Iterator[Result]:
        """Yield the results that this one is made from, then those that it waits for."""
        yield from self.reads()
        yield from self.after


def with_upstream(results: Iterator[Result] | list[Result]) -> set[Result]:
    """Return results with everything that they are made from."""
    found: set[Result] = set()
    queue = list(results)
    while queue:
        result = queue.pop()
        if result not in found:
            found.add(result)
            queue.extend(result.upstream())
    return found
