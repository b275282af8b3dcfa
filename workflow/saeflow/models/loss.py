"""Cross-entropy and Kullback-Leibler divergence per token, in nats, with explicit masks.

Everything is aligned with the *predicted* token: element t of a sequence is about token t given
those before it; the first token is never scored. Logits of one chunk of tokens at a time exist in
memory. Means, perplexities and their intervals are formed elsewhere, from sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from saeflow.errors import SaeflowError

# 64 MiB of float32 logits. A constant, not a share of free memory: the shape of a matrix product
# can move its last bits, and results must not depend on the machine's load.
CHUNK_LOGITS = 1 << 24

_Head = Callable[[torch.Tensor], torch.Tensor]


class Comparison(NamedTuple):
    """Two runs of a model on the same tokens.

    Attributes
    ----------
    ce_clean, ce_patched : Tensor (batch, seq) float32
        Cross-entropy of each token; NaN where not scored.
    kl : Tensor (batch, seq) float32
        KL(p_clean || p_patched) of the distribution that predicts each token; NaN where not
        scored.
    """

    ce_clean: torch.Tensor
    ce_patched: torch.Tensor
    kl: torch.Tensor


def scored_tokens(
    attention_mask: torch.Tensor, excluded: torch.Tensor | None = None
) -> torch.Tensor:
    """Return which tokens have a loss.

    Parameters
    ----------
    attention_mask : Tensor (batch, seq)
        1 for tokens, 0 for padding.
    excluded : Tensor (batch, seq) bool, optional
        Tokens that are not to be predicted (BOS, separators); they still serve as context.

    Returns
    -------
    Tensor (batch, seq) bool
        True where the token is real, wanted, and follows another real token.
    """
    real = attention_mask.bool()
    scored = torch.zeros_like(real)
    scored[:, 1:] = real[:, 1:] & real[:, :-1]
    return scored if excluded is None else scored & ~excluded.bool()


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return -ln p(target).

    Parameters
    ----------
    logits : Tensor (n, vocab_size)
    targets : Tensor (n,) int64

    Returns
    -------
    Tensor (n,) float32, nats
    """
    logits = logits.float()
    return logits.logsumexp(-1) - logits.gather(-1, targets[:, None]).squeeze(-1)


def kl_divergence(clean_logits: torch.Tensor, patched_logits: torch.Tensor) -> torch.Tensor:
    """Return KL(p_clean || p_patched).

    Parameters
    ----------
    clean_logits, patched_logits : Tensor (n, vocab_size)

    Returns
    -------
    Tensor (n,) float32, nats
    """
    clean = clean_logits.float().log_softmax(-1)
    patched = patched_logits.float().log_softmax(-1)
    return (clean.exp() * (clean - patched)).sum(-1)


def token_losses(
    head: _Head, states: torch.Tensor, input_ids: torch.Tensor, scored: torch.Tensor
) -> torch.Tensor:
    """Return the cross-entropy of each scored token.

    Parameters
    ----------
    head
        Final states -> logits (`saeflow.models.slices.Head`).
    states : Tensor (batch, seq, d_model)
        Final states.
    input_ids : Tensor (batch, seq) int64
    scored : Tensor (batch, seq) bool
        See `scored_tokens`.

    Returns
    -------
    Tensor (batch, seq) float32, nats
        NaN where not scored, so that a forgotten mask does not go unseen.
    """
    before, targets = _pairs(states, scored), input_ids[scored]
    losses = [cross_entropy(head(before[rows]), targets[rows]) for rows in _chunks(head, before)]
    return _spread(losses, scored)


def compare_losses(
    head: _Head,
    clean_states: torch.Tensor,
    patched_states: torch.Tensor,
    input_ids: torch.Tensor,
    scored: torch.Tensor,
) -> Comparison:
    """Return the cross-entropies of a clean and a patched run, and the divergence between them.

    Parameters
    ----------
    head
        As in `token_losses`.
    clean_states, patched_states : Tensor (batch, seq, d_model)
        Final states of the two runs.
    input_ids : Tensor (batch, seq) int64
    scored : Tensor (batch, seq) bool
    """
    clean, patched = _pairs(clean_states, scored), _pairs(patched_states, scored)
    targets = input_ids[scored]
    columns: tuple[list[torch.Tensor], ...] = ([], [], [])
    for rows in _chunks(head, clean):
        clean_logits, patched_logits = head(clean[rows]), head(patched[rows])
        columns[0].append(cross_entropy(clean_logits, targets[rows]))
        columns[1].append(cross_entropy(patched_logits, targets[rows]))
        columns[2].append(kl_divergence(clean_logits, patched_logits))
    return Comparison(*(_spread(column, scored) for column in columns))


def _pairs(states: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
    """Return the states (n, d_model) from which the scored tokens are predicted."""
    if scored[:, 0].any():
        raise SaeflowError(
            "the first token of a sequence is marked as scored, but nothing predicts it",
            remedy="Make the mask with scored_tokens.",
        )
    return states[:, :-1][scored[:, 1:]]


def _chunks(head: _Head, states: torch.Tensor) -> Iterator[slice]:
    if not len(states):
        return
    n_rows = max(1, CHUNK_LOGITS // head(states[:1]).shape[-1])
    for start in range(0, len(states), n_rows):
        yield slice(start, start + n_rows)


def _spread(values: list[torch.Tensor], scored: torch.Tensor) -> torch.Tensor:
    spread = torch.full(scored.shape, torch.nan, device=scored.device)
    if values:
        spread[scored] = torch.cat(values)
    return spread
