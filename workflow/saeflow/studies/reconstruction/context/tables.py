"""The tables about positions in the context: each range of positions, some exact ones, a summary.

All are formed of the sums of `saeflow.measures.positions.measure`. Positions are counted from 1
here, as in the post, where position 1 is that of BOS. Intervals are of resampled documents, and a
document that has no token in a range is drawn like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import Estimate, form, totals_and_draws
from saeflow.metrics.metric import Formula, ratio
from saeflow.metrics.positions import BEYOND, HELD_OUT, SEEN, WITHIN
from saeflow.metrics.registry import METRICS
from saeflow.tables.builders import KEY, columns, stack, with_ends
from saeflow.tables.runs import Run

MEASURE = "positions"
RANGES, EXACT = "positions.parquet", "exact.parquet"

VALUES = {
    "l0": ("active", "tokens"),
    "squared_error": ("squared_error", "tokens"),
    "fvu": ("squared_error", "squared_deviation"),
    "l1": ("activation", "tokens"),
    "act_norm": ("norm", "tokens"),
    "ce_clean": ("ce_clean", "predictions"),
    "ce_sae": ("ce_sae", "predictions"),
    "delta_ce": ("added", "predictions"),
}
"""What is told of each position: the sum above and the sum below a line."""

_ABOUT = ("packing", "training_context", "input_norm")
_WHERE = ("part", "special", "first", "last", "position")
_END = {HELD_OUT: "", SEEN: "_seen"}
_COUNTS = ("n_documents", "n_tokens", "n_predictions")
COMPARISONS = {
    "fvu_seen_ratio": ("fvu", np.divide),
    "delta_ce_seen_difference": ("delta_ce", np.subtract),
    "ce_clean_seen_difference": ("ce_clean", np.subtract),
}
"""How documents of the training are held against others: seen / held out, seen - held out."""


class Sums(NamedTuple):
    """Sums of one SAE in ranges of positions."""

    first: np.ndarray
    last: np.ndarray
    """(n_ranges,) int64: positions of each range, from 0, the last one included."""
    columns: dict[str, np.ndarray]
    """Name -> (n_documents, n_ranges) float64."""


def by_range(runs: Sequence[Run], *, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Return a row per SAE, part, kind of token and range of positions, with `VALUES`.

    Parameters
    ----------
    runs
        Runs of the measure.
    bootstrap, seed
        Number of resamples and their seed.

    Returns
    -------
    DataFrame
        `KEY`, packing, training_context, input_norm; part ("held_out", or "seen" for documents of
        the SAE's training); special (rows of BOS and separators, which no other row counts, without
        intervals: few documents have one in a range); first and last position, and ``position``,
        the middle of the range on a logarithmic axis.
    """
    rows = []
    for run in runs:
        for part, special, sums in _parts(run):
            found = _with_intervals(sums, 0 if special else bootstrap, seed)
            for place, values in enumerate(found):
                first, last = int(sums.first[place]) + 1, int(sums.last[place]) + 1
                tokens, predictions = (sums.columns[n][:, place] for n in ("tokens", "predictions"))
                rows.append(
                    {
                        **run.key.columns(), **_about(run), "part": part, "special": special,
                        "first": first, "last": last, "position": (first * last) ** 0.5,
                        "n_documents": int((tokens > 0).sum()), "n_tokens": int(tokens.sum()),
                        "n_predictions": int(predictions.sum()), **values,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows, columns=[*KEY, *_ABOUT, *_WHERE, *_COUNTS, *with_ends(VALUES)])


def exact(runs: Sequence[Run]) -> pd.DataFrame:
    """Return a row per SAE, part, kind of token and power of two, and the last scored position.

    Without intervals: sums are not kept by document there.
    """
    wanted = [*KEY, *_ABOUT, *_WHERE, *_COUNTS[1:], *VALUES]
    return stack((_at_powers(run) for run in runs), wanted)


def summary(
    runs: Sequence[Run], *, metrics: Sequence[str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return a row per SAE: within and beyond one position, and seen documents against others.

    Parameters
    ----------
    runs
        Runs of the measure.
    metrics
        Names of its metrics. Here T is the same for all SAEs of a model: the shortest context that
        one of them was trained at, or half the context where none was shorter. A range of positions
        that it cuts is in neither side.
    bootstrap, seed
        Number of resamples and their seed. Documents that were seen and others are resampled each
        for themselves.

    Returns
    -------
    DataFrame
        `KEY`, packing, training_context, input_norm, ``border`` (T), counts, metrics of held-out
        documents, ``fvu_seen_ratio`` (seen / held out), ``delta_ce_seen_difference`` and
        ``ce_clean_seen_difference`` (seen - held out), and ``why_unseen`` where there are none.
    """
    rows = []
    for run in runs:
        border = border_of([other for other in runs if other.key.model == run.key.model])
        parts = {part: sums for part, special, sums in _parts(run) if not special}
        totals, drawn = totals_and_draws(_sides(parts[HELD_OUT], border), bootstrap, seed)
        found = {name: form(METRICS[name].formula, totals, drawn) for name in metrics}
        rows.append(
            {
                **run.key.columns(), **_about(run), "border": border,
                **{f"n_documents{_END[p]}": len(one.columns["tokens"]) for p, one in parts.items()},
                "n_tokens_beyond": int(totals["beyond_tokens"]),
                **columns(found), **columns(_seen(parts, bootstrap, seed)),
                "why_unseen": run.records[MEASURE].facts["why_unseen"],
            }
        )  # fmt: skip
    ends = with_ends((*metrics, *COMPARISONS))
    counts = ("border", *(f"n_documents{end}" for end in _END.values()), "n_tokens_beyond")
    return pd.DataFrame(rows, columns=[*KEY, *_ABOUT, *counts, *ends, "why_unseen"])


def border_of(runs: Sequence[Run]) -> int:
    """Return the shortest context of a training that is shorter than sequences, or half of these.

    Parameters
    ----------
    runs
        Of one model.
    """
    facts = [run.records[MEASURE].facts for run in runs]
    length = max(one["context_length"] for one in facts)
    known = [one["training_context"] for one in facts if one["training_context"]]
    return min((context for context in known if context < length), default=length // 2)


def _at_powers(run: Run) -> pd.DataFrame:
    table = run.records[MEASURE].table(EXACT)
    table = table.assign(added=table["ce_sae"] - table["ce_clean"], position=table["position"] + 1)
    scored = table.loc[table["predictions"] > 0, "position"]
    wanted = {*(1 << np.arange(17)).tolist(), scored.max()}
    table = table[table["position"].isin(wanted)]
    values = {name: table[above] / table[below] for name, (above, below) in VALUES.items()}
    counts = {"n_tokens": table["tokens"], "n_predictions": table["predictions"]}
    where = {"first": table["position"], "last": table["position"]}
    return table.assign(**run.key.columns(), **_about(run), **where, **counts, **values)


def _about(run: Run) -> dict[str, Any]:
    facts = run.records[MEASURE].facts
    return {"packing": run.key.packing, **{name: facts[name] for name in _ABOUT[1:]}}


def _parts(run: Run) -> Iterator[tuple[str, bool, Sums]]:
    """Yield part, kind of token and sums of an SAE, the held-out part first."""
    table = run.records[MEASURE].table(RANGES)
    added = (table["ce_sae"] - table["ce_clean"]).rename("added")
    table = pd.concat([table, added], axis=1)
    for (part, special), rows in table.groupby(["part", "special"], sort=True):
        yield str(part), bool(special), _gathered(rows)


def _gathered(rows: pd.DataFrame) -> Sums:
    documents, at = np.unique(rows["document"], return_inverse=True)
    first, place = np.unique(rows["first"], return_inverse=True)
    last = np.zeros(len(first), np.int64)
    last[place] = rows["last"]
    found = {}
    for name in dict.fromkeys(name for pair in VALUES.values() for name in pair):
        found[name] = np.zeros((len(documents), len(first)))
        found[name][at, place] = rows[name]
    return Sums(first, last, found)


def _with_intervals(sums: Sums, bootstrap: int, seed: int) -> Iterator[dict[str, float | None]]:
    """Yield the values of each range with their intervals, as columns."""
    n = len(sums.first)
    documents = {
        f"{place} {name}": column[:, place]
        for place in range(n)
        for name, column in sums.columns.items()
    }
    totals, drawn = totals_and_draws(documents, bootstrap, seed)
    for place in range(n):
        yield columns(
            {
                name: form(ratio(f"{place} {above}", f"{place} {below}"), totals, drawn)
                for name, (above, below) in VALUES.items()
            }
        )


def _sides(sums: Sums, border: int) -> dict[str, np.ndarray]:
    """Return the sums of each document within and beyond a position, (n_documents,) each."""
    sides = {WITHIN: sums.last < border, BEYOND: sums.first >= border}
    return {
        f"{side}{name}": column[:, ranges].sum(axis=1)
        for side, ranges in sides.items()
        for name, column in sums.columns.items()
    }


def _seen(parts: Mapping[str, Sums], bootstrap: int, seed: int) -> dict[str, Estimate]:
    """Compare documents of the training with others, each drawn for themselves."""
    if SEEN not in parts:
        return dict.fromkeys(COMPARISONS, Estimate(None))
    totals, drawn = {}, {}
    for number, (part, sums) in enumerate(sorted(parts.items())):
        documents = {f"{part} {name}": c.sum(axis=1) for name, c in sums.columns.items()}
        found = totals_and_draws(documents, bootstrap, seed + number)
        totals |= found[0]
        drawn |= found[1]
    if not all(map(len, drawn.values())):
        drawn = {}  # one of the two is a single document
    return {
        name: form(_comparison(value, compare), totals, drawn)
        for name, (value, compare) in COMPARISONS.items()
    }


def _comparison(value: str, compare: Callable[..., np.ndarray]) -> Formula:
    above, below = VALUES[value]
    seen, other = (ratio(f"{part} {above}", f"{part} {below}") for part in (SEEN, HELD_OUT))
    return lambda sums: compare(seen(sums), other(sums))
