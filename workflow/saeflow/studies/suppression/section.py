"""What the suppression study asks of a configuration: fine-tuning methods, and the toys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from saeflow.config import base
from saeflow.config.checks import refer
from saeflow.config.saes import Sae
from saeflow.config.schema import kinds_of
from saeflow.config.sections import StudySection
from saeflow.errors import ConfigError
from saeflow.finetune.methods import moves_encoder, refused


class Theory(base.Section):
    """The toys on which the theory of suppression is tried."""

    d: Annotated[int, Field(ge=2, le=1024)] = 32
    """Width of the toys' activations."""
    c: base.Items[base.Positive] = [0.01, 0.02, 0.05, 0.1]
    """Coefficients of the penalty; what does not vary over them has the largest."""
    g: base.Items[base.Positive] = [0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0]
    """Strengths of the features."""
    p: base.Items[Annotated[float, Field(ge=0.01, le=0.49)]] = [0.1, 0.3]
    """Shares of the tokens that have a feature; every strength comes at every share."""
    overlap: base.Items[Annotated[float, Field(ge=0, le=0.9)]] = [0.0, 0.2, 0.4]
    """Cosines between any two features, one toy each."""
    noise: base.Items[Annotated[float, Field(ge=0, le=0.5)]] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    """Standard deviations of the noise put on latents, in units of their size."""
    seed: base.Whole = 0
    """Seed of which tokens have which features."""

    @model_validator(mode="after")
    def _can_be_alive(self) -> Self:
        """Check that the toys' features can all be at right angles, and some of them alive."""
        n_features = max(len(self.g) * len(self.p), len(self.g) + 1)
        if n_features > self.d:
            raise ConfigError(
                "the toys' features do not fit at right angles",
                where="d",
                expected=f"at least {n_features}: strengths times frequencies",
                got=self.d,
            )
        border = max(self.c) * self.d / 2
        if max(self.g) <= border:
            raise ConfigError(
                "the largest penalty would leave none of the toys' features alive",
                where="g",
                expected=f"one above c d / 2 = {border:g}",
                got=max(self.g),
            )
        return self


class Section(StudySection):
    """Feature suppression and its cure by fine-tuning."""

    SAE_KEYS: ClassVar[tuple[str, ...]] = ("saes", "tune")

    methods: base.MaybeItems[str] = []
    """Names under `methods`, applied to every recipe of `tune`."""
    tune: base.MaybeItems[str] | None = None
    """The names among `saes` that are fine-tuned; null for those of the ReLU architecture."""
    theory: Theory = Theory()
    """The toys on which the theory of suppression is tried."""

    @classmethod
    def check(cls, config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
        """Check that methods and SAEs are there, and that what is fine-tuned can be."""
        for name in section["methods"]:
            refer(config, "methods", name, f"{where} > methods")
        for name in section["tune"] or ():
            if name not in section["saes"]:
                raise ConfigError(
                    "an SAE is to be fine-tuned that the study does not have",
                    where=f"{where} > tune",
                    expected="one of " + ", ".join(section["saes"]),
                    got=name,
                )
        for name in section["saes"]:
            entry = config["saes"][name]
            default = section["tune"] is None and entry["architecture"] == "relu"
            is_tuned = default or name in (section["tune"] or ())
            if not (section["methods"] and is_tuned):
                continue
            if entry.get("target") is not None:
                raise ConfigError(
                    f"'{name}' is a transcoder, and only autoencoders are fine-tuned",
                    where=f"{where} > tune",
                    remedy="List under `tune` the SAEs that are to be fine-tuned.",
                )
            if (norm := entry.get("normalize_input")) is not None:
                raise ConfigError(
                    f"'{name}' normalises its inputs row by row, and is not fine-tuned here",
                    where=f"{where} > tune",
                    expected="SAEs without normalize_input",
                    got=norm,
                    remedy="List under `tune` the SAEs that are to be fine-tuned.",
                )
            recipe = kinds_of(Sae).get(str(entry["architecture"]))
            if not getattr(recipe, "LATENT_IS_PRE_ACTIVATION", True):
                for method in section["methods"]:
                    if moves_encoder(config["methods"][method]["method"]):
                        raise refused(
                            entry["architecture"], f"{where} > methods > {method} on {name}"
                        )
