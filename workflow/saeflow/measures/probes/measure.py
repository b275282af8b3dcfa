"""What reconstructions keep for a linear reader that was made for the activations.

A probe is fitted once to the true activations of a hook, on the training split, and then reads on
the test split these and each SAE's reconstruction. Reconstructions that are too short shrink its
logits, which costs log loss long before it costs answers. Beside it stands a probe of the same
kind that was fitted to the SAE's latents, and the guess that knows frequencies alone.

All SAEs of a hook are measured in one pass; each on its own would give the same bits.
`measure_probes` is the job, `ask` the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from saeflow import device
from saeflow.errors import ModelError, SaeflowError
from saeflow.logs import progress
from saeflow.measures.code_matrix import matrix, require_finite
from saeflow.measures.encoders import Coder, Encoders, finish_each, load_saes
from saeflow.measures.probes.linear_probe import Probe, answers, fit_probe
from saeflow.measures.probes.next_tokens import BATCH_ROWS, Asked, asked, questions
from saeflow.measures.reconstruction import open_pair
from saeflow.measures.sums import DocumentSums, write_table
from saeflow.task import Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def measure_probes(tasks: Sequence[Task]) -> None:
    """Measure SAEs of one hook and finish their tasks.

    Parameters
    ----------
    tasks
        Of one pass. Inputs: ``sae``; ``activations`` to measure on; ``target``, the activations
        that they predict, if they are transcoders; ``fitted`` and ``fitted_target``, the same two
        of the place that gives the rows to fit to, where it is another one. Settings: ``classes``
        and ``rows`` of `questions`. Works get ``documents.parquet``.
    """
    inputs, settings, machine = tasks[0].inputs, tasks[0].settings, device.pick()
    tested = open_pair(inputs["activations"], inputs.get("target"))
    train = tested
    if "fitted" in inputs:
        train = open_pair(inputs["fitted"], inputs.get("fitted_target"))
    to_fit = questions(*train, classes=settings["classes"], rows=settings["rows"])
    test = asked(*tested, to_fit.tokens)
    tasks, saes = load_saes(tasks, machine)

    def write(task: Task, columns: Mapping[str, np.ndarray]) -> None:
        write_table(task.work.path / "documents.parquet", columns)
        task.finish(
            {
                "n_tokens": int(columns["tokens"].sum()),
                "n_documents": len(columns["document"]),
                "n_fitted": len(to_fit.rows),
                "classes": to_fit.tokens.tolist(),
            }
        )

    if tasks:
        finish_each(tasks, ask(saes, to_fit, test, machine), write)


@torch.no_grad()
def ask(
    coders: Sequence[Coder], to_fit: Asked, test: Asked, machine: torch.device | str = "cpu"
) -> list[dict[str, np.ndarray] | SaeflowError]:
    """Fit the probes to ``to_fit`` and ask them ``test``, in one pass over either rows.

    Returns
    -------
    list
        For each SAE on the device ``machine`` ``document`` and the sums of
        `saeflow.metrics.probes`, (n_documents,); or why it failed.
    """
    encoders, sums = Encoders(coders), DocumentSums(test.documents)
    probe, of_codes = _fit(encoders, to_fit, machine)
    log_shares = np.log(np.bincount(to_fit.labels) / len(to_fit.labels))
    total = -(-len(test.rows) // BATCH_ROWS)
    for part, x, y in progress(test.batches(), desc="probes", unit="batches", total=total):
        labels, documents = test.labels[part], test.documents[part]
        chance = answers(np.broadcast_to(log_shares, (len(labels), len(log_shares))), labels)
        shared = {"tokens": np.ones(len(labels)), **probe.answers(y, labels)}
        sums.add(documents, shared | _named(chance, "chance"))
        by_encoder: dict[int, dict[str, np.ndarray]] = {}
        for place, codes, x_hat in encoders.run(torch.from_numpy(x).to(machine)):
            first = encoders.first[place]
            if first not in by_encoder:
                answered = of_codes[first].answers(matrix(codes), labels)
                by_encoder[first] = _named(answered, "codes")
            own = _named(probe.answers(x_hat.cpu().numpy(), labels), "sae")
            sums.add(documents, own | by_encoder[first], of=place)
    return encoders.results(sums.columns)


def _fit(
    encoders: Encoders, to_fit: Asked, machine: torch.device | str
) -> tuple[Probe, dict[int, Probe]]:
    """Fit the probe of the activations, and one to the latents of each encoder, by its place."""
    from scipy.sparse import vstack

    targets: list[np.ndarray] = []
    parts: dict[int, list[csr_matrix]] = {first: [] for first in encoders.first}
    for _, x, y in to_fit.batches():
        targets.append(y)
        for first, codes in encoders.codes(torch.from_numpy(x).to(machine)):
            parts[first].append(matrix(codes))
    probe, of_codes = fit_probe(np.concatenate(targets), to_fit.labels), {}
    for first in sorted(parts.keys() - encoders.errors.keys()):
        latents = vstack(parts.pop(first), format="csr")
        try:
            require_finite(latents.data, "on every row of the training split")
            of_codes[first] = fit_probe(latents, to_fit.labels)
        except ModelError as error:
            encoders.fail(first, error)
    return probe, of_codes


def _named(of: Mapping[str, np.ndarray], suffix: str) -> dict[str, np.ndarray]:
    return {f"{name}_{suffix}": values for name, values in of.items()}
