"""The files of a model that count: those that are copied, and by which it is told from others.

Nothing is read of them here: planning asks, too.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from saeflow.errors import ConfigError
from saeflow.models.record import WEIGHT_PATTERNS, weight_files
from saeflow.tokenizers import TOKENIZER_FILES

_OTHER_FILES = ("config.json", "generation_config.json", *TOKENIZER_FILES, "LICENSE*")


def model_files(directory: Path, *, trust_remote_code: bool = False) -> list[Path]:
    """Return the files to copy of a Hugging Face directory, by name.

    Parameters
    ----------
    directory
        With config.json and weights: those of one format count, with their index. What a
        training, a download or a system leaves beside them does not.
    trust_remote_code
        Whether code counts.

    Raises
    ------
    ConfigError, ModelError
        If it is no directory, or has no weights or not all of them.
    """
    if not directory.is_dir():
        raise ConfigError(
            "a model's path must be a directory",
            where=directory,
            expected="a directory with config.json and weights",
            got="a file" if directory.exists() else "nothing",
        )
    patterns = (
        *patterns_beside_weights(trust_remote_code),
        *_weight_patterns(weight_files(directory)[0]),
    )
    return sorted(
        file
        for file in directory.iterdir()
        if file.is_file() and any(fnmatch(file.name, pattern) for pattern in patterns)
    )


def patterns_beside_weights(trust_remote_code: bool) -> tuple[str, ...]:
    """Return the patterns of the files beside the weights."""
    return (*_OTHER_FILES, *(("*.py",) if trust_remote_code else ()))


def _weight_patterns(example: Path) -> tuple[str, ...]:
    """Return the patterns of the files with the weights, of the format of ``example``."""
    for patterns in WEIGHT_PATTERNS:
        if any(fnmatch(example.name, pattern) for pattern in patterns):
            return (*patterns, f"{patterns[0]}.index.json")
    raise AssertionError(f"{example} holds no weights")
