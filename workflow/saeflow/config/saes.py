"""Entries under ``saes``: recipes (`architectures.py`), baselines to fit, files to import."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Tag

from saeflow.config.architectures import AnyRecipe
from saeflow.config.base import (
    Count,
    LeftOut,
    MaybeItems,
    OnHub,
    Part,
    Section,
    Text,
    Whole,
    kind,
)
from saeflow.config.shared_recipe import Expansion

# -- baselines -----------------------------------------------------------------------------------


class Fitted(Section):
    """What every baseline has that is fitted to the training rows."""

    part: LeftOut[Part] = None
    """Fit it to one of equal parts of the training documents, "1/2"; see the recipes of SAEs."""


class Identity(Section):
    """A baseline: the activations themselves."""

    architecture: Literal["identity"]
    """The kind of baseline."""


class Zero(Section):
    """A baseline: zero."""

    architecture: Literal["zero"]
    """The kind of baseline."""


class Mean(Fitted):
    """A baseline: the mean of the training rows."""

    architecture: Literal["mean"]
    """The kind of baseline."""


class PCA(Fitted):
    """A baseline: the projection on the leading principal components of the training rows."""

    architecture: Literal["pca"]
    """The kind of baseline."""
    components: Count | None = None
    """Components to keep; null for all."""


class Random(Fitted):
    """A baseline: random directions of which the k nearest are active.

    Only their common size is fitted.
    """

    architecture: Literal["random"]
    """The kind of baseline."""
    k: Count
    """Latents that may be active for a token."""
    expansion: Expansion = 4.0
    """d_sae / d_in."""


# -- imports -------------------------------------------------------------------------------------


class Import(Section):
    """What is said of an SAE that is there already."""

    format: Literal[
        "auto",
        "saelens",
        "dictionary_learning",
        "sparsify",
        "openai",
        "sparse_coding",
        "neel_nanda",
        "universality",
        "bloom",
        "gemma_scope",
        "gemma_scope_2",
        "llama_scope",
    ] = "auto"
    """What wrote it; auto looks at the files."""
    entry: Whole | None = None
    """Which of several SAEs in the file, from 0."""
    architecture: Text | None = None
    """The architecture that it must turn out to have; it is fine-tuned as those are. null takes
    any."""
    center_input: bool | None = None
    """Whether it was trained on activations with their mean over d_in taken off, as
    TransformerLens' processed weights give them; it then takes the mean off and puts it back. null
    for what its files or their format say."""
    accept: MaybeItems[Literal["hook", "model", "center_input", "evidence"]] = []
    """Checks that it need not pass: hook (it names another one), model (other weights),
    center_input (weights that look centred), evidence (it does not do what it did when it was
    saved)."""


class LocalSAE(Import):
    """An SAE that is there already: a local file or directory of any format of docs/saes.md.

    `{hook}`, `{site}`, `{block}` and `{seed}` in its place are filled in, so that one entry serves
    many.
    """

    path: Text
    """The file or directory; relative to the working directory."""


class HubSAE(OnHub, Import):
    """An SAE from the Hugging Face hub, fetched once."""

    folder: LeftOut[Text] = None
    """The folder of the repository with the SAE; placeholders as in a path."""
    file: LeftOut[Text] = None
    """Its only file; placeholders as in a path."""


Sae = Annotated[
    Annotated[LocalSAE, Tag("path")]
    | Annotated[HubSAE, Tag("hub")]
    | AnyRecipe
    | Annotated[Identity, Tag("identity")]
    | Annotated[Zero, Tag("zero")]
    | Annotated[Mean, Tag("mean")]
    | Annotated[PCA, Tag("pca")]
    | Annotated[Random, Tag("random")],
    kind("path", "hub", word="architecture"),
]
