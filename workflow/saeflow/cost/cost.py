"""The cost of one job or pass, and what is known of its inputs. Read `Cost`."""

from __future__ import annotations

from dataclasses import dataclass

from saeflow.cost import memory
from saeflow.cost.guess import ZERO, Guess
from saeflow.cost.shapes import Shape, shape_of
from saeflow.cost.speeds import Speeds
from saeflow.cost.tokens import Tokens, manifest_of, tokens_of
from saeflow.plan.job import Job


@dataclass(frozen=True)
class Cost:
    """The cost of one job, or of one pass that several share.

    Attributes
    ----------
    rows, n_bytes, files, seconds : Guess
        Rows or tokens that are processed, bytes and files that are written, time.
    memory : float
        Bytes at the peak, without the files that the system keeps in memory.
    unknown : str
        Why there are no figures, where there are none.
    """

    rows: Guess = ZERO
    n_bytes: Guess = ZERO
    files: Guess = ZERO
    seconds: Guess = ZERO
    memory: float = memory.PLAIN_BYTES
    unknown: str = ""


class Known:
    """What is known of the inputs of a plan's jobs.

    Parameters
    ----------
    speeds
        Of this machine.

    Attributes
    ----------
    notes : dict
        What had to be assumed, each once, in order.
    """

    def __init__(self, speeds: Speeds) -> None:
        self.speeds = speeds
        self.notes: dict[str, None] = dict.fromkeys(speeds.notes)

    def tokens(self, job: Job) -> Tokens:
        """Return the tokens of a token store, noting what was assumed."""
        tokens = tokens_of(job)
        if tokens.note:
            self._note(f"{job.output.parent}: {tokens.note}")
        return tokens

    def shape(self, job: Job) -> Shape | None:
        """Return the shape of a model, noting what was assumed."""
        shape = shape_of(job, self._vocabulary(job))
        if shape is None:
            hub = job.settings.get("hub", job.output)
            self._note(f"{job.output.parent}: the shape of {hub} is not known before it is fetched")
        elif shape.note:
            self._note(f"{job.output.parent}: {shape.note}")
        return shape

    def _vocabulary(self, job: Job) -> int | None:
        tokenizer = job.inputs.get("tokenizer")
        manifest = manifest_of(tokenizer) if tokenizer else None
        return manifest.get("vocab_size") if manifest else None

    def _note(self, text: str) -> None:
        self.notes.setdefault(text)
