"""The sections of the configuration, and what every study is told. Read `Config`.

Entries of the sections are in `sources.py`, `prompts.py`, `labelled.py`, `saes.py` and
`training.py`; what a study asks besides is beside the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from saeflow import registry
from saeflow.config.base import Count, HookName, Items, Name, Section, Whole
from saeflow.config.labelled import AnyLabelled
from saeflow.config.messages import no_such
from saeflow.config.probing import Probing
from saeflow.config.prompts import AnyPrompts
from saeflow.config.saes import Sae
from saeflow.config.sources import AnyDataset, Bos, Model, Packing, Tokenizer
from saeflow.config.training import Method
from saeflow.errors import ConfigError

# -- how things are stored, divided and measured -------------------------------------------------


class Activations(Section):
    """How activations are stored."""

    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    """Number format on disk; float16 refuses values that overflow."""
    batch_tokens: Count = 8192
    """Tokens in a forward pass."""
    shard_rows: Annotated[int, Field(ge=256)] | None = None
    """Rows of a shard, a power of two: what a killed run or a damaged file loses at most. null for
    shards of at most 128 MiB, or 512 MiB in stores of 1e8 rows and more."""
    live: bool = False
    """Store no activations: whatever reads them computes them anew, the same bits, but for what is
    measured in the model, which takes its own, not rounded. For when the disk is short;
    docs/store.md says what it costs."""
    temporary: bool = False
    """Remove a store when its last reader has finished; it is made anew when something needs it
    again."""

    @model_validator(mode="after")
    def _can_be_stored(self) -> Self:
        rows = self.shard_rows
        if rows is not None and rows & (rows - 1):
            raise ConfigError(
                "the rows of a shard must be a power of two",
                where="shard_rows",
                expected=f"{1 << (rows.bit_length() - 1)} or {1 << rows.bit_length()}",
                got=rows,
            )
        if self.live and self.temporary:
            raise ConfigError(
                "live activations leave nothing that could be removed",
                expected="live or temporary",
                got="both",
            )
        return self


class Jobs(Section):
    """Into how many jobs a pass is split, to run them side by side; it changes no result."""

    harvest: Count = 1
    """The shards of all hooks of a model and dataset."""
    train_saes: Count = 1
    """The SAEs that are trained at a hook."""
    finetune_saes: Count = 1
    """The SAEs that are fine-tuned at a hook."""
    import_saes: Count = 1
    """The SAEs from elsewhere at a hook."""
    measure: Count = 1
    """The SAEs of a hook that are measured on one dataset."""
    plot: Count = 1
    """The figures of a study."""


class Probes(Section):
    """What linear probes are asked of activations and reconstructions."""

    classes: Annotated[int, Field(ge=2, le=1000)] = 16
    """Tokens to tell apart: the most frequent next ones."""
    rows: Annotated[int, Field(ge=100)] = 10_000
    """Rows of the training split to fit a probe to; of the place where SAEs are trained, if that
    where they are measured has no training split."""


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


# -- studies -------------------------------------------------------------------------------------


class Place(Section):
    """A dataset under a packing."""

    dataset: Name
    """A name under `datasets`."""
    packing: Name
    """A name under `packings`."""


class StudySection(Section):
    """What every study is told; one that asks more has a class of its own, see `Study.section`."""

    SAE_KEYS: ClassVar[tuple[str, ...]] = ("saes",)
    """Keys, of the section and of what is in it, whose items are names under `saes`; one of a sweep
    stands for all of its recipes."""

    models: Items[str]
    """Names under `models`; `model@step` is a checkpoint of one that is trained here."""
    evaluate_on: Place
    """Where SAEs are measured: its test split."""
    train_on: Place = Field(default_factory=lambda given: given["evaluate_on"])
    """Where SAEs are trained: its training split; the place of `evaluate_on` by default."""
    hooks: Items[HookName]
    """Where SAEs are trained: site and 0-based block, such as resid_post.3; TransformerLens'
    blocks.3.hook_resid_post is the same."""
    saes: Items[str]
    """Names under `saes`."""
    seeds: Items[Whole] = [0]
    """Seeds of the initial weights."""

    @classmethod
    def check(cls, config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
        """Raise a `ConfigError` where the study's own keys do not fit the rest; nothing here.

        Parameters
        ----------
        config
            The whole configuration, with defaults filled in; what all studies name has been found.
        section
            That of the study.
        where
            Its place, for messages.
        """


def study_names() -> list[str]:
    """Return the studies that a configuration can ask for."""
    return [name for name in registry.names("studies") if find_section(name) is not None]


def find_section(study: object) -> type[StudySection] | None:
    """Return the class of a study's section; None where a configuration cannot ask for it."""
    if study not in registry.names("studies"):
        return None
    found = getattr(registry.load("studies", study), "STUDY", None)
    if found is None or found.automatic is not None:
        return None
    return registry.function(found.section) if found.section else StudySection


def section_of(study: str, *, where: object) -> type[StudySection]:
    """Return the class of a study's section.

    Raises
    ------
    ConfigError
        If there is no such study.
    """
    found = find_section(study)
    if found is None:
        raise no_such(f"there is no study '{study}'", study, study_names(), where=where)
    return found


class Config(Section):
    """What to compute. Nothing about machines belongs here; see the profiles for that."""

    name: Name | None = None
    """What its tables, figures and report are kept under, ``results/studies/{name}/``; null for the
    name of the file. Give one where two files are called the same."""
    models: dict[Name, Model]
    """Language models by name."""
    tokenizers: dict[Name, Tokenizer] = {}
    """Tokenizers that do not come with a model, by name."""
    datasets: dict[Name, AnyDataset]
    """Texts by name."""
    packings: dict[Name, Packing]
    """Ways to cut documents into sequences, by name."""
    prompts: dict[Name, AnyPrompts] = {}
    """Prompt sets, questions with a known answer, by name."""
    labelled: dict[Name, AnyLabelled] = {}
    """Texts with labels, which probes are fitted to, by name."""
    activations: Activations = Activations()
    """How activations are stored."""
    jobs: Jobs = Jobs()
    """Into how many jobs a pass is split, to run them side by side; it changes no result. More than
    one is for clusters."""
    saes: dict[Name, Sae] = {}
    """Recipes of sparse autoencoders, by name."""
    methods: dict[Name, Method] = {}
    """Ways to fine-tune a trained SAE, by name."""
    measures: Measures = Measures()
    """How SAEs and models are measured."""
    studies: Annotated[dict[Name, Any], Field(min_length=1)]
    """What to make, by study."""
