"""Cross-entropy and Kullback-Leibler divergence per token, in nats, with explicit masks.

Everything is aligned with the *predicted* token: element t of a sequence is about token t given
those before it; the first token is never scored. Logits of one chunk of tokens at a time exist in
memory. Means, perplexities and their intervals are formed elsewhere, from sums.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch

from saeflow.errors import SaeflowError

# 64 MiB of float32 logits. A constant, not a share of free memory: the shape of a matrix product
# can move its last bits, and results must not depend on the machine's load.
CHUNK_LOGITS = 1 << 24

_Head = Callable[[torch.Tensor], torch.Tensor]


def scored_tokens(
    attention_mask: torch.Tensor, excluded: torch.Tensor | None = None
) -> torch.Tensor:
    """Return which tokens (batch, seq) have a loss: real, wanted ones that follow another real one.

    Parameters
    ----------
    attention_mask : Tensor (batch, seq)
        1 for tokens, 0 for padding.
    excluded : Tensor (batch, seq) bool, optional
        Tokens that are not to be predicted (BOS, separators); they still serve as context.
    """
    real = attention_mask.bool()
    scored = torch.zeros_like(real)
    scored[:, 1:] = real[:, 1:] & real[:, :-1]
    return scored if excluded is None else scored & ~excluded.bool()


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return -ln p(target) of logits (n, vocab_size) and targets (n,): (n,) float32, nats."""
    logits = logits.float()
    return logits.logsumexp(-1) - logits.gather(-1, targets[:, None]).squeeze(-1)


def kl_divergence(clean_logits: torch.Tensor, patched_logits: torch.Tensor) -> torch.Tensor:
    """Return KL(p_clean || p_patched) of logits (n, vocab_size): (n,) float32, nats."""
    clean = clean_logits.float().log_softmax(-1)
    patched = patched_logits.float().log_softmax(-1)
    return (clean.exp() * (clean - patched)).sum(-1)


class Reference:
    """Predictions of some tokens that others are held against: those of the untouched model.

    Parameters
    ----------
    logits : Tensor (n, vocab_size)
    targets : Tensor (n,) int64

    Attributes
    ----------
    ce : Tensor (n,) float32
        Cross-entropy of each token, in nats.
    """

    def __init__(self, logits: torch.Tensor, targets: torch.Tensor) -> None:
        self._targets = targets[:, None]
        self._log_p = logits.float().log_softmax(-1)
        self.ce = self._ce(self._log_p)

    @cached_property
    def _p(self) -> torch.Tensor:
        return self._log_p.exp()

    def compare(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the cross-entropies of other logits, and KL(these || others), both (n,) nats."""
        log_q = logits.float().log_softmax(-1)
        return self._ce(log_q), torch.linalg.vecdot(self._p, self._log_p - log_q)

    def _ce(self, log_q: torch.Tensor) -> torch.Tensor:
        return -log_q.gather(-1, self._targets).squeeze(-1)


def token_losses(
    head: _Head, states: torch.Tensor, input_ids: torch.Tensor, scored: torch.Tensor
) -> torch.Tensor:
    """Return the cross-entropy (batch, seq) float32 of each scored token, in nats.

    It is NaN where not scored, so that a forgotten mask does not go unseen.

    Parameters
    ----------
    head
        Final states -> logits (`saeflow.models.slices.Head`).
    states, input_ids, scored : Tensor (batch, seq, d_model), (batch, seq), (batch, seq)
        Final states, tokens, and which are scored as of `scored_tokens`.
    """
    if scored[:, 0].any():
        raise SaeflowError(
            "the first token of a sequence is marked as scored, but nothing predicts it",
            got=f"{int(scored[:, 0].sum())} of {len(scored)} sequences",
            remedy="Make the mask with scored_tokens.",
        )
    before, targets = states[:, :-1][scored[:, 1:]], input_ids[scored]
    losses = torch.full(scored.shape, torch.nan, device=scored.device)
    if len(before):
        n_rows = max(1, CHUNK_LOGITS // head(before[:1]).shape[-1])
        parts = zip(before.split(n_rows), targets.split(n_rows), strict=True)
        losses[scored] = torch.cat([cross_entropy(head(x), ids) for x, ids in parts])
    return losses
