"""The files that a dataset's path names: one, all of a directory, or those that a pattern matches.

Nothing is read here, and nothing but the standard library imported: planning asks, too. Read
`find_files`.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path

from saeflow.errors import ConfigError

TXT, JSONL, CSV, PARQUET = "txt", "jsonl", "csv", "parquet"
_KINDS = {".txt": TXT, ".jsonl": JSONL, ".ndjson": JSONL, ".csv": CSV, ".parquet": PARQUET}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
READ = ", ".join(_KINDS) + f"; compressed with {' or '.join(COMPRESSIONS)} where it is text"
"""What can be read, for messages."""

_SHOWN = 3


def find_files(path: Path | str, *, where: object, separator: str | None = None) -> list[Path]:
    """Return the files with a dataset's documents, in the order in which they are read.

    Parameters
    ----------
    path
        A file; a directory, with all below it; or a pattern with ``*``, ``?``, ``[...]``, ``**``.
        ``~`` is the home directory.
    where
        The configuration key that names it, for messages.
    separator
        The line between documents, if one was given.

    Returns
    -------
    list of Path
        By name. In directories and of patterns, hidden files and those of kinds that are not
        read (README.md) do not count.

    Raises
    ------
    ConfigError
        If there is none, or they are of several kinds.
    """
    path = Path(path).expanduser()
    if path.is_file():
        found = [path]
        if kind_of(path) is None:
            raise ConfigError(
                "files of this kind are not read",
                where=where,
                expected=READ,
                got=path,
                remedy="Convert it; a file with a JSON object in each line is .jsonl.",
            )
    else:
        beside = _below(path) if path.is_dir() else _matching(path)
        found = [file for file in beside if kind_of(file) is not None]
        if not found:
            raise _nothing(path, beside, where)
    by_kind = {kind_of(file): file.name for file in found}
    if len(by_kind) > 1:
        raise ConfigError(
            "the files of a dataset are of several kinds",
            where=where,
            expected="one kind",
            got=", ".join(sorted(by_kind.values())),
            remedy=f'Name those that are meant by a pattern ("{path.parent / path.name}/*.jsonl").'
            if path.is_dir()
            else "Narrow the pattern.",
        )
    if separator is not None and TXT not in by_kind:
        raise ConfigError(
            "only documents in a text file are separated by a line",
            where=where,
            expected=".txt with `separator`",
            got=found[0].name,
            remedy="Remove `separator` from the dataset's entry.",
        )
    return found


def kind_of(file: Path) -> str | None:
    """Return what a file is by its name ("jsonl"), None if it is of no kind that is read."""
    name = Path(file.name.lower())
    if name.suffix in COMPRESSIONS:
        kind = _KINDS.get(Path(name.stem).suffix)
        return None if kind == PARQUET else kind  # compressed inside, and read at random
    return _KINDS.get(name.suffix)


def compression_of(file: Path) -> str | None:
    """Return how a file is compressed by its name ("gzip"), None if it is not."""
    return COMPRESSIONS.get(file.suffix.lower())


def _below(directory: Path) -> list[Path]:
    found = []
    for root, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if not name.startswith((".", "_"))]
        found += [Path(root) / name for name in names if not name.startswith((".", "_"))]
    return sorted(file for file in found if file.is_file())


def _matching(pattern: Path) -> list[Path]:
    found = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute one
    return sorted(file for file in map(Path, found) if file.is_file())


def _nothing(path: Path, beside: list[Path], where: object) -> ConfigError:
    got = [file.name for file in beside[:_SHOWN]] + ["..."] * (len(beside) > _SHOWN)
    if path.is_dir():
        return ConfigError(
            "no file in this directory is of a kind that is read",
            where=where,
            expected=READ,
            got=f"{path} with {', '.join(got) or 'nothing'}",
            remedy="Convert its files, or name another directory.",
        )
    if beside or glob.has_magic(str(path)):
        return ConfigError(
            "the pattern matches no file of a kind that is read",
            where=where,
            expected=READ,
            got=f"{path}, which matches {', '.join(got) or 'nothing'}",
            remedy="Correct the pattern; ** is any depth of directories.",
        )
    return ConfigError(
        "there is no such file or directory",
        where=where,
        expected="a path or pattern relative to the working directory",
        got=path,
        remedy="Correct `path`.",
    )
