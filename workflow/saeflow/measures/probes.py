"""What reconstructions keep for a linear reader that was made for the activations.

A probe is fitted once to the true activations of a hook, on the training split, and then reads on
the test split these and each SAE's reconstruction. Reconstructions that are too short shrink its
logits, which costs log loss long before it costs answers. Beside it stands a probe of the same
kind that was fitted to the SAE's latents, and the guess that knows frequencies alone.

All SAEs of a hook are measured in one pass; each on its own would give the same bits.
`measure_probes` is the job, `ask` the measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from saeflow import device, registry
from saeflow.logs import progress
from saeflow.measures.encoders import Coder, Encoders
from saeflow.measures.intervals import Estimate, as_record, estimates
from saeflow.measures.next_tokens import BATCH_ROWS, Asked, asked, questions
from saeflow.measures.output import write_table
from saeflow.measures.probe import Probe, answers, fit_probe
from saeflow.measures.reconstruction import open_pair
from saeflow.measures.sums import DocumentSums
from saeflow.sae.sparse.codes import Codes
from saeflow.work import Work

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def measure_probes(
    wanted: Sequence[tuple[Work, Path]],
    activations: Path,
    settings: Mapping[str, Any],
    *,
    target: Path | None = None,
    fitted: Path | None = None,
    fitted_target: Path | None = None,
) -> None:
    """Measure SAEs of one hook and finish their works.

    Parameters
    ----------
    wanted
        The work of each measurement, and the record of its SAE (``sae.json``).
    activations
        The record of the activations to measure on.
    settings
        ``classes`` and ``rows`` of `questions`; ``metrics`` (names), ``bootstrap``, ``seed``.
    target
        The record of the activations that they predict, if they are transcoders.
    fitted, fitted_target
        The same two of the place that gives the rows to fit to, where it is another one.
    """
    from saeflow.sae.saved.fits import load_fitting

    machine = device.pick()
    coders = [load_fitting(record, activations).to(machine) for _, record in wanted]
    tested = open_pair(activations, target)
    train = tested if fitted is None else open_pair(fitted, fitted_target)
    to_fit = questions(*train, classes=settings["classes"], rows=settings["rows"])
    test = asked(*tested, to_fit.tokens)
    for (work, _), sums in zip(wanted, ask(coders, to_fit, test, machine), strict=True):
        _write(work, sums, to_fit, settings)


@torch.no_grad()
def ask(
    coders: Sequence[Coder], to_fit: Asked, test: Asked, machine: torch.device | str = "cpu"
) -> list[DocumentSums]:
    """Fit the probes and ask them, in one pass over either rows.

    Parameters
    ----------
    coders
        SAEs on the device ``machine``.
    to_fit, test
        What probes are fitted to, and what they are asked.
    machine
        Where to encode and decode.

    Returns
    -------
    list of DocumentSums
        For each SAE, columns ``tokens``, and ``correct`` and ``loss`` (nats): as they are for the
        activations, with ``_sae`` for the reconstructions, ``_codes`` for the latents, ``_chance``
        for the shares of the tokens in what was fitted to.
    """
    encoders = Encoders(coders)
    probe, of_codes = _fit(encoders, to_fit, machine)
    shares = np.bincount(to_fit.labels) / len(to_fit.labels)
    results = [DocumentSums(test.documents) for _ in coders]
    total = -(-len(test.rows) // BATCH_ROWS)
    for part, x, y in progress(test.batches(), desc="probes", unit="batches", total=total):
        labels, x = test.labels[part], torch.from_numpy(x).to(machine)
        chance = answers(np.log(np.broadcast_to(shares, (len(labels), len(shares)))), labels)
        shared = {"tokens": np.ones(len(labels)), **probe.answers(y, labels)}
        shared |= _named(chance, "chance")
        by_encoder: dict[int, dict[str, np.ndarray]] = {}
        each = zip(encoders.first, encoders.pairs(x), results, strict=True)
        for first, (coder, codes), sums in each:
            if first not in by_encoder:
                answered = of_codes[first].answers(_matrix(codes), labels)
                by_encoder[first] = _named(answered, "codes")
            x_hat = coder.decode(codes).cpu().numpy()
            own = _named(probe.answers(x_hat, labels), "sae")
            sums.add(test.documents[part], shared | own | by_encoder[first])
    return results


def _fit(
    encoders: Encoders, to_fit: Asked, machine: torch.device | str
) -> tuple[Probe, dict[int, Probe]]:
    """Fit the probe of the activations, and one to the latents of each encoder, by its place."""
    from scipy.sparse import vstack

    targets: list[np.ndarray] = []
    parts: dict[int, list[csr_matrix]] = {first: [] for first in encoders.first}
    for _, x, y in to_fit.batches():
        targets.append(y)
        codes = [codes for _, codes in encoders.pairs(torch.from_numpy(x).to(machine))]
        for first, own in parts.items():
            own.append(_matrix(codes[first]))
    probe = fit_probe(np.concatenate(targets), to_fit.labels)
    of_codes = {
        first: fit_probe(vstack(own, format="csr"), to_fit.labels) for first, own in parts.items()
    }
    return probe, of_codes


def _matrix(codes: Codes) -> csr_matrix:
    """Return codes as a sparse matrix (n, d_sae)."""
    from scipy.sparse import csr_matrix

    values, rows, index = (a.cpu().numpy() for a in (codes.values, codes.rows, codes.index))
    return csr_matrix((values, (rows, index)), shape=(len(codes), codes.d_sae))


def _named(of: Mapping[str, np.ndarray], suffix: str) -> dict[str, np.ndarray]:
    return {f"{name}_{suffix}": values for name, values in of.items()}


def metrics_of(
    sums: DocumentSums, names: Iterable[str], *, samples: int, seed: int
) -> dict[str, Estimate]:
    """Form metrics from the sums of `ask`; arguments as in `reconstruction.metrics_of`."""
    formulas = {name: registry.load("metrics.formulas", name).compute for name in names}
    return estimates(formulas, sums.columns, constants={}, samples=samples, seed=seed)


def _write(work: Work, sums: DocumentSums, to_fit: Asked, settings: Mapping[str, Any]) -> None:
    metrics = metrics_of(
        sums, settings["metrics"], samples=settings["bootstrap"], seed=settings["seed"]
    )
    write_table(work.path / "documents.parquet", {"document": sums.ids, **sums.columns})
    work.finish(
        {
            "n_tokens": int(sums.columns["tokens"].sum()),
            "n_documents": sums.n_documents,
            "n_fitted": len(to_fit.rows),
            "classes": to_fit.tokens.tolist(),
            "metrics": as_record(metrics),
        }
    )
