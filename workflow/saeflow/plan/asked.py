"""What people ask of Snakemake: a configuration, and what this workflow does in another way.

Nothing of that is ignored; it is said. Read `planned`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.config.checks import resolve
from saeflow.config.reading import read_config
from saeflow.errors import ConfigError
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.plan.possible import require_possible
from saeflow.plan.result import Result
from saeflow.work import bulk_path

_REPORT = "--report"


def planned(workflow: Any, config: Mapping[str, Any]) -> Outputs:
    """Return what a configuration wants, if it and the command line ask for what can be.

    Parameters
    ----------
    workflow
        Snakemake's.
    config
        As Snakemake read it.

    Raises
    ------
    SaeflowError
        If something cannot be.
    """
    file = ", ".join(map(str, workflow.configfiles))
    for one in workflow.configfiles:
        read_config(Path(one))  # Snakemake's own reader accepts a key that stands twice
    outputs = Outputs(Plan(resolve(config, file=file), file=file))
    check_arguments(outputs, sys.argv[1:])
    require_possible(outputs)
    return outputs


def check_arguments(outputs: Outputs, arguments: Sequence[str]) -> None:
    """Refuse what Snakemake cannot do here.

    Parameters
    ----------
    outputs
        What the configuration wants.
    arguments
        Snakemake's command line.

    Raises
    ------
    ConfigError
        If a result is named, which is no target, or Snakemake's own report is asked for.
    """
    for argument in arguments:
        if argument.partition("=")[0] == _REPORT:
            raise ConfigError(
                "Snakemake's own report would be empty: it knows nothing that is done",
                where=_REPORT,
                remedy="`snakemake` without it makes the report of the studies,"
                f" {outputs.report().files[0]}.",
            )
        path = Path(argument)
        if argument.startswith(f"{paths.RESULTS}/") and (result := outputs.find(path)):
            remedy = f"`{_make(path, outputs)}` makes it, with what it needs."
            if outputs.current(result):
                remedy = f"It is there and current. To have it made anew: {_again(result, outputs)}"
            raise ConfigError("a result is no target of Snakemake", where=path, remedy=remedy)


def _again(result: Result, outputs: Outputs) -> str:
    """Return the commands that make a result anew which is current."""
    parts: list[Path] = [result.output, *result.files]
    if result.suffix is not None:
        parts.append(bulk_path(result.output, result.identity, result.suffix))
    return f"rm -r {' '.join(map(str, parts))} && {_make(result.output, outputs)}"


def _make(path: Path, outputs: Outputs) -> str:
    file = outputs.plan.file
    return f"saeflow make {path}" + (f" --configfile {file}" if file != "config.yaml" else "")


def forced(settings: Any, target: Collection[str]) -> Collection[str]:
    """Return the rules that -R, -F or, for those that make the target, -f asks for."""
    every = paths.PASSES if settings.forceall else ()
    return {*every, *settings.forcerun, *(target if settings.forcetargets else ())}


def kept(forced: Collection[str], wanted: Iterable[Result], outputs: Outputs) -> str:
    """Return which results of forced rules are kept, and how one is made anew, in words."""
    results = [one for one in wanted if one.rule in forced and outputs.current(one)]
    if not results:
        return ""
    counts = Counter(one.rule for one in results)
    words = ", ".join(f"{n} of {rule}" for rule, n in sorted(counts.items()))
    first = min(results, key=lambda one: one.output)
    return (
        f"Forcing makes nothing again that is there and current ({words}): the same settings, code"
        f" and inputs give the same bytes. To have one made anew: {_again(first, outputs)}"
    )
