"""Training curves on TensorBoard or Weights & Biases, beside log.csv, for those who ask for it.

The environment variable `VARIABLE` is "tensorboard" or "wandb"; without it nothing is imported.
What is tracked changes no result, and no identity knows of it; a tracker that fails is left alone
and the training goes on. After a resume the rows since the checkpoint are sent again, the same
numbers at the same tokens. Read `tracker`.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saeflow.errors import ConfigError

logger = logging.getLogger(__name__)

VARIABLE = "SAEFLOW_TRACKING"
DIRECTORY = "SAEFLOW_TRACKING_DIR"
"""Where TensorBoard's files go, and W&B's; "tracking" in the working directory by default."""

KINDS = ("tensorboard", "wandb")


class Tracker:
    """What a training tells its rows to; this one does nothing, for those who asked for none."""

    def log(self, row: Mapping[str, Any]) -> None:
        """Take one row of log.csv."""

    def close(self) -> None:
        """End the run."""


class _TensorBoard(Tracker):
    """Scalars by tokens, in a directory per SAE."""

    def __init__(self, name: str, directory: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(directory / name))

    def log(self, row: Mapping[str, Any]) -> None:
        for key, value in row.items():
            if key != "tokens":
                self._writer.add_scalar(key, value, row["tokens"])

    def close(self) -> None:
        self._writer.close()


class _WandB(Tracker):
    """A run per SAE, of the project that WANDB_PROJECT names; "saeflow" by default."""

    def __init__(self, name: str, directory: Path) -> None:
        import wandb

        directory.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "saeflow"),
            name=name,
            id=hashlib.sha256(name.encode()).hexdigest()[:16],  # a resume goes on in its run
            resume="allow",
            dir=str(directory),
            reinit="create_new",
        )
        self._run.define_metric("*", step_metric="tokens")

    def log(self, row: Mapping[str, Any]) -> None:
        self._run.log(dict(row))

    def close(self) -> None:
        self._run.finish()


class _Guarded(Tracker):
    """A tracker whose failures end it and nothing else."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def log(self, row: Mapping[str, Any]) -> None:
        self._call("log", row)

    def close(self) -> None:
        self._call("close")

    def _call(self, method: str, *arguments: Any) -> None:
        try:
            getattr(self._tracker, method)(*arguments)
        except Exception as error:  # of a service that is not ours: any
            logger.warning("tracking ends here, the training goes on: %r", error)
            self._tracker = Tracker()


def tracker(output: Path, identity: str) -> Tracker:
    """Return where the training of a record is tracked.

    The run is named by the record's directory and the job's identity: other settings are another
    run. What is not known or not installed is a `ConfigError`.
    """
    kind = os.environ.get(VARIABLE)
    if not kind:
        return Tracker()
    if kind not in KINDS:
        raise ConfigError("unknown way to track", where=VARIABLE, expected=KINDS, got=kind)
    name = f"{Path(output).parent.as_posix().strip('/')}/{identity[:8]}"
    directory = Path(os.environ.get(DIRECTORY, "tracking"))
    make = {"tensorboard": _TensorBoard, "wandb": _WandB}[kind]
    try:
        return _Guarded(make(name, directory))
    except ImportError as error:
        raise ConfigError(
            f"{kind} is not installed",
            where=VARIABLE,
            got=str(error),
            remedy="pip install saeflow[tracking], or unset the variable.",
        ) from error
    except Exception as error:  # of a service that is not ours: any
        logger.warning("%s cannot be reached, and nothing is tracked: %r", kind, error)
        return Tracker()
