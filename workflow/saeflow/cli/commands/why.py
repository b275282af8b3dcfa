"""Say whether a result is current and, if not, what changed since it was made.

TARGET is a record, a table, a figure, a bulk directory or the directory of an SAE.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saeflow.cli.causes import Cause
    from saeflow.failures import Cause as Failure
    from saeflow.plan.result import Result

HELP = "say which part of a result's identity changed"
_MOST_CHANGES = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from saeflow.cli.study import add_configfile

    parser.add_argument("target", type=Path, metavar="TARGET", help="path of a result")
    add_configfile(parser)


def run(options: argparse.Namespace) -> int:
    """Print the answer."""
    from saeflow.cli.study import bulk_parts, find_result, inside, open_study
    from saeflow.plan.current import is_released

    target = inside(options.target)
    study = open_study(options.configfile)
    result = find_result(study, target)
    if result.output not in study.wanted:
        print(f"({study.file} defines this, but no study of it wants it)")
    bulk = bulk_parts(target)
    if bulk and not result.identity.startswith(bulk[1]["identity"]):
        _tell_old_bulk(result, target, bulk[1]["identity"])
    elif is_released(result):
        _tell_released(result, study.outputs.current.needing(result))
    else:
        _tell(result)
    return 0


def _tell(result: Result) -> None:
    """Print the state of the result's result, and what changed where it is of another identity."""
    from saeflow.cli.causes import explain
    from saeflow.failures import MISSING, Cause, noted
    from saeflow.inventory import read_record
    from saeflow.plan.current import damages, has_bulk, recorded_identity

    found = recorded_identity(result.output)
    finished = result.suffix is not None and has_bulk(result)
    if found is None:
        if finished:
            print(f"{result.output} is current: its data are complete; the next run publishes it.")
            return
        state = (
            "damaged: it is not as it was written"
            if result.output.exists()
            else "not made yet, or deleted"
        )
        print(f"{result.output} is {state}.")
        _print_failures(noted(result.output, result.identity))
        _tell_unfinished(result)
    elif found != result.identity:
        print(f"{result.output} is stale.")
        _print_causes(explain(result, found))
        _print_failures(noted(result.output, result.identity))
        if finished:
            print("  The data of the present settings are there: the next run publishes them.")
        else:
            _tell_unfinished(result)
    elif damage := next(damages(result.output, result.identity, result.suffix, result.files), None):
        print(f"{result.output} is damaged: {damage.path} ({damage.what}).")
    elif missing := read_record(result.output).get(MISSING):
        print(f"{result.output} was made of what there was; the next run makes it anew.")
        _print_failures([Cause(*one) for one in missing])
    else:
        print(f"{result.output} is current.")


def _print_failures(causes: Sequence[Failure]) -> None:
    from saeflow.failures import told

    if causes:
        print("  The last run failed at")
    for line in told(causes):
        print(f"    {line}")


def _tell_released(result: Result, needing: list[Result]) -> None:
    """Say that a store's data were removed, and who needs them again."""
    from saeflow.cli.words import more

    if not needing:
        print(f"{result.output} is current. Its data were temporary and were removed after their")
        print("  last reader; they are made anew when something needs them again.")
        return
    first = min(needing, key=lambda reader: reader.output)
    print(f"{result.output}: its data were temporary and were removed after their last reader.")
    print(f"  They are made anew for {first.output}{more(needing)}.")
    _tell_unfinished(result)


def _tell_unfinished(result: Result) -> None:
    from saeflow.work import bulk_path

    if result.suffix is None:
        return
    final = bulk_path(result.output, result.identity, result.suffix)
    partial = final.with_name(f"{final.name}.partial")
    if partial.is_dir():
        print(f"  Work on it was begun and goes on from {partial}.")


def _tell_old_bulk(result: Result, target: Path, identity: str) -> None:
    from saeflow.cli.causes import explain
    from saeflow.files import read_json
    from saeflow.work import MANIFEST

    print(f"{target} was made under other settings or code than those of now.")
    manifest = next(
        (path / MANIFEST for path in (target, *target.parents) if f".{identity}" in path.name),
        target,
    )
    if manifest.is_file():
        _print_causes(explain(result, read_json(manifest)["identity"]))
    else:
        print("  It was never finished; `saeflow clean` lists what nothing wants any more.")


def _print_causes(causes: list[Cause]) -> None:
    """Print causes, those with the same changes together, the first steps first."""
    from saeflow.cli.words import more

    groups: dict[tuple[str, tuple[str, ...]], list[Cause]] = {}
    for cause in sorted(causes, key=lambda cause: -len(cause.through)):
        groups.setdefault((cause.rule, cause.changes), []).append(cause)
    for (rule, changes), group in groups.items():
        first = group[0]
        print(f"  {rule}: {first.record}{more(group)}")
        for line in changes[:_MOST_CHANGES]:
            print(f"    {line}")
        if len(changes) > _MOST_CHANGES:
            print(f"    and {len(changes) - _MOST_CHANGES} more changes")
        if first.through:
            print("    read by " + ", by ".join(str(path) for path in reversed(first.through)))
