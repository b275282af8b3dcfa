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
    """How many labelled texts there are, and their tokens."""

    texts: Guess
    tokens: Guess


def sizes_of_labelled(labelled: Result) -> TextSizes:
    """Return how many labelled texts there are, or will be: of files by their size.

    Raises
    ------
    UnknownError
        If they are on the hub, and were not read yet.
    """
    if facts := manifest_of(labelled):
        tokens = Guess(facts["n_characters"] / BYTES_PER_TOKEN["copy_tokenizer"], 1.5)
        return TextSizes(Guess(facts["n_examples"]), tokens)
    world, most = labelled.settings.get("world"), labelled.settings["examples"]
    if "path" in labelled.arguments:
        return _sizes_of_files(labelled.arguments, most)
    if world is None:
        raise UnknownError(f"{labelled.settings['hub']} is not fetched: its size is not known")
    n = world["n_prompts"]  # as many of a second distribution, and four times as many to train on
    wanted = min(5 * n, most or 5 * n) + min(n, most or n)
    return TextSizes(Guess(wanted), Guess(wanted * _REVIEW_TOKENS, 1.2))


def _sizes_of_files(arguments: Mapping[str, Any], most: int | None) -> TextSizes:
    """Return a guess at the texts of local files, of at most so many a dataset."""
    paths, n_texts = {key: arguments[key] for key in PATHS if key in arguments}, 0.0
    for files in matched_files(paths).datasets.values():
        own = _n_bytes(file for some in files.values() for file in some)
        n = own / BYTES_PER_TOKEN["copy_tokenizer"] / _TEXT_TOKENS
        n_texts += min(n, most or n)
    return TextSizes(Guess(n_texts, 4.0), Guess(n_texts * _TEXT_TOKENS, 2.0))


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
