"""What one variant of a model, clean or with an SAE, makes of prompts: from logits to scores.

Read `Scores`: it collects the predictions of all batches, and forms what is summed per prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from saeflow.measures.answers.lines import Batch, Lines
from saeflow.models.loss import token_losses
from saeflow.models.slices import Head

# Predictions whose logits are compared at a time.
_CHUNK_ROWS = 64


class Predictions(NamedTuple):
    """What one variant predicts in a batch.

    Attributes
    ----------
    log_p, kl : ndarray (n_rows,) float64
        ln p of each token after a prompt, and the divergence from the clean predictions there.
    top : ndarray (n_rows,) int64
        The likeliest token there.
    asked : ndarray (n_asked,) float64
        ln p of the further tokens that are asked about.
    ce : ndarray (n_scored,) float64
        Losses on the tokens of prompts.
    """

    log_p: np.ndarray
    kl: np.ndarray
    top: np.ndarray
    asked: np.ndarray
    ce: np.ndarray

    @property
    def sound(self) -> np.ndarray:
        """Whether each row is a number, (n_rows,) bool."""
        return np.isfinite(self.log_p) & np.isfinite(self.kl)


class Reader:
    """Reads the predictions of a batch from final states; the clean ones are kept to compare with.

    ``batch`` has its tensors on the model's device; ``clean`` (batch, seq, d_model) are the final
    states of the untouched model.
    """

    def __init__(self, head: Head, batch: Batch, clean: torch.Tensor) -> None:
        self._head, self._batch = head, batch
        self._before = torch.from_numpy(batch.before).to(clean.device)
        self._clean = list(self._log_p(clean))
        self.clean = self.read(clean)

    def read(self, states: torch.Tensor) -> Predictions:
        """Return what is predicted from final states (batch, seq, d_model)."""
        batch, found, asked = self._batch, [], np.empty(len(self._batch.asked))
        start = 0
        for clean, log_q in zip(self._clean, self._log_p(states), strict=True):
            stop = start + len(log_q)
            own = log_q.gather(-1, batch.targets[start:stop, None]).squeeze(-1)
            kl = torch.linalg.vecdot(clean.exp(), clean - log_q)
            found.append(torch.stack([own.double(), kl.double(), log_q.argmax(-1).double()]))
            here = (batch.asked_row >= start) & (batch.asked_row < stop)
            at = torch.from_numpy(batch.asked_row[here] - start).to(log_q.device)
            ids = batch.asked_ids[torch.from_numpy(here).to(log_q.device)]
            asked[here] = log_q[at, ids].double().cpu().numpy()
            start = stop
        log_p, kl, top = torch.cat(found, dim=1).cpu().numpy()
        losses = token_losses(self._head, states, batch.input_ids, batch.scored)
        ce = losses[batch.scored].double().cpu().numpy()
        return Predictions(log_p, kl, top.astype(np.int64), asked, ce)

    def _log_p(self, states: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield ln p (n, vocab_size) of all tokens at the predictions, some at a time."""
        for before in self._before.split(_CHUNK_ROWS):
            yield self._head(states.flatten(0, 1).index_select(0, before)).float().log_softmax(-1)


class Scores:
    """The predictions of one variant for all prompts."""

    def __init__(self, lines: Lines) -> None:
        n_rows, n_prompts = int(lines.first[-1]), len(lines.questions)
        self._lines = lines
        self._log_p, self._kl = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
        self._top = np.full(n_rows, -1, dtype=np.int64)
        self._right = np.zeros(n_rows, dtype=bool)
        self._asked = np.full(len(lines.asked), np.nan)
        self._ce = np.zeros(n_prompts)

    def add(self, batch: Batch, found: Predictions) -> None:
        """Add the predictions of a batch."""
        self._log_p[batch.rows], self._kl[batch.rows] = found.log_p, found.kl
        self._top[batch.rows] = found.top
        self._right[batch.rows] = found.top == batch.targets.cpu().numpy()
        self._asked[batch.asked] = found.asked
        np.add.at(self._ce, batch.question[batch.scored.cpu().numpy()], found.ce)

    @property
    def top(self) -> np.ndarray:
        """The likeliest token after each prompt, (n_prompts,) int64."""
        return self._top[self._first]

    @property
    def kl(self) -> np.ndarray:
        """The divergence from the clean predictions after each prompt, (n_prompts,)."""
        return self._kl[self._first]

    def columns(self, ending: str) -> dict[str, np.ndarray]:
        """Return the sums of `saeflow.metrics.answers` with this ending, (n_prompts,) float64."""
        lines, first = self._lines, self._first
        answers = [
            slice(start, start + len(question.answer))
            for start, question in zip(first, lines.questions, strict=True)
        ]
        contrast = lines.contrast
        other = np.where(contrast >= 0, self._asked[contrast] if len(self._asked) else 0.0, 0.0)
        logit_diff = np.where(contrast >= 0, self._log_p[first] - other, 0.0)
        found = {
            "log_p": np.array([self._log_p[own].sum() for own in answers]),
            "log_p_first": self._log_p[first],
            "right": np.array([self._right[own].all() for own in answers], dtype=np.float64),
            "right_first": self._right[first].astype(np.float64),
            "right_choice": self._choices(),
            "logit_diff": logit_diff,
            "preferred": (logit_diff > 0).astype(np.float64),
            "ce": self._ce,
        }
        return {f"{name}_{ending}": values for name, values in found.items()}

    @property
    def _first(self) -> np.ndarray:
        return self._lines.first[self._lines.main]

    def _choices(self) -> np.ndarray:
        """Return whether the answer is chosen, or which share of those that are as likely it is."""
        lines, right = self._lines, np.zeros(len(self._lines.questions))
        for number, (question, places) in enumerate(
            zip(lines.questions, lines.choice, strict=True)
        ):
            if not places:
                continue
            log_p = np.array([self._choice(*place) for place in places])
            best = log_p == log_p.max()
            correct = np.array([one == question.answer for one in question.candidates])
            right[number] = (best & correct).sum() / best.sum()
        return right

    def _choice(self, line: int, asked: int) -> float:
        if line < 0:
            return self._asked[asked]
        return self._log_p[self._lines.first[line] : self._lines.first[line + 1]].sum()


def asked_of(lines: Lines) -> dict[str, np.ndarray]:
    """Return what is known before anything is run: how many prompts ask what, (n_prompts,)."""
    n = np.array([len(question.candidates) for question in lines.questions], dtype=np.float64)
    return {
        "prompts": np.ones(len(n)),
        "choices": (n > 0).astype(np.float64),
        "chance": np.divide(1.0, n, out=np.zeros(len(n)), where=n > 0),
        "contrasts": (lines.contrast >= 0).astype(np.float64),
        "ce_tokens": np.array(
            [
                (~question.special[1:] & ~question.special[:-1]).sum()
                for question in lines.questions
            ],
            dtype=np.float64,
        ),
    }
