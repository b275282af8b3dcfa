"""What a killed training needs to go on as if nothing had happened, saved in one atomic file."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from saeflow.files import write_atomic

STATE = "state.pt"


@dataclass
class TrainingState:
    """Where a training stands.

    Attributes
    ----------
    model : nn.Module
    optimizer : Optimizer
    step : int
        The next step; negative during the induction steps. Batches and learning rates are
        functions of it, so it is also the position in the data.
    log : list of (int, float, float)
        Step, mean loss (nats) since the entry before, learning rate.
    pending : list of float
        Losses of the steps since the last entry of the log.
    """

    model: nn.Module
    optimizer: Optimizer
    step: int
    log: list[tuple[int, float, float]] = field(default_factory=list)
    pending: list[float] = field(default_factory=list)

    def save(self, directory: Path) -> None:
        """Write the state to ``directory``, replacing an earlier one."""
        buffer = io.BytesIO()
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "log": self.log,
                "pending": self.pending,
                "rng": torch.get_rng_state(),
            },
            buffer,
        )
        write_atomic(directory / STATE, buffer.getvalue())

    def load(self, directory: Path) -> bool:
        """Read the state from ``directory`` and return whether there was one."""
        path = directory / STATE
        if not path.is_file():
            return False
        saved = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.pending = saved["step"], saved["pending"]
        self.log = [tuple(entry) for entry in saved["log"]]
        torch.set_rng_state(saved["rng"])
        return True

    @staticmethod
    def remove(directory: Path) -> None:
        """Delete the saved state: finished work does not need it."""
        (directory / STATE).unlink(missing_ok=True)
