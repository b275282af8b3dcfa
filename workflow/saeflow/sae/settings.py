"""Settings of a training run that every architecture shares, and how settings are read.

An architecture's own settings (`l1`, `k`) are the dataclass ``Settings`` of its module. Read
`split` first: it takes the resolved dictionary of a job apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from saeflow.errors import ConfigError
from saeflow.sae.scale import SCALES
from saeflow.sae.schedule import DECAYS
from saeflow.sae.steps.products import DTYPES

Run = TypeVar("Run")
Settings = TypeVar("Settings")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How weights are fitted to activations: training and fine-tuning alike.

    Attributes
    ----------
    order_seed : int
        Of the order of the activations: runs that agree in it share their batches.
    tokens : int | None
        Activations to train on; None for ``epochs`` times all there are, 0 to leave the first
        weights as they are.
    epochs : int | None
        How often an activation may be used; without it, asking for more activations than exist
        is an error.
    batch_size : int
        Activations per step.
    learning_rate : float
        Of Adam, at its highest.
    warmup_tokens, decay_tokens : int | None
        The learning rate rises linearly over the first and falls linearly to zero over the last
        tokens; None for a twentieth (nothing in training an architecture without ``warm_up``) and
        a fifth of the run.
    decay_shape : str
        How the learning rate falls: "linear" or "cosine".
    adam_beta1, adam_beta2, adam_epsilon : float
        Of Adam.
    clip_norm : float | None
        The gradients of a step are scaled to this norm, taken together, where theirs is larger;
        after the part along unit rows was removed.
    dead_tokens : int
        A latent is dead when it was active on none of the last so many tokens of the run.
    log_tokens : int
        Tokens between two rows of log.csv.
    window_rows : int | None
        Rows that the loader shuffles together; None for its default.
    """

    order_seed: int = 0
    tokens: int | None = None
    epochs: int | None = None
    batch_size: int = 1024
    learning_rate: float = 4e-3
    warmup_tokens: int | None = None
    decay_tokens: int | None = None
    decay_shape: str = "linear"
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    clip_norm: float | None = None
    dead_tokens: int = 200_000
    log_tokens: int = 20_000
    window_rows: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        _each(positive, self, ("epochs", "window_rows", "clip_norm"))
        _each(positive, self, ("batch_size", "learning_rate", "dead_tokens", "log_tokens"))
        _each(not_negative, self, ("tokens", "warmup_tokens", "decay_tokens", "adam_epsilon"))
        one_of("decay_shape", self.decay_shape, DECAYS)
        for name in ("adam_beta1", "adam_beta2"):
            not_negative(name, getattr(self, name))
            if not getattr(self, name) < 1:
                raise ConfigError(f"{name} must be below 1", got=repr(getattr(self, name)))

    def schedule(self, tokens: int) -> tuple[int, int]:
        """Return the tokens of warm-up and of decay in a run of ``tokens``."""
        warmup, decay = self.warmup_tokens, self.decay_tokens
        return (
            tokens // 20 if warmup is None else warmup,
            tokens // 5 if decay is None else decay,
        )


