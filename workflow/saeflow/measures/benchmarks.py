"""What a language model can do on the built-in world: held-out loss and prompt sets.

Every score stands beside chance, simple baselines and its 95 % interval; a score that cannot be
told from chance is marked. Read `measure_benchmarks` first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from saeflow import device
from saeflow.files import read_json
from saeflow.measures.intervals import interval, resample
from saeflow.measures.ngrams import NGrams
from saeflow.measures.prompt_model import PromptModel
from saeflow.measures.prompt_scores import Score, score_prompts
from saeflow.measures.sums import DocumentSums
from saeflow.models.load import load_model, load_tokenizer
from saeflow.models.loss import scored_tokens, token_losses
from saeflow.models.slices import Head, final_states
from saeflow.tokens.flags import excluded
from saeflow.tokens.sequences import Sequences
from saeflow.tokens.store import TokenStore, open_tokens
from saeflow.work import Work, bulk_of
from saeflow.world.dataset import read_prompts
from saeflow.world.prompts import PROMPT_SETS

HELD_OUT_TOKENS = 100_000
ORDERS = {1: "unigram", 2: "bigram", 3: "trigram", 4: "fourgram"}


def measure_benchmarks(
    work: Work,
    *,
    model: Path,
    tokenizer: Path,
    dataset: Path,
    tokens: Path,
    settings: Mapping[str, Any],
) -> None:
    """Score a model and finish the work.

    Parameters
    ----------
    work
        Held, unfinished work; its record gets ``scores``, one row per task.
    model, tokenizer, dataset, tokens
        Records of the model, its tokenizer, a generated dataset and its tokens.
    settings
        ``bootstrap`` (resamples) and ``seed``.
    """
    network = load_model(model, device.pick())
    store = open_tokens(tokens)
    prompts = {name: read_prompts(bulk_of(dataset), name) for name in PROMPT_SETS}
    asked = PromptModel(network, load_tokenizer(tokenizer), read_json(model)["max_positions"])
    scores = [
        held_out_loss(network, store, samples=settings["bootstrap"], seed=settings["seed"]),
        *score_prompts(asked, prompts),
    ]
    work.finish({"scores": [asdict(score) for score in scores]})


def held_out_loss(model: nn.Module, store: TokenStore, *, samples: int, seed: int) -> Score:
    """Return the mean loss per token on the test split, beside n-gram models of the train split.

    Parameters
    ----------
    model
        In evaluation mode.
    store
        Tokens; about `HELD_OUT_TOKENS` of the test split are scored, special ones never.
    samples, seed
        Of the bootstrap over documents.
    """
    held_out = _sequences(store, "test", HELD_OUT_TOKENS)
    sums = _losses(model, held_out).columns
    drawn = resample(sums, samples=samples, seed=seed)
    value = float(sums["loss"].sum() / sums["tokens"].sum())
    low, high = interval(drawn["loss"] / drawn["tokens"])
    if low is None or high is None:  # a single document: nothing to resample
        low = high = value
    chance = math.log(model.config.vocab_size)
    return Score(
        task="held_out_loss",
        value=value,
        low=low,
        high=high,
        n=int(sums["tokens"].sum()),
        chance=chance,
        at_chance=high >= chance,
        unit="nats",
        requires="predicting every word of unseen documents",
        baselines=_ngram_losses(_sequences(store, "train"), held_out, model.config.vocab_size),
    )


def _ngram_losses(train: Sequences, held_out: Sequences, vocab_size: int) -> dict[str, float]:
    """Return the mean losses of n-gram models on the tokens that the model is scored on."""
    models = NGrams(train.token_ids, train.offsets, vocab_size=vocab_size, highest=max(ORDERS))
    found = models.log_probabilities(held_out.token_ids, held_out.offsets)
    scored = ~held_out.special
    scored[held_out.offsets[:-1]] = False
    return {name: float(-found[order][scored].mean()) for order, name in ORDERS.items()}


def _sequences(store: TokenStore, split: str, limit: int | None = None) -> Sequences:
    """Return the sequences of a split, or as many of the first ones as hold ``limit`` tokens."""
    start, stop = store.sequence_range(split)
    offsets = store.columns.read("sequence_offsets", start, stop + 1).astype(np.int64)
    if limit is not None:
        n = int(np.searchsorted(offsets - offsets[0], limit, side="left"))
        offsets = offsets[: max(n, 1) + 1]
    first, end = int(offsets[0]), int(offsets[-1])
    return Sequences(
        token_ids=store.columns.read("token_id", first, end),
        documents=store.columns.read("document", first, end),
        special=excluded(store.columns.read("flags", first, end)),
        offsets=offsets - first,
    )


@torch.no_grad()
def _losses(model: nn.Module, tokens: Sequences) -> DocumentSums:
    """Return ``loss`` (nats) and ``tokens``, summed over the scored tokens of each document."""
    head, sums = Head(model), DocumentSums(tokens.documents)
    for batch in tokens.batches():
        ids = batch.input_ids.to(model.device)
        scored = scored_tokens(batch.real, ~batch.ordinary)
        losses = token_losses(head, final_states(model, ids), ids, scored.to(model.device))
        wanted = scored.numpy()
        found = losses.cpu().numpy()[wanted].astype(np.float64)
        sums.add(batch.documents[wanted], {"loss": found, "tokens": np.ones(len(found))})
    return sums
