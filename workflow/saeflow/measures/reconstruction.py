"""How well an SAE gives back stored activations, on the test split, special tokens left out.

All SAEs of a hook are measured in one pass over the store; each on its own would give the same
bits. `measure_reconstruction` is the job, `reconstruct` the measurement of one SAE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from saeflow import device, registry
from saeflow.errors import DataError
from saeflow.logs import progress
from saeflow.measures.encoders import Coder, Encoders
from saeflow.measures.intervals import Estimate, as_record, estimates
from saeflow.measures.output import write_table
from saeflow.measures.sums import DocumentSums, LatentSums, row_values
from saeflow.work import Work

if TYPE_CHECKING:
    from saeflow.activations.reader import Store

SPLIT = "test"

# Rows in a batch. A constant: the shape of a matrix product can move its last bits.
BATCH_ROWS = 4096

# Formed from counts per latent, which are not kept per document. A bootstrap of `dead` would
# also mislead: a resample can lose firings and never find one.
OF_LATENTS = ("dead", "density")


class Evaluated(NamedTuple):
    """The tokens on which SAEs are compared.

    Attributes
    ----------
    activations : array (n_rows, d_in)
        Anything that gives NumPy rows for a slice or an index array.
    rows : ndarray (n_tokens,) int64
        Which of them are evaluated, rising.
    documents : ndarray (n_tokens,)
        The document of each.
    target : array (n_rows, d_out), optional
        What a transcoder gives; None where the activations themselves are to be given back.
    """

    activations: Any
    rows: np.ndarray
    documents: np.ndarray
    target: Any = None

    @property
    def targets(self) -> Evaluated:
        """The same tokens with the target as their activations."""
        return self if self.target is None else self._replace(activations=self.target, target=None)

    def batches(self, batch_rows: int = BATCH_ROWS) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the number of the first token and the activations (n, d_in) float32."""
        for start in range(0, len(self.rows), batch_rows):
            rows = self.rows[start : start + batch_rows]
            x = np.asarray(self.activations[rows[0] : rows[-1] + 1], dtype=np.float32)
            yield start, torch.from_numpy(x[rows - rows[0]])

    def pairs(self, batch_rows: int) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """Yield the number of the first token, the activations and the targets."""
        if self.target is None:
            yield from ((start, x, x) for start, x in self.batches(batch_rows))
            return
        both = zip(self.batches(batch_rows), self.targets.batches(batch_rows), strict=True)
        for (start, x), (_, y) in both:
            yield start, x, y


class Reconstruction(NamedTuple):
    """What was measured of one SAE.

    Attributes
    ----------
    documents : DocumentSums
        Sums per document, named as in `saeflow.measures.sums.RowValues`, and ``tokens``.
    latents : LatentSums
        Sums per latent.
    d_in : int
        Width of the activations.
    """

    documents: DocumentSums
    latents: LatentSums
    d_in: int


def measure_reconstruction(
    wanted: Sequence[tuple[Work, Path]],
    activations: Path,
    settings: Mapping[str, Any],
    *,
    target: Path | None = None,
) -> None:
    """Measure SAEs of one hook and finish their works.

    Parameters
    ----------
    wanted
        The work of each measurement, and the record of its SAE (``sae.json``).
    activations
        The record of the activations to measure on.
    settings
        ``metrics`` (names), ``bootstrap`` (resamples), ``seed``.
    target
        The record of the activations that they predict, if they are transcoders.
    """
    from saeflow.sae.saved.fits import load_fitting

    machine = device.pick()
    tokens = evaluated(activations, target)
    coders = [load_fitting(record, activations).to(machine) for _, record in wanted]
    found = reconstruct(coders, tokens, machine)
    for (work, _), result in zip(wanted, found, strict=True):
        _write(work, result, settings)


def evaluated(activations: Path, target: Path | None = None) -> Evaluated:
    """Return the ordinary tokens of the test split of an activation store, or of a pair."""
    from saeflow.activations.excerpts import ordinary_rows

    store, other = open_pair(activations, target)
    rows = ordinary_rows(store, SPLIT)
    if not len(rows):
        raise DataError(
            f"the {SPLIT} split has no token to measure on",
            where=activations,
            remedy=f"Give the dataset a larger {SPLIT} share under `splits`.",
        )
    first, end = store.ranges(SPLIT)
    documents = store.rows.read("document", first, end)[rows - first]
    given = None if other is store else other.activations
    return Evaluated(store.activations, rows, documents, given)


