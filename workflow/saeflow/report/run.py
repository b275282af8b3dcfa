"""What was run, as tables that a section on methods can be written from.

Settings come from the plan, numbers from the records of what is there. Read `what_was_run`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from saeflow.datasets.split import SPLITS
from saeflow.hooks import Hook
from saeflow.inventory import MANIFEST, read_record
from saeflow.labelled.labelled import SPLITS as _OF_LABELLED
from saeflow.paths import NOT_PACKED, ON_PROMPTS
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
_COPIES = {"n_repeated": "in the split", "n_shared": "in test", "n_shared_shift": "in training"}
_SOURCE = ("rule", "hub", "revision", "path_sha256", "format")
"""What `source` tells."""


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
        "prompts": _prompts,
        "labelled": _labelled,
        "tokens": _tokens,
        "activations": _activations,
        "saes": saes,
        "methods": methods,
        "measures": _measures,
    }
    sections = [
        make(settings[name], there.get(name, {}))
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


def _each(settings: Entries, there: Entries) -> Iterator[tuple[str, Entries, Entries]]:
    """Yield name, settings and record of what is one result each."""
    for name, own in settings.items():
        ((_, facts),) = there[name]
        yield name, own, facts


def _models(settings: Entries, there: Entries, perplexity: Mapping[str, str]) -> Section:
    rows = []
    for name, own, facts in _each(settings, there):
        left = but(own, "rule", "n_layers", "d_model", "from_tokens", "from_tokenizer")
        rows.append(
            {
                "model": name,
                "source": source(own),
                "architecture": str(facts.get("architecture", "")),
                "blocks": number(facts.get("n_layers", own.get("n_layers"))),
                "width": number(facts.get("d_model", own.get("d_model"))),
                "vocabulary": number(facts.get("vocab_size")),
                "clean perplexity": perplexity.get(name, ""),
                "weights (SHA-256)": str(facts.get("weights_sha256", ""))[:HASH_CHARACTERS],
                "settings": listed(left) if own["rule"] == "train_lm" else "",
            }
        )
    note = "Clean perplexity: of the model without an SAE, on the tokens that are measured."
    return Section("Language models", rows, note if perplexity else "")


def _datasets(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own, facts in _each(settings, there):
        given = own.get("generate") or own.get("sample") or {}
        left = but(own, *_SOURCE, "generate", "sample", "from_model", "from_tokenizer", "splits")
        shares = [f"{own.get('splits', {}).get(split, 0):g}" for split in SPLITS]
        rows.append(
            {
                "dataset": name,
                "source": source(own),
                f"shares {_OF_SPLITS}": " / ".join(shares),
                f"documents {_OF_SPLITS}": by_split(facts.get("n_documents", {})),
                "settings": listed({**given, **left}),
            }
        )
    return Section("Datasets", rows, "A hash of its text puts a document into a split.")


def _prompts(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own, facts in _each(settings, there):
        among = sorted((facts.get("n_candidates") or {}).values())
        left = but(own, *_SOURCE, "generate", "n_prompts", "from_dataset", "window")
        rows.append(
            {
                "prompts": name,
                "source": source(own),
                "kind": str(facts.get("kind", "")).replace("_", " "),
                "number": number(facts.get("n_prompts")),
                "candidates": " to ".join(dict.fromkeys(map(number, among))),
                "chance": number(facts.get("chance")),
                "window": number(facts.get("window")),
                "settings": listed(left),
            }
        )
    note = "Window: the last tokens of a prompt, among which a latent counts as active."
    return Section("Prompt sets", rows, note)


def _labelled(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own, facts in _each(settings, there):
        counts = facts.get("datasets", {}).values()
        copies = [number(sum(one[key] for one in counts)) for key in _COPIES] if counts else []
        hashes = [key for key in own if key.endswith("_sha256")]
        texts = [number(facts[f"n_{split}"]) for split in _OF_LABELLED] if counts else []
        rows.append(
            {
                "labelled texts": name,
                "source": source(own),
                "datasets": number(len(counts) or None),
                "tasks": number(facts.get("n_tasks")),
                "tasks left out": number(len(facts.get("left_out", {})) or None),
                f"texts ({' / '.join(_OF_LABELLED)})": " / ".join(texts),
                f"copies ({' / '.join(_COPIES.values())})": " / ".join(copies),
                "settings": listed(but(own, *_SOURCE, "name", "generate", "world", *hashes)),
            }
        )
    note = (
        "Shift: a second distribution with the same label. Copies: texts that stand in their split"
        " before; training texts that are test texts; texts of shift that are training texts."
    )
    return Section("Labelled texts", rows, note)


def _tokens(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own, facts in _each(settings, there):
        tokenizer, dataset, packing = name.split("/")
        limits = own.get("tokens") or {}
        at_most = {"at_most": by_split(limits)} if any(limits.values()) else {}
        rows.append(
            {
                "dataset": dataset,
                "packing": packing,
                "tokenizer": tokenizer,
                "mode": str(own["mode"]),
                "context": number(own["context_length"]),
                f"tokens {_OF_SPLITS}": by_split(facts.get("n_tokens", {})),
                f"documents {_OF_SPLITS}": by_split(facts.get("n_documents", {})),
                "settings": listed({**but(own, "context_length", "mode", "tokens"), **at_most}),
            }
        )
    note = "SAEs and models are trained on train; every reported number is from test."
    return Section("Tokens", rows, note)


def _activations(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own, facts in sorted(_each(settings, there), key=lambda one: _place(one[0])):
        model, dataset, packing, hook = name.split("/")
        rows.append(
            {
                "model": model,
                "dataset": dataset,
                "packing": packing,
                "hook": hook,
                "width": number(facts.get("d_model")),
                "stored as": "computed when read" if own.get("live") else f"{own['dtype']}",
                "rows": number(facts.get("n_rows")),
                "mean norm": number(facts.get("mean_norm")),
                "root mean square": number(facts.get("rms")),
            }
        )
    note = "Norm: of a token's activations. Root mean square: of their components."
    return Section("Activations", rows, note)


def _place(name: str) -> tuple[Any, ...]:
    *place, hook = name.split("/")
    return (*place, Hook.parse(hook))


def _measures(settings: Entries, there: Entries) -> Section:
    rows = []
    for name, own in settings.items():
        measure, model, dataset, packing = name.split("/")
        facts = [record for _, record in there[name] if record]
        unit = " prompts" if packing == ON_PROMPTS and facts else ""
        rows.append(
            {
                "measure": measure,
                "model": model,
                "on": _measured_on(dataset, packing),
                "tokens": several(record.get("n_tokens") for record in facts),
                "documents": several(record.get("n_documents") for record in facts) + unit,
                "measured": made(there[name]),
                "settings": listed(but(own, "measure")),
            }
        )
    note = (
        "Of datasets, on the test split. Special tokens are left out. Measured: SAEs, or the model"
        " itself."
    )
    return Section("Evaluation", rows, note)


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
