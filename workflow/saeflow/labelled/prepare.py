"""Labelled texts as a job makes them: read or generated, cleaned, asked about, written.

Read `prepare_labelled`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from saeflow import registry
from saeflow.datasets.hub import hub_rows
from saeflow.datasets.local import rows_of
from saeflow.errors import DataError
from saeflow.labelled.clean import Counts, clean
from saeflow.labelled.files import matched_files
from saeflow.labelled.labelled import (
    SHIFT,
    SPLITS,
    TEST,
    TRAIN,
    Labelled,
    LabelledTask,
    write_labelled,
)
from saeflow.labelled.tasks import find_tasks
from saeflow.labelled.texts import Texts, joined, texts_of
from saeflow.logs import progress

if TYPE_CHECKING:
    from saeflow.work import Work

logger = logging.getLogger(__name__)

PLACE = "{text}"
_OF_WORLD = {"rule": "classes", "classes": 10, "balance": "none", "duplicates": "drop"}
_TEST_SPLITS = ("generate", "test_split")
_SPLIT_OF = {"path": TRAIN, "test_path": TEST, "shift_path": SHIFT}
_SHOWN = 3


class _Kept(NamedTuple):
    """What is used of a dataset: its texts that are in a task, and tasks by numbers of these."""

    name: str
    texts: Texts
    tasks: list[LabelledTask]


def prepare_labelled(
    work: Work, settings: Mapping[str, Any], paths: Mapping[str, str] | None = None
) -> None:
    """Write labelled texts and finish with their record.

    Parameters
    ----------
    work
        Held work; nothing is done if it is finished.
    settings
        Those of an entry of the configuration with its defaults, ``name`` of that entry, and of
        generated texts ``world``: its ``seed`` and ``n_prompts``. Without ``generate`` and paths,
        what `saeflow.datasets.hub.hub_source` reads.
    paths
        ``path``, and perhaps ``test_path`` and ``shift_path``, of local files.

    Raises
    ------
    DataError
        If something cannot be read, no task is left, or there are not as many texts as expected.
    """
    if work.finished:
        return
    work.restart()
    paths = paths or {}
    if "generate" in settings:
        settings = {**_OF_WORLD, **settings}
    has_test = "test_path" in paths or any(key in settings for key in _TEST_SPLITS)
    kept, left_out, counts = [], {}, {}
    for name, texts, words in _read_datasets(settings, paths):
        texts, own = clean(texts, settings, has_test_split=has_test)
        found = find_tasks(name, texts, settings, words)
        left_out |= found.left_out
        one = _asked_about(name, texts, found.tasks)
        if one.tasks:
            kept.append(one)
        counts[name] = _counted(own, one)
    if not kept:
        raise DataError(
            "no task is left of these labelled texts",
            where=work.output,
            expected="two classes with enough texts of both",
            got="; ".join(f"{name}: {why}" for name, why in list(left_out.items())[:_SHOWN]),
            remedy="Name another column with `label`, or see whether `longer_than`, `shorter_than`"
            " and `duplicates` leave out too much.",
        )
    labelled = _labelled(kept, settings.get("template") or PLACE)
    _check_expected(labelled, settings.get("expect") or {}, work.output)
    write_labelled(work.path, labelled)
    unmatched = matched_files(paths).unmatched if paths else []
    _warn(counts, left_out, unmatched, dropped=settings["duplicates"] == "drop")
    work.finish(_record(labelled, counts, left_out) | {"files_left_out": unmatched})


def _read_datasets(
    settings: Mapping[str, Any], paths: Mapping[str, str]
) -> Iterator[tuple[str, Texts, Mapping[str, Mapping[str, str]]]]:
    """Yield each dataset's name, its texts, and by column the words that go with its classes."""
    name = settings["name"]
    if "generate" in settings:
        # by name: the world's grammar counts only for texts that are made with it
        world = registry.load("labelled", "world")
        yield name, world.reviews(**settings["world"]), world.WORDS
        return
    words = dict.fromkeys(settings["label"], settings["words"]) if "words" in settings else {}
    if paths:
        datasets = matched_files(paths).datasets
        for dataset, files in progress(datasets.items(), desc="datasets", unit="datasets"):
            parts = (
                texts_of(rows_of([file]), settings, _SPLIT_OF[key])
                for key, own in files.items()
                for file in own
            )
            yield dataset or name, joined(parts), words
        return
    parts = [texts_of(hub_rows(settings), settings, TRAIN)]
    if "test_split" in settings:
        rows = hub_rows(dict(settings, split=settings["test_split"]))
        parts.append(texts_of(rows, settings, TEST))
    yield name, joined(parts), words


