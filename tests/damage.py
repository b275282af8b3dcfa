"""What happens to files: a bit flips on a disk, an editor changes a character."""

from __future__ import annotations

import os
from pathlib import Path

from saeflow.files import read_json, write_json
from saeflow.inventory import with_checksum


def flip(file: Path, at: int = 20) -> Path:
    """Flip a bit as a failing disk does, which leaves the file's times as they were."""
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return file


def put(file: Path, at: int, content: bytes) -> Path:
    """Put other bytes into a file as if they had always been there."""
    status = file.stat()
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return file


def edit(file: Path, old: str, new: str) -> Path:
    """Replace some characters by as many others, as one who edits the file does."""
    text = file.read_text()
    assert old in text and len(old) == len(new), f"{old!r} in {file}"
    file.write_text(text.replace(old, new, 1))
    return file


def rewrite(record: Path, **facts: object) -> None:
    """Write a record or manifest as one that had always said something else."""
    write_json(record, with_checksum({**read_json(record), **facts}))


def alter(file: Path) -> Path:
    """Change a byte as a program does that writes to a file: its time changes."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    return file
