"""What is known of one SAE, or of one language model, on one evaluation set.

`read_runs` collects it from records; every table is a pure function of its result. Files beside a
record are read when a table wants them, once for all tables of a study. Read `Run`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saeflow.errors import DamagedError
from saeflow.files import read_json
from saeflow.hooks import Hook
from saeflow.metrics.intervals import Estimate, form, resample
from saeflow.metrics.registry import MEASURES, METRICS, measure_of
from saeflow.work import bulk_of, published

ORIGINAL = "original"
"""The method of an SAE that was not fine-tuned."""

SAE = "sae"
"""The kind of the SAEs' own records; the other kinds are measures."""

DOCUMENTS, LATENTS, LOG = "documents.parquet", "latents.parquet", "log.csv"
_WEIGHTS = "sae_weights.safetensors"
DOCUMENT = "document"
NOTES = " | "
"""Stands between two notes on one SAE."""
_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)")


@dataclass(frozen=True, order=True)
class Key:
    """What a run is about, and where it was measured.

    Attributes
    ----------
    model : str
        The language model.
    dataset, packing, hook : str
        What the SAE was trained on; these and what follows are "" (0) for a run about a model, or
        but for the hook of a run about one.
    sae : str
        The recipe's name, without the method.
    seed : int
        Seed of its initial weights.
    method : str
        How it was fine-tuned, or `ORIGINAL`.
    eval_dataset, eval_packing : str
        What it was measured on; "" for an SAE as such.
    other : tuple of Key
        The second SAE of a pair; empty for all else.
    """

    model: str
    dataset: str = ""
    packing: str = ""
    hook: str = ""
    sae: str = ""
    seed: int = 0
    method: str = ORIGINAL
    eval_dataset: str = ""
    eval_packing: str = ""
    other: tuple[Key, ...] = ()

    @classmethod
    def of_path(cls, record: Path) -> Key:
        """Read the key from the path of ``sae.json`` or of a measurement of an SAE."""
        parts, evaluation = _split(record)
        model, dataset, packing, hook, sae, seed = parts[-6:]
        recipe, _, method = sae.partition("~")
        number = int(seed.removeprefix("seed-"))
        return cls(model, dataset, packing, hook, recipe, number, method or ORIGINAL, *evaluation)

    @classmethod
    def of_model(cls, record: Path) -> Key:
        """Read the key from the path of a measurement of a model."""
        parts, (dataset, packing) = _split(record)
        return cls(parts[-1], eval_dataset=dataset, eval_packing=packing)

    @classmethod
    def of_hook(cls, record: Path) -> Key:
        """Read the key from the path of a measurement of a hook."""
        *parts, hook = published(record).parts[:-1]
        return cls(parts[-4], hook=hook, eval_dataset=parts[-2], eval_packing=parts[-1])

    @classmethod
    def of_pair(cls, record: Path) -> Key:
        """Read the key from the path of a measurement of two SAEs."""
        parts = published(record).parts[:-1]
        first, second = parts[:-7], parts[-6:]
        other = cls.of_path(Path(*second, record.name))
        return replace(cls.of_path(Path(*first, record.name)), other=(other,))

    @property
    def parent(self) -> Key:
        """The SAE from which a fine-tuned one was made; itself for an original."""
        return replace(self, method=ORIGINAL)

    @property
    def training(self) -> Key:
        """The key of the SAE itself, without an evaluation set."""
        return replace(self, eval_dataset="", eval_packing="", other=())

    @property
    def on(self) -> tuple[str, str]:
        """The dataset and packing, or the prompt set, that it was measured on."""
        return self.eval_dataset, self.eval_packing

    def __str__(self) -> str:
        sae = self.sae if self.method == ORIGINAL else f"{self.sae}~{self.method}"
        seed = f"seed {self.seed}" if self.sae else ""
        own = " ".join(filter(None, (self.model, self.hook, sae, seed)))
        return " and ".join((own, *map(str, self.other)))

    def columns(self) -> dict[str, Any]:
        """Return the key as the first columns of a table of SAEs, or of hooks."""
        hook = Hook.parse(self.hook)
        return {
            "model": self.model,
            "hook": self.hook,
            "site": hook.site,
            "block": hook.block,
            "sae": self.sae,
            "seed": self.seed,
            "method": self.method,
        }

    def order(self) -> tuple:
        """Return what rows are sorted by: topk-8 before topk-32, the original first."""
        hook = Hook.parse(self.hook).order if self.hook else ()
        return (self.model, hook, natural(self.sae), self.seed, self.method != ORIGINAL, self)


