"""What the recipes of all architectures share: the options of every training of an SAE.

The architectures' own are in `saeflow.config.architectures`. Read `Recipe`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from saeflow.config.base import (
    Count,
    LeftOut,
    ModelHook,
    NotNegative,
    Part,
    Positive,
    Section,
    Target,
    Whole,
)
from saeflow.config.training import Training
from saeflow.errors import ConfigError

Expansion = Annotated[float, Field(gt=0, le=1024)]


class Rule(Section):
    """What every architecture has."""

    LATENT_IS_PRE_ACTIVATION: ClassVar[bool] = True
    """Whether an active latent is its pre-activation, so that fine-tuning can move the encoder
    while thresholds are held."""
    HAS_ONE_BIAS: ClassVar[bool] = True
    """Whether the encoder has one bias per latent, b_enc."""

    subtract_b_dec: bool = True
    """Encode x - b_dec instead of x."""
    center: Literal["zero", "mean", "median"] = "mean"
    """Where b_dec starts."""

    @property
    def unit_norm_decoder(self) -> bool:
        """Whether decoder rows keep norm 1."""
        return True

    @property
    def joins(self) -> bool:
        """Whether a latent of a crosscoder costs by its decoder's norm at each of its hooks."""
        return False


class Columns(Section):
    """What a rule knows of the columns of activations."""

    widths: LeftOut[list[Count]] = None
    """Of a crosscoder, the widths of its hooks, whose activations lie side by side."""


class Penalties(Section):
    """Further terms of the loss: modules of `saeflow.sae.penalties`."""

    decoder_cosine: LeftOut[NotNegative] = None
    """The mean squared cosine between decoder rows."""
    ghost_gradients: LeftOut[NotNegative] = None
    """Dead latents reconstruct what the others leave (Anthropic, January 2024); as published with
    weight 1."""


