"""Prompt sets as a job makes them: read or generated, checked, written. Read `prepare_prompts`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saeflow import registry
from saeflow.datasets.hub import hub_rows
from saeflow.datasets.local import rows_of
from saeflow.datasets.source import Row
from saeflow.errors import DataError
from saeflow.prompts.forms import find_form
from saeflow.prompts.local import find_prompt_files
from saeflow.prompts.prompt import CHOICE, CLOZE, Prompt, PromptSet, write_prompts
from saeflow.work import bulk_of

if TYPE_CHECKING:
    from saeflow.work import Work

logger = logging.getLogger(__name__)

WINDOWS = {CLOZE: 128}
WINDOW = 32
"""Tokens over which latents count as active, as the post has them: for LAMBADA, and for a cloze."""

IOI_PROMPTS = 1000
"""So many are generated where none are asked for."""

CLOZE_CANDIDATES = 10
"""So many has a question of the Children's Book Test."""


def prepare_prompts(
    work: Work, settings: Mapping[str, Any], path: str | None = None, dataset: Path | None = None
) -> None:
    """Write a prompt set and finish with its record.

    Parameters
    ----------
    work
        Held work; nothing is done if it is finished.
    settings
        ``n_prompts`` and ``window``, which may be None; ``generate``; or ``form`` and what
        `saeflow.prompts.forms.find_form` reads, and ``hub`` and what
        `saeflow.datasets.hub.hub_source` reads unless ``path`` is given.
    path
        What `saeflow.prompts.local.find_prompt_files` takes.
    dataset
        ``dataset.json`` of the world whose prompts are wanted.

    Raises
    ------
    DataError
        If there are none, or fewer than asked for, or one cannot be asked.
    """
    if work.finished:
        return
    work.restart()
    facts: dict[str, Any] = {}
    if "generate" in settings:
        kind, prompts = _generated(settings, dataset)
    else:
        kind, prompts, facts = _formed(_read(settings, path), settings)
    wanted = settings["n_prompts"]
    if len(prompts) < (wanted or 1):
        raise DataError(
            "there are fewer prompts than asked for" if prompts else "there is no prompt",
            where=work.output,
            expected=f"at least {wanted or 1}",
            got=len(prompts),
            remedy="Lower n_prompts in the entry of the prompt set; null takes all."
            if prompts
            else "Name another file or split.",
        )
    window = settings["window"] or WINDOWS.get(kind, WINDOW)
    write_prompts(work.path, prompts)
    work.finish(_record(PromptSet(kind, window, prompts)) | facts)


def _generated(settings: Mapping[str, Any], dataset: Path | None) -> tuple[str, list[Prompt]]:
    # by name: the templates count only for the prompts that are made of them
    maker = registry.load("prompts", "ioi" if dataset is None else "world")
    if dataset is None:
        n_prompts = settings["n_prompts"] or IOI_PROMPTS
        return CHOICE, maker.generate_prompts(n_prompts, settings.get("seed", 0))
    kind, prompts = maker.prompts_of(bulk_of(dataset), settings["generate"])
    return kind, prompts[: settings["n_prompts"]]


def _read(settings: Mapping[str, Any], path: str | None) -> Iterator[Row]:
    """Return where each row stands, and its values, of files or a dataset on the hub."""
    if path is not None:
        return rows_of(find_prompt_files(path, where=path))
    return hub_rows(dict(settings, n_documents=settings["n_prompts"]))


def _formed(
    rows: Iterator[Row], settings: Mapping[str, Any]
) -> tuple[str, list[Prompt], dict[str, Any]]:
    """Return the kind of a set, its first prompts, and facts about its source."""
    first = next(rows, None)
    if first is None:
        return "", [], {}
    form = find_form(settings, first[1], first[0])
    prompts, n_repeated = [], 0
    for where, row in islice(chain([first], rows), settings["n_prompts"]):
        prompt, repeated = form.prompt(row, where)
        prompts.append(prompt)
        n_repeated += repeated
    if n_repeated:
        logger.warning("%d candidates stood in their list twice and were left out", n_repeated)
    return form.kind, prompts, {"columns": form.columns, "n_repeated_candidates": n_repeated}


def _record(found: PromptSet) -> dict[str, Any]:
    """Return what the record says of a prompt set."""
    facts: dict[str, Any] = {
        "kind": found.kind,
        "window": found.window,
        "n_prompts": len(found.prompts),
        "n_characters": sum(len(prompt.text) for prompt in found.prompts),
    }
    numbers = [len(p.candidates) for p in found.prompts if p.candidates is not None]
    if not numbers:
        return facts
    few = sum(number < CLOZE_CANDIDATES for number in numbers) if found.kind == CLOZE else 0
    if few:
        logger.warning(
            "%d of %d questions have fewer than %d candidates; chance is counted for each",
            *(few, len(numbers), CLOZE_CANDIDATES),
        )
    return facts | {
        "n_candidates": {"min": min(numbers), "max": max(numbers)},
        "n_with_few_candidates": few,
        "chance": sum(1 / number for number in numbers) / len(numbers),
    }
