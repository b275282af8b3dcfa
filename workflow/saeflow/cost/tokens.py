"""How many tokens a token store has or will have: counted, limited, or guessed from the text.

Read `tokens_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.cost.guess import Guess, total
from saeflow.files import read_json
from saeflow.plan.job import Job
from saeflow.plan.jobfile import has_bulk
from saeflow.work import MANIFEST, bulk_path

SPLITS = ("train", "validation", "test")
BYTES_PER_TOKEN = {"train_tokenizer": 4.7, "copy_tokenizer": 4.3}
"""Assumed of English text: a word and its space (the built-in world's mean), or a piece of it."""

_TEXT_TIMES = 1.5
_SAMPLED_TIMES = 2.0
_GENERATED_TIMES = 1.05
_WEB_DOCUMENT_TOKENS, _WEB_TIMES = 1100, 3.0


class Tokens(NamedTuple):
    """Tokens by split.

    Attributes
    ----------
    splits : dict
        Split -> guess; empty while nothing can be said.
    note : str
        What was assumed, or why nothing can be said.
    """

    splits: Mapping[str, Guess]
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a figure at all."""
        return bool(self.splits)

    @property
    def all(self) -> Guess:
        """Tokens of all splits."""
        return total(self.splits.values())


def manifest_of(job: Job) -> dict[str, Any] | None:
    """Return the manifest of a job's finished bulk, or None."""
    if not has_bulk(job):
        return None
    return read_json(bulk_path(job.output, job.identity, job.suffix) / MANIFEST)


def tokens_of(job: Job) -> Tokens:
    """Return the tokens of the store that a job (tokenize_dataset) makes.

    Notes
    -----
    In `pack` mode every sequence is full, so a limit gives the whole sequences that fit, exactly,
    provided that there is text enough.
    """
    manifest = manifest_of(job)
    if manifest and "n_tokens" in manifest:
        return Tokens({split: Guess(n) for split, n in manifest["n_tokens"].items()})
    settings, limits = job.settings, job.settings["tokens"]
    found: dict[str, Guess] = {}
    note = ""
    for split in SPLITS:
        limit = limits[split]
        if limit is not None:
            length = settings["context_length"]
            whole = limit // length * length if settings["mode"] == "pack" else limit
            times = 1.0 if settings["mode"] == "pack" else 1.02
            found[split] = Guess(whole, times)
            continue
        share = job.inputs["dataset"].settings["splits"].get(split, 0)
        everything, note = _text_tokens(job)
        if everything is None:
            return Tokens({}, note)
        found[split] = everything.scaled(share)
    return Tokens(found, note)


def _text_tokens(job: Job) -> tuple[Guess | None, str]:
    """Return the tokens of a whole dataset, and what was assumed."""
    dataset, tokenizer = job.inputs["dataset"], job.inputs["tokenizer"]
    per_token = BYTES_PER_TOKEN[tokenizer.rule]
    manifest = manifest_of(dataset)
    if manifest and "n_characters" in manifest:
        characters = sum(manifest["n_characters"].values())
        return Guess(characters / per_token, _TEXT_TIMES), f"a token for {per_token} characters"
    settings = dataset.settings
    if "generate" in settings:
        return Guess(settings["generate"]["n_tokens"], _GENERATED_TIMES), ""
    if "sample" in settings:
        sample = settings["sample"]
        most = sample["n_documents"] * sample["max_tokens"]
        return Guess(most, _SAMPLED_TIMES), "sampled documents of the greatest length"
    if "path" in dataset.arguments:
        n_bytes = Path(dataset.arguments["path"]).stat().st_size
        note = f"a token for {per_token} bytes of {dataset.arguments['path']}"
        return Guess(n_bytes / per_token, _TEXT_TIMES), note
    if settings.get("n_documents"):
        note = f"{_WEB_DOCUMENT_TOKENS:,} tokens a document, as in OpenWebText"
        return Guess(settings["n_documents"] * _WEB_DOCUMENT_TOKENS, _WEB_TIMES), note
    reason = (
        f"{settings['hub']} is not fetched, and neither its documents nor the packing's tokens are"
        " limited"
    )
    return None, reason
