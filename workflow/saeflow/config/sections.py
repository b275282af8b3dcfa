"""The sections of the configuration, and what every study is told. Read `Config`.

Entries of the sections are in `sources.py`, `prompts.py`, `labelled.py`, `saes.py`,
`training.py` and `measures.py`; what a study asks besides is beside the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from saeflow import registry
from saeflow.config.base import Count, HookName, Items, Name, Section, Whole
from saeflow.config.labelled import AnyLabelled
from saeflow.config.measures import Measures
from saeflow.config.messages import no_such
from saeflow.config.prompts import AnyPrompts
from saeflow.config.saes import Sae
from saeflow.config.sources import AnyDataset, Model, Packing, Tokenizer
from saeflow.config.training import Method
from saeflow.errors import ConfigError

# -- how things are stored and divided ------------------------------------------------------------


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
    """Seeds of the initial weights; these also depend on hook, architecture and width."""

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
