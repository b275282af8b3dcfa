"""Which penalty gives an SAE the wished number of active latents, found before it is trained.

Short trainings try coefficients. Each takes as many steps as the training itself, at its learning
rates and on the first rows of its own order, with smaller batches: how far Adam carries weights
follows from the number of steps, so L0 ends near that of the whole training, which one of fewer
steps would miss by factors. What is left is the noise of small batches, whose size goes with
n^-1/2. Batches of two sizes show it, and it is taken off.

    log L0(n) = log L0 + a n^-1/2        n rows in a batch; what the training will have is L0

Everything that a recipe counts in tokens shrinks with the batches. Loaded by name, so that it is no
code of SAEs whose recipes give the weight. Read `find` and `Search.find`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.activations.reader import Store
from saeflow.config.shared_recipe import PenalisedRecipe
from saeflow.device import pick
from saeflow.errors import ConfigError, ModelError
from saeflow.files import canonical_json, read_json, write_json
from saeflow.interrupt import Stop, interruptible
from saeflow.logs import Progress
from saeflow.sae.saved.save import CONFIG_NAME, header_of
from saeflow.sae.steps.step import Batch, Workspace
from saeflow.sae.training.descent import Descent
from saeflow.sae.training.passes import OpenLoader
from saeflow.sae.training.rows import TrainingRows, kept_rows
from saeflow.sae.training.train import SEARCH, SAEObjective, recipe_of
from saeflow.sae.training.trainee import planned_steps
from saeflow.task import Task

logger = logging.getLogger(__name__)

COARSE, FINE = 32, 8
"""How much smaller the batches of trials are: of all, and of the one that shows the noise."""
N_TRIALS = 8
"""Small-batch trials before and after the noise is known, at most, each."""

_SMALLEST_BATCH = 16
_CLOSE, _FAR = 1.05, 1.5  # of the wished L0: good enough, and not worth training
_LONGEST = 8.0  # times the coefficient, from one trial to the next
_SLOPES = -3.0, -0.3  # of log L0 by the log of the coefficient, where two trials say otherwise
_LAST_SHARE = 0.1  # of a trial's steps, over which L0 is averaged
_FIRST = 0.2  # of the activations' spread: the pull of a first coefficient
_LEAST_L0 = 1e-3

OpenBatches = Callable[[PenalisedRecipe], Any]
"""Opens a loader of the training's rows in the batches of a recipe."""


def find(
    task: Task,
    stores: Sequence[Store],
    known: dict[str, Any],
    *,
    rows: TrainingRows,
    header: Mapping[str, Any],
    open_loader: OpenLoader,
    objective: type[SAEObjective] = SAEObjective,
) -> dict[str, Any]:
    """Return what a search comes to for a task with a ``target_l0``, for its header.

    ``stores`` are those of the activations and of what a transcoder predicts or a crosscoder joins;
    ``rows``, ``header`` and ``objective`` are as in the training, whose rows ``open_loader`` opens.
    ``known``, what was found and tried before for these stores, is added to: SAEs that differ in
    their seed have one coefficient, which is found with seed 0; those that differ in their wish
    share trials.
    """
    if (task.work.path / CONFIG_NAME).is_file():  # trained, and not finished
        return header_of(task.work.path)["training"]["target_l0"]
    settings = {**task.settings, "seed": 0}
    recipe, key = recipe_of(settings), canonical_json(settings)
    place = f"{header['hook']} > {settings['architecture']} SAE"
    n_steps = planned_steps(recipe, len(kept_rows(stores[0], recipe.part)), where=place)

    def make(run: PenalisedRecipe) -> SAEObjective:
        return objective({**run.plain(), "seed": 0}, rows=rows, header=header)

    if key not in known:
        tried = known.setdefault(canonical_json({**settings, "target_l0": None}), {})
        with interruptible() as stop:
            search = Search(
                recipe, make, lambda run: open_loader(run, run.epochs, None), n_steps,
                task.work.path, stop, tried,
            )  # fmt: skip
            known[key] = search.find().plain()
    kept = {"n_steps": n_steps, "trials": known[key]["trials"]}
    write_json(task.work.path / SEARCH, kept)
    return known[key]


class Trial(NamedTuple):
    """One short training.

    Its rows in a batch, what was tried, and the active latents of a row over its last steps.
    """

    batch_size: int
    coefficient: float
    l0: float


