"""What was run, as tables that a section on methods can be written from.

Settings come from the plan, numbers from the records of what is there. Read `what_was_run`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from saeflow.datasets.split import SPLITS
from saeflow.hooks import Hook
from saeflow.inventory import MANIFEST, read_record
from saeflow.paths import NOT_PACKED, ON_PROMPTS
from saeflow.report.asked import labelled, prompts
from saeflow.report.fits import made, methods, saes
from saeflow.report.words import (
    HASH_CHARACTERS,
    Entries,
    Section,
    but,
    by_split,
    listed,
    number,
    several,
    source,
)
from saeflow.work import RELEASED, bulk_path

_OF_SPLITS = "(" + " / ".join(SPLITS) + ")"


def what_was_run(
    settings: Entries, records: Entries, tables: Iterable[pd.DataFrame]
) -> list[Section]:
    """Return the tables of what was run, without those that would be empty.

    Parameters
    ----------
    settings, records
        As `saeflow.plan.summary.summary` gives them.
    tables
        Tables of SAEs; the clean perplexity of a model is a column of some.
    """
    there = {
        section: {name: _facts(given) for name, given in named.items()}
        for section, named in records.items()
    }
    perplexity = _perplexity(tables)
    makers = {
        "models": lambda s, r: _models(s, r, perplexity),
        "datasets": _datasets,
        "prompts": prompts,
        "labelled": labelled,
        "tokens": _tokens,
        "activations": _activations,
        "saes": saes,
        "methods": methods,
        "measures": _measures,
    }
    sections = [
        _without_empty(make(settings[name], there.get(name, {})))
        for name, make in makers.items()
        if settings.get(name)
    ]
    if sections and (drawn := settings.get("intervals", {}).get("tables")):
        text = (
            f" Intervals: 95 %, from {drawn['bootstrap']:,} resamples of the documents"
            f" (seed {drawn['seed']})."
        )
        sections[-1] = sections[-1]._replace(note=sections[-1].note + text)
    return sections


def _facts(given: Sequence[Sequence[str]]) -> list[tuple[Path, dict[str, Any]]]:
    """Return path and record of each result; of one that is not there the record is empty."""
    return [(Path(path), _record(Path(path), identity)) for path, identity in given]


def _record(path: Path, identity: str) -> dict[str, Any]:
    """Return a record; also that of bulk which its record does not name any more, or released."""
    found = read_record(path)
    if found.get("identity") == identity:
        return found
    for suffix in ("", ".zarr"):
        bulk = bulk_path(path, identity, suffix)
        for name in (MANIFEST, RELEASED):
            if found := read_record(bulk / name):
                return found
    return {}


# -- the tables --------------------------------------------------------------------------------


def _models(settings: Entries, there: Entries, perplexity: Mapping[str, str]) -> Section:
    columns = (
        *("model", "source", "architecture", "blocks", "width", "vocabulary"),
        *("clean perplexity", "weights (SHA-256)", "settings"),
    )
    rows = []
    for name, own in settings.items():
        ((_, facts),) = there[name]
        left = but(own, "rule", "hub", "revision", "path_sha256", "trust_remote_code", "step")
        trained = own["rule"] == "train_lm"
        rows.append(
            [
                name,
                source(own),
                str(facts.get("architecture", "")),
                number(facts.get("n_layers", own.get("n_layers"))),
                number(facts.get("d_model", own.get("d_model"))),
                number(facts.get("vocab_size")),
                perplexity.get(name, ""),
                str(facts.get("weights_sha256", ""))[:HASH_CHARACTERS],
                listed(but(left, "n_layers", "d_model", "from_tokens", "from_tokenizer"))
                if trained
                else "",
            ]
        )
    note = "Clean perplexity: of the model without an SAE, on the tokens that are measured."
    return Section("Language models", columns, rows, note if perplexity else "")


def _datasets(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own in settings.items():
        ((_, facts),) = there[name]
        given = own.get("generate") or own.get("sample") or {}
        left = but(own, "rule", "hub", "revision", "path_sha256", "generate", "sample", "format")
        shares = [f"{left.get('splits', {}).get(split, 0):g}" for split in SPLITS]
        own_settings = listed({**given, **but(left, "from_model", "from_tokenizer", "splits")})
        counts = by_split(facts.get("n_documents", {}))
        rows.append([name, source(own), " / ".join(shares), counts, own_settings])
    columns = ("dataset", "source", f"shares {_OF_SPLITS}", f"documents {_OF_SPLITS}", "settings")
    return Section("Datasets", columns, rows, "A hash of its text puts a document into a split.")


def _tokens(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own in settings.items():
        tokenizer, dataset, packing = name.split("/")
        ((_, facts),) = there[name]
        limits = own.get("tokens") or {}
        left = but(own, "context_length", "mode", "tokens")
        at_most = {"at_most": by_split(limits)} if any(limits.values()) else {}
        rows.append(
            [
                dataset, packing, tokenizer, str(own["mode"]), number(own["context_length"]),
                by_split(facts.get("n_tokens", {})), by_split(facts.get("n_documents", {})),
                listed({**left, **at_most}),
            ]
        )  # fmt: skip
    columns = (
        *("dataset", "packing", "tokenizer", "mode", "context"),
        *(f"tokens {_OF_SPLITS}", f"documents {_OF_SPLITS}", "settings"),
    )
    note = "SAEs and models are trained on train; every reported number is from test."
    return Section("Tokens", columns, rows, note)


def _activations(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own in sorted(settings.items(), key=lambda item: _place(item[0])):
        model, dataset, packing, hook = name.split("/")
        ((_, facts),) = there[name]
        kept = "computed when read" if own.get("live") else f"{own['dtype']}"
        rows.append(
            [
                model, dataset, packing, hook, number(facts.get("d_model")), kept,
                number(facts.get("n_rows")), number(facts.get("mean_norm")),
                number(facts.get("rms")),
            ]
        )  # fmt: skip
    columns = (
        *("model", "dataset", "packing", "hook", "width", "stored as", "rows"),
        *("mean norm", "root mean square"),
    )
    note = "Norm: of a token's activations. Root mean square: of their components."
    return Section("Activations", columns, rows, note)


def _place(name: str) -> tuple[Any, ...]:
    *place, hook = name.split("/")
    return (*place, Hook.parse(hook))


def _measures(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own in settings.items():
        measure, model, dataset, packing = name.split("/")
        found = there[name]
        facts = [record for _, record in found if record]
        unit = " prompts" if packing == ON_PROMPTS and facts else ""
        rows.append(
            [
                measure, model, _measured_on(dataset, packing),
                several(record.get("n_tokens") for record in facts),
                several(record.get("n_documents") for record in facts) + unit,
                made(found), listed(but(own, "measure")),
            ]
        )  # fmt: skip
    columns = ("measure", "model", "on", "tokens", "documents", "measured", "settings")
    note = (
        "Of datasets, on the test split. Special tokens are left out. Measured: SAEs, or the model"
        " itself."
    )
    return Section("Evaluation", columns, rows, note)


def _measured_on(dataset: str, packing: str) -> str:
    unpacked = packing in NOT_PACKED
    return f"the {packing} {dataset}" if unpacked else f"{dataset}, packed as {packing}"


def _perplexity(tables: Iterable[pd.DataFrame]) -> dict[str, str]:
    """Return the clean perplexity of each model, with its interval."""
    found: dict[str, list[float]] = {}
    for table in tables:
        if not {"model", "perplexity"} <= set(table.columns):
            continue
        values = pd.to_numeric(table["perplexity"], errors="coerce")
        for model, value in zip(table["model"].astype(str), values, strict=True):
            if pd.notna(value):
                found.setdefault(model, []).append(float(value))
    return {model: several(f"{value:.4g}" for value in values) for model, values in found.items()}


def _without_empty(section: Section) -> Section:
    """Return a table without the columns that have nothing in them."""
    kept = [
        column for column in range(len(section.columns)) if any(row[column] for row in section.rows)
    ]
    return section._replace(
        columns=tuple(section.columns[column] for column in kept),
        rows=[[row[column] for column in kept] for row in section.rows],
    )
