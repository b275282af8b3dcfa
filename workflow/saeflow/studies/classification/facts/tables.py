"""Tables of known facts: how well latents tell each, and how many of them an SAE captures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saeflow.metrics.facts import COLUMNS, COUNTS, FACTS
from saeflow.metrics.intervals import Estimate, interval, resample
from saeflow.metrics.registry import METRICS
from saeflow.studies.classification.facts import CAPTURED, EVERY, TRAINED
from saeflow.tables.builders import EXTENT, KEY, columns, with_ends
from saeflow.tables.runs import Run

MEASURE = "facts"
PROBED = 0.6
"""F1 of a fact's linear probe below which nothing is said of absorption: SAEBench's condition."""

_ABSORPTION = "fact_absorption"
_SIZE = ("d_sae", "l0")


class _Facts(NamedTuple):
    """The facts of a run as the measurement chose them, and what is formed of their sums.

    ``whole`` is metric -> (n_facts,); ``drawn`` metric -> (n_facts, samples) of resampled
    documents, of no samples (n_facts, 0).
    """

    facts: pd.DataFrame
    whole: Mapping[str, np.ndarray]
    drawn: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, run: Run, metrics: Sequence[str], bootstrap: int, seed: int) -> _Facts:
        """Form metrics, and resample the documents of all facts together."""
        record = run.records[MEASURE]
        facts, counts = record.table(FACTS), record.table(COUNTS)
        shape = (len(facts), len(counts) // len(facts))  # every fact has a row per document
        sums = {name: counts[name].to_numpy(float).reshape(shape) for name in COLUMNS}
        wide = {f"{name} {i}": own[i] for name, own in sums.items() for i in range(shape[0])}
        drawn = resample(wide, samples=bootstrap, seed=seed) if bootstrap else {}
        resampled = {
            name: np.stack([drawn.get(f"{name} {i}", np.empty(0)) for i in range(shape[0])])
            for name in sums
        }
        totals = {name: own.sum(axis=1) for name, own in sums.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            formed = [
                {name: METRICS[name].formula(own) for name in metrics}
                for own in (totals, resampled)
            ]
        return cls(facts, *formed)

    def estimates(self, fact: int) -> dict[str, Estimate]:
        """Return the metrics of a fact with their intervals."""
        return {
            name: _estimate(values[fact], self.drawn[name][fact])
            for name, values in self.whole.items()
        }


def facts(
    runs: Sequence[Run], *, metrics: Sequence[str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return one row per SAE and fact.

    Returns
    -------
    DataFrame
        The SAE, its ``baseline``, ``d_sae`` and ``l0``; the ``fact`` and its ``kind``; of how many
        tokens it holds where it is counted and where latents are chosen, ``n`` and
        ``n_validation``; the best ``latent``, its ``threshold`` and ``auc``; the metrics with their
        intervals; ``n_latents`` that tell it together, and ``latents``; ``n_absorbing``, how many
        latents stand in for these. Nothing is said of absorption where the linear probe's F1 is
        below `PROBED`.
    """
    rows = []
    for run in runs:
        found = _Facts.of(run, metrics, bootstrap, seed)
        for number, fact in enumerate(found.facts.itertuples()):
            known = found.estimates(number)
            if (known["fact_f1_probe"].value or 0.0) < PROBED:
                known[_ABSORPTION] = Estimate(None)
            rows.append(
                {
                    **run.key.columns(),
                    **_about(run),
                    **{name: getattr(fact, name) for name in _OF_FACT},
                    **columns(known),
                    "n_latents": len(fact.latents),
                    "latents": " ".join(map(str, fact.latents)),
                    "n_absorbing": len(set(fact.absorbing)),
                }
            )
    last = [*with_ends(metrics), "n_latents", "latents", "n_absorbing"]
    return pd.DataFrame(rows, columns=[*KEY, "baseline", *EXTENT, *_SIZE, *_OF_FACT, *last])


_OF_FACT = ("fact", "kind", "n", "n_validation", "latent", "threshold", "auc")


def captured(
    runs: Sequence[Run],
    *,
    metrics: Sequence[str],
    shuffled: Mapping[str, str] = {},
    bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row per SAE and kind of facts, and one for all of them.

    Parameters
    ----------
    runs, metrics, bootstrap, seed
        Of the measure; and how often its documents are resampled.
    shuffled
        Name of a shuffled model -> the model that it was made of.

    Returns
    -------
    DataFrame
        The SAE; ``weights``, `TRAINED` or the name of the model if that is a shuffled one, and
        ``of_model``, the real one; the ``kind``, or `EVERY`; ``n_facts``; with intervals
        ``captured``, the number of facts that the best latent tells with an F1 above `CAPTURED`,
        ``captured_union`` and ``captured_probe``, the same of the latents together and of a linear
        probe, and the means over facts of the metrics; ``split``, the share of the facts that more
        than one latent tells, and ``n_latents``, their mean number. The mean of absorption is over
        facts that the probe tells with an F1 of at least `PROBED`.
    """
    rows, names = [], ["captured", "captured_union", "captured_probe", *metrics]
    for run in runs:
        found = _Facts.of(run, metrics, bootstrap, seed)
        kinds = found.facts["kind"]
        for kind in (*dict.fromkeys(kinds), EVERY):
            own = np.ones(len(kinds), bool) if kind == EVERY else (kinds == kind).to_numpy()
            numbers = found.facts.loc[own, "latents"].map(len)
            rows.append(
                {
                    **run.key.columns(),
                    "weights": run.key.model if run.key.model in shuffled else TRAINED,
                    "of_model": shuffled.get(run.key.model, run.key.model),
                    **_about(run),
                    "kind": kind,
                    "n_facts": int(own.sum()),
                    **columns(_together(found, own)),
                    "split": float((numbers > 1).mean()),
                    "n_latents": float(numbers.mean()),
                }
            )
    first = [*KEY, "weights", "of_model", "baseline", *EXTENT, *_SIZE, "kind", "n_facts"]
    return pd.DataFrame(rows, columns=[*first, *with_ends(names), "split", "n_latents"])


def _together(found: _Facts, own: np.ndarray) -> dict[str, Estimate]:
    """Return what is said of some facts together, ``own`` (n_facts,) bool."""
    result = {}
    for end in ("", "_union", "_probe"):
        told, drawn = (of[f"fact_f1{end}"][own] > CAPTURED for of in (found.whole, found.drawn))
        result[f"captured{end}"] = _estimate(told.sum(), drawn.sum(axis=0))
    probed = own & (found.whole["fact_f1_probe"] >= PROBED)
    for name, values in found.whole.items():
        some = probed if name == _ABSORPTION else own
        result[name] = Estimate(None)
        if some.any():
            result[name] = _estimate(values[some].mean(), found.drawn[name][some].mean(axis=0))
    return result


def _estimate(value: float, drawn: np.ndarray) -> Estimate:
    return Estimate(float(value) if np.isfinite(value) else None, *interval(drawn))


def _about(run: Run) -> dict[str, Any]:
    size = {name: run.records[MEASURE].facts[name] for name in _SIZE}
    return {"baseline": run.baseline, **run.extent(), **size}
