"""What the rule files ask of a plan: targets, what comes before a pass, and what it takes.

Snakemake's graph holds what is not there yet, and nothing else: each pass by its receipt. Read
`Jobs`.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.errors import SaeflowError, explained
from saeflow.failures import SUMMARY, Cause, told
from saeflow.files import read_object
from saeflow.plan.asked import kept
from saeflow.plan.outputs import Outputs
from saeflow.plan.passes import Pass, Schedule, write_plan
from saeflow.plan.result import Result

MAKE = "SAEFLOW_MAKE"
"""Environment variable with the results, a line each, that `saeflow make` asks for."""

_DEFAULT_MB = 4000


class Jobs:
    """The passes of a run, for Snakemake.

    Parameters
    ----------
    outputs
        What the configuration wants; None inside a job of a cluster, whose own Snakemake runs what
        was planned and plans nothing.
    forced
        Returns the rules that are to run in any case, given those of the target.
    say
        Tells the user something.
    """

    def __init__(
        self,
        outputs: Outputs | None,
        forced: Callable[[Collection[str]], Collection[str]] = lambda _: (),
        say: Callable[[str], None] = print,
    ) -> None:
        self._outputs, self._forced, self._say = outputs, forced, say
        self._passes: dict[str, Pass] = {}
        self._unwritten: OSError | None = None

    def require_plans(self) -> None:
        """End Snakemake if what jobs have to know could not be written."""
        with _in_a_line():
            if self._unwritten is not None:
                raise self._unwritten

    def all(self, _wildcards: Any = None) -> list[str]:
        """Return what a whole run has to leave, or the results that `saeflow make` asks for."""
        if self._outputs is None:
            return []
        asked = [Path(line) for line in os.environ.get(MAKE, "").splitlines()]
        with _in_a_line():
            if asked:
                return self._receipts(self._outputs.leading_to(asked), asked, ())
            there = self._outputs.report().files
            return self._receipts(self._outputs.wanted, there, ["build_report"])

    def study(self, name: str) -> list[str]:
        """Return what the tables and figures of one study have to leave."""
        if self._outputs is None:
            return []
        with _in_a_line():
            wanted = self._outputs.of_study(name)
            there = [file for one in wanted for file in one.files]
            return self._receipts(wanted, there, ["tabulate", "plot"])

    def before(self, wildcards: Any) -> list[str]:
        """Return the receipts of the passes that come before a pass."""
        one = self._passes.get(wildcards.plan)
        return [str(other.receipt) for other in one.before] if one else []

    def memory(self, wildcards: Any, attempt: int = 1) -> int:
        """Return the megabytes that a pass may take: more where an attempt failed before."""
        plan = paths.plan_file(wildcards.plan)
        peak = json.loads(plan.read_bytes()).get("memory_bytes") if plan.exists() else None
        return attempt * max(_DEFAULT_MB, math.ceil(1.5 * (peak or 0) / 1e6))

    def unmade(self) -> str:
        """Return what the passes of a run that is over could not make, in words; "" for nothing."""
        failed: list[Cause] = []
        left_out: set[str] = set()
        for one in self._passes.values():
            receipt = read_object(one.receipt)
            failed += [Cause(*item) for item in receipt.get("failed", {}).items()]
            left_out |= {*receipt.get("left_out", {})}
        if not failed and not left_out:
            return ""
        more = f" (and {len(left_out)} that need them)" if left_out else ""
        return "\n  ".join([f"{SUMMARY}{more}:", *told(failed)])

    def _receipts(
        self, wanted: Collection[Result], there: Iterable[Path], rules: Collection[str]
    ) -> list[str]:
        """Plan what is missing; where nothing is, return files that exist: nothing is to do."""
        outputs = self._outputs
        assert outputs is not None
        if text := kept(self._forced(rules), wanted, outputs):
            self._say(text)
        divided = outputs.plan.config.get("jobs", {})
        passes = list(Schedule(wanted, outputs.current, divided))
        for one in passes:
            try:
                write_plan(one)
            except OSError as error:  # a dry run needs none
                self._unwritten = error
            self._passes[one.plan] = one
        return [str(one.receipt) for one in passes] or sorted(map(str, there))


@contextmanager
def _in_a_line() -> Iterator[None]:
    """End Snakemake with the message of an error that a person can act on, and no traceback."""
    try:
        yield
    except (SaeflowError, OSError) as error:
        told = explained(error)
        if not isinstance(told, SaeflowError):
            raise
        sys.exit(f"error in {told}")
