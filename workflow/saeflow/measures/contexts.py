"""The text around the tokens on which latents are most active.

Of each document a latent has its largest activation, and of these the largest ones are shown: a
text that says one thing many times is shown once. `measure_contexts` is the job, `contexts` finds
the tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.activations.text import RowTexts
from saeflow.logs import progress
from saeflow.measures.codes import StoredCodes, open_codes
from saeflow.measures.sums import write_table
from saeflow.metrics.contexts import FILE
from saeflow.task import Task
from saeflow.tokens.store import open_tokens


def measure_contexts(tasks: Sequence[Task]) -> None:
    """Show where latents of SAEs are most active, and finish the tasks.

    Inputs: ``codes`` of each SAE; ``tokens`` and the ``tokenizer`` that made them. Settings: those
    of `saeflow.config.sections.Contexts`. Works get ``contexts.parquet``: what `contexts` returns,
    with ``before``, ``token`` and ``after``.
    """
    from saeflow.models.load import load_tokenizer

    inputs = tasks[0].inputs
    tokens, tokenizer = open_tokens(inputs["tokens"]), load_tokenizer(inputs["tokenizer"])
    texts = RowTexts(tokens, tokenizer)
    for task in progress(tasks, desc="contexts", unit="SAEs"):
        with task.attempt():
            codes, settings = open_codes(task.inputs["codes"]), task.settings
            found = contexts(codes, settings["documents"])
            around = {name: settings[name] for name in ("before", "after")}
            shown = [texts.context(row, **around) for row in found["row"]]
            words = pd.DataFrame(shown, columns=["before", "token", "after"], dtype=str)
            write_table(task.work.path / FILE, {**found, **words})
            facts = {name: codes.facts[name] for name in ("n_tokens", "n_documents")}
            task.finish({**facts, "n_latents": len(codes.live)})


def contexts(codes: StoredCodes, n: int) -> pd.DataFrame:
    """Return on which tokens live latents are most active, in ``n`` documents each at most.

    Returns
    -------
    DataFrame
        ``latent``; ``rank``, from 0; ``row``, the token's row in the store of tokens;
        ``activation``; ``document``, its number in the dataset. Of equal activations the first
        token and document come first.
    """
    live, documents = codes.live, codes.documents
    matrix = codes.matrix(live).tocsc()
    of_token = np.repeat(np.arange(len(documents)), documents["n_tokens"])
    latent = np.repeat(np.arange(len(live)), np.diff(matrix.indptr))
    place = latent * len(documents) + of_token[matrix.indices]  # rising: tokens are in order
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    largest = np.maximum.reduceat(matrix.data, starts) if len(starts) else matrix.data
    is_largest = matrix.data == np.repeat(largest, np.diff(np.append(starts, len(place))))
    entries = np.flatnonzero(is_largest)
    entries = entries[np.unique(place[entries], return_index=True)[1]]
    entries = entries[np.lexsort((-matrix.data[entries], latent[entries]))]
    first = np.searchsorted(latent[entries], np.arange(len(live)))
    rank = np.arange(len(entries)) - first[latent[entries]]
    entries, rank = entries[rank < n], rank[rank < n]
    tokens = matrix.indices[entries]
    return pd.DataFrame(
        {
            "latent": live[latent[entries]],
            "rank": rank,
            "row": codes.rows[tokens],
            "activation": matrix.data[entries],
            "document": documents["document"].to_numpy()[of_token[tokens]],
        }
    )
