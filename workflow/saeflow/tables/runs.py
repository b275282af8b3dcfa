"""What is known of one SAE on one evaluation set: its place in the study and its records.

`read_runs` collects it from files; every table is a pure function of its result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saeflow.errors import DamagedError
from saeflow.files import read_json
from saeflow.work import bulk_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ORIGINAL = "original"
"""The method of an SAE that was not fine-tuned."""

SITES = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
MEASURES = ("reconstruction", "language", "probes")


@dataclass(frozen=True, order=True)
class Key:
    """Which SAE a run is about, and where it was evaluated.

    Attributes
    ----------
    model, dataset, packing, hook : str
        What it was trained on.
    sae : str
        The recipe's name, without the method.
    seed : int
        Seed of its initial weights.
    method : str
        How it was fine-tuned, or `ORIGINAL`.
    eval_dataset, eval_packing : str
        What it was measured on; "" for its training.
    """

    model: str
    dataset: str
    packing: str
    hook: str
    sae: str
    seed: int
    method: str
    eval_dataset: str = ""
    eval_packing: str = ""

    @classmethod
    def of_path(cls, record: Path) -> Key:
        """Read the key from the path of ``sae.json`` or of a measure's record."""
        parts, evaluation = Path(record).parts[:-1], ()
        if parts[-3] == "on":
            parts, evaluation = parts[:-3], parts[-2:]
        model, dataset, packing, hook, sae, seed = parts[-6:]
        recipe, _, method = sae.partition("~")
        number = int(seed.removeprefix("seed-"))
        return cls(model, dataset, packing, hook, recipe, number, method or ORIGINAL, *evaluation)

    @property
    def parent(self) -> Key:
        """The SAE from which a fine-tuned one was made; itself for an original."""
        return Key(**{**self.__dict__, "method": ORIGINAL})

    @property
    def training(self) -> Key:
        """The key of the SAE itself, without an evaluation set."""
        return Key(**{**self.__dict__, "eval_dataset": "", "eval_packing": ""})

    def columns(self) -> dict[str, Any]:
        """Return the key as the first columns of a table."""
        site, _, block = self.hook.partition(".")
        return {
            "model": self.model,
            "hook": self.hook,
            "site": site,
            "block": int(block),
            "sae": self.sae,
            "seed": self.seed,
            "method": self.method,
        }

    def order(self) -> tuple:
        """Return what rows are sorted by: topk-8 before topk-32, the original first."""
        site, _, block = self.hook.partition(".")
        rank = SITES.index(site) if site in SITES else len(SITES)
        tuned = self.method != ORIGINAL
        return (self.model, rank, int(block), _natural(self.sae), self.seed, tuned, self)


def _natural(name: str) -> list[tuple[bool, int | str]]:
    """Split a name so that its numbers are compared as numbers."""
    parts = (part for part in re.split(r"(\d+)", name) if part)
    return [(not p.isdigit(), int(p) if p.isdigit() else p) for p in parts]


@dataclass(frozen=True)
class Run:
    """One SAE on one evaluation set.

    Attributes
    ----------
    key : Key
        Which.
    records : dict
        "reconstruction", "language", "probes" or "sae" -> the record, of those that were read.
    read_documents : callable
        Gives the reconstruction's sums per document, a DataFrame.
    read_latents : callable
        Gives the reconstruction's sums per latent, a DataFrame.
    read_predictions : callable
        Gives the losses' sums per document, a DataFrame.
    read_answers : callable
        Gives the probes' sums per document, a DataFrame.
    read_log : callable
        Gives the training log, a DataFrame.
    read_decoder : callable
        Gives the decoder's rows, (d_sae, d_in) float64.
    """

    key: Key
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    read_documents: Callable[[], pd.DataFrame] | None = None
    read_latents: Callable[[], pd.DataFrame] | None = None
    read_predictions: Callable[[], pd.DataFrame] | None = None
    read_answers: Callable[[], pd.DataFrame] | None = None
    read_log: Callable[[], pd.DataFrame] | None = None
    read_decoder: Callable[[], np.ndarray] | None = None

    def metrics(self) -> dict[str, float | None]:
        """Return name, name_low and name_high of each metric as columns."""
        columns: dict[str, float | None] = {}
        for measure in MEASURES:
            for name, found in sorted(self.records.get(measure, {}).get("metrics", {}).items()):
                columns[name] = found["value"]
                columns[f"{name}_low"], columns[f"{name}_high"] = found["low"], found["high"]
        return columns

    def extent(self) -> dict[str, int]:
        """Return on how many tokens and documents it was measured."""
        record = next(self.records[m] for m in MEASURES if m in self.records)
        return {"n_tokens": record["n_tokens"], "n_documents": record["n_documents"]}


def read_runs(
    *,
    reconstruction: Iterable[Path] = (),
    language: Iterable[Path] = (),
    probes: Iterable[Path] = (),
    sae: Iterable[Path] = (),
) -> list[Run]:
    """Read records and what lies beside them.

    Parameters
    ----------
    reconstruction, language, probes, sae
        Paths of records; those of one SAE and evaluation set make one run.

    Returns
    -------
    list of Run
        Sorted by `Key.order`. SAE records make runs of their own, without evaluation set.
    """
    found: dict[Key, dict[str, Any]] = {}
    kinds = {"reconstruction": reconstruction, "language": language, "probes": probes, "sae": sae}
    for name, paths in kinds.items():
        for path in paths:
            run = found.setdefault(Key.of_path(path), {"records": {}})
            run["records"][name] = _record(path)
            if name == "reconstruction":
                run["read_documents"] = partial(_bulk_table, path, "documents.parquet")
                run["read_latents"] = partial(_bulk_table, path, "latents.parquet")
            if name == "language":
                run["read_predictions"] = partial(_bulk_table, path, "documents.parquet")
            if name == "probes":
                run["read_answers"] = partial(_bulk_table, path, "documents.parquet")
            if name == "sae":
                run["read_log"] = partial(_bulk_table, path, "log.csv")
                run["read_decoder"] = partial(_decoder, path)
    return [Run(key, **found[key]) for key in sorted(found, key=Key.order)]


def _bulk_table(record: Path, name: str) -> pd.DataFrame:
    """Read a table that lies in a record's bulk, when a table of the study wants it."""
    import pandas as pd

    path = bulk_of(record) / name
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def _decoder(record: Path) -> np.ndarray:
    """Read the decoder of an SAE."""
    from safetensors import safe_open

    with safe_open(bulk_of(record) / "sae_weights.safetensors", framework="numpy") as weights:
        return weights.get_tensor("W_dec").astype("float64")


def _record(path: Path) -> dict[str, Any]:
    record = read_json(path)
    if not isinstance(record, dict):
        raise DamagedError("this is not a record", where=path, expected="a JSON object")
    return record
