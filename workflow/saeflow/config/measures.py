"""What each measure can be told, and the section of all of them. Read `Measures`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from saeflow.config.base import Count, Items, Section, Whole
from saeflow.config.probing import Probing
from saeflow.config.sources import Bos


class Probes(Section):
    """What linear probes are asked of activations and reconstructions."""

    classes: Annotated[int, Field(ge=2, le=1000)] = 16
    """Tokens to tell apart: the most frequent next ones."""
    rows: Annotated[int, Field(ge=100)] = 10_000
    """Rows of the training split to fit a probe to; of the place where SAEs are trained, if that
    where they are measured has no training split."""


class Clean(Section):
    """What the model's losses with its own activations, and with ablations, are taken on."""

    tokens: Count | None = None
    """Tokens of the test split that are enough: its first sequences, until they have so many; null
    for all. All that puts something else in the place of activations on these texts (language,
    positions, controls) is measured on these tokens, or fewer."""


class Controls(Section):
    """What SAEs are held against in the model: random errors, and ablations."""

    tokens: Count = 20_000
    """Tokens of the test split that are enough: its first sequences, until they have so many."""
    seed: Whole = 0
    """Seed of the random errors."""


class Positions(Section):
    """How SAEs are measured at each position of the context."""

    tokens: Count | None = None
    """Tokens of the test split that are enough: its first sequences, until they have so many; null
    for all."""
    seen: bool = True
    """Measure them on as many tokens of documents of their training as well."""


class Propagation(Section):
    """How it is measured what an SAE's error does in later layers."""

    tokens: Count = 20_000
    """Tokens of the test split that are enough: its first sequences, until they have so many. Each
    SAE takes passes of its own, and each later SAE reads what comes of it."""


class Answers(Section):
    """How answers to prompts are scored."""

    after: bool = False
    """Whether the rest of the sentence counts where candidates are compared: ln p of the candidate
    and of what follows it, summed, never averaged."""
    published_mode: bool = False
    """Add what Anders and Bloom published of prompts, which is of reconstructions of
    reconstructions; it is held beside ours and replaces nothing."""


class States(Section):
    """How a model reads labelled texts, and at which of their tokens its activations are kept."""

    pooling: Items[Literal["last", "mean", "max", "concept"]] = ["last"]
    """What may stand for a text: last, the activations at its last token; mean and max, those at
    all tokens of the raw text, without the template; concept, the mean at the tokens of the
    concept. All but last keep many tokens of each text."""
    bos: Bos = "auto"
    """Begin each text with the BOS token; auto: as the tokenizer itself does. A text that brings
    its own gets no second."""
    long: Literal["cut", "refuse"] = "cut"
    """Texts that are longer than the model's context: cut takes away their beginning, but for the
    BOS, and counts them; refuse is an error."""
    batch_tokens: Count = 8192
    """Tokens in a forward pass."""


class Lenses(Section):
    """How lenses are tuned: affine maps from a hook's states to the model's last ones."""

    tokens: Count = 50_000
    """Tokens of the training texts that are enough, of texts in random order."""
    seed: Whole = 0
    """Seed of this order."""


class Erasure(Section):
    """How concepts are removed from a model's activations, and what else is done with them."""

    tasks: Count = 2
    """Concepts of each labelled entry that are removed: those of its first tasks."""
    others: Whole = 1
    """Further tasks whose concepts are looked for: those that should not suffer."""
    examples: Annotated[int, Field(ge=8)] = 400
    """Training examples of a task that are enough, half of them for the removal and half for
    readers; and test examples. Of more, a random part."""
    features: Items[Count] = [1, 4, 16]
    """How many features are taken out, those that tell the classes apart best."""
    strengths: Items[float] = [-2.0, -1.0, 1.0, 2.0]
    """How far activations are moved in steering, in units of the distance between the means of the
    classes; negative is away from the positive one."""
    tokens: Count = 1_000
    """Tokens of test texts that are enough to say what an edit costs: of texts of both classes by
    turns, until they have so many. Each edit runs the model behind the hook once on them."""
    seed: Whole = 0
    """Seed of the random parts, directions and features."""


