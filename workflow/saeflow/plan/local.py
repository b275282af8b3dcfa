"""Local files that the configuration names: which of them count, and the hash of their content.

Hashing gigabytes at every start would be slow, so a hash is kept with the size and the times of
the file that it was taken of, in a small cache that may be deleted at any time. The time of the
last change of the inode is among them: unlike the modification time, no tool can set it back.

A job reads the files long after they were hashed. `Unchanged` says whether it read those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.datasets.files import find_files
from saeflow.errors import ConfigError, DiskFullError, SaeflowError, StaleError
from saeflow.files import canonical_json, sha256_file, sha256_text, write_json
from saeflow.labelled.files import dataset_files
from saeflow.models.record import model_files
from saeflow.sae.saved.files import files_read

CACHE = Path(paths.CACHE) / "local-hashes.json"
_SHOWN = 8

HASH = "path_sha256"
"""The setting with the hash of what `path` names."""


def hash_key(key: str) -> str:
    """Return the setting with the hash of what a key names."""
    return f"{key}_sha256"


def local_files(
    rule: str, path: str, settings: Mapping[str, Any], *, where: object
) -> dict[str, Path]:
    """Return the files that a rule's job reads of a path, by the names that it knows them by.

    Parameters
    ----------
    rule
        Of datasets, prompt sets, labelled texts, models or SAEs from elsewhere.
    path
        As in the configuration.
    settings
        Of the result, as far as they say what is read.
    where
        The configuration key that names the path, for messages.
    """
    if rule in ("fetch_dataset", "fetch_prompts"):  # their order says it all
        found = find_files(path, where=where, separator=settings.get("separator"))
        return {f"{i:08d}": file for i, file in enumerate(found)}
    if rule == "fetch_labelled":  # a dataset has its name from its file
        return {file.name: file for file in dataset_files(path, where=where).values()}
    place = Path(path).expanduser()
    if not place.exists():
        raise not_there(path, where)
    if rule == "fetch_model":
        code = settings.get("trust_remote_code", False)
        try:
            return {file.name: file for file in model_files(place, trust_remote_code=code)}
        except SaeflowError as error:  # of the directory: here it is the configuration's
            error.where = where if error.where is None else f"{where}: {error.where}"
            raise
    return _sae_files(place, settings["format"], where=where)


def _sae_files(place: Path, name: str, *, where: object) -> dict[str, Path]:
    """Return the files of an SAE's format: not what trainings and downloads leave beside it."""
    if place.is_file():
        beside = place.with_name(f"{place.stem}_cfg.json")  # Neel Nanda's configurations lie there
        return {"": place} | ({"beside": beside} if beside.is_file() else {})
    wanted = files_read(name)
    found = {file: place / file for file in wanted if (place / file).is_file()}
    if not found:
        there = sorted(file.name for file in place.iterdir())
        raise ConfigError(
            "there is no SAE in this directory",
            where=where,
            expected=f"some of {', '.join(wanted)}" if wanted else "the format's only file",
            got=f"{place} with {', '.join(there[:_SHOWN]) or 'nothing'}",
            remedy="Give the directory with the files, or the file itself.",
        )
    return found


def not_there(path: str, where: object) -> ConfigError:
    """Return the error of a path that the configuration names and that is not there."""
    return ConfigError(
        "there is no such file or directory",
        where=where,
        expected="a path relative to the working directory",
        got=path,
    )


def hash_of(files: Mapping[str, Path]) -> str:
    """Return the hash of files' names and contents."""
    cache = _read_cache()
    hashes, changed = {}, False
    for name, file in files.items():
        stamp, key = _stamp(file), str(file.resolve())
        entry = cache.get(key)
        if not isinstance(entry, list) or entry[:-1] != stamp:
            entry = cache[key] = [*stamp, sha256_file(file)]
            changed = True
        hashes[name] = entry[-1]
    if changed:
        with suppress(OSError, DiskFullError):  # where nothing can be written, all is read again
            write_json(CACHE, cache)
    return sha256_text(canonical_json(hashes))


class Unchanged:
    """Tells whether what a job read of a local path is what it was planned with.

    Parameters
    ----------
    rule
        Of the job.
    result
        As `saeflow.plan.passes.describe` gives it; one with paths among its arguments.

    Raises
    ------
    StaleError
        If the files are others by now.
    """

    def __init__(self, rule: str, result: Mapping[str, Any]) -> None:
        self._rule, self._settings = rule, result["settings"]
        self._paths = {
            key: path
            for key, path in result["arguments"].items()
            if hash_key(key) in self._settings
        }
        self._stamps = self._stamped()
        for key, path in self._paths.items():
            if hash_of(self._files(path)) != self._settings[hash_key(key)]:
                raise self._changed(path, "since this job was planned")

    def check(self) -> None:
        """Raise a `StaleError` if a file was written, replaced, added or removed meanwhile."""
        for path, stamps in self._stamped().items():
            if stamps != self._stamps[path]:
                raise self._changed(path, "while it was read")

    def _stamped(self) -> dict[str, dict[str, list[int]]]:
        return {
            path: {name: _stamp(file) for name, file in self._files(path).items()}
            for path in self._paths.values()
        }

    def _files(self, path: str) -> dict[str, Path]:
        return local_files(self._rule, path, self._settings, where=path)

    def _changed(self, path: str, when: str) -> StaleError:
        return StaleError(
            f"a local file changed {when}",
            where=path,
            remedy="Run snakemake again, once nothing writes to it: it plans with the files as"
            " they are then.",
        )


def _stamp(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read_cache() -> dict[str, Any]:
    try:
        cache = json.loads(CACHE.read_bytes())
    except (OSError, ValueError):
        return {}  # a cache: absent or torn, it is made anew
    return cache if isinstance(cache, dict) else {}
