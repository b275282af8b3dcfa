"""Whether local texts are there, in the column that is named, and enough: by their beginnings.

Read `check`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from saeflow.datasets.files import compression_of
from saeflow.datasets.local import Head, head_of, rows_of
from saeflow.datasets.split import splits_of
from saeflow.errors import ConfigError, DataError
from saeflow.labelled.files import PATHS, matched_files
from saeflow.labelled.labelled import TRAIN
from saeflow.labelled.texts import texts_of
from saeflow.plan.current import has_bulk
from saeflow.plan.plan import Plan
from saeflow.plan.result import Result
from saeflow.prompts.local import check_head
from saeflow.work import bulk_path

_MOST_DOCUMENTS, _MOST_CHARACTERS = 1000, 1_000_000
"""Up to which texts are counted, which takes less than a second."""

_SECTIONS = {"dataset": "datasets", "prompts": "prompts", "labelled": "labelled"}


def check(plan: Plan, texts: Result, wanted: Iterable[Result]) -> None:
    """Raise where local texts cannot be read, or are fewer than is asked for.

    Parameters
    ----------
    plan
        Of the configuration.
    texts
        A dataset, a prompt set or labelled texts, not read yet.
    wanted
        Results to be made, the token stores of a dataset among them.

    Raises
    ------
    ConfigError, DataError
        With the place in the configuration, and in the file.
    """
    ((section, name),) = texts.place.items()
    where = f"{plan.file} > {_SECTIONS[section]} > {name}"
    try:
        if section == "dataset":
            _check_dataset(plan, texts, wanted, f"{where} > path")
        elif section == "prompts":
            check_head(texts.arguments["path"], texts.settings, where=f"{where} > path")
        else:
            _check_labelled(texts, where)
    except DataError as error:
        error.where = where if error.where is None else f"{where}: {error.where}"
        raise


def _check_dataset(plan: Plan, dataset: Result, wanted: Iterable[Result], where: str) -> None:
    """Raise where a dataset cannot be read, or has fewer tokens than packings ask for."""
    settings = dataset.settings
    head = head_of(
        dataset.arguments["path"],
        where=where,
        text=settings.get("text", "text"),
        separator=settings.get("separator"),
        n_documents=_MOST_DOCUMENTS,
    )
    for store in wanted:
        if store.rule == "tokenize_dataset" and store.inputs["dataset"] is dataset:
            for split, most in _most(store, settings, head).items():
                _check_limit(plan, store, split, most)


def _check_labelled(labelled: Result, where: str) -> None:
    """Raise where files with labelled texts, or the first row of one, cannot be read."""
    paths = {key: path for key, path in labelled.arguments.items() if key in PATHS}
    for files in matched_files(paths, where=where).datasets.values():
        for file in itertools.chain(*files.values()):
            texts_of(itertools.islice(rows_of([file]), 1), labelled.settings, TRAIN)


def _check_limit(plan: Plan, store: Result, split: str, most: int) -> None:
    limit = store.settings["tokens"].get(split)
    if limit and limit - most >= store.settings["context_length"]:
        place = store.place
        raise ConfigError(
            f"the {split} split of the dataset '{place['dataset']}' has too few tokens",
            where=f"{plan.file} > packings > {place['packing']} > tokens > {split}",
            expected=f"at most {most:,}: there cannot be more in its text",
            got=f"{limit:,}",
            remedy="Lower it, or take a larger dataset.",
        )


def _most(store: Result, settings: Mapping[str, Any], head: Head) -> dict[str, int]:
    """Return how many tokens the splits have at most; none for what is not known."""
    splits, length = settings["splits"], store.settings["context_length"]
    tokenizer = _file_of(store.inputs["tokenizer"])
    few = head.is_all and sum(map(len, head.texts)) <= _MOST_CHARACTERS
    if few and tokenizer is not None:
        found = dict.fromkeys(splits, 0)
        own = splits_of(head.texts, splits, settings["splits_seed"])
        for split, n in zip(own, _counted(tokenizer, head.texts), strict=True):
            found[split] += n + 1  # what stands between documents
    elif any(file.suffix == ".parquet" or compression_of(file) for file in head.files):
        return {}
    else:  # no token is of less than a byte, no document without one, and the line's end
        n_bytes = sum(file.stat().st_size for file in head.files)
        found = {split: 2 * n_bytes if share else 0 for split, share in splits.items()}
    return {split: n + -(-n // (length - 1)) for split, n in found.items()}  # a BOS each


def _file_of(tokenizer: Result) -> Path | None:
    """Return where a tokenizer's file lies, if that is known before anything runs."""
    places = []
    for one in (tokenizer, *tokenizer.reads()):
        if has_bulk(one):
            places.append(bulk_path(one.output, one.identity, one.suffix))
        elif "path" in one.arguments and one.rule == "fetch_model":
            places.append(Path(one.arguments["path"]).expanduser())
    files = (place / "tokenizer.json" for place in places)
    return next((file for file in files if file.is_file()), None)


def _counted(file: Path, texts: list[str]) -> list[int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [len(e.ids) for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
