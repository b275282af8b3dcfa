"""The latents of SAEs, token by token, on the first ordinary tokens of the test split.

All SAEs of a hook are encoded in one pass over its activations, and written as they come. Which
latents are compared with those of other SAEs is told by how often they are active here and by their
decoder rows (`saeflow.measures.codes.status`). `measure_codes` is the job, `keep_codes` the
measurement.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from saeflow import device
from saeflow.errors import SaeflowError
from saeflow.files import read_json
from saeflow.logs import progress
from saeflow.measures.code_matrix import require_finite
from saeflow.measures.codes import DOCUMENTS, LATENTS, ROWS, STATUSES
from saeflow.measures.codes.files import CodesWriter
from saeflow.measures.codes.status import status_of
from saeflow.measures.encoders import Encoders, finish_each, load_saes, measure_each_hook
from saeflow.measures.reconstruction import BATCH_ROWS, Evaluated, evaluated, open_pair
from saeflow.measures.sums import DocumentSums, Entries, LatentSums, add_at, write_table
from saeflow.sae.model import SAE
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.steps.joined import scaled_decoder
from saeflow.task import Task, joined

logger = logging.getLogger(__name__)


class _SideBySide(NamedTuple):
    """Activations of several hooks at the same tokens, as if they were of one."""

    parts: tuple[Any, ...]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return rows (n, d) float32."""
        return np.concatenate([np.asarray(one[rows], np.float32) for one in self.parts], axis=1)


class Kept(NamedTuple):
    """What was added up of one SAE beside the codes that were written.

    Attributes
    ----------
    documents : dict
        Columns (n_documents,), in the order of the tokens: document, n_tokens, and active, the sum
        of the number of active latents.
    latents : dict
        Columns (d_sae,): latent; active, tokens on which it is not zero; sum and square, of it and
        of its square; max; carried.
    """

    documents: dict[str, np.ndarray]
    latents: dict[str, np.ndarray]


def measure_codes(tasks: Sequence[Task]) -> None:
    """Write the codes of SAEs of one model, hook by hook, and finish their tasks.

    Inputs: ``sae`` and ``activations``, of crosscoders also ``joined_01`` and so on. Settings:
    ``tokens``, how many; ``least`` and ``duplicate`` of `status_of`. Works get the files of
    `saeflow.measures.codes.StoredCodes`; ``latents.parquet`` has what `Kept` has, the norm of each
    decoder row, and what `status_of` tells.

    Notes
    -----
    Where there are fewer tokens than were asked for, all are taken and the record says both.
    """
    measure_each_hook(tasks, _measure)


def _measure(tasks: Sequence[Task]) -> None:
    machine, settings = device.pick(), tasks[0].settings
    tasks, saes = load_saes(tasks, machine)
    if not tasks:
        return
    tokens = _tokens(tasks[0].inputs, settings["tokens"])
    facts = {
        "n_tokens": len(tokens.rows),
        "n_documents": len(np.unique(tokens.documents)),
        "asked": settings["tokens"],
        "tokens": read_json(tasks[0].inputs["activations"])["tokens"],
    }
    kept = keep_codes(saes, [task.work.path for task in tasks], tokens, machine)

    def write(task: Task, kept: Kept, sae: SAE) -> None:
        limits = {name: settings[name] for name in ("least", "duplicate")}
        W_dec = scaled_decoder(sae)
        status = status_of(W_dec, kept.latents["active"], **limits)
        norm = torch.linalg.vector_norm(W_dec.double(), dim=1).cpu().numpy()
        np.save(task.work.path / ROWS, tokens.rows)
        write_table(task.work.path / DOCUMENTS, kept.documents)
        write_table(task.work.path / LATENTS, {**kept.latents, "norm": norm, **status})
        counts = {name: int((status["status"] == name).sum()) for name in STATUSES}
        task.finish({"d_in": sae.d_in, "d_sae": sae.d_sae, **facts, "counts": counts})

    finish_each(tasks, kept, write, saes)


