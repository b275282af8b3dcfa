"""What a model's record says, and which of its files count, whoever wrote its directory."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from saeflow.errors import ConfigError, ModelError, first_line
from saeflow.files import AGAIN, canonical_json, read_json, sha256_file, sha256_text
from saeflow.models.facts import config_facts
from saeflow.tokenizers import TOKENIZER_FILES

# The names that transformers reads, in its order of preference: a whole, or parts and their index.
# Others beside them ("model.fp16.safetensors", "consolidated.safetensors") are not looked at.
WEIGHT_PATTERNS = (
    ("model.safetensors", "model-*-of-*.safetensors"),
    ("pytorch_model.bin", "pytorch_model-*-of-*.bin"),
)
_OTHER_FILES = ("config.json", "generation_config.json", *TOKENIZER_FILES, "LICENSE*")


def has_weights(directory: Path) -> bool:
    """Whether there is a file with weights in a directory."""
    return any(_weights(Path(directory), patterns) for patterns in WEIGHT_PATTERNS)


def _weights(directory: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(file for pattern in patterns for file in directory.glob(pattern))


def weight_files(directory: Path) -> list[Path]:
    """Return the files with the weights: safetensors where there are any, else PyTorch's.

    If there is none, or an index names a file that is missing, that is a `ModelError`.
    """
    directory = Path(directory)
    for patterns in WEIGHT_PATTERNS:
        files = _weights(directory, patterns)
        if files:
            _check_index(directory, files)
            return files
    raise ModelError(
        "there are no weights in this directory",
        where=directory,
        expected=" or ".join(patterns[0] for patterns in WEIGHT_PATTERNS),
        got=", ".join(sorted(p.name for p in directory.glob("*"))) or "nothing",
    )


def _check_index(directory: Path, files: list[Path]) -> None:
    present = {file.name for file in files}
    for index in sorted(directory.glob(f"*{files[0].suffix}.index.json")):
        missing = sorted(set(read_json(index, remedy=AGAIN)["weight_map"].values()) - present)
        if missing:
            raise ModelError(
                "some of the files with the weights are missing",
                where=index,
                got=f"no {', '.join(missing)}",
                remedy="Fetch or copy the model again.",
            )


def model_files(directory: Path, *, trust_remote_code: bool = False) -> list[Path]:
    """Return the files of a Hugging Face directory that count: they are copied, and told apart by.

    Of weights those of one format do, with their index, and code if it is trusted; what a training,
    a download or a system leaves beside them does not. No directory is a `ConfigError`, one without
    all its weights a `ModelError`.
    """
    if not directory.is_dir():
        raise ConfigError(
            "a model's path must be a directory",
            where=directory,
            expected="a directory with config.json and weights",
            got="a file" if directory.exists() else "nothing",
        )
    first = weight_files(directory)[0]
    weights = next(p for p in WEIGHT_PATTERNS if first in _weights(directory, p))
    patterns = *patterns_beside_weights(trust_remote_code), *with_index(weights)
    return sorted(
        file
        for file in directory.iterdir()
        if file.is_file() and any(fnmatch(file.name, pattern) for pattern in patterns)
    )


def patterns_beside_weights(trust_remote_code: bool) -> tuple[str, ...]:
    """Return the patterns of the files beside the weights."""
    return (*_OTHER_FILES, *(("*.py",) if trust_remote_code else ()))


def with_index(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns of the files of one of `WEIGHT_PATTERNS`, and of their index."""
    return (*patterns, f"{patterns[0]}.index.json")


def weights_sha256(directory: Path) -> str:
    """Return the hash of the names and contents of the files with the weights."""
    return sha256_text(canonical_json({f.name: sha256_file(f) for f in weight_files(directory)}))


def describe_model(
    directory: Path, *, name: str, tokenizer: str | None, trust_remote_code: bool = False
) -> dict[str, Any]:
    """Return the record of a model, without its identity and bulk.

    Parameters
    ----------
    directory, name
        A Hugging Face directory, and the model's name in the configuration.
    tokenizer
        The vocabulary hash of the tokenizer it was made for, if known.
    trust_remote_code
        Whether the configuration lets the model's own code run.
    """
    config = read_config(directory, trust_remote_code)
    facts = config_facts(config.to_dict())
    return {
        "name": name,
        "architecture": (config.architectures or [type(config).__name__])[0],
        "n_layers": facts.n_layers,
        "d_model": facts.d_model,
        "vocab_size": facts.vocab_size,
        "max_positions": facts.max_positions,
        "weights_sha256": weights_sha256(directory),
        "tokenizer": tokenizer,
        "trust_remote_code": trust_remote_code,
    }


def read_config(directory: Path, trust_remote_code: bool = False) -> Any:
    """Return the model's Hugging Face config, read from local files only."""
    from transformers import AutoConfig

    if not (Path(directory) / "config.json").is_file():
        raise ModelError("this is not a model's directory", where=directory, expected="config.json")
    try:
        return AutoConfig.from_pretrained(
            directory, local_files_only=True, trust_remote_code=trust_remote_code
        )
    except (ValueError, OSError, KeyError) as error:
        remedy = "See whether this version of transformers knows the architecture."
        if not trust_remote_code and "auto_map" in read_json(Path(directory) / "config.json"):
            remedy = (
                "The model brings its own code, which runs only if you say so: read it, then set "
                "trust_remote_code: true for this model."
            )
        raise ModelError(
            "the model's config cannot be read",
            where=directory,
            got=first_line(error),
            remedy=remedy,
        ) from error
