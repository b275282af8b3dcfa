"""Train one architecture's SAE: the `Objective` that `trainee.py` drives.

Read `SAEObjective`; `sweep.train_sweep` is what a pass calls.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from saeflow import registry
from saeflow.config.base import Section
from saeflow.config.shared_recipe import Recipe
from saeflow.errors import ConfigError
from saeflow.sae import input_norm, penalties
from saeflow.sae.model import ARCHITECTURES, SAE
from saeflow.sae.scale import factor, fold
from saeflow.sae.steps.initial import center, directions, generator_of
from saeflow.sae.steps.step import Batch, State, Terms, Weights
from saeflow.sae.training.descent import Revived
from saeflow.sae.training.rows import TrainingRows

SEARCH = "target_l0.json"
"""What was tried in the search for a coefficient, beside a training's checkpoint."""


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe in the settings of a result; they have the ``seed`` besides."""
    name = settings["architecture"]
    recipe = {key: value for key, value in settings.items() if key != "seed"}
    module = registry.load(ARCHITECTURES, name)
    return module.Recipe.read(recipe, where=f"settings of a {name} SAE")


class SAEObjective:
    """An SAE, or a transcoder, to be trained from the beginning.

    Parameters
    ----------
    settings
        Of the result: those of the architecture's ``Recipe``, and ``seed``, of the initial weights
        alone: SAEs that differ in it share their batches. They also depend on hook, architecture
        and width. ``run`` is the recipe, ``rule`` what of it is the architecture's own.
    rows
        The rows that it is trained on.
    header
        What the result's metadata says besides: hook, model, activations.
    found
        What a search for its coefficient came to, as plain values for the header, if there was one.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        rows: TrainingRows,
        header: Mapping[str, Any],
        found: Mapping[str, Any] | None = None,
    ) -> None:
        name = settings["architecture"]
        self._module, self.run = registry.load(ARCHITECTURES, name), recipe_of(settings)
        if found is not None:
            self.run = self.run.with_coefficient(found[self.run.COEFFICIENT])
        self._rows, self._settings, self._header = rows, dict(settings), dict(header)
        self.rule, self.seed = self._rule(), settings["seed"]
        self.d_in, self.d_sae = rows.d_in, round(self.run.expansion * rows.d_in)
        self._found = {} if found is None else {"target_l0": dict(found)}
        self.kept = () if found is None else (SEARCH,)
        self.name = f"{header['hook']} > {name} SAE (seed {self.seed})"
        self.unit_rows = ("W_dec",) if self.rule.unit_norm_decoder else ()
        self.buffers = self._module.BUFFERS
        self._penalties = self.run.penalties.plain()
        if self.run.target is not None and self.rule.subtract_b_dec:
            raise ConfigError(
                "a transcoder's decoder bias is in the space of its target",
                where=self.name,
                expected="subtract_b_dec: false",
                got="true",
            )

    def _rule(self) -> Section:
        return self.run.as_base(self._module.Settings)

    @property
    def scales(self) -> tuple[float, float]:
        """What activations and targets are multiplied by in training."""
        kind = self.run.scale_input
        if kind == "none":
            return 1.0, 1.0
        x, target = self._rows.moments, self._rows.target_moments
        widths = self._rows.d_in, self._rows.d_out
        found = [
            factor(kind, d, mean_norm=m.norm / m.n, mean_square=m.square / m.n)
            for d, m in zip(widths, (x, target), strict=True)
        ]
        return found[0], found[1]

    def initial(self, batch: Batch) -> dict[str, Tensor]:
        """Return first weights, from a first batch and the seed."""
        batch = self.prepared(batch)
        hook, architecture = self._header["hook"], self.run.architecture
        generator = generator_of(self.seed, hook, architecture, self.d_sae)
        weights = self._module.initial(self.rule, self.d_sae, batch.x, generator)
        if self.run.target is not None:
            # the encoder keeps what follows from its input; the decoder lives with the target
            size = weights["W_dec"].norm(dim=1, keepdim=True)
            d_out, like = batch.target.shape[1], batch.target
            rows = directions(self.d_sae, d_out, generator=generator, like=like)
            weights |= {"W_dec": rows * size, "b_dec": center(self.rule.center, batch.target)}
        return weights

    def step(self, weights: Weights, gradients: Weights, batch: Batch, state: State) -> Terms:
        """Write the gradients of the loss and return its terms, the error of unscaled targets."""
        batch = self.prepared(batch)
        workspace = state.workspace.multiplying_in(self.run.matmul_dtype)
        state = dataclasses.replace(state, workspace=workspace)
        terms = self._module.step(weights, gradients, self.rule, batch, state)
        terms = penalties.add(self._penalties, self._sae(weights), gradients, batch, state, terms)
        return dataclasses.replace(terms, error=terms.error / self.scales[1] ** 2)

    def revive(
        self, weights: Weights, dead: Tensor, *, tokens: int, batch: int, total: int
    ) -> Revived | None:
        """Resample dead latents where that is due after ``tokens`` tokens, ``batch`` in the last.

        See `saeflow.sae.training.resample`.
        """
        run, every = self.run, self.run.resample_tokens
        until = total // 2 if run.resample_until_tokens is None else run.resample_until_tokens
        if every is None or tokens > until or tokens // every == (tokens - batch) // every:
            return None
        if not bool(dead.any()):
            return None
        remedy = registry.load("sae.training", "resample")
        inputs = self._rows.draw(run.resample_inputs, self.seed, tokens).to(dead.device)
        sae = self._sae(weights)
        latents = remedy.resample(sae, dead, self.prepared(inputs), (self.seed, tokens, 1))
        names = (*remedy.CHANGED, "threshold")
        return Revived(latents, tuple(n for n in names if n in weights and n not in self.buffers))

    def result(self, weights: Weights, training: Mapping[str, Any]) -> SAE:
        """Return the SAE of unscaled activations that the weights make."""
        facts = {**training, "scale": list(self.scales), **self._found}
        # what a step remembers for training alone is marked by its name (see `steps/step.py`)
        kept = {name: w for name, w in weights.items() if not name.startswith("_")}
        norm = self.run.normalize_input
        if len(kept) < len(weights):
            facts["loss"] = self._module.last_loss(self.rule, weights)
        header = {
            **self._header,
            **({} if norm is None else {"input_norm": norm}),
            "d_in": self.d_in,
            "d_sae": self.d_sae,
            "seed": self.seed,
            "settings": self._settings,
            "training": facts,
        }
        return SAE(self.run.architecture, self.rule, fold(kept, *self.scales), header)

    def _sae(self, weights: Weights) -> SAE:
        """Return the SAE in training: of prepared activations, with the weights themselves."""
        return SAE(self.run.architecture, self.rule, weights)

    def judged(self, batch: Batch) -> Batch:
        """Return the batch, its rows normalised where the recipe says so, in units of errors."""
        norm = self.run.normalize_input
        if norm is None:
            return batch
        if norm not in batch.memo:
            batch.memo[norm] = Batch(input_norm.apply(norm, batch.x)[0])
        return batch.memo[norm]

    def prepared(self, batch: Batch) -> Batch:
        """Return the batch as this SAE reads it in training, shared by all that read it so."""
        batch, scales = self.judged(batch), self.scales
        if scales == (1.0, 1.0):
            return batch
        if scales not in batch.memo:
            x = batch.x * scales[0]
            same = batch.target is batch.x and scales[0] == scales[1]
            batch.memo[scales] = Batch(x, None if same else batch.target * scales[1])
        return batch.memo[scales]
