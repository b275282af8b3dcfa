"""Small files: atomic writes, JSON with one spelling, hashes of files and trees."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saeflow.errors import DamagedError, DiskFullError

_BLOCK_BYTES = 1 << 22
AGAIN = "Copy or fetch it again."
"""What to do about a file that the workflow does not make."""


def canonical_json(value: Any) -> str:
    """Return the one JSON text of ``value``: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def sha256_text(text: str) -> str:
    """Return the hexadecimal SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_tree(directory: Path) -> str:
    """Return a hash of the names and contents of all files below a directory."""
    files = sorted(p for p in Path(directory).rglob("*") if p.is_file())
    names = {p.relative_to(directory).as_posix(): sha256_file(p) for p in files}
    return sha256_text(canonical_json(names))


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Turn the system's "no space left", which names no file, into a `DiskFullError` that does."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            "the disk is full",
            where=path,
            got=os.strerror(error.errno),
            remedy="Free some space (`saeflow clean` lists what nothing needs) and run again:"
            " what was committed is kept.",
        ) from error


def fsync_dir(directory: Path) -> None:
    """Make a rename or a new name in ``directory`` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with naming_full_disk(directory):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: bytes, *, flush: bool = True) -> None:
    """Write a file so that readers see the old content or the new one, never a part.

    Its directory is made. Without ``flush`` it need not survive a power cut: for files that are
    made anew when missing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming_full_disk(path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                if flush:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    if flush:
        fsync_dir(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, (text + "\n").encode())


def read_object(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file; {} where there is none that can be read."""
    try:
        content = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_json(path: Path, *, remedy: str | None = None) -> Any:
    """Read a JSON file; one that is missing or torn is a `DamagedError`.

    ``remedy`` says what to do about it where the workflow does not make it.
    """
    path = Path(path)
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DamagedError(
            "the file is missing",
            where=path,
            remedy=remedy or "Run the workflow again to make it.",
        ) from error
    except ValueError as error:
        raise DamagedError(
            "the file is not readable JSON",
            where=path,
            got=str(error),
            remedy=remedy or "Delete it and run the workflow again.",
        ) from error
