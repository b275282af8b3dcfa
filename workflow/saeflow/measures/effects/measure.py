"""What the model loses with each latent of SAEs, as a job. Read `effects`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata

from saeflow.errors import SaeflowError
from saeflow.logs import progress
from saeflow.measures.effects.estimate import Estimate, gradient
from saeflow.measures.effects.exact import Without
from saeflow.measures.encoders import Encoders, finish_each, load_at_hook, measure_each_hook
from saeflow.measures.exchange import Stored, evaluated_tokens, exchanges, no_numbers, stored
from saeflow.measures.sums import write_table
from saeflow.metrics.effects import FILE
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE
from saeflow.sae.sparse.codes import Codes
from saeflow.task import Task
from saeflow.tokens.sequences import BATCH_TOKENS, Sequences

_LEAST = 3  # latents of which a correlation says something


class Effects(NamedTuple):
    """What the loss gains without each latent of an SAE, in nats.

    Attributes
    ----------
    effect, absolute : ndarray (d_sae,) float64
        The estimate, summed over all tokens, and the sum of its absolute values.
    estimate, exact : ndarray (d_sae,) float64
        The estimate on some sequences, and what it gains there; NaN where that was not computed.
    """

    effect: np.ndarray
    absolute: np.ndarray
    estimate: np.ndarray
    exact: np.ndarray

    def correlations(self) -> dict[str, float | None]:
        """Return how good the estimate is: Pearson's and Spearman's correlation with the exact one.

        ``correlation`` and ``rank_correlation``; None of too few latents.
        """
        known = np.isfinite(self.exact)
        pair = self.estimate[known], self.exact[known]
        if known.sum() < _LEAST or not all(np.ptp(column) > 0 for column in pair):
            return {"correlation": None, "rank_correlation": None}
        both = {"correlation": pair, "rank_correlation": [rankdata(column) for column in pair]}
        return {name: float(np.corrcoef(*two)[0, 1]) for name, two in both.items()}


def measure_effects(tasks: Sequence[Task]) -> None:
    """Measure the latents of SAEs of one model, hook by hook, and finish their tasks.

    Inputs: ``sae``; ``model`` and the ``tokens`` to predict; ``activations`` of the hook on these
    tokens; ``target``, the activations that transcoders predict, from which their latents are taken
    out. Settings: those of `saeflow.config.sections.Effects`. Works get ``latents.parquet``.
    """
    measure_each_hook(tasks, _measure)


def _measure(tasks: Sequence[Task]) -> None:
    inputs, settings = tasks[0].inputs, tasks[0].settings
    tokens = evaluated_tokens(inputs["tokens"]).first(settings["tokens"])
    if (at := load_at_hook(tasks)) is None:
        return
    found = effects(
        at.patched, at.saes, tokens, stored(inputs["tokens"], *at.stores),
        n_exact=settings["exact"], n_sequences=settings["exact_sequences"], seed=settings["seed"],
    )  # fmt: skip
    finish_each(at.tasks, found, partial(_write, tokens))


def _write(tokens: Sequences, task: Task, found: Effects) -> None:
    columns = {"latent": np.arange(len(found.effect)), **found._asdict()}
    write_table(task.work.path / FILE, columns)
    task.finish(
        {
            "n_tokens": int((~tokens.special).sum()),
            "n_documents": len(np.unique(tokens.documents)),
            "n_predictions": len(tokens.scored),
            "n_exact": int(np.isfinite(found.exact).sum()),
            **found.correlations(),
        }
    )


@torch.no_grad()
def effects(
    patched: PatchedModel,
    saes: Sequence[SAE],
    tokens: Sequences,
    stores: Mapping[Hook, Stored] = {},
    *,
    n_exact: int = 0,
    n_sequences: int = 4,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
) -> list[Effects | SaeflowError]:
    """Measure the latents of SAEs of one hook.

    Parameters
    ----------
    patched, tokens, stores, batch_tokens
        As of `saeflow.measures.exchange.exchanges`; the SAEs are on the model's device.
    n_exact
        Latents of each SAE, of those that are active at all, without which the loss is computed.
    n_sequences
        On how many sequences at most: the first ones on which a latent is active.
    seed
        Of the choice of these latents.

    Returns
    -------
    list
        For each SAE its `Effects`, or why it failed.
    """
    encoders, found = Encoders(saes), [Estimate(sae.d_sae) for sae in saes]
    parts = partial(exchanges, patched, tokens, stores, batch_tokens=batch_tokens)
    for part in progress(parts(), desc="effects", unit="batches"):
        slope = gradient(patched, part)
        for place, codes in _codes(encoders, part.x).items():
            found[place].add(saes[place], codes, slope)
    chosen = [_chosen(own, n_exact, seed) for own in found]
    without = Without(patched, saes, chosen, n_sequences)
    for part in progress(parts() if without.wants_more else (), desc="exact effects"):
        without.add(part, _codes(encoders, part.x), batch_tokens)
        if not without.wants_more:
            break

    def result(place: int) -> Effects | SaeflowError:
        if not found[place].finite:
            return no_numbers(patched.hook)
        computed = np.full((2, saes[place].d_sae), np.nan)
        computed[:, chosen[place]] = without.gained[place]
        return Effects(found[place].effect, found[place].absolute, *computed)

    return encoders.results(result)


def _codes(encoders: Encoders, x: torch.Tensor) -> dict[int, Codes]:
    """Return by place each SAE's codes of x (n, d_in), one object where the encoder is one."""
    return {p: codes for first, codes in encoders.codes(x) for p in encoders.alike(first)}


def _chosen(found: Estimate, n: int, seed: int) -> np.ndarray:
    """Return ``n`` random ones of the active latents, rising; all where they are fewer."""
    latents = np.flatnonzero(found.active & found.finite)
    return np.sort(np.random.default_rng(seed).permutation(latents)[:n])