@dataclass(frozen=True, kw_only=True)
class TrainSettings(RunSettings):
    """How one SAE is trained, whatever its architecture.

    Attributes
    ----------
    architecture : str
        Module of `saeflow.sae.architectures`.
    d_sae : int | None
        Number of latents; or give ``expansion``.
    expansion : float | None
        d_sae / d_in.
    seed : int
        Of the initial weights alone: SAEs that differ in it share their batches.
    matmul_dtype : str
        "bfloat16" rounds the factors of a step's dense products (`saeflow.sae.steps.products`).
        Weights, moments, losses, sparse products and everything outside of training stay float32.
    scale_input : str
        What the activations are multiplied by in training: a kind of `saeflow.sae.scale`. The
        result reads activations as they are.
    target : str | None
        Hook whose activations a transcoder predicts; None for an autoencoder.
    resample_tokens : int | None
        Dead latents are resampled after every so many tokens (`saeflow.sae.remedies.resample`).
    resample_until_tokens : int | None
        Not after so many tokens; None for half of the run.
    resample_inputs : int
        Activations of which those with a large error become directions.
    penalties : Mapping[str, float]
        Further terms of the loss: modules of `saeflow.sae.penalties`, with coefficients.
    """

    architecture: str
    d_sae: int | None = None
    expansion: float | None = None
    seed: int = 0
    matmul_dtype: str = "float32"
    scale_input: str = "none"
    target: str | None = None
    resample_tokens: int | None = None
    resample_until_tokens: int | None = None
    resample_inputs: int = 8192
    penalties: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        super().__post_init__()
        if (self.d_sae is None) == (self.expansion is None):
            raise ConfigError(
                "an SAE's width is given once",
                expected="one of d_sae and expansion",
                got=f"d_sae={self.d_sae}, expansion={self.expansion}",
            )
        _each(positive, self, ("d_sae", "expansion", "resample_tokens", "resample_inputs"))
        _each(not_negative, self, ("resample_until_tokens",))
        one_of("matmul_dtype", self.matmul_dtype, DTYPES)
        one_of("scale_input", self.scale_input, SCALES)
        for name, coefficient in self.penalties.items():
            not_negative(f"penalties > {name}", coefficient)

    def width(self, d_in: int) -> int:
        """Return d_sae for activations of width ``d_in``."""
        return self.d_sae if self.d_sae is not None else round(self.expansion * d_in)


def split(
    settings: Mapping[str, Any], run_class: type[Run], own_class: type[Settings], *, where: str
) -> tuple[Run, Settings]:
    """Return the (``run_class``, ``own_class``) that a job's dictionary describes.

    Parameters
    ----------
    settings
        Resolved settings of one job: keys of both classes, no others.
    run_class
        `TrainSettings` or another kind of `RunSettings`.
    own_class
        The ``Settings`` of an architecture or a method.
    where
        Named in errors.
    """
    shared = {f.name for f in dataclasses.fields(run_class)}
    refuse_unknown(settings, shared | {f.name for f in dataclasses.fields(own_class)}, where)
    common = {name: value for name, value in settings.items() if name in shared}
    own = {name: value for name, value in settings.items() if name not in shared}
    return build(run_class, common, where=where), build(own_class, own, where=where)


def build(settings_class: type[Settings], values: Mapping[str, Any], *, where: str) -> Settings:
    """Return ``settings_class(**values)``; unknown and missing keys are `ConfigError`."""
    fields = dataclasses.fields(settings_class)
    refuse_unknown(values, {f.name for f in fields}, where)
    missing = [
        f.name
        for f in fields
        if f.name not in values
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError("a setting is missing", where=where, expected=", ".join(missing))
    return settings_class(**values)


def refuse_unknown(values: Mapping[str, Any], known: set[str], where: str) -> None:
    """Raise a `ConfigError` that names the keys of ``values`` that are not ``known``."""
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(
            "unknown setting",
            where=where,
            expected=" | ".join(sorted(known)),
            got=", ".join(unknown),
        )


def _each(check: Callable[[str, Any], None], settings: Any, names: tuple[str, ...]) -> None:
    """Apply a check to the settings of these names that are not None."""
    for name in names:
        if getattr(settings, name) is not None:
            check(name, getattr(settings, name))


def positive(name: str, value: float) -> None:
    """Raise a `ConfigError` unless ``value`` is a number above zero."""
    if not _number(value) or not value > 0:
        raise ConfigError(f"{name} must be larger than 0", got=repr(value))


def not_negative(name: str, value: float) -> None:
    """Raise a `ConfigError` unless ``value`` is a number of at least zero."""
    if not _number(value) or not value >= 0:
        raise ConfigError(f"{name} must be at least 0", got=repr(value))


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise a `ConfigError` unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ConfigError(f"unknown {name}", expected=" | ".join(allowed), got=repr(value))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
