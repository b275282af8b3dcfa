"""Texts with labels as they are read, before anything is left out. Read `Texts`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from saeflow.datasets.lines import is_whole, refuse_surrogates, without_surrogates
from saeflow.datasets.readers.csv import ABSENT
from saeflow.datasets.source import Row
from saeflow.errors import DataError

_WHOLE = re.compile(r"([+-]?\d+)\.0*")
_BETWEEN = "|"


class Texts(NamedTuple):
    """Texts of one dataset.

    Attributes
    ----------
    texts : list of str
        Raw: without a template.
    places : list of str
        Where each stands, for messages.
    splits : ndarray (n,) str
        Of each.
    labels : dict
        Column -> the label of each text, as `label_of` writes it, or None.
    concepts : list of (ndarray (m, 2) int64 or None)
        Characters where the concept stands; None where that is not known.
    """

    texts: list[str]
    places: list[str]
    splits: np.ndarray
    labels: dict[str, list[str | None]]
    concepts: list[np.ndarray | None]

    def take(self, kept: np.ndarray) -> Texts:
        """Return those at the true values of a mask, in order."""
        where = np.flatnonzero(kept).tolist()
        return Texts(
            [self.texts[i] for i in where],
            [self.places[i] for i in where],
            self.splits[where],
            {name: [values[i] for i in where] for name, values in self.labels.items()},
            [self.concepts[i] for i in where],
        )


def joined(parts: Iterable[Texts]) -> Texts:
    """Return texts one after another; they have the same columns."""
    parts = list(parts)
    return Texts(
        [one for part in parts for one in part.texts],
        [one for part in parts for one in part.places],
        np.concatenate([part.splits for part in parts]),
        {name: [one for part in parts for one in part.labels[name]] for name in parts[0].labels},
        [one for part in parts for one in part.concepts],
    )


def texts_of(rows: Iterable[Row], settings: Mapping[str, Any], split: str) -> Texts:
    """Return the texts of some rows.

    Parameters
    ----------
    rows
        Place and values of each.
    settings
        ``text``, ``label`` (a list of columns) and perhaps ``concept``.
    split
        What all of them are.

    Raises
    ------
    DataError
        If a column is not there, or what should be a text or a label is none.
    """
    columns, concept = settings["label"], settings.get("concept")
    found = Texts([], [], np.zeros(0, str), {name: [] for name in columns}, [])
    for where, row in rows:
        text = _text(row, settings["text"], where)
        found.texts.append(text)
        found.places.append(where)
        for name in columns:
            found.labels[name].append(label_of(_value(row, name, "label", where), where))
        found.concepts.append(_concept(row, concept, text, where) if concept else None)
    return found._replace(splits=np.full(len(found.texts), split))


def label_of(value: Any, where: object) -> str | None:
    """Return a label as a text, the same for what files of several kinds write otherwise.

    Parameters
    ----------
    value
        1, 1.0, "1" and "1.0" are "1"; true, "true" and "TRUE" are "True". What is null, empty, not
        a number or an abbreviation of these is None.
    where
        Its place, for messages.
    """
    if value is None or isinstance(value, float) and math.isnan(value):
        return None
    if not isinstance(value, str | int | float):
        raise DataError(
            "a label is neither a text nor a number",
            where=where,
            expected="a text, a number or a truth value",
            got=type(value).__name__,
            remedy="Give each text one label a column, and the columns under `label`.",
        )
    text = without_surrogates(str(value).strip())[0]
    if text in ABSENT:
        return None
    if text.lower() in ("true", "false"):
        return text.capitalize()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    value = _value(row, column, "text", where)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(
            f"the column '{column}' holds no text",
            where=where,
            expected="a string",
            got=type(value).__name__,
            remedy="Name another column with `text`.",
        )
    if is_whole(value):
        return value
    refuse_surrogates(value, where)
    return without_surrogates(value)[0]


def _value(row: Mapping[str, Any], column: str, key: str, where: str) -> Any:
    """Return what a row has in a column, or in a field of one ("meta.label")."""
    if column in row:
        return row[column]
    name, _, field = column.partition(".")
    if field and isinstance(row.get(name), Mapping):
        return _value(row[name], field, key, where)
    raise DataError(
        f"there is no column '{column}'",
        where=where,
        expected=f"one of {', '.join(map(str, row)) or 'none'}",
        remedy=f"Name another column with `{key}`, or leave this file out of the pattern.",
    )


def _concept(row: Mapping[str, Any], column: str, text: str, where: str) -> np.ndarray | None:
    """Return where the words of a row's concept stand in its text, None for nowhere."""
    value = _value(row, column, "concept", where)
    words = value.split(_BETWEEN) if isinstance(value, str) else value or []
    words = [str(word).strip() for word in words]
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True) if word)
    spans = [one.span() for one in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text)]
    return np.array(spans, np.int64) if pattern and spans else None
