"""What each architecture can be told, and the recipe of an SAE of it.

The first class of an architecture is the ``Settings`` of its module in `saeflow.sae.architectures`:
what its rule and its loss need. An SAE carries them in its header. The ``Recipe`` has those with
the options of every training, which `saeflow.config.shared_recipe` has. Read `ReLU`, `ReLURecipe`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, Tag, model_validator

from saeflow.config.base import Count, LeftOut, NotNegative, Positive, Whole
from saeflow.config.shared_recipe import (
    Columns,
    PenalisedRecipe,
    Rule,
    SteadyRecipe,
)
from saeflow.errors import ConfigError


class ReLU(Rule):
    """Of ReLU codes with an L1 penalty."""

    l1: NotNegative
    """Weight of the L1 penalty beside the error."""
    error: Literal["mean", "sum"] = "mean"
    """The error's mean over dimensions, as in the feature-suppression post, or its sum, as in most
    papers."""
    norm_weighted: bool = False
    """Weigh each latent in the penalty by the norm of its decoder row, and leave that norm free
    (Anthropic, April 2024)."""
    l1_warmup_tokens: Whole | None = 0
    """Tokens over which the penalty's weight rises from zero; null for a twentieth of the run."""
    subtract_b_dec: bool = False

    @property
    def unit_norm_decoder(self) -> bool:
        """Whether decoder rows keep norm 1."""
        return not self.norm_weighted

    @property
    def joins(self) -> bool:
        """Whether it can be a crosscoder's, Lindsey et al.'s."""
        return self.norm_weighted and self.error == "sum"


class ReLUSettings(ReLU, Columns):
    """The same with what training adds."""


class ReLURecipe(PenalisedRecipe, ReLU):
    """A ReLU autoencoder with an L1 penalty.

    By default it has the form of the feature-suppression post.
    """

    architecture: Literal["relu"]
    """The kind of SAE."""
    l1: LeftOut[NotNegative] = None
    """Weight of the L1 penalty beside the error; this or target_l0."""


class Aux(Rule):
    """Of what revives dead latents by AuxK, see `saeflow.sae.steps.auxk`."""

    aux_coef: NotNegative = 1 / 32
    """Weight of the AuxK loss of dead latents; 0 leaves it out."""
    aux_k: LeftOut[Count] = None
    """Dead latents that reconstruct the error; half of d_in by default."""
    center: Literal["zero", "mean", "median"] = "median"


class TopK(Aux):
    """Of TopK codes."""

    k: Count
    """Latents that may be active for a token."""


class TopKRecipe(SteadyRecipe, TopK):
    """A TopK autoencoder."""

    architecture: Literal["topk"]
    """The kind of SAE."""


class BatchTopK(Aux):
    """Of BatchTopK codes."""

    k: Positive
    """Mean number of latents that may be active for a token of a batch."""
    threshold_tokens: Count = 100_000
    """Tokens over which the threshold of inference is averaged."""

    @property
    def joins(self) -> bool:
        """Whether it can be a crosscoder's, Minder et al.'s."""
        return True


class BatchTopKSettings(BatchTopK, Columns):
    """The same with what training adds."""


class BatchTopKRecipe(SteadyRecipe, BatchTopK):
    """A BatchTopK autoencoder.

    A threshold that training leaves takes the place of the batch afterwards.
    """

    architecture: Literal["batchtopk"]
    """The kind of SAE."""


class Matryoshka(BatchTopK):
    """Of BatchTopK codes whose first latents reconstruct by themselves."""

    group_fractions: Annotated[
        list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)
    ] = [1 / 16, 1 / 8, 1 / 4, 9 / 16]  # fmt: skip
    """Share of the latents in each group."""
    group_weights: list[NotNegative] | None = None
    """Weight of the error after each group; null for equal ones."""

    @property
    def joins(self) -> bool:
        """Whether it can be a crosscoder's: nobody has defined one."""
        return False

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if abs(sum(self.group_fractions) - 1) > 1e-6:
            raise ConfigError(
                "the groups do not make up the SAE",
                where="group_fractions",
                expected="shares that add up to 1",
                got=sum(self.group_fractions),
            )
        weights, n = self.group_weights, len(self.group_fractions)
        if weights is not None and (len(weights) != n or not weights[-1] > 0):
            raise ConfigError(
                "the weights do not fit group_fractions",
                where="group_weights",
                expected=f"{n} weights, the last above 0",
                got=weights,
            )
        return self


