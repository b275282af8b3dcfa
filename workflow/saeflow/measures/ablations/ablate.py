"""What single features, and sets of them, do to the answers to prompts: each is ablated.

Scores of features on a prompt set (`feature_scores`) are correlations. Here the features with the
worst and the best sums, those that are most often active, and random ones are taken out of the
model (`ablating`), on prompts on which they are active, and what that changes is their own doing.
All that is run of a prompt is run at once, so that a change is one of equal shapes. Read
`ablate`; `saeflow.measures.ablations.measure` is the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from saeflow.errors import ModelError, SaeflowError
from saeflow.logs import progress
from saeflow.measures.ablations.ablating import WHERE, Ablated, Asked
from saeflow.measures.ablations.feature_facts import Occurrences
from saeflow.measures.ablations.feature_scores import choose, sample, score_features, sets_of
from saeflow.measures.answers.lines import Question
from saeflow.measures.encoders import Coder
from saeflow.models.patched import PatchedModel

N_CONTEXTS, TOLD = 3, ("worst", "best")
"""Prompts on which a feature is most active that are kept, to be looked at; of which kinds."""


class Plan:
    """What is ablated of one SAE, and where.

    Parameters
    ----------
    delta, active, d_sae
        As of `score_features`; ``active`` has ``max_activation`` besides.
    settings
        ``features``, ``prompts`` and ``seed`` of `saeflow.config.sections.Ablations`.

    Attributes
    ----------
    scores : DataFrame
        Of all features.
    chosen, sets
        As `choose` and `sets_of` return them.
    shown : DataFrame
        ``latent`` and ``prompt`` of each context that is kept, the strongest first.
    """

    def __init__(
        self, delta: np.ndarray, active: pd.DataFrame, d_sae: int, settings: Mapping[str, Any]
    ) -> None:
        self.scores = score_features(delta, active, d_sae)
        self.chosen = choose(self.scores, settings["features"], settings["seed"])
        self.sets = sets_of(self.chosen)
        order = np.random.default_rng(settings["seed"]).permutation(len(delta))
        self._on_all = set(order[: settings["prompts"]].tolist())
        pairs = sample(active, self.latents, order, settings["prompts"])
        self._pairs = {int(p): own["latent"].tolist() for p, own in pairs.groupby("prompt")}
        told = self.chosen.loc[self.chosen[list(TOLD)].any(axis=1), "latent"]
        strongest = active[active["latent"].isin(told)].sort_values(
            ["latent", "max_activation", "prompt"], ascending=[True, False, True]
        )
        self.shown = strongest.groupby("latent").head(N_CONTEXTS)[["latent", "prompt"]]

    @cached_property
    def latents(self) -> np.ndarray:
        """The latents that were chosen, rising."""
        return self.chosen["latent"].to_numpy()

    @cached_property
    def prompts(self) -> set[int]:
        """The prompts that have to be run."""
        some = self._on_all if self.sets else set()
        return some | self._pairs.keys() | set(self.shown["prompt"].tolist())

    def at(self, prompt: int) -> tuple[list[int], list[tuple[str, int]]]:
        """Return the single latents, and the keys of the sets, that are ablated on a prompt."""
        return self._pairs.get(prompt, []), list(self.sets) if prompt in self._on_all else []


class Found(NamedTuple):
    """What was measured of one SAE.

    Attributes
    ----------
    effects : DataFrame
        A row per latent, prompt and ``where`` (`WHERE`): ``effect``, ln p of the answer with the
        feature minus without; ``right_with`` and ``right_without``, whether it is what greedy
        decoding gives.
    sets : DataFrame
        The same per ``kind`` and ``size`` of a set, prompt and ``where``.
    seen : Occurrences
        Where the chosen features were active.
    """

    effects: pd.DataFrame
    sets: pd.DataFrame
    seen: Occurrences


@torch.no_grad()
def ablate(
    patched: PatchedModel,
    coders: Sequence[Coder],
    questions: Sequence[Question],
    plans: Sequence[Plan],
) -> list[Found | SaeflowError]:
    """Ablate features of SAEs of one hook, as ``plans`` say of each.

    Return what was measured of each, or why it failed. The SAEs are on the model's device; prompts
    that no plan wants are not run.
    """
    found: list[_Rows | SaeflowError] = [_Rows(plan) for plan in plans]
    wanted = sorted(set().union(*(plan.prompts for plan in plans)))
    for prompt in progress(wanted, desc="ablations", unit="prompts"):
        asked = _asked(questions[prompt], patched)
        run = Ablated(patched, asked)
        for place, (coder, rows) in enumerate(zip(coders, found, strict=True)):
            if isinstance(rows, _Rows) and prompt in rows.plan.prompts:
                try:
                    rows.add(prompt, run, coder, asked)
                except SaeflowError as error:
                    found[place] = error
    return [rows.found if isinstance(rows, _Rows) else rows for rows in found]


def _asked(question: Question, patched: PatchedModel) -> Asked:
    answer = np.array(question.answer, dtype=np.int64)
    ids = torch.from_numpy(np.concatenate([question.ids, answer]))
    ordinary = np.concatenate([~question.special, np.ones(len(answer), dtype=bool)])
    device = patched.model.device
    return Asked(ids.to(device), torch.from_numpy(ordinary).to(device), len(answer))


class _Rows:
    """Gathers what is measured of one SAE, prompt by prompt."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self._seen = plan, Occurrences(plan.latents)
        self._effects: list[tuple] = []
        self._sets: list[tuple] = []

    def add(self, prompt: int, run: Ablated, coder: Coder, asked: Asked) -> None:
        codes = run.codes(coder)
        places = run.replaced.cpu().numpy()
        self._seen.add(prompt, places, asked.ids.cpu().numpy()[places], codes)
        single, keys = self.plan.at(prompt)
        sets = [np.array([latent]) for latent in single] + [self.plan.sets[key] for key in keys]
        if not sets:
            return
        outcome = run.without(coder, codes, sets)
        if not np.isfinite(outcome.log_p).all():
            raise ModelError(
                "without some of its features, or with all, this SAE leaves the model's predictions"
                " no numbers",
                where=f"prompt {prompt}",
                expected="finite log-probabilities",
                got="NaN or infinity",
                remedy="Leave the SAE out of the study's `saes`, or set measures > ablations to"
                " null.",
            )
        names = [(latent,) for latent in single] + keys
        for at, where in enumerate(WHERE):
            log_p, right = outcome.log_p[at], outcome.correct[at]
            for name, without, ok in zip(names, log_p[1:], right[1:], strict=True):
                rows = self._effects if len(name) == 1 else self._sets
                rows.append((*name, prompt, where, log_p[0] - without, right[0], ok))

    @property
    def found(self) -> Found:
        rest = ["prompt", "where", "effect", "right_with", "right_without"]
        return Found(
            pd.DataFrame(self._effects, columns=["latent", *rest]),
            pd.DataFrame(self._sets, columns=["kind", "size", *rest]),
            self._seen,
        )
