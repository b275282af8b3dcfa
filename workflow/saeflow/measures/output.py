"""Parquet tables whose bytes depend on their content alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def write_table(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns of one length to a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: np.asarray(c) for name, c in columns.items()}), path)


def read_table(path: Path) -> pd.DataFrame:
    """Read what `write_table` wrote."""
    import pandas as pd

    return pd.read_parquet(path)
