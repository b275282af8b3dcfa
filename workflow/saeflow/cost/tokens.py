"""How many tokens a token store has or will have: counted, limited, or guessed from the text.

Read `tokens_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.cost.guess import Guess, UnknownError, total
from saeflow.datasets.files import compression_of, find_files
from saeflow.files import read_json
from saeflow.labelled.files import PATHS, matched_files
from saeflow.plan.current import has_bulk
from saeflow.plan.result import Result
from saeflow.work import MANIFEST, bulk_path

BYTES_PER_TOKEN = {"train_tokenizer": 4.7, "copy_tokenizer": 4.3}
"""Assumed of English text: a word and its space (the built-in world's mean), or a piece of it."""

_WEB_DOCUMENT_TOKENS = 1100
_PROMPTS, _PROMPT_TOKENS = 1000, 150
_REVIEW_TOKENS, _TEXT_TOKENS = 60, 100
_REVIEW_TASKS = 6  # three questions of two answers, and one of three
_TEST_SHARE = 0.2
_COMPRESSED = 3.0  # bytes of text for each of gzip or Zstandard


class Tokens(NamedTuple):
    """Tokens by split, and what was assumed."""

    splits: Mapping[str, Guess]
    note: str = ""

    @property
    def all(self) -> Guess:
        """Tokens of all splits."""
        return total(self.splits.values())


def manifest_of(result: Result) -> Mapping[str, Any]:
    """Return the manifest of finished bulk; empty where there is none."""
    if not has_bulk(result):
        return {}
    return read_json(bulk_path(result.output, result.identity, result.suffix) / MANIFEST)


def tokens_of_prompts(prompts: Result) -> Guess:
    """Return the tokens of a prompt set."""
    if facts := manifest_of(prompts):
        return Guess(facts["n_characters"] / BYTES_PER_TOKEN["copy_tokenizer"], 1.5)
    n = prompts.settings["n_prompts"]
    if n is None and "dataset" in prompts.inputs:
        n = prompts.inputs["dataset"].settings["generate"]["n_prompts"]
    return Guess((n or _PROMPTS) * _PROMPT_TOKENS, 3.0)


class TextSizes(NamedTuple):
    """How many labelled texts there are, their tokens and tasks, and the texts of a task."""

    texts: Guess
    tokens: Guess
    tasks: Guess
    train: Guess
    test: Guess


def sizes_of_labelled(labelled: Result) -> TextSizes:
    """Return how many labelled texts there are, or will be: as expected, or by the files' size.

    Raises
    ------
    UnknownError
        If they are on the hub, and were neither read yet nor are expected in number.
    """
    if facts := manifest_of(labelled):
        tokens = Guess(facts["n_characters"] / BYTES_PER_TOKEN["copy_tokenizer"], 1.5)
        n, of_task = Guess(facts["n_examples"]), facts["n_labels"] / max(1, facts["n_tasks"])
        train, test = (
            Guess(of_task * facts[f"n_{split}"] / max(1, n.value)) for split in ("train", "test")
        )
        return TextSizes(n, tokens, Guess(facts["n_tasks"]), train, test)
    settings = labelled.settings
    if "world" in settings:
        return _sizes_of_world(settings["world"]["n_prompts"], settings["examples"])
    expected, n_datasets, texts = settings.get("expect") or {}, 1, None
    test = settings.get("test") or _TEST_SHARE
    if "path" in labelled.arguments:
        n_datasets, texts = _sizes_of_files(labelled.arguments, settings["examples"])
    if {"train", "test"} <= {*expected}:
        texts, test = Guess(sum(expected.values())), expected["test"] / sum(expected.values())
    if texts is None:
        raise UnknownError(f"{settings['hub']} is not fetched: its size is not known")
    tasks, of_task = Guess(n_datasets * len(settings["label"]), 2.0), texts.scaled(1 / n_datasets)
    tokens = texts.scaled(_tokens_of_text(settings), 2.0)
    return TextSizes(texts, tokens, tasks, of_task.scaled(1 - test), of_task.scaled(test))


def _sizes_of_world(n: int, most: int | None) -> TextSizes:
    """Return the reviews of a world: n test texts, four times as many to train on, n shifted."""
    own, shifted = min(5 * n, most or 5 * n), min(n, most or n)
    texts = Guess(own + shifted)
    tokens = texts.scaled(_REVIEW_TOKENS, 1.2)
    return TextSizes(texts, tokens, Guess(_REVIEW_TASKS), Guess(0.8 * own), Guess(0.2 * own))


def _tokens_of_text(settings: Mapping[str, Any]) -> float:
    """Return the tokens of a text: in the middle of the limits, where there are two."""
    low, high = settings.get("longer_than"), settings.get("shorter_than")
    if low is None or high is None:
        return _TEXT_TOKENS
    characters = (low + high) / 2 + len(settings.get("template") or "")
    return characters / BYTES_PER_TOKEN["copy_tokenizer"]


def _sizes_of_files(arguments: Mapping[str, Any], most: int | None) -> tuple[int, Guess]:
    """Return the datasets of local files, and a guess at their texts, of each at most so many."""
    paths, n_texts = {key: arguments[key] for key in PATHS if key in arguments}, 0.0
    datasets = matched_files(paths).datasets.values()
    for files in datasets:
        own = _n_bytes(file for some in files.values() for file in some)
        n = own / BYTES_PER_TOKEN["copy_tokenizer"] / _TEXT_TOKENS
        n_texts += min(n, most or n)
    return len(datasets), Guess(n_texts, 4.0)


def _n_bytes(files: Iterable[Path]) -> float:
    """Return the bytes of the text of some files, a guess where they are compressed."""
    return sum(file.stat().st_size * (_COMPRESSED if compression_of(file) else 1) for file in files)


def tokens_of(store: Result) -> Tokens:
    """Return the tokens of a token store.

    Raises
    ------
    UnknownError
        While nothing can be said.

    Notes
    -----
    In `pack` mode every sequence is full, so a limit gives the whole sequences that fit, exactly,
    provided that there is text enough.
    """
    manifest = manifest_of(store)
    if "n_tokens" in manifest:
        return Tokens({split: Guess(n) for split, n in manifest["n_tokens"].items()})
    length, dataset = store.settings["context_length"], store.inputs["dataset"]
    found, note = {}, ""
    for split, limit in store.settings["tokens"].items():
        if limit is None:
            everything, note = _text_tokens(dataset, store.inputs["tokenizer"])
            found[split] = everything.scaled(dataset.settings["splits"].get(split, 0))
        elif store.settings["mode"] == "pack":
            found[split] = Guess(limit // length * length)
        else:
            found[split] = Guess(limit, 1.02)
    return Tokens(found, note)


def _text_tokens(dataset: Result, tokenizer: Result) -> tuple[Guess, str]:
    """Return the tokens of a whole dataset, and what was assumed."""
    per_token, settings = BYTES_PER_TOKEN[tokenizer.rule], dataset.settings
    if "n_characters" in (manifest := manifest_of(dataset)):
        characters = sum(manifest["n_characters"].values())
        return Guess(characters / per_token, 1.5), f"a token for {per_token} characters"
    if "generate" in settings:
        return Guess(settings["generate"]["n_tokens"], 1.05), ""
    if "sample" in settings:
        most = settings["sample"]["n_documents"] * settings["sample"]["max_tokens"]
        return Guess(most, 2.0), "sampled documents of the greatest length"
    if "path" in dataset.arguments:
        files = find_files(path := dataset.arguments["path"], where=path)
        n_bytes = _n_bytes(files)
        note = f"a token for {per_token} bytes of {path}"
        return Guess(n_bytes / per_token, 1.5), note
    if settings.get("n_documents"):
        note = f"{_WEB_DOCUMENT_TOKENS:,} tokens a document, as in OpenWebText"
        return Guess(settings["n_documents"] * _WEB_DOCUMENT_TOKENS, 3.0), note
    raise UnknownError(
        f"{settings['hub']} is not fetched, and neither its documents nor the packing's tokens are"
        " limited"
    )
