"""What a language model answers on the built-in world: losses on held-out text, and prompt sets.

`saeflow.metrics.benchmarks` forms scores of what is counted here. Read `measure_benchmarks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from saeflow import device
from saeflow.files import read_json
from saeflow.measures.benchmarks.ngrams import NGrams
from saeflow.measures.benchmarks.prompt_model import PromptModel
from saeflow.measures.benchmarks.prompts import answer_prompts
from saeflow.measures.sums import DocumentSums, write_table
from saeflow.metrics.benchmarks import MODEL, UNIFORM
from saeflow.models.load import load_model, load_tokenizer
from saeflow.models.loss import scored_tokens, token_losses
from saeflow.models.slices import Head, final_states
from saeflow.task import Task
from saeflow.tokens.sequences import Sequences, sequences_of
from saeflow.tokens.store import TokenStore, open_tokens
from saeflow.work import bulk_of
from saeflow.world.dataset import read_prompts
from saeflow.world.prompts import PROMPT_SETS

HELD_OUT_TOKENS = 100_000
ORDERS = {1: "unigram", 2: "bigram", 3: "trigram", 4: "fourgram"}


def measure_benchmarks(tasks: Sequence[Task]) -> None:
    """Measure models and finish their tasks.

    Inputs: ``model``, its ``tokenizer``, a generated ``dataset`` and its ``tokens``. Works get
    ``documents.parquet`` (`held_out_losses`) and ``prompts.parquet`` (`answer_prompts`).
    """
    for task in tasks:
        with task.attempt():
            _measure(task)


def _measure(task: Task) -> None:
    model, dataset = task.inputs["model"], bulk_of(task.inputs["dataset"])
    network = load_model(model, device.pick())
    tokenizer = load_tokenizer(task.inputs["tokenizer"])
    losses = held_out_losses(network, open_tokens(task.inputs["tokens"]))
    asked = PromptModel(network, tokenizer, read_json(model)["max_positions"])
    answers = answer_prompts(asked, {name: read_prompts(dataset, name) for name in PROMPT_SETS})
    write_table(task.work.path / "documents.parquet", losses)
    write_table(task.work.path / "prompts.parquet", answers)
    task.finish(
        {
            "n_tokens": int(losses["tokens"].sum()),
            "n_documents": len(losses["document"]),
            "n_prompts": int((answers["by"] == MODEL).sum()),
        }
    )


def held_out_losses(model: nn.Module, store: TokenStore) -> dict[str, np.ndarray]:
    """Return losses on the test split, and those of n-gram models of the training split.

    About `HELD_OUT_TOKENS` of the test split are scored, special ones never.

    Returns
    -------
    dict
        Columns of one row per ``document``: the number of its scored ``tokens``, and losses in
        nats summed over them: ``loss`` of the model, and ``loss_`` with the name of an n-gram
        model, or of the uniform distribution.
    """
    held_out, train = (
        sequences_of(store, "test").first(HELD_OUT_TOKENS),
        sequences_of(store, "train"),
    )
    scored, vocab_size = held_out.scored, model.config.vocab_size
    documents = held_out.documents[scored]
    sums = DocumentSums(documents)
    _add_losses(sums, model, held_out)
    models = NGrams(train.token_ids, train.offsets, vocab_size=vocab_size, highest=max(ORDERS))
    found = models.log_probabilities(held_out.token_ids, held_out.offsets)
    losses = {f"loss_{name}": -found[order][scored] for order, name in ORDERS.items()}
    losses[f"loss_{UNIFORM}"] = np.full(len(scored), math.log(vocab_size))
    sums.add(documents, losses)
    return sums.columns()


@torch.no_grad()
def _add_losses(sums: DocumentSums, model: nn.Module, tokens: Sequences) -> None:
    """Add ``tokens`` and the model's ``loss`` (nats) on them."""
    head = Head(model)
    for batch in tokens.batches():
        ids = batch.input_ids.to(model.device)
        scored = scored_tokens(batch.real, ~batch.ordinary)
        losses = token_losses(head, final_states(model, ids), ids, scored.to(model.device))
        wanted = scored.numpy()
        found = losses.cpu().numpy()[wanted].astype(np.float64)
        sums.add(batch.documents[wanted], {"tokens": np.ones(len(found)), "loss": found})
