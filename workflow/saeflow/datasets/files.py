"""The files that a dataset's path names: one, all of a directory, or those that a pattern matches.

Nothing is read here, and nothing but the standard library imported: planning asks, too. Read
`find_files`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
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


def find_tables(path: Path | str, *, where: object, what: str, lacks: str, row: str) -> list[Path]:
    """Return files as `find_files` does; plain text, which has no columns, is refused.

    ``what`` is read from them, which plain text ``lacks``; ``row`` is an example of one.
    """
    files = find_files(path, where=where)
    if kind_of(files[0]) == TXT:
        raise ConfigError(
            f"{what} are not read from plain text: it {lacks}",
            where=where,
            expected=".jsonl, .ndjson, .csv or .parquet",
            got=files[0].name,
            remedy=f"Write one object a line, {row}, in a .jsonl.",
        )
    return files


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
    names = some([file.name for file in beside]) or "nothing"
    if path.is_dir():
        what, got = "no file in this directory is of a kind that is read", f"{path} with {names}"
        remedy = "Convert its files, or name another directory."
    elif beside or glob.has_magic(str(path)):
        what, got = (
            "the pattern matches no file of a kind that is read",
            f"{path}, which matches {names}",
        )
        remedy = "Correct the pattern; ** is any depth of directories."
    else:
        return ConfigError(
            "there is no such file or directory",
            where=where,
            expected="a path or pattern relative to the working directory",
            got=path,
            remedy="Correct `path`.",
        )
    return ConfigError(what, where=where, expected=READ, got=got, remedy=remedy)


def some(names: Iterable[str]) -> str:
    """Return the first names, for messages."""
    names = list(names)
    return ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)
