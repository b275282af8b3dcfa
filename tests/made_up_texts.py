"""Labelled texts and their states that no model made: a class moves the state along a direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from saeflow.labelled.labelled import Labelled, LabelledTask, write_labelled
from saeflow.measures.states import ROWS, STATES
from saeflow.measures.sums import write_table
from saeflow.work import hold

D, N_TRAIN, N_TEST = 16, 48, 32


def labelled(names: Sequence[str] = ("a", "b")) -> Labelled:
    """Return a dataset with one task per name; every other text is positive, flipped by task."""
    n = N_TRAIN + N_TEST
    parts, tasks = ["train"] * N_TRAIN + ["test"] * N_TEST, []
    for place, name in enumerate(names):
        own = np.arange(n) + place * n
        labels = (np.arange(n) % 2 == place % 2).astype(np.int8)
        tasks.append(LabelledTask(name, name, own, labels, np.array(parts), {"dataset": name}))
    total = n * len(names)
    texts = [f"text {i}" for i in range(total)]
    return Labelled(
        texts, np.array(parts * len(names)), np.repeat(names, n),
        np.tile([0, 4], (total, 1)), [None] * total, tasks,
    )  # fmt: skip


def publish_labelled(root: Path, found: Labelled) -> Path:
    """Write labelled texts as a result."""
    with hold(root / "labelled.json", "labelled") as work:
        write_labelled(work.path, found)
        n_labels = sum(len(task.examples) for task in found.tasks)
        tasks = {task.name: task.facts for task in found.tasks}
        work.finish({"n_examples": len(found.texts), "n_labels": n_labels, "tasks": tasks})
    return work.output


def states_of(found: Labelled, *, seed: int = 0, gap: float = 2.0) -> np.ndarray:
    """Return states (n, D) float32: noise around 1, along a direction of each task by its label."""
    rng = np.random.default_rng(seed)
    x = rng.normal(1.0, 1.0, (len(found.texts), D))
    for task in found.tasks:
        direction = rng.normal(size=D)
        x[task.examples] += gap * np.outer(task.labels - 0.5, direction / np.linalg.norm(direction))
    return x.astype(np.float32)


def publish_states(
    root: Path, x: np.ndarray, *, hook: str = "resid_post.1", n_tokens: int = 1
) -> Path:
    """Write states as a result; with several tokens, those before the last are half of it."""
    n = len(x)
    sizes = np.repeat(np.where(np.arange(n_tokens) < n_tokens - 1, 0.5, 1.0)[None], n, axis=0)
    rows = (sizes[:, :, None] * x[:, None]).reshape(n * n_tokens, -1).astype(np.float32)
    last = np.tile(np.arange(n_tokens) == n_tokens - 1, n)
    columns: Mapping[str, np.ndarray] = {
        "example": np.repeat(np.arange(n), n_tokens), "position": np.tile(np.arange(n_tokens), n),
        "last": last, "in_text": np.ones(len(last), bool), "in_concept": ~last,
    }  # fmt: skip
    pooling = ["last"] if n_tokens == 1 else ["last", "mean", "max"]
    with hold(root / hook / "states.json", f"states {hook}") as work:
        np.save(work.path / STATES, rows)
        write_table(work.path / ROWS, columns)
        work.finish({"hook": hook, "d_in": x.shape[1], "n_examples": n, "pooling": pooling})
    return work.output
