"""The training log: one row of log.csv per so many tokens, the same bytes after a resume."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG_NAME = "log.csv"
COLUMNS = (
    "step", "tokens", "loss", "mse", "penalty", "l0", "fvu", "dead", "learning_rate",
)  # fmt: skip
_SUMS = ("n", "steps", "loss", "penalty", "error", "variance", "active")


class TrainLog:
    """Writer of log.csv in a directory: a row after ``every`` tokens.

    A row holds means over the steps since the row before: loss and penalty per step; mse = squared
    error / (tokens * d_in); fvu = squared error / variance about each batch's mean, sums first; l0
    = active latents per token; dead = latents silent for the last ``dead_tokens``.
    """

    def __init__(self, directory: Path, *, every: int, d_in: int) -> None:
        self.path = Path(directory) / LOG_NAME
        self._every, self._d_in = every, d_in
        self._sums = dict.fromkeys(_SUMS, 0.0)
        self._lines: list[str] = []
        self.last: dict[str, float] = {}

    def start(self) -> None:
        """Begin an empty log."""
        self.path.write_text(",".join(COLUMNS) + "\n")

    def add(self, sums: Mapping[str, float], row: Mapping[str, Any], *, last: bool) -> bool:
        """Add one step's sums; end a row where one is due and say whether: it is ``self.last``.

        ``row`` has step, tokens, dead and learning_rate after the step; the training's ``last``
        step always ends a row.
        """
        for name, value in sums.items():
            self._sums[name] += value
        self._sums["steps"] += 1
        tokens = row["tokens"]
        if last or tokens // self._every > (tokens - sums["n"]) // self._every:
            s = self._sums
            self.last = {
                **row,
                "loss": s["loss"] / s["steps"],
                "penalty": s["penalty"] / s["steps"],
                "mse": s["error"] / (s["n"] * self._d_in),
                "fvu": s["error"] / s["variance"] if s["variance"] else 0.0,
                "l0": s["active"] / s["n"],
            }
            self._lines.append(",".join(repr(self.last[name]) for name in COLUMNS) + "\n")
            self._sums = dict.fromkeys(_SUMS, 0.0)
            return True
        return False

    def flush(self) -> None:
        """Append the rows made since the last call."""
        if self._lines:
            with self.path.open("a") as file:
                file.writelines(self._lines)
            self._lines.clear()

    def state(self) -> dict[str, Any]:
        """Write all rows to disk and return what `resume` needs."""
        self.flush()
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
            size = file.seek(0, os.SEEK_END)
        return {"bytes": size, "sums": dict(self._sums), "last": dict(self.last)}

    def resume(self, state: Mapping[str, Any]) -> bool:
        """Cut the log back to ``state``; return False where it is shorter than that."""
        if not self.path.is_file() or self.path.stat().st_size < state["bytes"]:
            return False
        os.truncate(self.path, state["bytes"])
        self._sums, self.last = dict(state["sums"]), dict(state["last"])
        return True
