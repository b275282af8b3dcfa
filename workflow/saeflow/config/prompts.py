"""Entries under ``prompts``: questions with a known answer, from files, the hub or generated."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Tag, model_validator

from saeflow.config.base import (
    Count,
    HubName,
    LeftOut,
    Name,
    Section,
    Text,
    TextsOnHub,
    Whole,
    kind,
)
from saeflow.errors import ConfigError

IOI = "ioi"


class PromptSet(Section):
    """What every prompt set has."""

    n_prompts: Count | None = None
    """Take so many, the first ones; null for all, and of ioi for 1,000. More than there are is an
    error."""
    window: Count | None = None
    """Latents count as active for a prompt where they are on its last tokens, so many of them. null
    for 32, and 128 for cloze, as in the post."""


class ReadPrompts(PromptSet):
    """How columns become prompts."""

    form: Literal["auto", "last_word", "cloze", "choice"] = "auto"
    """last_word: the answer is what stands after the last space of a text; cloze: sentences, a
    question with XXXXX in the place of the answer, and candidates; choice: a text, the answer that
    follows it, and candidates; auto: the first of cloze, choice, last_word that has its columns."""
    text: LeftOut[Text] = None
    """The column with the text, `text` by default; of cloze with the question, `question`."""
    passage: LeftOut[Text] = None
    """Of cloze, the column with the sentences before the question; `sentences` by default."""
    answer: LeftOut[Text] = None
    """The column with the answer; `answer` or `target` by default. last_word needs none; where
    there is one, the text ends before the answer."""
    candidates: LeftOut[Text] = None
    """The column with the list of candidates; `candidates` or `options` by default."""
    distractor: LeftOut[Text] = None
    """Of choice, the column with the candidate that misleads; `distractor`, if it is there."""


class HubPrompts(TextsOnHub, ReadPrompts):
    """Prompts from a dataset on the Hugging Face hub, fetched once."""

    hub: HubName
    """Name on the Hugging Face hub ("EleutherAI/lambada_openai")."""


class LocalPrompts(ReadPrompts):
    """Prompts from local files, JSON Lines, CSV or Parquet, followed by content."""

    path: Text
    """A file (.jsonl, .ndjson, .csv, .parquet; all but Parquet also .gz or .zst), a directory of
    such files, or a pattern; relative to the working directory."""


class GeneratedPrompts(PromptSet):
    """Prompts of the built-in world, or in plain English for the indirect object."""

    generate: Literal["last_word", "cloze", "indirect_object", "owner_binding", "ioi"]
    """A prompt set of a generated dataset; or ioi: names and a gift, in English, for any model."""
    dataset: LeftOut[Name] = None
    """A name under `datasets`, of a generated one. Not for ioi."""
    seed: LeftOut[Whole] = None
    """Of ioi, the seed; 0 by default."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.generate == IOI:
            wrong, needed = self.dataset, "no dataset: its templates are in English"
        else:
            wrong, needed = self.seed, "no seed: that of the dataset"
        if wrong is not None:
            raise ConfigError(
                "this key does not go with what is generated",
                where="dataset" if self.generate == IOI else "seed",
                expected=needed,
                got=wrong,
                remedy="Remove it.",
            )
        if self.generate != IOI and self.dataset is None:
            raise ConfigError(
                "prompts of the world need a dataset",
                where="dataset",
                expected="a name under `datasets`, of one with `generate`",
            )
        return self


AnyPrompts = Annotated[
    Annotated[HubPrompts, Tag("hub")]
    | Annotated[LocalPrompts, Tag("path")]
    | Annotated[GeneratedPrompts, Tag("generate")],
    kind("hub", "path", "generate"),
]
