"""What the page is made of: captions as HTML, pictures as data, tables packed for the browser."""

from __future__ import annotations

import base64
import io
import json
import math
import zlib
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import pandas as pd
from docutils.core import publish_parts
from PIL import Image

from saeflow.errors import DamagedError

_PNG_DPI = 200
_CSS_DPI = 96
# Figures are made for print, where 8 points are enough; a screen wants a little more.
_SCREEN_SCALE = 1.2
# A page with more numbers than this is no page any more: the rest stays in the CSV file.
_MOST_CELLS = 1_000_000
_DIGITS = 6
_WORDS = {"True": "yes", "False": "no"}
_EXACT = 1e15  # whole numbers below are written out


def caption_html(text: str) -> str:
    """Return reStructuredText as HTML; a mistake in it is told where it stands.

    A caption is text: it reads no other file and brings no HTML of its own.
    """
    settings = {
        "file_insertion_enabled": False,
        "raw_enabled": False,
        "report_level": 2,
        "halt_level": 5,
        "warning_stream": False,
        "initial_header_level": 4,
        "_disable_config": True,
    }
    return publish_parts(cleandoc(text), writer="html5", settings_overrides=settings)[
        "body"
    ].strip()


def picture(path: Path) -> dict[str, str | int]:
    """Return a PNG as WebP, which has the same pixels in a third of the bytes.

    Returns
    -------
    dict
        ``source``, a data URI; ``width`` and ``height`` on a screen, in CSS pixels.
    """
    content = io.BytesIO()
    try:
        with Image.open(path) as image:
            image.save(content, "WEBP", lossless=True, method=6)
            width, height = (round(n / _PNG_DPI * _CSS_DPI * _SCREEN_SCALE) for n in image.size)
    except FileNotFoundError as error:
        raise DamagedError(
            "the picture is missing", where=path, remedy="Run the workflow again: it draws it anew."
        ) from error
    except (OSError, SyntaxError) as error:  # what PIL raises for bytes that are no picture
        raise DamagedError(
            "the picture cannot be read",
            where=path,
            remedy="Run the workflow again once it is deleted: it draws it anew.",
        ) from error
    source = "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")
    return {"source": source, "width": width, "height": height}


def pack(table: pd.DataFrame) -> tuple[str, int]:
    """Return a table as base64 of deflated JSON, and how many of its rows that has.

    A column is an object with ``name``, ``values`` and, where it has intervals, ``low`` and
    ``high``. A number has six digits, a missing value is null.
    """
    columns = list(_columns(table))
    n_rows = min(len(table), _MOST_CELLS // max(len(columns), 1))
    packed = [
        f'"name":{json.dumps(parts["values"])},'
        + ",".join(f'"{part}":{_json(table[name][:n_rows])}' for part, name in parts.items())
        for parts in columns
    ]
    text = "[" + ",".join(f"{{{column}}}" for column in packed) + "]"
    return base64.b64encode(zlib.compress(text.encode(errors="replace"), 9)).decode("ascii"), n_rows


def _columns(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yield the columns of the page: an interval stands in the cell of its value."""
    names = set(table.columns)
    ends = {name: (f"{name}_low", f"{name}_high") for name in table.columns}
    ends["value"] = ("low", "high")
    ends = {name: both for name, both in ends.items() if {name, *both} <= names}
    hidden = {end for both in ends.values() for end in both}
    if "hook" in names:
        hidden |= {"site", "block"}  # they say the same
    for name in table.columns:
        if name not in hidden:
            interval = zip(("low", "high"), ends[name], strict=True) if name in ends else ()
            yield {"values": name, **dict(interval)}


def _json(values: pd.Series) -> str:
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return "[" + ",".join(map(_number, values)) + "]"
    texts = [None if pd.isna(value) else _WORDS.get(str(value), str(value)) for value in values]
    return json.dumps(texts, ensure_ascii=False)


def _number(value: float) -> str:
    if math.isnan(value):
        return "null"
    if math.isinf(value):
        return "1e999" if value > 0 else "-1e999"  # JSON has no other word for it
    exact = abs(value) < _EXACT and value == int(value)
    return str(int(value)) if exact else f"{value:.{_DIGITS}g}"