def open_pair(activations: Path, target: Path | None) -> tuple[Store, Store]:
    """Open a store and that of the target, which is the same one but for a transcoder."""
    from saeflow.activations.reader import open_store
    from saeflow.sae.training.pairs import require_pair

    store = open_store(activations)
    if target is None:
        return store, store
    other = open_store(target)
    require_pair(store, other)
    return store, other


@torch.no_grad()
def reconstruct(
    coders: Sequence[Coder],
    tokens: Evaluated,
    target: torch.device | str = "cpu",
    *,
    batch_rows: int = BATCH_ROWS,
) -> list[Reconstruction]:
    """Measure SAEs on the same tokens, in one pass over them after one for their mean.

    Parameters
    ----------
    coders
        SAEs on the device ``target``.
    tokens
        What to measure on.
    target
        Where to compute.
    batch_rows
        Tokens at a time; changes nothing but rounding.
    """
    mean = torch.from_numpy(mean_activation(tokens.targets)).to(target)
    d_in = len(mean)
    encoders = Encoders(coders)
    latents = {first: LatentSums(coders[first].d_sae) for first in set(encoders.first)}
    results = [
        Reconstruction(DocumentSums(tokens.documents), latents[first], d_in)
        for first in encoders.first
    ]
    batches = tokens.pairs(batch_rows)
    total = -(-len(tokens.rows) // batch_rows)
    for start, x, y in progress(batches, desc="reconstruction", unit="batches", total=total):
        same, x = y is x, x.to(target)
        y, documents = x if same else y.to(target), tokens.documents[start : start + len(x)]
        for index, (coder, codes) in enumerate(encoders.pairs(x)):
            values = row_values(y, coder.decode(codes), codes, mean)._asdict()
            results[index].documents.add(documents, {"tokens": np.ones(len(x)), **values})
            if index in latents:  # the first with its encoder
                latents[index].add(codes)
    return results


def mean_activation(tokens: Evaluated) -> np.ndarray:
    """Return the mean activation (d_in,) float64 over the evaluated tokens.

    NOTE: rows are added in the order of a pairwise tree within a batch of fixed size, so the
    result depends on nothing but the tokens.
    """
    total = sum(x.double().sum(0).numpy() for _, x in tokens.batches())
    return total / len(tokens.rows)


def metrics_of(
    result: Reconstruction, names: Iterable[str], *, samples: int, seed: int
) -> tuple[dict[str, Estimate], dict[str, np.ndarray]]:
    """Form metrics from sums.

    Parameters
    ----------
    result
        What was measured.
    names
        Names of metrics, each a module of `saeflow.metrics.formulas`.
    samples, seed
        Of the bootstrap over documents.

    Returns
    -------
    metrics : dict
        Name -> `Estimate`, of those that are one number.
    per_latent : dict
        Name -> (d_sae,) float64, of those that are one number per latent.
    """
    formulas = {name: registry.load("metrics.formulas", name).compute for name in names}
    counts = {
        "fired": result.latents.fired,
        "tokens": result.documents.columns["tokens"].sum(),
    }
    of_latents = {n: formulas.pop(n)(counts) for n in OF_LATENTS if n in formulas}
    metrics = estimates(
        formulas,
        result.documents.columns,
        constants={"d_in": float(result.d_in)},
        samples=samples,
        seed=seed,
    )
    metrics |= {n: Estimate(float(v)) for n, v in of_latents.items() if not np.ndim(v)}
    return metrics, {n: v for n, v in of_latents.items() if np.ndim(v)}


def _write(work: Work, result: Reconstruction, settings: Mapping[str, Any]) -> None:
    metrics, per_latent = metrics_of(
        result, settings["metrics"], samples=settings["bootstrap"], seed=settings["seed"]
    )
    documents, latents = result.documents, result.latents.columns()
    write_table(work.path / "documents.parquet", {"document": documents.ids, **documents.columns})
    d_sae = len(result.latents.fired)
    write_table(
        work.path / "latents.parquet", {"latent": np.arange(d_sae), **latents, **per_latent}
    )
    work.finish(
        {
            "n_tokens": int(documents.columns["tokens"].sum()),
            "n_documents": documents.n_documents,
            "d_in": result.d_in,
            "d_sae": d_sae,
            "n_dead": int((result.latents.fired == 0).sum()),
            "metrics": as_record(metrics),
        }
    )
