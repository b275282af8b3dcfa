"""The files of labelled texts: which datasets they are, and which of others belong to them.

Planning asks, too: nothing is read here. Read `matched_files`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.datasets.files import COMPRESSIONS, find_tables, some
from saeflow.errors import ConfigError

ONLY = ""
"""The name of a file that is alone: its dataset is called like the entry."""

PATHS = ("path", "test_path", "shift_path")
"""Keys of an entry that name files."""


def dataset_files(path: Path | str, *, where: object) -> dict[str, Path]:
    """Return the files of a path by the names that they give datasets, in the order of names.

    A file that is named as such has the name `ONLY`. In directories and of patterns, a file has
    its own name without what says its kind.

    Raises
    ------
    ConfigError
        As of `saeflow.datasets.files.find_tables`, or if two have one name.
    """
    row = '{"text": "...", "label": 1}'
    found: dict[str, Path] = {}
    files = find_tables(path, where=where, what="labelled texts", lacks="has no labels", row=row)
    for file in files:
        name = ONLY if file == Path(path).expanduser() else name_of(file)
        if name in found:
            raise ConfigError(
                f"two files would be the dataset '{name}'",
                where=where,
                expected="files of different names",
                got=f"{found[name]} and {file}",
                remedy="Narrow the pattern, or rename one of them.",
            )
        found[name] = file
    return dict(sorted(found.items()))


def name_of(file: Path) -> str:
    """Return the name of a file without what says of what kind it is ("a.b.csv.zst": "a.b")."""
    name = Path(file.name)
    if name.suffix.lower() in COMPRESSIONS:
        name = Path(name.stem)
    return name.stem


def owner_of(name: str, datasets: Iterable[str]) -> str | None:
    """Return the dataset that a file belongs to by its name; None for none of them.

    It is the longest with which the name begins, up to a letter or digit: "9_long_OOD" is of
    "9_long", neither of "9" nor of "9_lo".
    """
    owners = [
        one
        for one in datasets
        if one == ONLY or (name.startswith(one) and not name[len(one) : len(one) + 1].isalnum())
    ]
    return max(owners, key=len, default=None)


def has_shift(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry of the configuration has texts of a second distribution."""
    return "shift_path" in entry or "generate" in entry


class Matched(NamedTuple):
    """The files of an entry.

    Attributes
    ----------
    datasets : dict
        Name -> its files by the key that names them.
    unmatched : list of str
        Names of files with test texts, or of a second distribution, that are of no dataset.
    """

    datasets: dict[str, dict[str, list[Path]]]
    unmatched: list[str]


def matched_files(paths: Mapping[str, str], *, where: object = None) -> Matched:
    """Return the files of each dataset.

    Parameters
    ----------
    paths
        Those of `PATHS` that are given.
    where
        The entry, for messages; the path itself by default.

    Raises
    ------
    ConfigError
        As of `dataset_files`; if no file of a key is of a dataset.
    """
    places = {key: path if where is None else f"{where} > {key}" for key, path in paths.items()}
    own = dataset_files(paths["path"], where=places["path"])
    found = Matched({name: {"path": [file]} for name, file in own.items()}, [])
    for key in PATHS[1:]:
        if key not in paths:
            continue
        files = list(dataset_files(paths[key], where=places[key]).values())
        owners = [owner_of(name_of(file), own) for file in files]
        if not any(owner is not None for owner in owners):
            raise ConfigError(
                "none of these files is of a dataset of `path`",
                where=places[key],
                expected=f"names that begin with one of {some(own)}",
                got=some(file.name for file in files),
                remedy="Rename them.",
            )
        for file, owner in zip(files, owners, strict=True):
            if owner is None:
                found.unmatched.append(file.name)
            else:
                found.datasets[owner].setdefault(key, []).append(file)
    return found