def _split(record: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the directories of a record: those of what was measured, and the evaluation set."""
    parts = published(record).parts[:-1]
    return (parts[:-3], parts[-2:]) if parts[-3] == "on" else (parts, ())


def natural(name: str) -> list[tuple[bool, float | str]]:
    """Split a name so that its numbers, as of a sweep (l1-0.03), are compared as numbers."""
    parts = (part for part in _NUMBER.split(name) if part)
    return [(False, float(p)) if _NUMBER.fullmatch(p) else (True, p) for p in parts]


@dataclass(eq=False)
class Record:
    """A result on disk: what its record says, and the files beside it.

    Attributes
    ----------
    facts : Mapping
        The record.
    read : callable
        From a file's name to its content: a DataFrame, or the decoder's rows of weights.
    """

    facts: Mapping[str, Any]
    read: Callable[[str], Any]
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    _sums: dict[tuple[int, int], tuple[dict, dict]] = field(default_factory=dict)

    def table(self, name: str) -> pd.DataFrame:
        """Return a table that lies beside the record; it is shared, so do not change it."""
        if name not in self._tables:
            self._tables[name] = self.read(name)
        return self._tables[name]

    def sums(self, bootstrap: int, seed: int) -> tuple[dict, dict]:
        """Return sums over all documents, and (bootstrap,) over resampled ones, by name.

        The numbers of the record (``d_in``) are among both.
        """
        key = (bootstrap, seed)
        if key not in self._sums:
            table = self.table(DOCUMENTS)
            columns = {name: table[name].to_numpy(float) for name in table if name != DOCUMENT}
            constants = {
                name: np.float64(value)
                for name, value in self.facts.items()
                if isinstance(value, (int, float))
            }
            totals = constants | {name: column.sum() for name, column in columns.items()}
            drawn = resample(columns, samples=bootstrap, seed=seed) if bootstrap else {}
            self._sums[key] = totals, constants | drawn if drawn else {}
        return self._sums[key]


@dataclass(eq=False)
class Run:
    """One SAE, or one model, on one evaluation set.

    Attributes
    ----------
    key : Key
        Which.
    records : dict
        Measure or `SAE` -> what it gave, of those that were read.
    """

    key: Key
    records: Mapping[str, Record]

    @property
    def sae(self) -> Mapping[str, Any]:
        """The SAE's own record."""
        return self.records[SAE].facts

    @property
    def baseline(self) -> str:
        """Which baseline an SAE is, whatever rule encodes it; "" for one that learned something.

        Nothing is known of it where the SAEs themselves were not read.
        """
        facts = self.records[SAE].facts if SAE in self.records else {}
        untrained = facts.get("training", {}).get("tokens") == 0
        return facts.get("baseline") or (f"{facts['architecture']}, untrained" if untrained else "")

    @property
    def architecture(self) -> str:
        """An SAE's architecture, or which baseline it is."""
        return self.baseline or self.sae["architecture"]

    def documents(self, measure: str) -> pd.DataFrame:
        """Return a measure's sums per document."""
        return self.records[measure].table(DOCUMENTS)

    def latents(self) -> pd.DataFrame:
        """Return the reconstruction's sums per latent."""
        return self.records["reconstruction"].table(LATENTS)

    def log(self) -> pd.DataFrame:
        """Return the SAE's training log."""
        return self.records[SAE].table(LOG)

    def decoder(self) -> np.ndarray:
        """Return the decoder's rows, (d_sae, d_in) float64; read anew each time."""
        return self.records[SAE].read(_WEIGHTS)

    def extent(self) -> dict[str, int]:
        """Return on how many tokens and documents it was measured, by its first measure."""
        facts = next(record.facts for kind, record in self.records.items() if kind != SAE)
        return {name: facts[name] for name in ("n_tokens", "n_documents")}

    def estimates(
        self, metrics: Iterable[str], *, bootstrap: int = 0, seed: int = 0
    ) -> dict[str, Estimate]:
        """Form metrics that are one number from the sums of the measures that they belong to.

        Intervals are from so many resamples of the documents; 0 for none.
        """
        found = {}
        for name in metrics:
            metric, record = METRICS[name], self.records[measure_of(name).name]
            if metric.per == "token":
                totals, drawn = record.sums(bootstrap, seed)
                found[name] = form(metric.formula, totals, drawn)
            else:  # of counts per latent, which are not kept per document
                latents = record.table(LATENTS)
                found[name] = form(metric.formula, {c: latents[c].to_numpy() for c in latents}, {})
        return found

    def notes(self, metrics: Iterable[str]) -> str:
        """Return what makes these metrics of an SAE doubtful, in words; "" for nothing.

        A baseline has none: it is what it was meant to be.
        """
        if self.baseline:
            return ""
        found = []
        for metric in (METRICS[name] for name in metrics):
            if metric.doubt:
                totals, _ = self.records[measure_of(metric.name).name].sums(0, 0)
                found.append(metric.doubt(totals))
        return NOTES.join(filter(None, found))


_KEYS = {SAE: Key.of_path, "hook": Key.of_hook, "model": Key.of_model, "pair": Key.of_pair}


def read_runs(
    *, shared: dict[Path, Record] | None = None, **kinds: Iterable[Path]
) -> tuple[Run, ...]:
    """Read records; the files beside them wait until a table wants them.

    Parameters
    ----------
    shared
        What was read before by the path of its record; what is read now is added.
    **kinds
        Measure or `SAE` -> paths of records.

    Returns
    -------
    tuple of Run
        Sorted by `Key.order`. An SAE's record is part of the runs that measured it, and makes a
        run of its own where none did.
    """
    shared = {} if shared is None else shared
    found: dict[Key, dict[str, Record]] = {}
    for kind, paths in kinds.items():
        key_of = _KEYS[SAE if kind == SAE else MEASURES[kind].of]
        for path in map(Path, paths):
            if path not in shared:
                shared[path] = read_record(path)
            found.setdefault(key_of(published(path)), {})[kind] = shared[path]
    trained = {key: own for key, own in found.items() if not key.eval_dataset}
    for key, own in found.items():
        if key.eval_dataset:
            own |= trained.get(key.training, {})
    measured = {key.training for key in found if key.eval_dataset}
    keys = sorted(found.keys() - measured, key=Key.order)
    return tuple(Run(key, found[key]) for key in keys)


def read_record(path: Path) -> Record:
    """Read a record; the files beside it wait until they are wanted."""
    return Record(_facts(path), partial(_beside, path))


def _beside(record: Path, name: str) -> pd.DataFrame | np.ndarray:
    """Read a file of a record's bulk."""
    path = bulk_of(record) / name
    if path.suffix == ".csv":
        return pd.read_csv(path)
    if path.suffix == ".parquet":
        from pyarrow.parquet import ParquetFile

        with ParquetFile(path) as file:  # a fifth of the time that pandas takes for so little
            return file.read(use_threads=False).to_pandas()
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as weights:
        return weights.get_tensor("W_dec").astype("float64")


def _facts(path: Path) -> dict[str, Any]:
    record = read_json(path)
    if not isinstance(record, dict):
        raise DamagedError("this is not a record", where=path, expected="a JSON object")
    return record