class Found(NamedTuple):
    """What a search came to.

    The key of the recipe (l1 or l0_coef), its value, of four digits, and the L0 that the training
    is expected to have at its end.
    """

    name: str
    value: float
    l0: float
    trials: tuple[Trial, ...]

    def plain(self) -> dict[str, Any]:
        """Return it for a header."""
        return {
            self.name: self.value,
            "expected_l0": self.l0,
            "trials": [trial._asdict() for trial in self.trials],
        }


class Search:
    """A search for the coefficient of one recipe, ``run``, which has a ``target_l0`` in its place.

    Parameters
    ----------
    make
        Returns the objective of a recipe with a coefficient; its initial weights do not depend on
        which SAE of several seeds it is made for.
    open_batches, n_steps
        What opens the training's rows, and its steps.
    directory
        Where trials are kept, so that a killed search goes on after its last one.
    stop
        Asked after each step.
    tried
        Trials of the same recipe with another wish, by batch size and coefficient; added to.
    """

    def __init__(
        self,
        run: PenalisedRecipe,
        make: Callable[[PenalisedRecipe], SAEObjective],
        open_batches: OpenBatches,
        n_steps: int,
        directory: Path,
        stop: Stop,
        tried: dict[tuple[int, float], Trial] | None = None,
    ) -> None:
        self._run, self._make, self._open = run, make, open_batches
        self._n_steps, self._stop = n_steps, stop
        self._file = Path(directory) / SEARCH
        self._trials: list[Trial] = []
        self._kept = {} if tried is None else tried
        self._kept |= {(t.batch_size, t.coefficient): t for t in self._of_a_killed_search()}
        self._workspace = Workspace()
        size = run.batch_size
        self._coarse = max(size // COARSE, min(size, _SMALLEST_BATCH))
        self._fine = max(size // FINE, self._coarse)

    def find(self) -> Found:
        """Return the coefficient whose training is expected to have the wished L0.

        Raises
        ------
        ConfigError
            If no coefficient gives as many latents.
        """
        wished, width = self._run.target_l0, self._make(self._with(1.0)).d_sae
        if not wished < width:
            raise ConfigError(
                "the wished number of active latents is not below that of all",
                where=f"{self._make(self._with(1.0)).name} > target_l0",
                expected=f"below {width}",
                got=wished,
            )
        noise = 0.0
        value = self._solve(wished)
        if self._fine > self._coarse:
            noise = self._noise(value)
            value = self._solve(wished * math.exp(noise))
        l0 = self._at(self._coarse, value) * math.exp(-noise)
        if not 1 / _FAR < l0 / wished < _FAR:
            raise self._out_of_reach(l0)
        found = Found(self._run.COEFFICIENT, value, l0, tuple(self._trials))
        logger.info(
            "%s: %s %.4g for an L0 of %g; %.3g are expected",
            self._make(self._with(value)).name, found.name, value, wished, l0,
        )  # fmt: skip
        return found

    def _solve(self, wished: float) -> float:
        """Return the coefficient that gives small batches an L0 near the wished one."""
        value = self._first()
        for _ in range(N_TRIALS):
            if abs(math.log(self._at(self._coarse, value) / wished)) < math.log(_CLOSE):
                return value
            value = self._next(wished)
        known = self._by_coefficient()
        return min(known, key=lambda c: abs(math.log(known[c] / wished)))

    def _first(self) -> float:
        """Return where to begin: at what is known, or at a share of the activations' spread.

        An L1 penalty pulls on each latent, in units of activations, by half its coefficient, or by
        d / 2 times it where the error is a mean; a penalty on their number by a square.
        """
        if known := self._by_coefficient():
            return next(iter(known))
        run = self._with(1.0)
        objective = self._make(run)
        with closing(iter(self._open(run))) as batches:
            batch = objective.prepared(_batch(next(batches)))
        pull = _FIRST * math.sqrt(batch.variance / len(batch))
        if run.COEFFICIENT == "l0_coef":
            return _rounded(pull**2)
        mean = getattr(run, "error", "sum") == "mean"
        return _rounded(pull / (batch.target.shape[1] if mean else 1))

    def _next(self, wished: float) -> float:
        """Return the coefficient to try next: between those on either side, or further out."""
        points = sorted((math.log(c), math.log(v)) for c, v in self._by_coefficient().items())
        goal = math.log(wished)
        more = [p for p in points if p[1] > goal]  # too many latents: too small a coefficient
        less = [p for p in points if p[1] <= goal]
        if more and less and max(more)[0] < min(less)[0]:
            (x, y), (x2, y2) = max(more), min(less)
            share = (y - goal) / (y - y2)
            return _rounded(math.exp(x + (x2 - x) * min(max(share, 0.1), 0.9)))
        near = sorted(points, key=lambda p: abs(p[1] - goal))[:2]
        slope = -1.0
        if len(near) == 2 and near[0][0] != near[1][0]:
            slope = (near[1][1] - near[0][1]) / (near[1][0] - near[0][0])
        step = (goal - near[0][1]) / min(max(slope, _SLOPES[0]), _SLOPES[1])
        limit = math.log(_LONGEST)
        return _rounded(math.exp(near[0][0] + min(max(step, -limit), limit)))

    def _noise(self, value: float) -> float:
        """Return how much larger log L0 is with the small batches than with whole ones."""
        small, large = (math.log(self._at(size, value)) for size in (self._coarse, self._fine))
        by_size = [size**-0.5 for size in (self._coarse, self._fine, self._run.batch_size)]
        return (small - large) * (by_size[0] - by_size[2]) / (by_size[0] - by_size[1])

    def _by_coefficient(self) -> dict[float, float]:
        """Return the L0 of the small-batch trials so far."""
        return {t.coefficient: t.l0 for t in self._trials if t.batch_size == self._coarse}

    def _at(self, batch_size: int, value: float) -> float:
        """Return the L0 of a trial, made now where it was not before."""
        key = (batch_size, value)
        if key not in self._kept:
            self._kept[key] = Trial(batch_size, value, self._train(batch_size, value))
            trials = [trial._asdict() for trial in self._kept.values()]
            write_json(self._file, {"n_steps": self._n_steps, "trials": trials})
        if self._kept[key] not in self._trials:
            self._trials.append(self._kept[key])
        return self._kept[key].l0

    def _of_a_killed_search(self) -> Iterator[Trial]:
        """Yield its trials: they are walked through again, in their order, and not made."""
        if self._file.is_file():
            kept = read_json(self._file)
            if kept["n_steps"] == self._n_steps:
                yield from (Trial(**trial) for trial in kept["trials"])

    def _train(self, batch_size: int, value: float) -> float:
        run = shrunk(self._with(value), batch_size)
        objective, n = self._make(run), self._n_steps
        n_last, active, descent = max(1, int(n * _LAST_SHARE)), 0, None
        label = f"{objective.name}: {run.COEFFICIENT} {value:.3g}"
        with Progress(n, desc=label, unit="steps") as bar, closing(iter(self._open(run))) as rows:
            for done in range(n):
                batch = _batch(next(rows))
                if descent is None:
                    descent = Descent(objective, objective.initial(batch))
                terms, _ = descent.step(batch, self._workspace, n_done=done, n_steps=n)
                descent.revive(len(batch), n_done=done + 1, n_steps=n)
                if done >= n - n_last:
                    active += terms.n_active
                bar.update(1)
                self._stop.check()
        l0 = max(active / (n_last * batch_size), _LEAST_L0)
        logger.info("%s gives an L0 of %.3g in batches of %d", label, l0, batch_size)
        return l0

    def _with(self, value: float) -> PenalisedRecipe:
        return self._run.with_coefficient(value)

    def _out_of_reach(self, l0: float) -> ModelError:
        run = self._run
        tried = ", ".join(f"{v:.3g} at {c:.3g}" for c, v in sorted(self._by_coefficient().items()))
        return ModelError(
            f"no {run.COEFFICIENT} was found that gives the wished number of active latents",
            where=f"{self._make(self._with(1.0)).name} > target_l0",
            expected=f"{run.target_l0:g}, within a factor of {_FAR:g}",
            got=f"{l0:.3g}; small batches had {tried}",
            remedy=f"Choose a target_l0 between these, or set {run.COEFFICIENT} itself.",
        )


def shrunk(run: PenalisedRecipe, batch_size: int) -> PenalisedRecipe:
    """Return a recipe of as many steps in smaller batches; what it counts in tokens shrinks too."""
    changes: dict[str, Any] = {"batch_size": batch_size}
    for name in type(run).model_fields:
        value = getattr(run, name)
        if (name == "tokens" or name.endswith("_tokens")) and value:
            changes[name] = max(1, round(value * batch_size / run.batch_size))
    return run.model_copy(update=changes)


def _batch(rows: Any) -> Batch:
    """Return what a loader gave as a batch, in memory of its own."""
    parts = rows if isinstance(rows, tuple) else (rows,)
    return Batch(*(part.to(pick()).clone() for part in parts))


def _rounded(value: float) -> float:
    """Return a coefficient as one would write it into a recipe."""
    return float(f"{value:.4g}")
