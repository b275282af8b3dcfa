"""Crosscoders: SAEs of the activations of several hooks side by side, at the same tokens.

Each hook's activations are scaled to one mean size, so that none counts for more than another; in
the result the scales are folded into the weights. Loaded by name, so that it is no code of other
SAEs. Read `CrosscoderObjective`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saeflow.config.base import Section
from saeflow.files import read_json
from saeflow.sae.model import SAE
from saeflow.sae.saved import fold
from saeflow.sae.scale import factor
from saeflow.sae.steps.step import Batch, Weights
from saeflow.sae.training.rows import Moments, Pairs, TrainingRows
from saeflow.sae.training.train import SAEObjective


class Joined(Pairs):
    """Loaders that move together; yields their activations side by side, (n, d)."""

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the batches that were not given yet."""
        for parts in super().__iter__():
            yield torch.cat(parts, 1)


class JoinedRows(TrainingRows):
    """The training split of several hooks, of the ``records`` of each.

    ``part`` is as of `TrainingRows`; ``widths`` are those of the hooks; ``d_in`` and ``d_out``
    their sum.
    """

    def __init__(self, records: Sequence[Path], part: str | None = None) -> None:
        super().__init__(records[0], part=part)
        self._records = tuple(map(Path, records))
        self.widths = [read_json(record)["d_model"] for record in records]
        self.d_in = self.d_out = sum(self.widths)

    @cached_property
    def moments_by_hook(self) -> list[Moments]:
        """Sums over the rows of each hook."""
        return [self._moments(which) for which in range(len(self.widths))]


class CrosscoderObjective(SAEObjective):
    """A crosscoder to be trained from the beginning; parameters as of `SAEObjective`.

    ``d_in`` is the widths of all its hooks together, ``d_sae`` the recipe's ``expansion`` times the
    width of the first. Batches are scaled column by column, and judged so: ``scales`` are 1.
    """

    scales = (1.0, 1.0)

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        rows: JoinedRows,
        header: Mapping[str, Any],
        found: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(settings, rows=rows, header=header, found=found)
        self.d_sae = round(self.run.expansion * rows.widths[0])

    def _rule(self) -> Section:
        return super()._rule().model_copy(update={"widths": self._rows.widths})

    @cached_property
    def column_scales(self) -> list[float]:
        """What the activations of each hook are multiplied by, to one mean size for all."""
        d = self.d_in / len(self._rows.widths)
        return [
            factor(self.run.scale_input, d, mean_norm=m.norm / m.n, mean_square=m.square / m.n)
            for m in self._rows.moments_by_hook
        ]

    def judged(self, batch: Batch) -> Batch:
        """Return the batch of scaled activations, in whose units errors are."""
        key = ("joined", *self.column_scales)
        if key not in batch.memo:
            batch.memo[key] = Batch(batch.x * self._columns(batch.x))
        return batch.memo[key]

    def result(self, weights: Weights, training: Mapping[str, Any]) -> SAE:
        """Return the crosscoder of unscaled activations that the weights make."""
        sae = super().result(weights, training)
        folded = fold.scale(sae.weights, self._columns(sae.W_dec))
        borders = [0, *accumulate(self._rows.widths)]
        joined = [
            {**hook, "columns": list(columns), "scale": scale}
            for hook, columns, scale in zip(
                sae.metadata["joined"],
                zip(borders, borders[1:], strict=False),
                self.column_scales,
                strict=True,
            )
        ]
        return SAE(sae.architecture, sae.settings, folded, {**sae.metadata, "joined": joined})

    def _columns(self, like: Tensor) -> Tensor:
        """Return the factor of each column, (d_in,)."""
        widths = self._rows.widths
        return torch.cat(
            [like.new_full((d,), s) for d, s in zip(widths, self.column_scales, strict=True)]
        )
