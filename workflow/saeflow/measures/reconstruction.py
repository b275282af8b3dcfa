"""How well SAEs give back stored activations, on the test split, special tokens left out.

All SAEs of a hook are measured in one pass over the store; each on its own would give the same
bits. `measure_reconstruction` is the job, `reconstruct` the measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from saeflow import device
from saeflow.errors import DataError, SaeflowError
from saeflow.logs import progress
from saeflow.measures.encoders import Coder, Encoders, finish_each, load_saes
from saeflow.measures.sums import DocumentSums, Entries, LatentSums, Targets, write_table
from saeflow.task import Task

if TYPE_CHECKING:
    from saeflow.activations.reader import Store

SPLIT = "test"

# Rows in a batch. A constant: the shape of a matrix product can move its last bits.
BATCH_ROWS = 4096


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
    documents : dict
        ``document`` and the sums of `saeflow.metrics.reconstruction`, (n_documents,).
    latents : LatentSums
    d_in : int
        Width of the activations.
    """

    documents: dict[str, np.ndarray]
    latents: LatentSums
    d_in: int

    @property
    def sums(self) -> dict[str, np.ndarray]:
        """What metrics are formed of: the sums over all tokens, ``d_in`` and ``fired``."""
        totals = {name: column.sum() for name, column in self.documents.items()}
        return {**totals, "d_in": np.float64(self.d_in), "fired": self.latents.fired}


def measure_reconstruction(tasks: Sequence[Task]) -> None:
    """Measure SAEs of one hook and finish their tasks.

    Inputs: ``sae``, ``activations`` to measure on, and ``target``, the activations that they
    predict, if they are transcoders. Works get ``documents.parquet`` and ``latents.parquet``.
    """
    inputs, machine = tasks[0].inputs, device.pick()
    tokens = evaluated(inputs["activations"], inputs.get("target"))
    tasks, saes = load_saes(tasks, machine)
    finish_each(tasks, reconstruct(saes, tokens, machine), _write)


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
    from saeflow.sae.training.rows import require_pair

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
) -> list[Reconstruction | SaeflowError]:
    """Measure SAEs on the same tokens, in one pass over them after one for their mean.

    Parameters
    ----------
    coders
        SAEs on the device ``target``, where to compute.
    batch_rows
        Tokens at a time; changes nothing but rounding.

    Returns
    -------
    list
        What was measured of each SAE, or why it failed.
    """
    if not coders:
        return []
    mean = torch.from_numpy(mean_activation(tokens.targets)).to(target)
    encoders, sums = Encoders(coders), DocumentSums(tokens.documents)
    latents = {first: LatentSums(coders[first].d_sae) for first in encoders.first}
    batches = tokens.pairs(batch_rows)
    total = -(-len(tokens.rows) // batch_rows)
    for start, x, y in progress(batches, desc="reconstruction", unit="batches", total=total):
        same, x = y is x, x.to(target)
        truth = Targets(x if same else y.to(target), mean)
        documents = tokens.documents[start : start + len(x)]
        sums.add(documents, truth.sums)
        of_codes: dict[int, dict[str, np.ndarray]] = {}
        for place, codes, x_hat in encoders.run(x):
            first = encoders.first[place]
            if first not in of_codes:
                entries = Entries.of(codes)
                latents[first].add(entries)
                of_codes[first] = entries.sums
            sums.add(documents, of_codes[first] | truth.compare(x_hat), of=place)
    return encoders.results(
        lambda place: Reconstruction(sums.columns(place), latents[encoders.first[place]], len(mean))
    )


def mean_activation(tokens: Evaluated) -> np.ndarray:
    """Return the mean activation (d_in,) float64 over the evaluated tokens.

    NOTE: rows are added in the order of a pairwise tree within a batch of fixed size, so the
    result depends on nothing but the tokens.
    """
    total = sum(x.double().sum(0).numpy() for _, x in tokens.batches())
    return total / len(tokens.rows)


def _write(task: Task, result: Reconstruction) -> None:
    write_table(task.work.path / "documents.parquet", result.documents)
    write_table(task.work.path / "latents.parquet", result.latents.columns())
    task.finish(
        {
            "n_tokens": int(result.documents["tokens"].sum()),
            "n_documents": len(result.documents["document"]),
            "d_in": result.d_in,
            "d_sae": len(result.latents.fired),
        }
    )
