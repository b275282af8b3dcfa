"""A model from the hub or a local directory, copied into a place of its own, tried and described.

Afterwards nothing reads the network: every later step loads the copy. Read `fetch_model` first.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from saeflow.errors import ModelError, first_line
from saeflow.finite import require_finite
from saeflow.hub import clear_errors, require_commit, unreachable
from saeflow.models.load import load_directory
from saeflow.models.record import (
    WEIGHT_PATTERNS,
    describe_model,
    model_files,
    patterns_beside_weights,
    weight_files,
    with_index,
)
from saeflow.models.trial import try_model
from saeflow.tokenizers import has_tokenizer, tokenizer_from_directory, vocabulary_sha256

if TYPE_CHECKING:
    from saeflow.work import Work


def fetch_model(work: Work, settings: Mapping[str, Any], path: Path | None = None) -> None:
    """Copy a model into a work directory and finish it with its record.

    Parameters
    ----------
    work
        Held work; nothing is done if it is finished. The model is named like the directory of
        its record.
    settings, path
        ``hub`` and ``revision``, or a local Hugging Face directory; ``trust_remote_code``.

    Raises
    ------
    NetworkError, ConfigError
        If the hub does not answer, or has no such model.
    ModelError
        If the directory holds no model that can be read, weights that are no numbers, or not a
        model that can be worked with.
    """
    if work.finished:
        return
    trusted = bool(settings.get("trust_remote_code", False))
    work.restart()
    if path is None:
        path = _snapshot(settings["hub"], settings["revision"], trusted)
    for file in model_files(Path(path), trust_remote_code=trusted):
        shutil.copyfile(file, work.path / file.name)  # following the links of the hub's cache
    _require_finite_weights(work.path)
    tokenizer = None
    if has_tokenizer(work.path):
        tokenizer = vocabulary_sha256(tokenizer_from_directory(work.path))
    name = work.output.parent.name
    record = describe_model(work.path, name=name, tokenizer=tokenizer, trust_remote_code=trusted)
    record |= try_model(load_directory(work.path, trust_remote_code=trusted))
    if "hub" in settings:
        record["source"] = {"hub": settings["hub"], "revision": settings["revision"]}
    work.finish(record)


def _snapshot(name: str, revision: str, trusted: bool) -> Path:
    """Return the files of a model in the hub's cache, fetching those that are missing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    require_commit(name, revision, kind="model")
    facts = {"kind": "model", "needed": "the model's files"}
    problem = unreachable(name, revision, **facts)
    for patterns in WEIGHT_PATTERNS:
        wanted = [*patterns_beside_weights(trusted), *with_index(patterns)]
        try:
            with nullcontext() if problem else clear_errors(name, revision, **facts):
                found = snapshot_download(
                    name,
                    revision=revision,
                    allow_patterns=wanted,
                    local_files_only=problem is not None,
                )
        except LocalEntryNotFoundError as error:
            raise problem from error
        if any(any(Path(found).glob(pattern)) for pattern in patterns):
            break
    return Path(found)


def _require_finite_weights(directory: Path) -> None:
    """Raise a `ModelError` that names the first weight of a directory that is no finite number."""
    for file in weight_files(directory):
        try:
            for name, weight in _tensors(file):
                require_finite(
                    weight, f"the weight {name}", where=file, error=ModelError,
                    remedy="Fetch or copy the model again; if it was saved so, its training"
                    " diverged: take an earlier checkpoint.",
                )  # fmt: skip
        except ModelError:
            raise
        except Exception as error:  # whatever readers of torn files raise
            raise ModelError(
                "the weights cannot be read",
                where=file,
                got=f"{type(error).__name__}: {first_line(error)}",
                remedy="Fetch or copy the model again.",
            ) from error


def _tensors(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the weights of a file by name, one in memory at a time."""
    if file.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(file, framework="pt") as content:
            for name in content.keys():  # noqa: SIM118
                yield name, content.get_tensor(name)
        return
    yield from torch.load(file, map_location="cpu", weights_only=True).items()
