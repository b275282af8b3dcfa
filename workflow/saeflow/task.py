"""One result that a pass is to make: what is known of it, and where it goes.

A script hands the tasks of its pass to the library. Each is finished, or fails, on its own: one
that fails leaves the others alone. Read `Task`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saeflow.errors import DiskFullError, SaeflowError, may_pass
from saeflow.failures import MISSING, Cause
from saeflow.files import write_json
from saeflow.inventory import described, with_checksum
from saeflow.logs import count_result
from saeflow.work import Work

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Task:
    """A result to be made.

    Attributes
    ----------
    output : Path
        The record, a small JSON file that appears last.
    identity : str
        Of the result.
    settings : Mapping
        What can change the result's bytes.
    inputs : dict
        Records of what it is made from by name: a path, or a list of paths.
    arguments : Mapping
        What is needed besides, such as where a local file lies.
    files : tuple of Path
        What it consists of, where that is not a directory of its own (tables, figures).
    work : Work or None
        The held place of its bulk; None for one that consists of ``files``.
    missing : tuple of Cause
        Why its lists of inputs are not complete: it is made of what there is, and its record says
        so.
    error : Exception or None
        Why it could not be made.
    """

    output: Path
    identity: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    work: Work | None = None
    missing: tuple[Cause, ...] = ()
    error: Exception | None = None
    _done: bool = False

    @property
    def finished(self) -> bool:
        """Whether the result is there."""
        return self._done if self.work is None else self.work.finished

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Publish the result: its bulk or files are complete, ``facts`` go into its record."""
        if self.work is not None:
            self.work.finish(facts)
            return
        files = {file.name: described(file) for file in self.files}
        lacks = {MISSING: [list(cause) for cause in self.missing]} if self.missing else {}
        record = {**facts, **lacks, "identity": self.identity, "files": files}
        write_json(self.output, with_checksum(record))
        self._done = True
        count_result()

    def fail(self, error: Exception) -> None:
        """Note why the result cannot be made; the pass goes on with the others."""
        self.error = error
        known = isinstance(error, SaeflowError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        logger.error("%s: %s", self.output, text, exc_info=None if known else error)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Fail this task alone where the block raises, see `attempting`."""
        with attempting([self]):
            yield


def joined(inputs: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return what a task of a crosscoder reads beside its hook: ``joined_01`` and so on.

    They have a name each, for of a list of inputs some may be missing.
    """
    return tuple(inputs[name] for name in sorted(inputs) if name.startswith("joined_"))


@contextmanager
def attempting(tasks: Iterable[Task]) -> Iterator[None]:
    """Fail the unfinished ones of some tasks where the block raises.

    What the system refuses is everybody's, and raised: a full disk, too little memory.
    """
    try:
        yield
    except Exception as error:
        known = isinstance(error, SaeflowError) and not isinstance(error, DiskFullError)
        if may_pass(error) and not known:
            raise
        for task in tasks:
            if not task.finished and task.error is None:
                task.fail(error)
