"""Probes of some inputs on the tasks of labelled texts, and the tables that measures write.

Fits of one task and one input share nothing with others, and are spread over processes. Each
computes with one thread: sums are the same whatever the number of cores. Read `probe`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from saeflow.errors import DataError, SaeflowError, may_pass
from saeflow.labelled.labelled import SHIFT, TEST, TRAIN, Labelled, LabelledTask
from saeflow.logs import progress
from saeflow.probing import draws
from saeflow.probing.columns import Matrix, varying
from saeflow.probing.draws import Draw
from saeflow.probing.fitted import Fitted, Method, Training
from saeflow.probing.folds import folds_of
from saeflow.probing.scores import accuracy, auc

logger = logging.getLogger(__name__)

FITS, SCORES = "fits.parquet", "scores.parquet"
_SCORE_COLUMNS = {"example": np.int64, "label": np.int8, "score": np.float32}


class Input(NamedTuple):
    """What probes read of texts.

    Attributes
    ----------
    name : str
        states, centred, codes, decoded, ...
    pooling : str
        last, mean, max or concept: how the tokens of a text became one row.
    x : ndarray or csr_matrix (n_examples, d)
        A row for each example.
    methods : Mapping
        Setting -> method by name. Of a setting that is not there nothing is fitted.
    known : ndarray (n_examples,) bool, optional
        Which examples have a row; all by default.
    """

    name: str
    pooling: str
    x: Matrix
    methods: Mapping[str, Mapping[str, Method]]
    known: np.ndarray | None = None


class Probed(NamedTuple):
    """The fits of one task.

    Attributes
    ----------
    fits : list of dict
        A row of ``fits.parquet`` each, without its number.
    scores : list of tuple
        Of each fit the examples, labels and scores (n_test,).
    left_out : dict
        "{task}: {setting} {level}" -> why there is no such fit.
    """

    fits: list[dict[str, Any]]
    scores: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    left_out: dict[str, str]


class Unit(NamedTuple):
    """What is computed in one go: an input with a row for each of a task's examples, in order.

    ``owner`` is whose it is, such as the place of a hook.
    """

    owner: int
    task: LabelledTask
    input: Input


def units_of(owner: int, tasks: Iterable[LabelledTask], inputs: Sequence[Input]) -> Iterator[Unit]:
    """Yield the units of an owner's inputs on tasks, with the rows of the tasks' own examples."""
    for task in tasks:
        for one in inputs:
            there = np.ones(one.x.shape[0], dtype=bool) if one.known is None else one.known
            there = there[task.examples]
            columns = {n: getattr(task, n)[there] for n in ("examples", "labels", "splits")}
            own = task._replace(**columns)
            yield Unit(owner, own, one._replace(x=one.x[own.examples], known=None))


def probe(
    units: Iterable[Unit], settings: Mapping[str, Any], *, n_jobs: int = 1, desc: str = "probes"
) -> dict[int, Probed]:
    """Fit probes, and test them; what fails of a task leaves the others alone.

    Parameters
    ----------
    units
        Inputs on tasks; taken as they are needed.
    settings
        As of `saeflow.probing.draws.draw`.
    n_jobs
        Processes; changes no result.
    desc
        What is being done, for the log.

    Returns
    -------
    dict
        Owner -> its fits, in the order of its units.
    """
    from joblib import Parallel, delayed

    run = Parallel(n_jobs=n_jobs, return_as="generator", pre_dispatch="2*n_jobs")
    found = run(delayed(_probe_safely)(unit, settings) for unit in units)
    results: dict[int, Probed] = {}
    for owner, part in progress(found, desc=desc, unit="tasks"):
        own = results.setdefault(owner, Probed([], [], {}))
        own.fits.extend(part.fits)
        own.scores.extend(part.scores)
        own.left_out.update(part.left_out)
    return results


def _probe_safely(unit: Unit, settings: Mapping[str, Any]) -> tuple[int, Probed]:
    from sklearn import config_context
    from threadpoolctl import threadpool_limits

    checks = {"assume_finite": True, "skip_parameter_validation": True}
    try:
        with threadpool_limits(1), config_context(**checks):
            return unit.owner, probe_task(unit.task, unit.input, settings)
    except Exception as error:
        if may_pass(error):
            raise
        logger.warning("%s: %s", unit.task.name, error)
        known = isinstance(error, SaeflowError)
        why = str(error) if known else f"{type(error).__name__}: {error}"
        return unit.owner, Probed([], [], {f"{unit.task.name}: {unit.input.name}": why})


def probe_task(task: LabelledTask, given: Input, settings: Mapping[str, Any]) -> Probed:
    """Fit every method of an input to every training set of a task, and score its test examples.

    The input has a row for each of its examples, in their order; ``settings`` are as of
    `saeflow.probing.draws.draw`.
    """
    if not np.isfinite(given.x.data if issparse(given.x) else given.x).all():
        raise DataError(
            "probes cannot read what is not a number",
            where=f"{task.name}: {given.name}",
            got="NaN or infinity",
            remedy="Look at the model's activations on these texts: measure them in float32.",
        )
    rows = {split: np.flatnonzero(task.splits == split) for split in (TRAIN, TEST, SHIFT)}
    labels = task.labels == 1
    drawn, left_out = draws.draw(labels[rows[TRAIN]], settings, shift=len(rows[SHIFT]) > 0)
    found = Probed([], [], {f"{task.name}: {what}": why for what, why in left_out.items()})
    if not drawn:
        found.left_out[task.name] = "the training examples are all of one class"
    if not len(rows[TEST]):
        found.left_out[task.name] = "there is no test example"
        return found
    kept: dict[tuple, list[Fitted]] = {}
    of_rows: dict[bytes, dict] = {}  # what settings with the same rows have in common
    for one in drawn:
        tested = rows[SHIFT if one.setting == draws.SHIFT else TEST]
        x_test = given.x[tested]
        training = Training(
            given.x[rows[TRAIN][one.rows]], one.positive, folds_of(one.positive, seed=one.seed),
            of_rows.setdefault(one.rows.tobytes(), {}),
        )  # fmt: skip
        n_features = int(varying(training.x).sum())
        for name, method in given.methods.get(one.setting, {}).items():
            for fitted in _fits(kept, one, name, method, training):
                fit = {
                    "task": task.name, "setting": one.setting, "level": one.level,
                    "seed": one.seed, "method": name, "input": given.name,
                    "pooling": given.pooling, "n_features": n_features,
                }  # fmt: skip
                found.fits.append({**fit, **_facts(fitted, training)})
                scores = fitted.score(x_test).astype(np.float32)
                found.scores.append((task.examples[tested], task.labels[tested], scores))
    return found


def _fits(
    kept: dict[tuple, list[Fitted]], draw: Draw, name: str, method: Method, training: Training
) -> list[Fitted]:
    """Return the fits of a method; those of the normal setting are those of shift, too."""
    if draw.setting not in (draws.NORMAL, draws.SHIFT):
        return method(training)
    if (draw.seed, name) not in kept:
        kept[draw.seed, name] = method(training)
    return kept[draw.seed, name]


def _facts(fitted: Fitted, training: Training) -> dict[str, Any]:
    scores = fitted.score(training.x)
    return {
        "k": fitted.k,
        "n_train": len(training.positive),
        "validation_auc": fitted.validation_auc,
        "train_accuracy": accuracy(scores, training.positive),
        "train_auc": float(auc(scores, training.positive)),
        "converged": fitted.converged,
        "latents": list(map(int, fitted.latents)),
    }


def tasks_of(labelled: Labelled) -> dict[str, dict[str, str]]:
    """Return what a record of probes says of its tasks: of each the dataset."""
    return {task.name: {"dataset": task.dataset} for task in labelled.tasks}


def write_probes(directory: Path, probed: Probed | None) -> dict[str, Any]:
    """Write fits, numbered by their order, and scores; return what the record says of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    probed = probed or Probed([], [], {})
    numbers = np.arange(len(probed.fits), dtype=np.int64)
    texts, whole, number = pa.string(), pa.int64(), pa.float64()
    kinds = {
        "task": texts, "setting": texts, "level": number, "seed": whole, "method": texts,
        "input": texts, "pooling": texts, "k": whole, "n_train": whole, "n_features": whole,
        "validation_auc": number, "train_accuracy": number, "train_auc": number,
        "converged": pa.bool_(), "latents": pa.list_(whole),
    }  # fmt: skip
    columns = {name: pa.array([fit[name] for fit in probed.fits], kinds[name]) for name in kinds}
    pq.write_table(pa.table({"fit": numbers, **columns}), directory / FITS)
    of = np.repeat(numbers, [len(examples) for examples, _, _ in probed.scores])
    scores = {"fit": of}
    for place, (name, kind) in enumerate(_SCORE_COLUMNS.items()):
        parts = [one[place] for one in probed.scores]
        scores[name] = np.concatenate([np.zeros(0, kind), *parts]).astype(kind)
    pq.write_table(pa.table(scores), directory / SCORES)
    return {
        "n_fits": len(numbers),
        "n_not_converged": sum(not fit["converged"] for fit in probed.fits),
        "left_out": probed.left_out,
    }
