"""How weights are fitted: the options that training and fine-tuning share, and the methods.

Read `Run`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from saeflow.config.base import Count, LeftOut, NotNegative, Positive, Section, Whole, kind

Momentum = Annotated[float, Field(ge=0, lt=1)]


class Run(Section):
    """How weights are fitted to activations in steps: what is asked of every such run."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.002
    """Adam's step size."""
    batch_size: Count = 1024
    """Rows in a batch."""
    epochs: Count = 1
    """Passes over the training rows."""
    tokens: LeftOut[Count] = None
    """Rows to train on; all of them times the epochs by default."""
    warmup_tokens: LeftOut[Whole] = None
    """Tokens over which the learning rate rises; a twentieth of the run by default."""
    decay_tokens: LeftOut[Whole] = None
    """Tokens at the end over which it falls to zero; a fifth of the run by default."""
    dead_tokens: Count = 200_000
    """A latent is dead when none of so many tokens activated it."""
    log_tokens: Count = 20_000
    """Tokens between two rows of the training log."""
    order_seed: Whole = 0
    """Seed of the rows' order: runs that agree in it share their batches."""

    def schedule(self, tokens: int) -> tuple[int, int]:
        """Return the tokens of warm-up and of decay in a run of ``tokens``."""
        warmup, decay = self.warmup_tokens, self.decay_tokens
        return (
            tokens // 20 if warmup is None else warmup,
            tokens // 5 if decay is None else decay,
        )


class Training(Run):
    """How weights are fitted, the optimizer's part included; fine-tuning takes its defaults."""

    decay_shape: Literal["linear", "cosine"] = "linear"
    """How the learning rate falls."""
    adam_beta1: Momentum = 0.9
    """How much of the running mean of the gradient Adam keeps in a step."""
    adam_beta2: Momentum = 0.999
    """The same of its square."""
    adam_epsilon: NotNegative = 1e-8
    """What Adam adds to the root of the latter."""
    clip_norm: Positive | None = None
    """Longest gradient of all weights together; longer ones are shortened to it."""


Trained = Literal[
    "scale",
    "unrotated_decoder",
    "decoder",
    "encoder",
    "unrotated_encoder",
    "unrotated_all",
    "all",
]


class Steps(Run):
    """Fine-tune a trained SAE by gradient steps, without its sparsity penalty.

    The baseline alone has it.
    """

    solver: Literal["steps"] = "steps"
    """By gradient steps."""
    method: Literal[Trained, "baseline"]
    """What is trained besides a factor per latent. scale: nothing; unrotated_decoder: the
    decoder's bias; decoder: the decoder and its bias; encoder: the encoder and its bias;
    unrotated_encoder: the encoder's bias; unrotated_all: both biases; all: everything.
    baseline: all weights and no factor, with the loss of the training, penalty included."""


class KlMse(Run):
    """Fine-tune a trained SAE with the model in the loop.

    The loss is its error and the divergence of the predictions.
    """

    solver: Literal["kl_mse"]
    """By gradient steps on the error and the divergence of the model's predictions, which count
    alike."""
    method: Trained
    """What is trained besides a factor per latent, as with gradient steps; all stands for all
    weights."""


class Exact(Section):
    """Fine-tune a trained SAE in closed form, from sums over one pass."""

    solver: Literal["exact"]
    """In closed form."""
    method: Literal["scale", "unrotated_decoder", "decoder"]
    """What is fitted; as with gradient steps."""
    tokens: Count | None = None
    """Activations to fit; null for all of the training split."""
    ridge: NotNegative | None = None
    """How many activations the parent's value of a latent is worth; null to choose it on the
    validation split."""


Method = Annotated[
    Annotated[Steps, Tag("steps")]
    | Annotated[KlMse, Tag("kl_mse")]
    | Annotated[Exact, Tag("exact")],
    kind(word="solver", default="steps"),
]
