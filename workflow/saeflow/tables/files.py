"""Tables on disk: CSV with one spelling of each number, so that equal tables are equal bytes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from saeflow.errors import DamagedError
from saeflow.files import write_atomic

# Nine digits: more than any interval needs, fewer than rounding between machines moves.
_FLOAT_FORMAT = "%.9g"


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, atomically; missing values are empty."""
    text = frame.to_csv(index=False, float_format=_FLOAT_FORMAT, lineterminator="\n")
    write_atomic(path, text.encode(errors="replace"))  # half an emoji is no character


def read_csv(path: Path) -> pd.DataFrame:
    """Read what `write_csv` wrote; names such as "none" stay text."""
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)
    except FileNotFoundError as error:
        raise DamagedError(
            "the table is missing", where=path, remedy="Run the workflow again to make it."
        ) from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DamagedError(
            "the table cannot be read",
            where=path,
            got=str(error),
            remedy="Delete it and run the workflow again.",
        ) from error
