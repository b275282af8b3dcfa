"""What the tables of what was run are made of: settings and numbers as words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from saeflow.datasets.split import SPLITS

Entries = Mapping[str, Any]

HASH_CHARACTERS = 12


class Section(NamedTuple):
    """One table of what was run.

    Attributes
    ----------
    title : str
        Its heading.
    cells : list of dict
        Of each row, the text by the head of its column.
    note : str
        A sentence below.
    """

    title: str
    cells: list[dict[str, str]]
    note: str = ""

    @property
    def columns(self) -> list[str]:
        """The heads of the columns that have something in them."""
        return [head for head in self.cells[0] if any(row[head] for row in self.cells)]

    @property
    def rows(self) -> list[list[str]]:
        """The texts of each row in the order of the columns."""
        return [[row[head] for head in self.columns] for row in self.cells]


def source(own: Mapping[str, Any]) -> str:
    """Return where a model, a dataset, a prompt set or labelled texts come from."""
    rule = own["rule"]
    if rule == "select_checkpoint":
        return f"{own['from_model']} after {own['step']:,} steps"
    if rule == "shuffle_model":
        return f"{own['from_model']} with the entries of each weight permuted"
    if rule == "train_lm":
        _, dataset, packing = own["from_tokens"].split("/")
        return f"trained here on {dataset}, packed as {packing}"
    if rule == "generate_dataset":
        return "generated here: the built-in world"
    if rule == "fetch_prompts" and "generate" in own:
        of = f"the world {own['from_dataset']}" if "from_dataset" in own else "templates in English"
        return f"generated here: {own['generate']}, of {of}"
    if rule == "fetch_labelled" and "generate" in own:
        return f"generated here: reviews of the built-in world, seed {own['world']['seed']}"
    if rule == "sample_dataset":
        return f"sampled here from {own['from_model']}"
    if "hub" in own:
        return f"{own['hub']} at {str(own['revision'])[:HASH_CHARACTERS]}"
    kind = f" ({own['format']})" if own.get("format") else ""
    return f"local{kind}, SHA-256 {str(own.get('path_sha256', ''))[:HASH_CHARACTERS]}"


def several(values: Iterable[Any]) -> str:
    """Return the distinct values that are there; of more than three numbers the ends."""
    distinct = list(dict.fromkeys(v for v in values if isinstance(v, str | int | float)))
    if len(distinct) > 3 and all(isinstance(value, int | float) for value in distinct):
        return f"{number(min(distinct))} to {number(max(distinct))}"
    return ", ".join(map(number, distinct))


def by_split(counts: Mapping[str, Any]) -> str:
    """Return a number for each split, "" where there is none."""
    numbers = [number(counts.get(split)) for split in SPLITS]
    return " / ".join(text or "–" for text in numbers) if any(numbers) else ""


def number(value: Any) -> str:
    """Return a number, or a truth value, in words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def listed(settings: Mapping[str, Any]) -> str:
    """Return settings in words, without those that are not used."""
    return ", ".join(
        f"{name} {_text(value)}"
        for name, value in settings.items()
        if value is not None and value not in ({}, [], ())
    )


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({listed(value)})"
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else number(value)


def but(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return settings without some."""
    return {name: value for name, value in settings.items() if name not in names}
