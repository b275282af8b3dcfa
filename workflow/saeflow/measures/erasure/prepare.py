"""The texts on which a model runs with edits, and what is read at its end. Read `prepare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from saeflow.files import read_json
from saeflow.labelled.labelled import Labelled, read_labelled
from saeflow.measures.erasure.concepts import Concept, Examples, concepts_of
from saeflow.measures.erasure.edited_texts import at_ends
from saeflow.measures.erasure.readers import fit_readers
from saeflow.measures.lenses.words import directions
from saeflow.measures.text_tokens import tokenize_labelled
from saeflow.models.hooks import Hook, capture
from saeflow.models.slices import final_states
from saeflow.probing.fitted import Linear
from saeflow.tokens.sequences import Sequences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MOST_TOKENS = 2048
"""Whose states are kept of each hook."""


class Asked(NamedTuple):
    """Texts of a concept, and how the concept is read at the model's end.

    Attributes
    ----------
    concept : Concept
    texts : Examples
        The test examples that the model reads with edits.
    tokens : Sequences
        Their tokens, a sequence each.
    direction : Tensor (d_model,) float64 or None
        What the LM head tells the words of the two classes apart by, where there are words.
    end : Linear
        A reader of the states that the LM head reads, fitted without an edit.
    at_hooks : dict
        Hook -> states (n_tokens, d) at some tokens of texts, where edits act.
    """

    concept: Concept
    texts: Examples
    tokens: Sequences
    direction: torch.Tensor | None
    end: Linear
    at_hooks: dict[Hook, np.ndarray]

    def spoken(self, ends: torch.Tensor) -> np.ndarray:
        """Return the logit of the positive word over the other's, (n,) float64; NaN without words.

        Parameters
        ----------
        ends : Tensor (n, d_model)
            What the LM head reads.
        """
        if self.direction is None:
            return np.full(len(ends), np.nan)
        return (ends.double() @ self.direction).cpu().numpy()


class Prepared(NamedTuple):
    """A labelled entry, ready for edits at any hook.

    Attributes
    ----------
    asked : list of Asked
        Of each concept that is edited.
    read : list of Concept
        Those that are looked for: the edited ones, then others.
    left_out : dict
        Task without enough examples -> why.
    """

    asked: list[Asked]
    read: list[Concept]
    left_out: dict[str, str]


def prepare(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    inputs: Mapping[str, Path],
    settings: Mapping[str, Any],
    hooks: Sequence[Hook],
) -> Prepared:
    """Choose concepts and texts of a labelled entry, and fit readers at the end of the model.

    Parameters
    ----------
    model, tokenizer
        The model, in evaluation mode.
    inputs, settings
        ``labelled``; ``model``; ``states``, of any hook; and those of the measure.
    hooks
        Where edits are made.
    """
    labelled = read_labelled(inputs["labelled"])
    edited, read, left_out = concepts_of(labelled.tasks, settings, where=inputs["labelled"])
    most, bos = read_json(inputs["model"])["max_positions"], read_json(inputs["states"])["bos"]

    def tokens_of(numbers: np.ndarray) -> Sequences:
        found = tokenize_labelled(
            tokenizer, _some(labelled, numbers), max_positions=most, bos=bos,
            where=inputs["labelled"],
        )  # fmt: skip
        texts = np.repeat(np.arange(len(numbers)), found.lengths)
        return Sequences(found.ids, texts, ~found.ordinary, found.offsets)

    worded, _ = directions(model, tokenizer, labelled.tasks)
    spoken = {one.task.name: one.direction for one in worded}
    asked = []
    for concept in edited:
        clean = read_clean(model, tokens_of(concept.read.numbers), hooks)
        (end,) = fit_readers([clean.ends], [concept.read.labels])
        texts = alternating(concept.test)
        tokens = tokens_of(texts.numbers).first(settings["tokens"])
        n = len(tokens.offsets) - 1
        chosen = Examples(texts.numbers[:n], texts.labels[:n])
        direction = spoken.get(concept.name)
        asked.append(Asked(concept, chosen, tokens, direction, end, clean.at_hooks))
    return Prepared(asked, read, left_out)


def alternating(examples: Examples) -> Examples:
    """Return examples of both classes by turns, as far as there are both; then the others."""
    place = np.zeros(len(examples.numbers))
    for label in (0, 1):
        own = examples.labels == label
        place[own] = np.arange(own.sum()) + (0.5 if label == 0 else 0.0)
    order = np.argsort(place, kind="stable")
    return Examples(examples.numbers[order], examples.labels[order])


def _some(labelled: Labelled, numbers: Sequence[int]) -> Labelled:
    """Return some of the texts, with what belongs to them."""
    return labelled._replace(
        texts=[labelled.texts[number] for number in numbers],
        spans=labelled.spans[numbers],
        concepts=[labelled.concepts[number] for number in numbers],
    )


class CleanTexts(NamedTuple):
    """Texts as an untouched model reads them.

    Attributes
    ----------
    ends : ndarray (n_texts, d_model) float32
        What the LM head reads at the last ordinary token of each.
    at_hooks : dict
        Hook -> states (n_tokens, d) float32 at ordinary tokens, evenly spread over the texts.
    """

    ends: np.ndarray
    at_hooks: dict[Hook, np.ndarray]


@torch.no_grad()
def read_clean(model: nn.Module, texts: Sequences, hooks: Sequence[Hook]) -> CleanTexts:
    """Run a model in evaluation mode on texts, a sequence each, and keep the states at hooks."""
    ordinary = np.flatnonzero(~texts.special)
    step = -(-len(ordinary) // _MOST_TOKENS)
    wanted = np.zeros(len(texts.special), dtype=bool)
    wanted[ordinary[::step]] = True
    order, ends, parts = [], [], {hook: [] for hook in hooks}
    for batch in texts.batches():
        moved = batch.to(model.device)
        kept = torch.from_numpy((batch.tokens >= 0) & wanted[batch.tokens]).to(model.device)
        with capture(model, hooks, lambda _, x, kept=kept: x[kept].float().cpu().numpy()) as found:
            states = final_states(model, moved.input_ids)
        order.append(batch.numbers)
        ends.append(at_ends(moved, states).float().cpu().numpy())
        for hook in hooks:
            parts[hook].append(found[hook])
    back = np.argsort(np.concatenate(order))
    at_hooks = {hook: np.concatenate(own) for hook, own in parts.items()}
    return CleanTexts(np.concatenate(ends)[back], at_hooks)
