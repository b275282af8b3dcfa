"""The configuration that a command speaks of, its plan, and the result behind a path."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from saeflow import paths
from saeflow.config.checks import resolve
from saeflow.config.reading import read_config
from saeflow.errors import ConfigError, SaeflowError
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.plan.possible import require_possible
from saeflow.plan.result import Result
from saeflow.work import IDENTITY_CHARACTERS

BULK = re.compile(
    rf"(?P<stem>.+?)\.(?P<identity>[0-9a-f]{{{IDENTITY_CHARACTERS}}})"
    r"(?P<suffix>\.zarr)?(?P<state>\.partial|\.removed)?"
)
"""The names of bulk directories, see `saeflow.work`; ``.removed`` is one that `clean` removes."""

_ALONE = ("model", "tokenizer", "dataset", "prompts", "labelled", "tokens", "sae")
"""Records that name the directory in which they lie."""


class Study(NamedTuple):
    """A configuration, its file, and ``outputs``, which finds results and says which are there."""

    file: Path
    config: dict[str, Any]
    outputs: Outputs

    @property
    def plan(self) -> Plan:
        """Finds results, wanted or not."""
        return self.outputs.plan

    @property
    def wanted(self) -> dict[Path, Result]:
        """Record -> result, of all that a whole run makes."""
        return {result.output: result for result in self.outputs.wanted}


def add_configfile(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the option that names the configuration."""
    about = "the configuration; config.yaml here by default"
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+" if several else None,
        default=[Path("config.yaml")] if several else Path("config.yaml"),
        metavar="FILE",
        help=about + (", several where they share results" if several else ""),
    )


def configuration(file: Path) -> dict[str, Any]:
    """Read a configuration, and fill in its defaults."""
    return resolve(read_config(file), file=str(file))


def open_study(file: Path) -> Study:
    """Read a configuration and plan it; the first problem is a `ConfigError`."""
    config = configuration(file)
    study = Study(file, config, Outputs(Plan(config, file=str(file))))
    require_possible(study.outputs)
    return study


def inside(target: Path) -> Path:
    """Return a path relative to the working directory, as records are named."""
    relative = Path(os.path.relpath(target))
    if relative.parts[:1] != (paths.RESULTS,):
        raise SaeflowError(
            "this is not one of the workflow's results",
            where=target,
            expected=f"a path below {paths.RESULTS}/, from the directory of the configuration",
        )
    return relative


def bulk_parts(target: Path) -> tuple[Path, re.Match[str]] | None:
    """Return the record of the bulk that ``target`` is or lies in, and the bulk's parsed name."""
    for path in (target, *target.parents):
        if match := BULK.fullmatch(path.name):
            return path.parent / f"{match['stem']}.json", match
    return None


def find_result(study: Study, target: Path) -> Result:
    """Return the result that a path belongs to.

    ``target`` is a record, another file of a result, bulk or something in it, or the directory of a
    record that names it (an SAE's), relative to the working directory.
    """
    bulk = bulk_parts(target)
    record = bulk[0] if bulk else target
    candidates = [record, *(record / f"{name}.json" for name in _ALONE)]
    for path in candidates:
        if result := study.outputs.find(path):
            return result
    raise _not_found(study, target, there=any(path.exists() for path in candidates))


def _not_found(study: Study, target: Path, *, there: bool) -> ConfigError:
    """Return the error for a path that a configuration does not define."""
    _, kind, name, *_ = (*target.parts, "", "")
    if kind == "studies" and name not in ("", study.config["name"]):
        remedy = f"It is of the configuration '{name}': give its file with --configfile."
    elif there:
        remedy = "It is there: name the configuration that made it with --configfile."
    else:
        known = [str(path) for one in study.outputs.wanted for path in (one.output, *one.files)]
        close = difflib.get_close_matches(str(target), known, n=1)
        remedy = f"Did you mean {close[0]}? " if close else ""
        remedy += "Where another configuration makes it, name that with --configfile."
    return ConfigError(f"nothing in {study.file} makes this", where=target, remedy=remedy)
