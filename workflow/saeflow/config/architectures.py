"""What each architecture can be told, and the recipe of an SAE of it.

The first class of an architecture is the ``Settings`` of its module in `saeflow.sae.architectures`:
what its rule and its loss need. An SAE carries them in its header. The second is the ``Recipe``:
those with the options of every training. Read `Recipe`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, Tag, model_validator

from saeflow.config.base import (
    Count,
    Items,
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
    joined: LeftOut[Items[ModelHook]] = None
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
        for key, allowed in (
            ("target", None), ("normalize_input", None), ("resample_tokens", None),
        ):  # fmt: skip
            if getattr(self, key) is not allowed:
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
