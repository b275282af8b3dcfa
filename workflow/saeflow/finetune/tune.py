"""Fine-tune a trained SAE by one method: the `Objective` that the training loop drives.

Where a method leaves the encoder frozen, the codes of a batch are computed once for all methods
of an SAE, and the result is active on the same tokens as its parent. Read `TuneObjective`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from saeflow.config.training import Training
from saeflow.device import pick
from saeflow.files import read_json
from saeflow.finetune.methods import trainable as trainable_by
from saeflow.finetune.own_loss import OwnLoss
from saeflow.finetune.squared_error import SquaredError
from saeflow.sae.model import SAE
from saeflow.sae.saved.fits import load_fitting, require_plain_input
from saeflow.sae.saved.fold import input_bias
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.steps.step import Batch, State, Terms, Weights
from saeflow.sae.training.descent import Objective
from saeflow.sae.training.sweep import activations_header
from saeflow.task import Task


class TuneObjective(Objective):
    """A trained SAE to be fitted again.

    Parameters
    ----------
    task
        Its settings are those of a method (`saeflow.config.training`); inputs ``parent``, the
        record of the SAE, and ``activations``.
    parent
        That SAE, as `load_parent` gives it; the tasks of a pass share one in memory.
    """

    def __init__(self, task: Task, parent: SAE) -> None:
        settings, self.parent = task.settings, parent
        run = {key: value for key, value in settings.items() if key not in ("method", "solver")}
        self.run = Training.read(run, where=f"settings of the method {settings['method']}")
        trainable = trainable_by(settings["method"])
        self._record, self._settings = Path(task.inputs["parent"]), dict(settings)
        self._origin = activations_header(read_json(task.inputs["activations"]))
        self.d_in, self.d_sae = parent.d_in, parent.d_sae
        self.fit = OwnLoss(parent) if trainable is None else self._squared_error(trainable)
        self.unit_rows, self.buffers = self.fit.unit_rows, self.fit.buffers
        self.name = f"{self._record} > {settings['method']}"

    def _squared_error(self, trainable: Sequence[str]) -> SquaredError:
        parent = with_own_input_bias(self.parent) if "b_dec" in trainable else self.parent
        return SquaredError(parent, trainable)

    def initial(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the trainable weights at the start."""
        return self.fit.initial()

    def step(self, weights: Weights, gradients: Weights, batch: Batch, state: State) -> Terms:
        """Write the gradients of the loss and return its terms."""
        return self.fit.step(weights, gradients, batch, state, self.codes(batch))

    def codes(self, batch: Batch) -> Codes | None:
        """Return the parent's codes of a batch, computed once for all methods, or None."""
        if not self.fit.frozen_encoder:
            return None
        if self._record not in batch.memo:
            batch.memo[self._record] = self.parent.encode_sparse(batch.x)
        return batch.memo[self._record]

    def result(self, weights: Weights, training: Mapping[str, Any]) -> SAE:
        """Return the fine-tuned SAE: an SAE of the same architecture."""
        found = self.fit.fold(weights)
        header = tuned_header(
            self.parent, self._record, self._origin, self._settings, training=training
        )
        return SAE(found.architecture, found.settings, found.weights, header)


def load_parent(record: Path, activations: Path) -> SAE:
    """Return an SAE that is to be fine-tuned on some activations.

    Raises
    ------
    ModelError
        If it is of another width or model, or prepares its inputs row by row.
    """
    sae = load_fitting(record, activations).to(pick())
    require_plain_input(sae, where=record)
    return sae


def tuned_header(
    parent: SAE,
    parent_record: Path,
    origin: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what a fine-tuned SAE says of itself.

    ``origin`` is what `activations_header` says of the activations, ``settings`` are the job's,
    ``training`` says how it went.
    """
    own = ("architecture", "architecture_settings", "settings", "training")
    inherited = {name: value for name, value in parent.metadata.items() if name not in own}
    return {
        **inherited,
        **origin,
        "d_in": parent.d_in,
        "d_sae": parent.d_sae,
        "parent": read_json(parent_record)["identity"],
        "method": settings["method"],
        "settings": dict(settings),
        "training": dict(training),
    }


def with_own_input_bias(sae: SAE) -> SAE:
    """Return an SAE that encodes the same but does not subtract b_dec from its input.

    Where the encoder subtracts the decoder's bias, moving that bias would move the codes; here
    it is moved into b_enc first. The codes agree within rounding; they are the same bits where
    nothing is subtracted.
    """
    if not sae.settings.subtract_b_dec:
        return sae
    weights = input_bias(sae.weights, subtracted=True, wanted=False)
    settings = sae.settings.model_copy(update={"subtract_b_dec": False})
    return SAE(sae.architecture, settings, weights, sae.metadata)
