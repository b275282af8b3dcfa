"""What a language model answers to prompts with SAEs in it, one at a time.

One clean pass over the prompts serves the SAEs of all hooks; after that only the part of the model
behind a hook runs. Reconstructions stand at every ordinary token of the prompt and of the answer,
as if the model with the SAE read both. `lines` says what is run, `scores` what is read from it.
Read `ask`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from saeflow.errors import ModelError, SaeflowError
from saeflow.logs import progress
from saeflow.measures.answers.as_published import PUBLISHED, add_published
from saeflow.measures.answers.ends import Ends, joined
from saeflow.measures.answers.lines import Batch, Lines, Question
from saeflow.measures.answers.scores import Predictions, Reader, Scores, asked_of
from saeflow.measures.encoders import Coder, Encoders
from saeflow.measures.sums import DocumentSums, Entries
from saeflow.models.hooks import Hook, capture
from saeflow.models.patched import CleanPass, PatchedModel
from saeflow.models.slices import Head, final_states


class Patch(NamedTuple):
    """An SAE and where it is put.

    Attributes
    ----------
    sae : Coder
    hook : Hook
        Where its reconstruction stands.
    reads : Hook
        Where it reads; the same but for a transcoder.
    name : str
        Of the SAE, for messages.
    """

    sae: Coder
    hook: Hook
    reads: Hook
    name: str


class Answers(NamedTuple):
    """What was measured of one SAE.

    Attributes
    ----------
    prompts : dict
        ``document``, the number of the prompt, and the sums of `saeflow.metrics.answers`,
        (n_prompts,) float64.
    features : dict
        Columns `saeflow.measures.answers.ends.FEATURES`: a row per prompt and latent.
    top_clean, top : ndarray (n_prompts,) int64
        The likeliest token after each prompt, without the SAE and with it.
    """

    prompts: dict[str, np.ndarray]
    features: dict[str, np.ndarray]
    top_clean: np.ndarray
    top: np.ndarray


class _Of(NamedTuple):
    """The SAEs of one pair of hooks, and what is added up of them by place."""

    patched: PatchedModel
    encoders: Encoders
    patches: Sequence[Patch]
    places: Sequence[int]
    scores: list[Scores]
    sums: DocumentSums
    features: dict[int, list[dict[str, np.ndarray]]]


@torch.no_grad()
def ask(
    model: nn.Module,
    patches: Sequence[Patch],
    questions: Sequence[Question],
    *,
    window: int,
    published_mode: bool = False,
) -> list[Answers | SaeflowError]:
    """Ask a model with each of some SAEs the same prompts.

    Parameters
    ----------
    model
        In evaluation mode, on the device of the SAEs.
    window
        Last tokens of a prompt over which features count as active.
    published_mode
        Whether to add what `add_published` gives.

    Returns
    -------
    list
        What was measured of each SAE, or why it failed.
    """
    lines, head = Lines(questions), Head(model)
    groups = _grouped(model, patches, lines)
    clean_scores = Scores(lines)
    batches = progress(lines.batches(), desc="answers", unit="batches", total=lines.n_batches)
    for batch in batches:
        batch = _on(batch, model.device)
        clean, states = _clean(model, [of.patched for of in groups], batch.input_ids)
        reader = Reader(head, batch, states)
        clean_scores.add(batch, reader.clean)
        replaced = batch.ordinary.flatten().nonzero().squeeze(1)
        ends = Ends.of(batch.question.ravel()[replaced.cpu().numpy()], window)
        for of, own in zip(groups, clean, strict=True):
            _add(of, own, batch, reader, replaced, ends, published_mode=published_mode)
    shared = {**asked_of(lines), **clean_scores.columns("clean")}
    results: list[Any] = [None] * len(patches)
    for of in groups:

        def made(at: int, of: _Of = of) -> Answers:
            scores, own = of.scores[at], of.sums.columns(at)
            numbers = own.pop("document")
            prompts = {"document": numbers, **shared, **scores.columns("sae"), "kl": scores.kl}
            none = {name: np.zeros(len(numbers)) for name in PUBLISHED if name not in own}
            features = joined(of.features[of.encoders.first[at]])
            return Answers(prompts | own | none, features, clean_scores.top, scores.top)

        for place, result in zip(of.places, of.encoders.results(made), strict=True):
            results[place] = result
    return results


def _grouped(model: nn.Module, patches: Sequence[Patch], lines: Lines) -> list[_Of]:
    """Return the SAEs by where they read and where they are put."""
    by_hooks: dict[tuple[Hook, Hook], list[int]] = {}
    for place, patch in enumerate(patches):
        by_hooks.setdefault((patch.hook, patch.reads), []).append(place)
    numbers = np.arange(len(lines.questions))
    found = []
    for (hook, reads), places in by_hooks.items():
        own = [patches[place] for place in places]
        encoders = Encoders([patch.sae for patch in own])
        found.append(
            _Of(
                PatchedModel(model, hook, reads),
                encoders,
                own,
                places,
                [Scores(lines) for _ in places],
                DocumentSums(numbers),
                {first: [] for first in encoders.first},
            )
        )
    return found


def _on(batch: Batch, device: torch.device) -> Batch:
    return Batch(*(one.to(device) if isinstance(one, torch.Tensor) else one for one in batch))


def _clean(
    model: nn.Module, patched: Sequence[PatchedModel], input_ids: torch.Tensor
) -> tuple[list[CleanPass], torch.Tensor]:
    """Run the untouched model once; return what each exchange starts from, and the final states."""
    hooks = dict.fromkeys(h for one in patched for h in (one.hook, one.below, one.reads))
    with capture(model, list(hooks)) as found:
        states = final_states(model, input_ids)
    passes = [
        CleanPass(states, found[one.hook], found[one.below], found[one.reads]) for one in patched
    ]
    return passes, states


def _add(
    of: _Of,
    clean: CleanPass,
    batch: Batch,
    reader: Reader,
    replaced: torch.Tensor,
    ends: Ends,
    *,
    published_mode: bool,
) -> None:
    """Add what each SAE of a pair of hooks makes of a batch."""
    x, read = (one.flatten(0, 1) for one in (clean.x, clean.read))
    own = x.index_select(0, replaced)
    of.sums.add(ends.prompts, ends.clean(own))
    of_codes: dict[int, dict[str, np.ndarray]] = {}
    for place, codes, x_hat in of.encoders.run(read.index_select(0, replaced)):
        first = of.encoders.first[place]
        if first not in of_codes:
            entries = Entries.of(codes)
            of_codes[first] = ends.active(entries)
            of.features[first].append(ends.features(entries))
        changed = x.index_copy(0, replaced, x_hat).view_as(clean.x)
        found = reader.read(of.patched.states(changed, clean, batch.input_ids))
        if not (found.sound.all() and np.isfinite(found.ce).all()):
            of.encoders.errors[place] = _unsound(of, place, batch, found)
            continue
        of.scores[place].add(batch, found)
        of.sums.add(ends.prompts, of_codes[first] | ends.compare(own, x_hat), of=place)
        if published_mode:
            add_published(of.sums, place, of.patches[place].sae, of.patched, clean, batch)


def _unsound(of: _Of, place: int, batch: Batch, found: Predictions) -> SaeflowError:
    """Return the error of an SAE with which the model's predictions are no numbers."""
    answers = batch.prompts[batch.before // batch.input_ids.shape[1]]
    texts = batch.question[batch.scored.cpu().numpy()]
    prompts = np.unique(np.append(answers[~found.sound], texts[~np.isfinite(found.ce)]))
    n = len(np.unique(batch.prompts))
    return ModelError(
        "with this SAE in the model its predictions are not numbers",
        where=f"{of.patches[place].name} > {of.patched.hook} > prompt {prompts[0]}",
        expected="finite log-probabilities",
        got=f"NaN or infinity at {len(prompts)} of the {n} prompts of a batch",
        remedy="Look for NaN or huge weights in the SAE, or at another hook than it was made for.",
    )
