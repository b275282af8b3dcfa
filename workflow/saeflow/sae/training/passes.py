"""One pass over the activations of a hook that trains many trainees at once.

All trainees that want the same batches in the same order share them, each computes as it would
alone, to the last bit. A trainee that resumes further on waits for the pass to reach it. Read
`run`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import torch
from torch import Tensor

from saeflow.config.training import Training
from saeflow.device import pick
from saeflow.errors import DataError
from saeflow.interrupt import Stop, interruptible
from saeflow.logs import Progress
from saeflow.sae.steps.step import Batch, Workspace
from saeflow.sae.training.trainee import Trainee

CHECKPOINT_S = 60.0
_ALIGNMENT_BYTES = 64

# Opens an iterable of (batch, d_in) batches, of pairs (x, target) or of `Batch`, that has a
# ``state()``: (settings, epochs, start)
OpenLoader = Callable[[Training, int, dict[str, Any] | None], Any]


def run(
    trainees: Sequence[Trainee],
    open_loader: OpenLoader,
    *,
    hook: str,
    checkpoint_s: float = CHECKPOINT_S,
    find_damage: Callable[[], str] | None = None,
) -> None:
    """Train every trainee, planned ones of one hook, to its end and finish its task.

    One that fails on its own (a training that diverged) leaves the others alone. ``checkpoint_s``
    are the seconds between two checkpoints. ``find_damage`` is called when a batch is not finite:
    it says which row of which shard it is, for the message.

    Raises
    ------
    DataError
        If a batch is not finite, or there are too few.
    """
    groups: dict[tuple, list[Trainee]] = {}
    for trainee in trainees:
        if trainee.trained:
            with trainee.task.attempt():
                trainee.finish()
        else:
            same_batches = trainee.run.batch_size, trainee.run.order_seed
            groups.setdefault(same_batches, []).append(trainee)
    with interruptible() as stop:
        for group in groups.values():
            _Pass(group, open_loader, hook, checkpoint_s, stop, find_damage).run()


class _Pass:
    """The pass of one group of trainees that share their batches."""

    def __init__(
        self,
        group: list[Trainee],
        open_loader: OpenLoader,
        hook: str,
        checkpoint_s: float,
        stop: Stop,
        find_damage: Callable[[], str] | None = None,
    ) -> None:
        self._waiting, self._open_loader, self._hook = list(group), open_loader, hook
        self._checkpoint_s, self._stop = checkpoint_s, stop
        self._find_damage = find_damage
        self._device = pick()
        self._workspace = Workspace()

    def run(self) -> None:
        for trainee in self._waiting:
            trainee.resume(self._device)
        first = min(self._waiting, key=lambda trainee: trainee.n_done)
        settings, step = first.run, first.n_done
        n_steps = max(trainee.n_steps for trainee in self._waiting)
        epochs = max(trainee.run.epochs for trainee in self._waiting)
        loader = self._open_loader(settings, epochs, first.loader_state)
        saved = time.monotonic()
        with Progress(
            n_steps * settings.batch_size,
            desc=f"{self._hook}: {len(self._waiting)} in one pass",
            unit="tokens",
            done=step * settings.batch_size,
        ) as bar:
            for batch in self._batches(loader, step):
                self._train(batch, step)
                step += 1
                bar.update(settings.batch_size)
                if self._waiting and (
                    self._stop.requested or time.monotonic() - saved >= self._checkpoint_s
                ):
                    self._save(loader.state(), step)
                    saved = time.monotonic()
                    self._stop.check()

    def _batches(self, loader: Any, step: int) -> Iterator[Batch]:
        """Yield batches until no trainee waits for one."""
        with closing(iter(loader)) as batches:
            while self._waiting:
                x = next(batches, None)
                if x is None:
                    raise DataError(
                        "the activations ended before the training",
                        where=f"{self._hook} > step {step + 1}",
                        remedy="Lower `tokens` or raise `epochs`.",
                    )
                if isinstance(x, Batch):
                    yield x
                else:
                    parts = (x,) if isinstance(x, Tensor) else x
                    yield Batch(*(_aligned(part.to(self._device)) for part in parts))
                step += 1

    def _train(self, batch: Batch, step: int) -> None:
        """Train those who are at ``step``; finish those who are done."""
        if not math.isfinite(batch.variance) or not (
            batch.target is batch.x or bool(batch.x.isfinite().all())
        ):
            raise DataError(
                "the activations of a batch are not finite",
                where=f"{self._hook} > step {step + 1}",
                expected="finite numbers",
                got=(self._find_damage() if self._find_damage else "") or "NaN or infinity",
                remedy="`saeflow verify --discard` removes altered files; harvest this hook again,"
                " in float32 if float16 overflows.",
            )
        for trainee in [t for t in self._waiting if t.n_done == step]:
            with trainee.task.attempt():
                if trainee.n_steps:
                    trainee.train(batch, self._workspace)
                else:  # the first weights are all that is wanted
                    trainee.begin(batch)
                if trainee.n_done >= trainee.n_steps:
                    trainee.finish()
            if trainee.task.error or trainee.n_done >= trainee.n_steps:
                self._waiting.remove(trainee)

    def _save(self, loader_state: dict[str, Any], step: int) -> None:
        for trainee in self._waiting:
            if trainee.n_done == step:  # one that is further on has its own checkpoint
                trainee.save(loader_state)


def _aligned(x: Tensor) -> Tensor:
    """Return ``x`` in memory that starts at a multiple of 64 bytes.

    Kernels round differently at other alignments; a batch that is a view into a window starts
    elsewhere after a resume.
    """
    if x.is_contiguous() and x.data_ptr() % _ALIGNMENT_BYTES == 0:
        return x
    return x.clone(memory_format=torch.contiguous_format)
