"""How well the latents of SAEs tell what is known of the tokens of a generated world.

Facts are those of `saeflow.world.facts`. What is chosen for a fact, the best latent and its
threshold, the latents that tell it together and a linear probe, is chosen on tokens of the
validation split; what is counted is counted on tokens of the test split. `measure_facts` is the
job, `told` the measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from saeflow import device
from saeflow.logs import progress
from saeflow.measures.encoders import load_saes, measure_each_hook
from saeflow.measures.facts.absorption import Absorption
from saeflow.measures.facts.detectors import Detector, Latents, auc, detectors
from saeflow.measures.facts.known import AtHook, read
from saeflow.measures.sums import write_table
from saeflow.metrics.facts import ABSORBED, COLUMNS, COUNTS, FACTS
from saeflow.sae.model import SAE
from saeflow.task import Task
from saeflow.world.facts import Facts


class Told(NamedTuple):
    """What was found of one SAE.

    Attributes
    ----------
    facts : dict
        Columns (n_facts,): what was chosen for each fact.
    counts : dict
        Columns (n_facts * n_documents,): fact, document and the sums of `saeflow.metrics.facts`.
    l0 : float
        Active latents per token, on the tokens that are counted.
    """

    facts: dict[str, Any]
    counts: dict[str, np.ndarray]
    l0: float


def measure_facts(tasks: Sequence[Task]) -> None:
    """Measure SAEs of one model, hook by hook, and finish their tasks.

    Inputs: ``sae``, ``activations`` and the generated ``dataset`` that these are of. Settings:
    ``tokens``, ``words`` and ``least``. Works get ``facts.parquet`` and ``counts.parquet``.
    """
    measure_each_hook(tasks, partial(_measure, {}))


def _measure(known: dict[Any, Facts], tasks: Sequence[Task]) -> None:
    inputs, machine = tasks[0].inputs, device.pick()
    tasks, saes = load_saes(tasks, machine)
    if not tasks:
        return
    at = read(inputs["activations"], inputs["dataset"], tasks[0].settings, known)
    pairs = zip(tasks, saes, strict=True)
    for task, sae in progress(pairs, desc="facts", unit="SAEs", total=len(saes)):
        with task.attempt():
            _write(task, sae, told(sae, at, machine), at)


@torch.no_grad()
def told(sae: SAE, at: AtHook, machine: torch.device | str = "cpu") -> Told:
    """Choose the latents of an SAE on ``machine`` that tell each fact, and count how they do."""
    chosen_on, counted_on = (encode(sae, part.x, machine) for part in (at.choose, at.count))
    choosing = Latents(chosen_on.values, at.choose.holds)
    counting = Latents(counted_on.values, at.count.holds)
    W_dec = sae.W_dec.double().cpu().numpy()
    absorption = Absorption(counted_on.shares, W_dec, at.probes.directions)
    found = at.probes.find(at.scores)
    documents, of_document = np.unique(at.count.document, return_inverse=True)
    rows, sums = [], []
    for fact in range(len(at.facts.names)):
        labels, chosen = counting.labels[fact], detectors(choosing, fact)
        fires = {
            "best": counting.fires(chosen[0].latent, chosen[0].threshold),
            "active": counting.fires(int(np.argmax(choosing.f1[fact]))),
            "union": np.any([counting.fires(*one[:2]) for one in chosen], axis=0),
            "probe": found[fact],
        }
        active = np.any([counting.fires(one.latent) for one in chosen], axis=0)
        silent = np.flatnonzero(labels & fires["probe"] & ~active)
        absorbed, by = absorption.of(fact, silent, at.scores[fact, silent])
        where = {"positive": labels, ABSORBED: absorbed}
        for name, fired in fires.items():
            where |= {f"{name}_fired": fired, f"{name}_hits": fired & labels}
        sums.append([np.bincount(of_document[where[n]], minlength=len(documents)) for n in COLUMNS])
        rows.append(_chosen(choosing, counting, fact, chosen) | {"absorbing": by})
    facts = {"fact": at.facts.names, "kind": at.facts.kinds}
    facts |= {name: [row[name] for row in rows] for name in rows[0]}
    facts |= {"latents": _lists(facts["latents"]), "absorbing": _lists(facts["absorbing"])}
    counts = dict(zip(COLUMNS, np.concatenate(sums, axis=1).astype(np.int32), strict=True))
    names = {
        "fact": np.repeat(at.facts.names, len(documents)),
        "document": np.tile(documents, len(rows)),
    }
    return Told(facts, names | counts, counted_on.values.nnz / len(at.count.x))


def _chosen(
    choosing: Latents, counting: Latents, fact: int, chosen: Sequence[Detector]
) -> dict[str, Any]:
    """Return what is known of a fact and its latents."""
    labels, best = counting.labels[fact], chosen[0]
    n, (tokens, values) = int(labels.sum()), counting.of(best.latent)
    return {
        "n_validation": int(choosing.labels[fact].sum()),
        "n": n,
        "latent": best.latent,
        "threshold": best.threshold,
        "f1_validation": best.f1,
        "auc": auc(values, labels[tokens], n, len(labels)),
        "latents": [one.latent for one in chosen],
    }


class Encoded(NamedTuple):
    """The codes of some tokens, (n, d_sae) float64.

    Attributes
    ----------
    values : csr_array
        Activations.
    shares : csr_array
        The same as factors of decoder rows in x_hat, which differ where inputs are normalised.
    """

    values: sparse.csr_array
    shares: sparse.csr_array


def encode(sae: SAE, x: np.ndarray, machine: torch.device | str) -> Encoded:
    """Return an SAE's codes of x (n, d_in)."""
    codes = sae.encode_sparse(torch.from_numpy(x).to(machine))
    parts = (codes.values.double(), codes.index.long(), codes.offsets.long())
    values = sparse.csr_array(tuple(part.cpu().numpy() for part in parts), (len(x), sae.d_sae))
    values.eliminate_zeros()  # as in codes that were not made by a threshold
    if codes.frame is None:
        return Encoded(values, values)
    scale = codes.frame.scale.double().flatten().cpu().numpy()
    return Encoded(values, (sparse.diags_array(scale) @ values).tocsr())


def _lists(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """Return lists of integers as a column."""
    column = np.empty(len(lists), dtype=object)
    for place, one in enumerate(lists):
        column[place] = np.asarray(one, dtype=np.int64)
    return column


def _write(task: Task, sae: SAE, found: Told, at: AtHook) -> None:
    write_table(task.work.path / FACTS, found.facts)
    write_table(task.work.path / COUNTS, found.counts)
    task.finish(
        {
            "n_tokens": len(at.count.x),
            "n_documents": len(np.unique(at.count.document)),
            "n_validation_tokens": len(at.choose.x),
            "d_sae": sae.d_sae,
            "l0": found.l0,
            "left_out": at.facts.left_out,
        }
    )
