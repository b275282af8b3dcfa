"""Content hashes of local files and directories that the configuration names.

Hashing gigabytes at every start would be slow, so a hash is kept with the size and the times of
the file that it was taken of, in a small cache that may be deleted at any time. The time of the
last change of the inode is among them: unlike the modification time, no tool can set it back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.errors import ConfigError
from saeflow.files import canonical_json, sha256_file, sha256_text, write_json

CACHE = Path(paths.CACHE) / "local-hashes.json"


def hash_local(path: Path, *, where: str) -> str:
    """Return the hash of a file's content, or of all files below a directory.

    Parameters
    ----------
    path
        A file or a directory.
    where
        The configuration key that names it, for the message when it is missing.
    """
    path = Path(path)
    if path.is_file():
        return _hash_files([path])[path]
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        hashes = _hash_files(files)
        names = {p.relative_to(path).as_posix(): hashes[p] for p in files}
        return sha256_text(canonical_json(names))
    raise ConfigError(
        "there is no such file or directory",
        where=where,
        expected="a path relative to the working directory",
        got=path,
    )


def hash_files(files: list[Path]) -> str:
    """Return the hash of one file's content, or of those of several, in their order."""
    hashes = _hash_files(files)
    if len(files) == 1:
        return hashes[files[0]]
    return sha256_text(canonical_json([hashes[file] for file in files]))


def _hash_files(files: list[Path]) -> dict[Path, str]:
    cache = _read_cache()
    hashes, changed = {}, False
    for path in files:
        status = path.stat()
        key = str(path.resolve())
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        entry = cache.get(key)
        if entry is None or entry[:-1] != stamp:
            entry = cache[key] = [*stamp, sha256_file(path)]
            changed = True
        hashes[path] = entry[-1]
    if changed:
        write_json(CACHE, cache)
    return hashes


def _read_cache() -> dict[str, Any]:
    try:
        cache = json.loads(CACHE.read_bytes())
    except (OSError, ValueError):
        return {}  # a cache: absent or torn, it is made anew
    return cache if isinstance(cache, dict) else {}
