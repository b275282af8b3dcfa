"""Lines that stay, and on a terminal lines below them that change in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

_UP_AND_CLEAR = "\r\x1b[{}A\x1b[J"


class Screen:
    """A terminal, or a file that a person reads later.

    Attributes
    ----------
    live : bool
        Whether lines can change in place.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._shown = stream, 0
        self.live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def write(self, *lines: str) -> None:
        """Write lines that stay."""
        self._put(self._cleared() + "".join(f"{line.rstrip()}\n" for line in lines))

    def show(self, lines: Sequence[str]) -> None:
        """Replace the lines that change, on a terminal; elsewhere do nothing."""
        if self.live:
            width = shutil.get_terminal_size().columns
            text = self._cleared() + "".join(f"{line[: width - 1]}\n" for line in lines)
            self._shown = len(lines)
            self._put(text)

    def _cleared(self) -> str:
        shown, self._shown = self._shown, 0
        return _UP_AND_CLEAR.format(shown) if shown else ""

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads any more; the run goes on
            self._stream.write(text)
            self._stream.flush()
