"""What two computations of the post give that went wrong, beside ours. Read `as_published`."""

from __future__ import annotations

import pandas as pd

from saeflow.figures.drawing import Drawing
from saeflow.figures.style import MUTED, SERIES, WARNING, Look
from saeflow.metrics.similarity import CORRELATION, COSINE, UNCENTRED
from saeflow.studies.universality.comparisons import NULLS
from saeflow.studies.universality.pairs.rows import Series, draw_rows
from saeflow.studies.universality.post.directed import directed, of_table

_GAUSSIAN, _UNIFORM = "null_gaussian", "null_uniform"
_PANELS = {CORRELATION: "Correlation of activations", COSINE: "MCS of decoder rows"}
_SERIES = {
    CORRELATION: Series(Look(SERIES[0], "o", "correlation"), -0.15),
    UNCENTRED: Series(Look(WARNING, "s", "the same as published: mean not taken off"), 0.15),
    COSINE: Series(Look(SERIES[0], "D", "MCS"), -0.2),
    _GAUSSIAN: Series(Look(MUTED, "^", "MCS of random directions"), 0.05),
    _UNIFORM: Series(Look(WARNING, "v", "the same as published: positive entries alone"), 0.25),
}


def as_published(table: pd.DataFrame) -> Drawing:
    """Draw a row for whatever SAEs differ in, and for SAEs that should share nothing."""
    rows = directed(table, nulls=True)
    rows = rows[rows["quantity"].isin((CORRELATION, UNCENTRED, COSINE))]
    is_null = rows["comparison"].isin(NULLS)
    rows = rows.assign(row=rows["comparison"].where(is_null, rows["differ"]), null=is_null)
    rows = rows.sort_values("null", kind="stable")
    parts = [rows.assign(series=rows["quantity"])]
    for null in (_GAUSSIAN, _UNIFORM):
        own = rows[(rows["quantity"] == COSINE) & rows[null].notna()]
        parts.append(own.assign(series=null, value=own[null]))
    points = pd.concat(parts)
    points["quantity"] = points["quantity"].replace(UNCENTRED, CORRELATION)
    by = points.groupby(["row", "quantity", "series"], sort=False)["value"]
    means = by.agg(value="mean", low="min", high="max").reset_index()
    figure = draw_rows(means, _SERIES, _PANELS, "Mean best similarity")
    note = "Marks are means over pairs and both directions; strokes reach from least to largest."
    return Drawing(figure, of_table(table, rows), (note,))
