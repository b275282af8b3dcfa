"""The scaling table of a configuration: the loss of models of several sizes on the evaluated text.

Read `Sizes`.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from saeflow.config.base import Positive, Section
from saeflow.errors import ConfigError, first_line

_COLUMNS = ("parameters", "loss")
_LEAST = 2


class Size(Section):
    """A model of a size, and its loss."""

    parameters: Positive
    """Parameters of the model."""
    loss: Positive
    """Its loss, in nats per token, on the text that SAEs are measured on."""


def _read(given: Any) -> Any:
    """Return the rows of a CSV file; what is no path is left to the check."""
    if not isinstance(given, str):
        return given
    path = Path(given).expanduser()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [{name: float(row[name]) for name in _COLUMNS} for row in rows]
    except (OSError, UnicodeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the scaling table cannot be read: {type(error).__name__}: {first_line(error)}",
            expected=f"a CSV file with numbers in the columns {' and '.join(_COLUMNS)}",
            got=given,
        ) from error


def _sorted(sizes: list[Size]) -> list[Size]:
    """Return sizes from the smallest on, or raise where a larger model is no better."""
    if sizes and len(sizes) < _LEAST:
        raise ConfigError(
            "a scaling table needs sizes to stand between",
            expected=f"at least {_LEAST} models",
            got=len(sizes),
        )
    ordered = sorted(sizes, key=lambda size: size.parameters)
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.parameters == other.parameters or one.loss <= other.loss:
            raise ConfigError(
                f"the loss does not fall from {one.parameters:g} to {other.parameters:g}"
                " parameters, so that it stands for no size",
                expected="a smaller loss for each larger size",
                got=f"{one.loss:g} and {other.loss:g}",
                remedy="Leave out one of them, or measure them on more text.",
            )
    return ordered


Sizes = Annotated[list[Size], BeforeValidator(_read), AfterValidator(_sorted)]
"""Models from the smallest on; a list of sizes, or the path of a CSV file with them."""