class Recipe(Training):
    """How one SAE is trained, whatever its architecture."""

    expansion: Expansion = 4.0
    """d_sae / d_in."""
    tokens: LeftOut[Whole] = None
    """Rows to train on; all of them times the epochs by default. 0 leaves the random first weights:
    a baseline."""
    part: LeftOut[Part] = None
    """Train on one of equal parts of the training documents, "1/2" or "2/2" (`/` becomes `of` in
    the names of a sweep): as many tokens, give or take a document, no document in two of them.
    Fine-tuning reads all documents."""
    matmul_dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the factors of a training step's dense products. bfloat16 is for GPUs: a CPU
    gives the same and gains nothing. All else stays float32: results, weights, Adam's means,
    losses, sparse products, measures."""
    scale_input: Literal["none", "mean_norm", "mean_square", "unit"] = "none"
    """Train on activations times one number, which is folded into the result: it reads activations
    as they are. mean_norm: their mean norm becomes sqrt(d_in); mean_square: their mean squared
    norm becomes d_in; unit: it becomes 1."""
    normalize_input: LeftOut[Literal["constant_norm", "layer_norm"]] = None
    """Train on rows that are normalised one by one; the SAE does it with whatever it reads, and
    undoes it after decoding. constant_norm: x sqrt(d_in) / |x| (SAELens' constant_norm_rescale);
    layer_norm: the row's mean and standard deviation taken off. Only the row itself is needed, so
    it can be applied at positions of a context that training never saw. Loss, mse and fvu of the
    log are those of normalised rows, and so are the units of `l1`."""
    resample_tokens: Count | None = None
    """Give dead latents new weights after every so many tokens, as in Towards Monosemanticity."""
    resample_until_tokens: Whole | None = None
    """Not after so many tokens; null for half of the run."""
    resample_inputs: Count = 8192
    """Random rows of which those with a large error become directions of dead latents."""
    penalties: Penalties = Penalties()
    """Further terms of the loss with their weights."""
    target: Target | None = None
    """A transcoder: reconstruct the activations of this site of the same block, or of this hook,
    instead of its own."""
    joined: LeftOut[Annotated[list[ModelHook], Field(min_length=1)]] = None
    """A crosscoder: one dictionary of the hook's activations and of those of these other hooks at
    the same tokens. A hook of the same model (mlp_out.3), or of another one that reads the same
    tokens (small/mlp_out.1). `expansion` is d_sae by the width of the first hook."""

    @property
    def wished_l0(self) -> float | None:
        """Wished active latents for which a penalty's weight is to be found, if any."""
        return None

    @model_validator(mode="after")
    def _has_one_preparation(self) -> Self:
        if self.normalize_input is not None and self.scale_input != "none":
            raise ConfigError(
                "rows that are normalised one by one have a scale already",
                where="scale_input",
                expected="none, with a normalize_input",
                got=self.scale_input,
            )
        if self.normalize_input is not None and self.target is not None:
            raise ConfigError(
                "a transcoder has no row to put back what was taken off another one",
                where="normalize_input",
                expected="null, with a target",
                got=self.normalize_input,
            )
        return self

    @model_validator(mode="after")
    def _can_be_joined(self) -> Self:
        if self.joined is None:
            return self
        for key in ("target", "normalize_input", "resample_tokens"):
            if getattr(self, key) is not None:
                raise ConfigError(
                    "a crosscoder does not have this option",
                    where=key,
                    expected="null, with joined",
                    got=getattr(self, key),
                )
        if self.scale_input == "none":
            raise ConfigError(
                "the hooks of a crosscoder have to be of one scale to be compared",
                where="scale_input",
                expected="mean_norm, mean_square or unit, with joined",
                got=self.scale_input,
            )
        if not self.joins:
            raise ConfigError(
                "no crosscoders of this form are known: their latents have to cost by the norms of"
                " their decoder at each hook",
                where="joined",
                expected="architecture relu with error: sum and norm_weighted: true (the preset"
                " crosscoder), or batchtopk (the preset crosscoder-batchtopk)",
                got=self.architecture,
            )
        return self

    @model_validator(mode="after")
    def _has_what_penalties_need(self) -> Self:
        if self.penalties.ghost_gradients is not None and not getattr(self, "HAS_ONE_BIAS", True):
            raise ConfigError(
                "ghost gradients need an encoder with one bias per latent",
                where="penalties > ghost_gradients",
                got=self.penalties.ghost_gradients,
                remedy="Remove the penalty from this recipe.",
            )
        return self


class SteadyRecipe(Recipe):
    """One whose learning rate is the highest from the first step.

    Gao et al. and Bussmann et al. train the top-k family so (their code).
    """

    warmup_tokens: Whole | None = 0
    """Tokens over which the learning rate rises; null for a twentieth of the run."""

    @model_validator(mode="before")
    @classmethod
    def _says_k(cls, values: Any) -> Any:
        if isinstance(values, dict) and "target_l0" in values:
            raise ConfigError(
                "the number of active latents of this architecture is its k",
                where="target_l0",
                remedy="Set k in its place.",
            )
        return values


class PenalisedRecipe(Recipe):
    """One with a penalty, whose weight is given or follows from the wished number of latents."""

    COEFFICIENT: ClassVar[str] = "l1"

    target_l0: LeftOut[Positive] = None
    """How many latents shall be active for a token, in place of the penalty's weight: that is found
    by short trainings before."""

    @property
    def wished_l0(self) -> float | None:
        """The ``target_l0`` whose coefficient is to be found."""
        return self.target_l0 if getattr(self, self.COEFFICIENT) is None else None

    def with_coefficient(self, value: float) -> Self:
        """Return the recipe with the penalty's weight in the place of the wish."""
        return self.model_copy(update={self.COEFFICIENT: value, "target_l0": None})

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        if self.wished_l0 is not None and self.tokens == 0:
            raise ConfigError(
                "an SAE that is not trained has the number of active latents of its first weights",
                where="target_l0",
                expected="tokens above 0",
                got="tokens: 0",
                remedy=f"Set {self.COEFFICIENT}: 0 in its place.",
            )
        return self

    @model_validator(mode="after")
    def _has_one_penalty(self) -> Self:
        name, given = self.COEFFICIENT, getattr(self, self.COEFFICIENT) is not None
        if given == (self.target_l0 is not None) and not (given and self._TARGET_IN_LOSS):
            raise ConfigError(
                f"the penalty is given by {name} or by target_l0"
                + (", and here by both" if given else ", and here by neither"),
                expected=f"one of {name}, target_l0",
                remedy=f"Set {name}, the penalty's weight, or target_l0, the wished number of"
                " active latents.",
            )
        return self

    _TARGET_IN_LOSS: ClassVar[bool] = False
