"""Local files with prompts, and a look at their first rows before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from saeflow.datasets.files import find_tables
from saeflow.datasets.local import rows_of
from saeflow.errors import DataError
from saeflow.prompts.forms import find_form

_FIRST = 100


def find_prompt_files(path: Path | str, *, where: object) -> list[Path]:
    """Return the files of a prompt set, as `saeflow.datasets.files.find_tables` does."""
    lacks, row = "does not say where one ends", '{"text": "..."}'
    return find_tables(path, where=where, what="prompts", lacks=lacks, row=row)


def check_head(path: Path | str, settings: Mapping[str, Any], *, where: object) -> None:
    """Raise what reading the first rows of a prompt set raises: quick, and without torch.

    ``settings`` are those of `saeflow.prompts.prepare.prepare_prompts`; ``where`` is the
    configuration key that names the path, for messages.
    """
    rows = islice(rows_of(find_prompt_files(path, where=where)), settings["n_prompts"] or _FIRST)
    form = None
    for place, row in islice(rows, _FIRST):
        form = form or find_form(settings, row, place)
        form.prompt(row, place)
    if form is None:
        raise DataError(
            "there is no prompt",
            where=path,
            expected="at least one row",
            remedy="Copy or fetch it again, or name another file.",
        )
