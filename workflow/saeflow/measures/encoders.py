"""Several SAEs on the same activations, where those with one encoder share their codes.

Fine-tuning by a decoder-side method leaves the encoder as it was: an SAE and those made of it that
way differ in what they make of the same codes. Read `Encoders`; `load_saes` and `finish_each` are
the beginning and the end of every measurement of SAEs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import torch

from saeflow import device
from saeflow.errors import SaeflowError
from saeflow.files import read_json
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE
from saeflow.sae.sparse.codes import Codes
from saeflow.task import Task, joined

Result = TypeVar("Result")


class Coder(Protocol):
    """What is asked of an SAE."""

    d_sae: int

    def encode_sparse(self, x: torch.Tensor) -> Codes:
        """Return the latents of x (n, d_in)."""

    def decode(self, latents: Codes) -> torch.Tensor:
        """Return the reconstruction (n, d_in)."""


class Encoders:
    """SAEs that run together; one that fails is left out from then on.

    Attributes
    ----------
    first : list of int
        For each SAE the place of the first one with its encoder; its own where it is the first.
    errors : dict
        Place of an SAE that failed -> why.
    """

    def __init__(self, coders: Sequence[Coder]) -> None:
        self._coders = coders
        self.errors: dict[int, SaeflowError] = {}
        self.first: list[int] = []
        for place, coder in enumerate(coders):
            known = sorted(set(self.first))
            alike = (other for other in known if _alike(coder, coders[other]))
            self.first.append(next(alike, place))

    def codes(self, x: torch.Tensor) -> Iterator[tuple[int, Codes]]:
        """Yield the codes of x (n, d_in) of each encoder, by the place of its first SAE."""
        for first in sorted(set(self.first) - set(self.errors)):
            try:
                found = self._coders[first].encode_sparse(x)
            except SaeflowError as error:
                self.fail(first, error)
            else:
                yield first, found

    def alike(self, first: int) -> list[int]:
        """Return the places of all SAEs with the encoder of the one in place ``first``."""
        return [place for place, own in enumerate(self.first) if own == first]

    def fail(self, first: int, error: SaeflowError) -> None:
        """Leave out all SAEs with the encoder of the one in place ``first``."""
        self.errors |= dict.fromkeys(self.alike(first), error)

    def run(self, x: torch.Tensor) -> Iterator[tuple[int, Codes, torch.Tensor]]:
        """Yield each SAE's place, its codes and its reconstruction (n, d_in) of x (n, d_in).

        The codes are one object where the encoder is one.
        """
        found: dict[int, Codes] = {}
        for place, (coder, first) in enumerate(zip(self._coders, self.first, strict=True)):
            if place in self.errors:
                continue
            try:
                if first not in found:
                    found[first] = coder.encode_sparse(x)
                x_hat = coder.decode(found[first])
            except SaeflowError as error:
                self.errors[place] = error
            else:
                yield place, found[first], x_hat

    def results(self, made: Callable[[int], Result]) -> list[Result | SaeflowError]:
        """Return for each SAE what ``made`` makes for its place, or why it failed."""
        places = range(len(self.first))
        return [self.errors[p] if p in self.errors else made(p) for p in places]


def _alike(one: Coder, other: Coder) -> bool:
    return isinstance(one, SAE) and isinstance(other, SAE) and one.encodes_like(other)


def load_saes(tasks: Sequence[Task], machine: torch.device) -> tuple[list[Task], list[SAE]]:
    """Read the SAE of each task and hold it against the activations that the task reads.

    Return the tasks and SAEs that can be measured; the tasks of the others fail.
    """
    from saeflow.sae.saved.fits import load_fitting

    usable, saes = [], []
    for task in tasks:
        with task.attempt():
            others = joined(task.inputs)
            sae = load_fitting(task.inputs["sae"], task.inputs["activations"], joined=others)
            saes.append(sae.to(machine))
            usable.append(task)
    return usable, saes


def load_for_model(
    record: Path, model: Path, machine: torch.device, *, hook: str | None = None
) -> SAE:
    """Read an SAE and hold it against the record of a language model, and the hook of its place."""
    from saeflow.sae.saved.fits import check_fits
    from saeflow.sae.saved.load import load_sae

    sae, facts = load_sae(record), read_json(model)
    known = {"d_model": facts.get("d_model"), "model": facts, "hook": hook}
    check_fits(sae, {k: v for k, v in known.items() if v is not None}, where=record)
    return sae.to(machine)


class AtHook(NamedTuple):
    """The SAEs of a hook in the model, as tasks of one pass name them.

    Attributes
    ----------
    tasks, saes : list
        Those that can be measured; the tasks of the others have failed.
    patched : PatchedModel
        The model, with a place for what the SAEs give.
    stores : tuple of Path
        The records of the activations that stand there, and of those that the SAEs read.
    """

    tasks: list[Task]
    saes: list[SAE]
    patched: PatchedModel
    stores: tuple[Path, Path]


def load_at_hook(tasks: Sequence[Task]) -> AtHook | None:
    """Read the SAEs of some tasks and their model; None where no SAE can be measured.

    Inputs of tasks: ``sae``; ``model``; ``activations`` of the hook, and ``target``, the
    activations that transcoders predict, at whose hook their answer is put.
    """
    from saeflow.models.load import load_model_once

    inputs, machine = tasks[0].inputs, device.pick()
    usable, saes = load_saes(tasks, machine)
    if not usable:
        return None
    stores = inputs.get("target", inputs["activations"]), inputs["activations"]
    hooks = (Hook.parse(read_json(record)["hook"]) for record in stores)
    return AtHook(
        usable, saes, PatchedModel(load_model_once(inputs["model"], machine), *hooks), stores
    )


def measure_each_hook(tasks: Sequence[Task], measure: Callable[[Sequence[Task]], None]) -> None:
    """Measure the tasks of one hook after the other; what fails there leaves other hooks alone.

    ``measure`` gets tasks that read the same ``activations``, ``target`` of transcoders, and
    ``joined_01`` and so on of crosscoders, and finishes them.
    """
    read = ("activations", "target")
    groups = grouped(tasks, lambda t: (*map(t.inputs.get, read), joined(t.inputs)))
    for group in groups.values():
        try:
            measure(group)
        except SaeflowError as error:
            for task in group:
                task.fail(error)


def grouped(tasks: Iterable[Task], key: Callable[[Task], Any]) -> dict[Any, list[Task]]:
    """Return tasks that have something in common together; one without a key fails alone."""
    groups: dict[Any, list[Task]] = {}
    for task in tasks:
        with task.attempt():
            groups.setdefault(key(task), []).append(task)
    return groups


def finish_each(
    tasks: Iterable[Task],
    results: Iterable[Result | SaeflowError],
    write: Callable[..., None],
    *others: Iterable[Any],
) -> None:
    """Write the result of each task, or let it fail with the error that stands in its place.

    ``write`` is called with the task, its result, and what each of ``others`` has for it.
    """
    for task, result, *more in zip(tasks, results, *others, strict=True):
        if isinstance(result, SaeflowError):
            task.fail(result)
        else:
            write(task, result, *more)