class Codes(Section):
    """Which latents of SAEs are kept, token by token, to be held against those of others."""

    tokens: Count = 100_000
    """Tokens of the test split that are enough: its first documents, until they have so many."""
    least: Count = 10
    """Tokens on which a latent must be active to be compared; those of fewer are counted."""
    duplicate: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Cosine of the decoder rows of two latents of one SAE from which on the one that is active on
    fewer tokens is a duplicate: it is not compared, but counted."""


class Similarity(Section):
    """How SAEs are held against each other."""

    one_to_one: Count = 4096
    """Latents of the smaller SAE up to which the best assignment of one latent to one is found
    among all (if there are at most 67 million pairs); else among the best `candidates` of each."""
    candidates: Count = 32
    """Such best ones."""
    align_tokens: Count = 20_000
    """Tokens of the training split on which the activations of two hooks or models are aligned by a
    rotation."""
    groups: Annotated[int, Field(ge=2)] = 20
    """Groups of documents over which intervals of correlations are drawn."""
    published_mode: bool = False
    """Add the two computations of the post that went wrong, beside ours: correlations of
    activations whose mean is not taken off, of few tokens, and random directions with positive
    entries alone."""
    seed: Whole = 0
    """Seed of what nulls draw."""


class Effects(Section):
    """What the model loses with each latent of an SAE."""

    tokens: Count = 10_000
    """Tokens of the test split that are enough: its first sequences, until they have so many."""
    exact: Whole = 16
    """Latents that are also taken out one by one, to tell how good the estimate by gradients is."""
    exact_sequences: Count = 4
    """Sequences from which each of these is taken out: the first ones on which it is active."""
    seed: Whole = 0
    """Seed of their choice."""


class Contexts(Section):
    """How much text is kept to show what latents of SAEs are active on."""

    documents: Count = 4
    """Documents of each latent: those with its largest activations, a token of each."""
    before: Whole = 12
    """Tokens before that one."""
    after: Whole = 4
    """Tokens after it."""


class Gate(Section):
    """What SAEs from elsewhere are held against before anything is measured of them."""

    tokens: Count = 2_000
    """Tokens of the test split that are enough: the beginnings of its first sequences, as long as
    the SAE's own training had them, until they have so many."""


class Ablations(Section):
    """Which features are ablated, and on which prompts."""

    features: Annotated[int, Field(ge=1, le=1024)] = 16
    """How many of each kind: those on whose prompts answers get worst, and best, in sum; those that
    are active on most prompts; and random ones that are active at all. Also the largest set that is
    ablated at once, of 1, 2, 4, ... features of a kind."""
    prompts: Annotated[int, Field(ge=2)] = 32
    """Prompts on which a feature is active, at most; and on which sets are ablated. Of a feature
    that is active on more, a random part."""
    seed: Whole = 0
    """Seed of the random features, and of the order in which prompts are taken."""


class Facts(Section):
    """Which facts of a generated world's tokens latents are held against."""

    tokens: Count = 20_000
    """Tokens that are enough: the first of the validation split to choose latents, thresholds and
    probes on, and of the test split to count on."""
    words: Whole = 2
    """How many words of each role are facts of their own: the most frequent ones."""
    least: Count = 20
    """Tokens of each split of which a fact must hold, and of which it must not; others are left out
    and counted."""


class Measures(Section):
    """How SAEs and models are measured."""

    bootstrap: Annotated[int, Field(ge=100)] = 1000
    """Resamples of the documents for an interval."""
    seed: Whole = 0
    """Seed of the resampling."""
    clean: Clean = Clean()
    """On which tokens it is measured what SAEs do to the model's predictions."""
    positions: Positions | None = Positions()
    """How SAEs are measured at each position of the context. null for no such measurement."""
    probes: Probes | None = None
    """What linear probes are asked of activations and reconstructions: which of the most frequent
    tokens comes next. null for no probes, {} for the probes as they are by default."""
    controls: Controls | None = Controls()
    """What SAEs are held against in the model: random errors of their errors' size, zero and mean
    ablation. null for none."""
    propagation: Propagation | None = Propagation()
    """How it is measured what an SAE's error does in later layers, where a study asks for it. null
    to leave it out."""
    erasure: Erasure | None = Erasure()
    """How concepts are removed from activations, by features of SAEs and by directions, and steered
    with. null to leave it out."""
    answers: Answers = Answers()
    """How answers to prompts are scored."""
    states: States = States()
    """How a model reads labelled texts."""
    lenses: Lenses | None = Lenses()
    """What the model's own end says of labelled texts at each hook. null for none."""
    gate: Gate | None = Gate()
    """Whether SAEs from elsewhere fit the model; what fails is not measured. null: not asked."""
    probing: Probing | None = Probing()
    """How probes are fitted to labelled texts, to states and to codes. null for none."""
    codes: Codes = Codes()
    """Which latents of SAEs are compared, and on which tokens."""
    similarity: Similarity = Similarity()
    """How SAEs are held against each other."""
    effects: Effects | None = Effects()
    """What the model loses with each latent, where a study asks for it. null to leave it out."""
    contexts: Contexts | None = Contexts()
    """What text is kept to show what latents are active on, where a study asks for it. null to
    leave it out."""
    ablations: Ablations | None = Ablations()
    """Which features are ablated in the model, on prompts. null for none."""
    facts: Facts | None = Facts()
    """Which facts of a generated world's tokens latents are held against, where a study asks for
    it. null to leave it out."""
