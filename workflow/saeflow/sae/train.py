"""Train one architecture's SAE: the `Task` that `trainee.py` drives.

Read `SAETask`; `sweep.train_sweep` is what a job calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saeflow import registry
from saeflow.sae.model import ARCHITECTURES, SAE
from saeflow.sae.settings import TrainSettings, split
from saeflow.sae.step import Batch, State, Terms


class SAETask:
    """An SAE to be trained from the beginning.

    Parameters
    ----------
    settings
        Resolved settings of the job: keys of `TrainSettings` and of the architecture's
        ``Settings``.
    d_in
        Width of the activations.
    header
        What the result's metadata says besides: hook, model, activations.

    Attributes
    ----------
    run : TrainSettings
        The settings that all architectures share.
    rule : object
        The architecture's own settings.
    d_sae : int
        Number of latents.
    """

    def __init__(
        self, settings: Mapping[str, Any], *, d_in: int, header: Mapping[str, Any]
    ) -> None:
        name = settings["architecture"]
        self._module = registry.load(ARCHITECTURES, name)
        self.run, self.rule = split(
            settings, TrainSettings, self._module.Settings, where=f"settings of a {name} SAE"
        )
        self.d_in, self.d_sae = d_in, self.run.width(d_in)
        self._settings, self._header = dict(settings), dict(header)
        self.name = f"{header['hook']} > {name} SAE (seed {self.run.seed})"
        self.unit_rows = ("W_dec",) if self._module.UNIT_NORM_DECODER else ()

    def initial(self, x: Tensor) -> dict[str, Tensor]:
        """Return first weights, from a first batch ``x`` (n, d_in) and the seed."""
        generator = torch.Generator().manual_seed(self.run.seed)
        return self._module.initial(self.rule, self.d_sae, x, generator)

    def step(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        batch: Batch,
        state: State,
    ) -> Terms:
        """Write the gradients of the architecture's loss and return its terms."""
        return self._module.step(weights, gradients, self.rule, batch, state)

    def result(self, weights: Mapping[str, Tensor], training: Mapping[str, Any]) -> SAE:
        """Return the trained SAE."""
        header = {
            **self._header,
            "d_in": self.d_in,
            "d_sae": self.d_sae,
            "seed": self.run.seed,
            "settings": self._settings,
            "training": dict(training),
        }
        return SAE(self.run.architecture, self.rule, dict(weights), header)
