"""How SAEs do at each position of the context, on documents of their training and on others.

Held-out documents are those of the test split. Seen ones are as many tokens of the training split
of the same place, of sequences all of whose documents the SAE was trained on. Special tokens (BOS,
separators) are not replaced, and what SAEs make of them is added up apart. `measure_positions` is
the job, `positions` the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.linalg import vecdot

from saeflow.errors import SaeflowError
from saeflow.logs import progress
from saeflow.measures.encoders import Encoders, finish_each, load_at_hook, measure_each_hook
from saeflow.measures.exchange import Exchange, Stored, exchanges, no_numbers, stored
from saeflow.measures.losses import Losses, open_losses
from saeflow.measures.positions.places import Columns, Places, Truth, sides
from saeflow.measures.positions.seen import Part, held_out, seen, trained_share, why_unseen
from saeflow.measures.sums import Entries, write_table
from saeflow.metrics.positions import HELD_OUT, ranges
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE
from saeflow.task import Task
from saeflow.tokens.sequences import BATCH_TOKENS
from saeflow.tokens.store import TokenStore, open_tokens

_NONE_WHOLE = "no sequence has documents of its training alone"


class Gathered(NamedTuple):
    """What was added up of one SAE on one part.

    Attributes
    ----------
    ranges, exact : dict
        What `saeflow.measures.positions.places.Places` gives, of the sums tokens, active,
        activation, squared_error, norm, squared_norm, squared_deviation; and predictions, ce_clean,
        ce_sae of the token after.
    """

    ranges: Columns
    exact: Columns


def measure_positions(tasks: Sequence[Task]) -> None:
    """Measure SAEs of one model, hook by hook, and finish their tasks.

    Inputs: ``sae``; ``model`` and ``tokens``; ``activations`` of the hook on these, and ``target``
    of transcoders; ``clean``, the losses with these activations; ``trained_on``, each SAE's own:
    the tokens of its training, where they are of the same dataset. Settings: ``tokens`` and
    ``seen``. Works get ``documents.parquet``, ``positions.parquet`` and ``exact.parquet``.
    """
    measure_each_hook(tasks, _measure)


def _measure(tasks: Sequence[Task]) -> None:
    if (at := load_at_hook(tasks)) is None:
        return
    tasks, saes, patched, records = at
    inputs, store = tasks[0].inputs, open_tokens(tasks[0].inputs["tokens"])
    length = store.record["context_length"]
    facts = [_facts(task, sae, store) for task, sae in zip(tasks, saes, strict=True)]
    found: list[dict[str, Gathered | SaeflowError]] = [{} for _ in saes]

    def run(part: Part, places: Sequence[int], clean: Losses | None = None) -> None:
        stores = stored(inputs["tokens"], *records, rows=part.rows)
        truth = Truth.of_store(records[0], part, ranges(length))
        chosen = [saes[place] for place in places]
        results = positions(patched, chosen, part, truth, stores, clean, length=length)
        for place, one in zip(places, results, strict=True):
            found[place][part.name] = one

    tokens, clean = open_losses(inputs)
    part = held_out(store, tokens, tasks[0].settings["tokens"])
    run(part, range(len(saes)), clean)
    for trained_on, places in _with_seen(tasks, facts).items():
        own = seen(store, open_tokens(trained_on), len(part.rows))
        if len(own.tokens.scored):
            run(own, places)
            continue
        for place in places:
            facts[place] |= {"why_unseen": _NONE_WHOLE, "trained_share": None}
    results = [next((e for e in f.values() if isinstance(e, SaeflowError)), f) for f in found]
    finish_each(tasks, results, _write, facts)


def _with_seen(tasks: Sequence[Task], facts: Sequence[Mapping[str, Any]]) -> dict[Path, list[int]]:
    """Return the SAEs whose seen documents are measured, by the tokens of their training."""
    groups: dict[Path, list[int]] = {}
    for place, (task, own) in enumerate(zip(tasks, facts, strict=True)):
        if not own["why_unseen"]:
            groups.setdefault(task.inputs["trained_on"], []).append(place)
    return groups


@torch.no_grad()
def positions(
    patched: PatchedModel,
    saes: Sequence[SAE],
    part: Part,
    truth: Truth,
    stores: Mapping[Hook, Stored] = {},
    clean: Losses | None = None,
    *,
    length: int,
    batch_tokens: int = BATCH_TOKENS,
) -> list[Gathered | SaeflowError]:
    """Measure SAEs on some sequences, in one pass.

    Parameters
    ----------
    saes
        On the model's device; the context that one was trained at is a border of its ranges.
    truth
        What reconstructions are held against.
    stores, batch_tokens
        As of `saeflow.measures.exchange.exchanges`.
    clean
        The losses with the hook's own activations; None where they are computed here.
    length
        Of the longest sequences that there are.

    Returns
    -------
    list
        What was added up of each SAE, or why it failed.
    """
    encoders = Encoders(saes)
    places = [Places(part, ranges(length, border_of(sae, length))) for sae in saes]
    batches = exchanges(patched, part.tokens, stores, batch_tokens=batch_tokens)
    for batch in progress(batches, desc=f"positions, {part.name}", unit="batches"):
        numbers, read, own = _with_special(batch)
        of_tokens = truth.of(own, numbers)
        scored, n = batch.tokens.scored, len(batch.own)
        ce = batch.losses(batch.states) if clean is None else clean.at(scored)["ce_clean"]
        of_losses = {"predictions": np.ones(len(scored)), "ce_clean": ce}
        for place, codes, x_hat in encoders.run(read):
            losses = batch.losses(batch.states_with(x_hat[:n]))
            if not np.isfinite(losses).all():
                encoders.errors[place] = no_numbers(patched.hook)
                continue
            found = {"squared_error": _squared_error(own, x_hat), **Entries.of(codes).sums}
            places[place].add(numbers, of_tokens | found)
            places[place].add_losses(scored, of_losses | {"ce_sae": losses})
    return encoders.results(lambda p: Gathered(places[p].by_range(), places[p].by_position()))


def border_of(sae: SAE, length: int) -> int | None:
    """Return the context that an SAE was trained at, where it is known; at most ``length``."""
    context = sae.metadata.get("context_length")
    return None if not context else min(int(context), length)


def _with_special(batch: Exchange) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """Return the tokens' numbers, what SAEs read and what they are to give; ordinary ones first."""
    tokens = batch.tokens.batch
    special = tokens.real & ~tokens.ordinary
    at = special.flatten().nonzero().squeeze(1)
    numbers = np.concatenate([batch.tokens.replaced, tokens.tokens[special.cpu().numpy()]])
    read, own = (
        torch.cat([ordinary, whole.flatten(0, 1).index_select(0, at)])
        for ordinary, whole in ((batch.x, batch.clean.read), (batch.own, batch.clean.x))
    )
    return numbers, read, own