def _asked_about(name: str, texts: Texts, tasks: list[LabelledTask]) -> _Kept:
    """Return a dataset without the texts that no task is about."""
    used = np.zeros(len(texts.texts), bool)
    for task in tasks:
        used[task.examples] = True
    numbers = np.cumsum(used) - 1
    tasks = [task._replace(examples=numbers[task.examples]) for task in tasks]
    return _Kept(name, texts.take(used), tasks)


def _counted(counts: Counts, kept: _Kept) -> Counts:
    """Return the counts of a dataset: of what is left out of single tasks, their sums."""
    sums = {
        name: sum(task.facts[name] for task in kept.tasks)
        for name in ("n_missing", "n_unknown", "n_balanced_away", "n_one_sided_shift")
    }
    texts = {f"n_{split}": int((kept.texts.splits == split).sum()) for split in SPLITS}
    return {**counts, **sums, **texts, "n_tasks": len(kept.tasks)}


def _labelled(kept: list[_Kept], template: str) -> Labelled:
    """Return the texts of all datasets, with the template around each."""
    before, _, after = template.partition(PLACE)
    made = Labelled([], *([] for _ in range(5)))
    for one in kept:
        first = len(made.texts)
        made.texts.extend(before + text + after for text in one.texts.texts)
        made.tasks.extend(task._replace(examples=task.examples + first) for task in one.tasks)
        made.concepts.extend(
            None if spans is None else spans + len(before) for spans in one.texts.concepts
        )
    raw = [text for one in kept for text in one.texts.texts]
    ends = np.array([len(text) for text in raw], np.int64) + len(before)
    return made._replace(
        splits=np.concatenate([one.texts.splits for one in kept]),
        datasets=np.repeat([one.name for one in kept], [len(one.texts.texts) for one in kept]),
        spans=np.stack([np.full(len(raw), len(before), np.int64), ends], axis=1),
    )


def _check_expected(labelled: Labelled, expected: Mapping[str, int | None], where: Path) -> None:
    found = {split: int((labelled.splits == split).sum()) for split in SPLITS}
    wanted = {split: n for split, n in expected.items() if n is not None}
    if any(found[split] != n for split, n in wanted.items()):
        raise DataError(
            "there are not as many labelled texts as expected",
            where=where,
            expected=", ".join(f"{n:,} {split}" for split, n in wanted.items()),
            got=", ".join(f"{found[split]:,} {split}" for split in wanted),
            remedy="See that the data are complete and in their order, and that `longer_than`,"
            " `shorter_than`, `balance` and `duplicates` are those that were counted with; or"
            " remove `expect`.",
        )


def _warn(
    counts: Mapping[str, Counts],
    left_out: Mapping[str, str],
    unmatched: list[str],
    *,
    dropped: bool,
) -> None:
    """Say in the log what a reader should know before trusting a probe on these texts."""
    done = "left out" if dropped else "kept"
    for name, what in (
        ("n_repeated", f"texts stand in their split before: {done}"),
        ("n_contradicting", "of the repeated texts have another label than the first one"),
        ("n_shared", f"training texts are test texts, too: {done}"),
        ("n_shared_shift", f"texts of the second distribution are training texts, too: {done}"),
        ("n_unknown", "labels are of no class of the training texts: left out"),
    ):
        if n := sum(one[name] for one in counts.values()):
            logger.warning("%s %s", f"{n:,}", what)
    for name, why in left_out.items():
        logger.warning("%s is left out: %s", name, why)
    for name in unmatched:
        logger.warning("the file %s is of no dataset: left out", name)


def _record(
    labelled: Labelled, counts: Mapping[str, Counts], left_out: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "n_examples": len(labelled.texts),
        "n_labels": sum(len(task.examples) for task in labelled.tasks),
        "n_tasks": len(labelled.tasks),
        "n_characters": sum(map(len, labelled.texts)),
        **{f"n_{split}": int((labelled.splits == split).sum()) for split in SPLITS},
        "n_with_concept": sum(one is not None for one in labelled.concepts),
        "datasets": dict(counts),
        "tasks": {task.name: task.facts for task in labelled.tasks},
        "left_out": dict(left_out),
    }
