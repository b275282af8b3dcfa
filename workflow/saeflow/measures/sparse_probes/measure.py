"""Probes of what SAEs make of labelled texts, as a job: from records to fits.

Beside probes of an SAE's codes stand, by the post's classifier, those of its reconstructions, of
what it leaves out, and of as many principal components or random directions of the states as it
has features. Read `measure_sparse_probes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from saeflow import device
from saeflow.errors import SaeflowError
from saeflow.files import read_json
from saeflow.labelled.labelled import TRAIN, Labelled, LabelledTask, read_labelled
from saeflow.measures.sparse_probes.coded_texts import (
    FeaturesOn,
    Means,
    Read,
    features_on,
    pooled_codes,
    read_states,
)
from saeflow.measures.states import LAST, States, open_states
from saeflow.measures.sums import write_table
from saeflow.probing.draws import NORMAL, SETTINGS
from saeflow.probing.fitted import Method
from saeflow.probing.methods import PUBLISHED, at_pooling, methods_of
from saeflow.probing.probe import (
    Input,
    Probed,
    Unit,
    probe,
    tasks_of,
    units_of,
    write_probes,
)
from saeflow.probing.projections import components, random_directions
from saeflow.sae.model import SAE
from saeflow.sae.saved.fits import check_fits
from saeflow.sae.saved.load import load_sae
from saeflow.task import Task

CODES, DECODED, RESIDUAL, STATES = "codes", "decoded", "residual", "states"
PCA_ACTIVE, PCA_ON, RANDOM_ACTIVE = "pca_active", "pca_on", "random_active"
EXAMPLES, FEATURES = "examples.parquet", "features.parquet"


def measure_sparse_probes(tasks: Sequence[Task]) -> None:
    """Fit probes to what SAEs make of the states of labelled texts, and finish the tasks.

    Parameters
    ----------
    tasks
        Of one pass. Inputs ``sae``, ``states`` of the hook that it reads, ``labelled``, and the
        record of the ``model``; settings of `saeflow.config.probing.Probing`. Works get
        ``fits.parquet`` and ``scores.parquet``, ``examples.parquet`` (the sums of
        `saeflow.metrics.sparse_probes` by text) and ``features.parquet`` (how many features are on
        over a dataset).
    """
    known = {path: read_labelled(path) for path in {task.inputs["labelled"] for task in tasks}}
    groups: dict[tuple[Path, Path], list[int]] = {}
    for place, task in enumerate(tasks):
        groups.setdefault((task.inputs["states"], task.inputs["labelled"]), []).append(place)
    shares: dict[int, int] = {}
    found = probe(
        _units(tasks, groups, known, shares), tasks[0].settings, n_jobs=torch.get_num_threads(),
        desc="probes of codes",
    )  # fmt: skip
    for place, task in enumerate(tasks):
        if task.error is None:
            with task.attempt():
                none = Probed([], [], {})
                codes, rest = (found.get(p, none) for p in (_of_codes(shares[place]), place))
                probed = Probed(
                    codes.fits + rest.fits, codes.scores + rest.scores,
                    codes.left_out | rest.left_out,
                )  # fmt: skip
                facts = write_probes(task.work.path, probed)
                d_in = read_json(task.inputs["states"])["d_in"]
                own = tasks_of(known[task.inputs["labelled"]])
                task.finish({"tasks": own, "d_in": d_in, **facts})


def _of_codes(place: int) -> int:
    """Return the owner of the probes of codes that SAEs share with the one in a place."""
    return -1 - place


def _units(
    tasks: Sequence[Task],
    groups: Mapping[tuple[Path, Path], Sequence[int]],
    known: Mapping[Path, Labelled],
    shares: dict[int, int],
) -> Iterator[Unit]:
    """Yield what is probed, SAE by SAE; ``shares`` gets the place whose codes each SAE has."""
    for (states_record, labelled_record), group in groups.items():
        states, labelled = open_states(states_record), known[labelled_record]
        places, saes = _loaded(tasks, group, states)
        texts = Texts.of(states, labelled)
        for own, results in read_states(saes, texts.x, texts.means, device.pick()):
            first = None
            for at, result in zip(own, results, strict=True):
                place = places[at]
                if isinstance(result, SaeflowError):
                    tasks[place].fail(result)
                    continue
                with tasks[place].attempt():
                    _write(tasks[place].work.path, result, labelled)
                    given = Probing(tasks[place].settings, texts, result, saes[at])
                    if first is None:
                        yield from given.of_codes(_of_codes(place), states)
                        first = place
                    shares[place] = first
                    yield from given.of_the_rest(place)


def _loaded(
    tasks: Sequence[Task], places: Sequence[int], states: States
) -> tuple[list[int], list[SAE]]:
    """Read the SAEs of some tasks, and hold them against the hook of the states."""
    usable, saes = [], []
    for place in places:
        with tasks[place].attempt():
            inputs = tasks[place].inputs
            sae, facts = load_sae(inputs["sae"]), states.facts
            about = {"d_model": facts["d_in"], "hook": facts["hook"]}
            check_fits(sae, {**about, "model": read_json(inputs["model"])}, where=inputs["sae"])
            saes.append(sae.to(device.pick()))
            usable.append(place)
    return usable, saes


class Texts(NamedTuple):
    """The states x (n_examples, d_in) float32 of labelled texts at their last tokens.

    ``means`` are of texts of one dataset beside each other the mean over its training texts.
    """

    x: np.ndarray
    means: Means
    labelled: Labelled

    @classmethod
    def of(cls, states: States, labelled: Labelled) -> Texts:
        """Return those of some states."""
        x, of = states.pooled(LAST), labelled.datasets
        mean = {}
        for dataset in np.unique(of):
            own = x[(of == dataset) & (labelled.splits == TRAIN)]
            mean[dataset] = own.mean(0, dtype=np.float64) if len(own) else np.zeros(x.shape[1])
        starts = [0, *(np.flatnonzero(of[1:] != of[:-1]) + 1).tolist()]
        parts = map(slice, starts, [*starts[1:], len(x)])
        return cls(x, [(part, mean[of[part.start]]) for part in parts], labelled)


class Probing(NamedTuple):
    """What is probed of one SAE; ``read`` is what it makes of the texts."""

    settings: Mapping[str, Any]
    texts: Texts
    read: Read
    sae: SAE

    def of_codes(self, owner: int, states: States) -> Iterator[Unit]:
        """Yield what is probed of the codes, which SAEs with the same encoder share."""
        of, others = self.settings["codes"], [how for how in states.poolings if how != LAST]
        ks = {**dict.fromkeys(SETTINGS, of["few_ks"]), NORMAL: of["ks"]}
        methods = {name: methods_of(of[name], self.settings, ks=own) for name, own in ks.items()}
        pooled = {LAST: self.read.codes}
        if others:
            pooled |= pooled_codes(self.sae, states, others, device.pick())
        inputs = []
        for how, x in pooled.items():
            own = at_pooling(methods, first=how == states.poolings[0])
            inputs.append(Input(CODES, how, x, own, states.has(how)))
        yield from units_of(owner, self.texts.labelled.tasks, inputs)
        for task in self.texts.labelled.tasks:
            projected = {n: m for n, m in self._projections(task).items() if n in of["controls"]}
            if projected:
                given = Input(STATES, LAST, self.texts.x, {NORMAL: projected})
                yield from units_of(owner, [task], [given])

    def of_the_rest(self, owner: int) -> Iterator[Unit]:
        """Yield what is probed of the reconstructions, and of what they leave out."""
        by_published = {NORMAL: methods_of([PUBLISHED], self.settings)}
        decoded = self.read.decoded
        given = {DECODED: decoded}
        if "squared_error" in self.read.sums:  # a transcoder leaves nothing out of what it reads
            given[RESIDUAL] = self.texts.x - decoded
        inputs = [
            Input(name, LAST, x, by_published)
            for name, x in given.items()
            if name in self.settings["codes"]["controls"]
        ]
        yield from units_of(owner, self.texts.labelled.tasks, inputs)

    def _projections(self, task: LabelledTask) -> dict[str, Method]:
        """Return what fits to as many directions as features, by the task's training texts."""
        train, _ = task.of(TRAIN)
        if not len(train):
            return {}
        most = min(self.texts.x.shape[1], len(train) - 1)
        active = min(round(float(self.read.sums["active"][train].mean())), most)
        on = min(features_on(self.read.codes[train]).on, most)
        found = {
            PCA_ACTIVE: (active, partial(components, ks=(active,))),
            RANDOM_ACTIVE: (active, partial(random_directions, k=active)),
            PCA_ON: (on, partial(components, ks=(on,))),
        }
        return {name: method for name, (k, method) in found.items() if k > 0}


def _write(directory: Path, read: Read, labelled: Labelled) -> None:
    """Write what the SAE gives back of each text, and how many features are on."""
    texts = {"dataset": labelled.datasets, "split": labelled.splits}
    n = np.arange(len(labelled.texts))
    write_table(directory / EXAMPLES, {"example": n, **texts, **read.sums})
    found = []
    for dataset in dict.fromkeys(labelled.datasets.tolist()):
        for split in dict.fromkeys(labelled.splits.tolist()):
            own = (labelled.datasets == dataset) & (labelled.splits == split)
            found.append((dataset, split, *features_on(read.codes[own])))
    names = ("dataset", "split", *FeaturesOn._fields)
    write_table(directory / FEATURES, dict(zip(names, zip(*found, strict=True), strict=True)))