def _squared_error(x: torch.Tensor, x_hat: torch.Tensor) -> np.ndarray:
    error = x_hat.double() - x.double()
    return vecdot(error, error).cpu().numpy()


def _facts(task: Task, sae: SAE, store: TokenStore) -> dict[str, Any]:
    """Return what the record says of an SAE: how it was trained, and on which documents."""
    trained = task.inputs.get("trained_on")
    tokens = None if trained is None else open_tokens(trained)
    why = why_unseen(sae.metadata, store, tokens, asked=task.settings["seen"])
    return {
        "context_length": store.record["context_length"],
        "training_context": sae.metadata.get("context_length"),
        "input_norm": sae.input_norm,
        "why_unseen": why,
        "trained_share": None if why else trained_share(sae.metadata, tokens),
    }


def _write(task: Task, parts: Mapping[str, Gathered], facts: Mapping[str, Any]) -> None:
    length = facts["context_length"]
    border = facts["training_context"] and min(facts["training_context"], length)
    documents = sides(parts[HELD_OUT].ranges, border)
    write_table(task.work.path / "documents.parquet", documents)
    for name, which in (("positions", "ranges"), ("exact", "exact")):
        own = [pd.DataFrame({"part": p, **getattr(one, which)}) for p, one in parts.items()]
        write_table(task.work.path / f"{name}.parquet", pd.concat(own))
    extent = {}
    for part, one in parts.items():
        own, end = one.ranges, "" if part == HELD_OUT else f"_{part}"
        ordinary = ~own["special"]
        extent[f"n_tokens{end}"] = int(own["tokens"][ordinary].sum())
        extent[f"n_documents{end}"] = len(np.unique(own["document"][ordinary]))
    task.finish({**facts, **extent})