class MatryoshkaRecipe(SteadyRecipe, Matryoshka):
    """A Matryoshka autoencoder, BatchTopK codes whose first latents reconstruct by themselves."""

    architecture: Literal["matryoshka"]
    """The kind of SAE."""


class JumpReLU(Aux):
    """Of JumpReLU codes with a penalty on their number."""

    l0_coef: NotNegative
    """Weight of the penalty beside the error, summed over dimensions."""
    target_l0: Positive | None = None
    """Penalise the distance from this many active latents instead of their number."""
    l0_warmup_tokens: Whole | None = 0
    """Tokens over which the penalty's weight rises from zero; null for a twentieth of the run."""
    bandwidth: Positive = 0.001
    """Width of the kernel that estimates the gradient of the thresholds."""
    init_threshold: NotNegative = 0.001
    """Where the thresholds start."""
    aux_coef: NotNegative = 0.0
    subtract_b_dec: bool = False
    center: Literal["zero", "mean", "median"] = "mean"


class JumpReLURecipe(PenalisedRecipe, JumpReLU):
    """A JumpReLU autoencoder with a penalty on the number of active latents."""

    COEFFICIENT: ClassVar[str] = "l0_coef"
    _TARGET_IN_LOSS: ClassVar[bool] = True

    architecture: Literal["jumprelu"]
    """The kind of SAE."""
    l0_coef: LeftOut[NotNegative] = None
    """Weight of the penalty beside the error, summed over dimensions; this or target_l0."""
    target_l0: Positive | None = None
    """How many latents shall be active for a token. With l0_coef the loss penalises the distance
    from it; without, the l0_coef that comes to it is found by short trainings before."""


class Gated(Rule):
    """Of gated codes."""

    LATENT_IS_PRE_ACTIVATION: ClassVar[bool] = False
    HAS_ONE_BIAS: ClassVar[bool] = False

    l1: NotNegative
    """Weight of the penalty on the gates beside the error, summed over dimensions."""
    l1_warmup_tokens: Whole | None = 0
    """Tokens over which the penalty's weight rises from zero; null for a twentieth of the run."""


class GatedRecipe(PenalisedRecipe, Gated):
    """A gated autoencoder."""

    architecture: Literal["gated"]
    """The kind of SAE."""
    l1: LeftOut[NotNegative] = None
    """Weight of the penalty on the gates beside the error, summed over dimensions; this or
    target_l0."""


class PAnneal(Rule):
    """Of ReLU codes whose penalty goes from L1 towards L0."""

    l1: NotNegative
    """Weight of the penalty while it is L1, beside the error summed over dimensions."""
    p_end: Annotated[float, Field(gt=0, le=1)] = 0.2
    """The last exponent."""
    n_updates: Count = 10
    """Steps from 1 to it."""
    anneal_start_tokens: Whole | None = None
    """When the exponent leaves 1; null for a twentieth of the run."""
    anneal_end_tokens: Whole | None = None
    """The end of the last step's time; null for that of the run."""
    l1_warmup_tokens: Whole | None = 0
    """Tokens over which the penalty's weight rises from zero; null for a twentieth of the run."""


class PAnnealRecipe(PenalisedRecipe, PAnneal):
    """A ReLU autoencoder whose penalty goes from L1 towards L0."""

    architecture: Literal["p_anneal"]
    """The kind of SAE."""
    l1: LeftOut[NotNegative] = None
    """Weight of the penalty while it is L1, beside the error summed over dimensions; this or
    target_l0."""


AnyRecipe = (
    Annotated[ReLURecipe, Tag("relu")]
    | Annotated[TopKRecipe, Tag("topk")]
    | Annotated[BatchTopKRecipe, Tag("batchtopk")]
    | Annotated[MatryoshkaRecipe, Tag("matryoshka")]
    | Annotated[JumpReLURecipe, Tag("jumprelu")]
    | Annotated[GatedRecipe, Tag("gated")]
    | Annotated[PAnnealRecipe, Tag("p_anneal")]
)