def _tokens(inputs: dict[str, Any], n: int) -> Evaluated:
    """Return the tokens that SAEs are compared on, with what they read there.

    Whole documents from the first one on; of the last one as many tokens as make up ``n``.
    """
    every = evaluated(inputs["activations"])
    if others := joined(inputs):
        stores = [open_pair(inputs["activations"], other)[1].activations for other in others]
        every = every._replace(activations=_SideBySide((every.activations, *stores)))
    if len(every.rows) < n:
        logger.warning(
            "%s: %s tokens of the test split are all that there are of the %s that were asked for",
            inputs["activations"], f"{len(every.rows):,}", f"{n:,}",
        )  # fmt: skip
    return every._replace(rows=every.rows[:n], documents=every.documents[:n])


@torch.no_grad()
def keep_codes(
    saes: Sequence[SAE],
    directories: Sequence[Path],
    tokens: Evaluated,
    machine: torch.device | str = "cpu",
    *,
    batch_rows: int = BATCH_ROWS,
) -> list[Kept | SaeflowError]:
    """Write the codes of SAEs, each into its directory, in one pass over the tokens.

    Return what was added up of each, or why it failed. The SAEs are on ``machine``; ``batch_rows``,
    tokens at a time, changes nothing but rounding.

    Notes
    -----
    Decoder row w_i carries of a token's reconstruction x̂ − b the part fᵢ ⟨w_i, x̂ − b⟩: over the
    latents these add up to its squared norm. Where an SAE normalises its inputs, x̂ is that of the
    input itself, b the bias in its units.
    """
    encoders, documents = Encoders(saes), DocumentSums(tokens.documents)
    sums = {first: LatentSums(saes[first].d_sae) for first in encoders.first}
    carried = [np.zeros(sae.d_sae) for sae in saes]
    total = -(-len(tokens.rows) // batch_rows)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(CodesWriter(directory, sae.d_sae))
            for sae, directory in zip(saes, directories, strict=True)
        ]
        batches = tokens.batches(batch_rows)
        for start, x in progress(batches, desc="codes", unit="batches", total=total):
            of = tokens.documents[start : start + len(x)]
            documents.add(of, {"n_tokens": np.ones(len(x))})
            for first, codes in encoders.codes(x.to(machine)):
                entries = Entries.of(codes)
                try:
                    require_finite(entries.values.numpy(), "on every token of the test split")
                except SaeflowError as error:
                    encoders.fail(first, error)
                    continue
                sums[first].add(entries)
                documents.add(of, {"active": entries.sums["active"]}, of=first)
                counts = torch.bincount(entries.rows, minlength=len(x))
                found = (entries.values, entries.index, counts)
                for place in encoders.alike(first):
                    writers[place].append(*(part.numpy() for part in found))
                    _carry(carried[place], saes[place], codes)
    order = np.argsort(np.unique(tokens.documents, return_index=True)[1])
    return encoders.results(
        lambda place: Kept(
            {
                n: c[order].astype(np.int64)
                for n, c in documents.columns(encoders.first[place]).items()
            },
            _columns(sums[encoders.first[place]]) | {"carried": carried[place]},
        )
    )


def _carry(carried: np.ndarray, sae: SAE, codes: Codes) -> None:
    """Add to each latent what it carries of the reconstructions of some tokens."""
    decoded, pullback = codes.decode_with_pullback(sae.W_dec)
    parts = codes.values.double() * pullback(decoded).double()
    if codes.frame is not None:
        parts *= codes.frame.scale.double().flatten().index_select(0, codes.rows).square()
    add_at(carried, codes.index.long().cpu(), parts.cpu())


def _columns(sums: LatentSums) -> dict[str, np.ndarray]:
    names = ("latent", "active", "sum", "square", "max")
    return dict(zip(names, sums.columns().values(), strict=True))
