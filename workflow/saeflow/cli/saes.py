"""SAEs named on the command line: a record, a directory of ours or of others, a foreign file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saeflow.errors import ConfigError

if TYPE_CHECKING:
    from saeflow.sae.model import SAE

RECORD = "sae.json"


def open_sae(target: Path) -> tuple[SAE, Path | None]:
    """Return an SAE and its record, None for one that is no result of the workflow.

    ``target`` is ``sae.json``, the directory that holds it, the bulk beside it, or anything that
    `saeflow.sae.saved.load.load_sae` reads.
    """
    from saeflow.files import read_json
    from saeflow.sae.saved.load import load_sae

    target = Path(target)
    if not target.exists():
        raise ConfigError(
            "there is no such file or directory",
            where=target,
            expected="the directory or record of an SAE, from the working directory",
        )
    record = target if target.name == RECORD else target / RECORD
    if record.is_file():
        return load_sae(record), record
    beside = target.parent / RECORD
    is_bulk = beside.is_file() and read_json(beside).get("bulk") == target.name
    return load_sae(target), beside if is_bulk else None
