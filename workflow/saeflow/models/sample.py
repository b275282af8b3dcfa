"""Sample documents from a language model.

A document depends on the model, the settings, the seed and its own number: its draws come from a
generator of its own, so neither the size of a batch nor where a run was interrupted changes it
(but for the rounding of the logits).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from saeflow.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH_DOCUMENTS = 64


def sample_documents(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    n: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    max_tokens: int = 256,
    seed: int = 0,
    first: int = 0,
) -> Iterator[str]:
    """Yield ``n`` documents sampled from a model in eval mode, in order of their numbers.

    Parameters
    ----------
    tokenizer
        The model's, with a beginning or an end token to start from.
    temperature
        The logits are divided by it.
    top_k
        Sample among so many most likely tokens; 0 among all.
    max_tokens
        Longest document, in tokens; one ends earlier where the model says so.
    seed
        Of all draws.
    first
        Number of the first document: the rest of an interrupted run begins where that stopped.
    """
    start = tokenizer.bos_token_id
    start = tokenizer.eos_token_id if start is None else start
    _check(model, start, max_tokens)
    for begin in range(first, first + n, BATCH_DOCUMENTS):
        numbers = range(begin, min(begin + BATCH_DOCUMENTS, first + n))
        rngs = (np.random.default_rng([seed, number]) for number in numbers)
        draws = np.stack([rng.random(max_tokens) for rng in rngs])
        ids = _sample_batch(
            model, start, tokenizer.eos_token_id, draws, temperature=temperature, top_k=top_k
        )
        yield from tokenizer.batch_decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )


def _check(model: nn.Module, start: int | None, max_tokens: int) -> None:
    if start is None:
        raise ModelError(
            "there is no token to start a document with",
            expected="a tokenizer with a beginning or an end token",
        )
    n_positions = model.config.max_position_embeddings
    if max_tokens > n_positions - 1:
        raise ModelError(
            "documents longer than the model's context cannot be sampled",
            where="sample > max_tokens",
            expected=f"at most {n_positions - 1}, for {n_positions} positions with the start token",
            got=max_tokens,
        )


@torch.no_grad()
def _sample_batch(
    model: nn.Module,
    start: int,
    end: int | None,
    draws: np.ndarray,
    *,
    temperature: float,
    top_k: int,
) -> list[list[int]]:
    """Return the tokens of some documents, without start and end token.

    Each of the ``draws`` (n_documents, max_tokens), uniform in [0, 1), decides one token.
    """
    device = next(model.parameters()).device
    uniform = torch.from_numpy(draws).to(device)
    token = torch.full((len(draws), 1), start, device=device)
    running = torch.ones(len(draws), dtype=torch.bool, device=device)
    columns, cache = [], None
    for step in range(draws.shape[1]):
        output = model(token, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        token = choose(output.logits[:, -1] / temperature, uniform[:, step], top_k)[:, None]
        if end is not None:
            running &= token[:, 0] != end
        columns.append(torch.where(running, token[:, 0], -1))
        if not running.any():
            break
    rows = torch.stack(columns, dim=1).tolist()
    return [row[: row.index(-1)] if -1 in row else row for row in rows]


def choose(logits: torch.Tensor, uniform: torch.Tensor, top_k: int) -> torch.Tensor:
    """Return one token (n,) int64 per row by inverting the cumulative distribution.

    Logits are (n, vocab_size), ``uniform`` draws (n,) float64; ``top_k``: see `sample_documents`.
    """
    k = min(top_k, logits.shape[-1]) if top_k else logits.shape[-1]
    values, ids = logits.double().topk(k, dim=-1)  # sorted: ties aside, the same on any device
    cumulative = values.softmax(-1).cumsum(-1)
    index = torch.searchsorted(cumulative, uniform[:, None].contiguous(), right=True)
    # The sum may end a rounding error below one.
    return ids.gather(-1, index.clamp(max=k - 1)).squeeze(-1)
