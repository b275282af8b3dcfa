"""Entries under ``labelled``: texts with labels, from files, the hub or generated."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, Tag, model_validator

from saeflow.config.base import (
    Count,
    HubName,
    Items,
    LeftOut,
    Name,
    Section,
    Text,
    TextsOnHub,
    Whole,
    kind,
)
from saeflow.errors import ConfigError

PLACE = "{text}"
"""Where the text stands in a template."""


Columns = Annotated[
    Items[Text], BeforeValidator(lambda one: [one] if isinstance(one, str) else one)
]
"""A name, or a list of them."""


class Words(Section):
    """The words that a model would go on with where it knows the label."""

    positive: Text
    """After a positive text, with the space before it: " positive"."""
    negative: Text
    """After a negative one: " negative"."""


class Expected(Section):
    """How many texts there must be of all datasets, once everything that is left out is."""

    train: LeftOut[Whole] = None
    """In the training split."""
    test: LeftOut[Whole] = None
    """In the test split."""
    shift: LeftOut[Whole] = None
    """Of the second distribution."""


class LabelledSet(Section):
    """What every entry has."""

    examples: Count | None = None
    """Draw at most so many texts of each dataset, training and test texts together, and as many of
    its second distribution, by `seed`; null for all."""
    seed: Whole = 0
    """Seed of that draw, and of the split where `test` makes one; of the world, of the draw."""


class ReadLabelled(LabelledSet):
    """How rows become texts with labels."""

    text: Text = "text"
    """The column with the text; `meta.body` is the field `body` of the column `meta`."""
    label: Columns = ["label"]
    """The column with the label, or a list of columns, each of which is asked by itself."""
    rule: Literal["auto", "classes", "median"] = "auto"
    """classes: of two classes the later one, in the order of numbers or letters, is positive, and
    of more each of the most frequent is held against the rest; median: numbers above the median of
    the training split are positive; auto: median for fractions, and for more than `classes`
    different whole numbers, else classes."""
    classes: Annotated[int, Field(ge=2)] = 10
    """At most so many classes of a column are held against the rest: the most frequent ones."""
    positive: LeftOut[Text | int | bool] = None
    """The class that is positive. Of more than two, it alone is held against the rest."""
    template: LeftOut[Text] = None
    """What the model reads, with {text} in the place of the text. Spaces at its end are kept."""
    longer_than: LeftOut[Whole] = None
    """Leave out texts of so many characters or fewer."""
    shorter_than: LeftOut[Count] = None
    """Leave out texts of so many characters or more."""
    balance: Literal["none", "post"] = "none"
    """post: as many of both classes in each split, the first ones of the larger class."""
    duplicates: Literal["drop", "keep"] = "drop"
    """drop: of equal texts of a split one is kept, and one of the training split that is a test
    text, too, is left out of training. They are counted either way."""
    concept: LeftOut[Text] = None
    """The column with the words of the text at which the concept stands: a list, or words with |
    between."""
    words: LeftOut[Words] = None
    """Words for the logit lens."""
    expect: LeftOut[Expected] = None
    """Numbers of texts; others are an error. For data whose numbers were published."""

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.template is not None and self.template.count(PLACE) != 1:
            raise ConfigError(
                "the text has no place of its own in this template",
                where="template",
                expected=f"{PLACE} in it, once",
                got=self.template,
            )
        low, high = self.longer_than, self.shorter_than
        if low is not None and high is not None and high - low < 2:
            raise ConfigError(
                "no text is that long",
                where="shorter_than",
                expected=f"at least {low + 2}, with longer_than {low}",
                got=high,
            )
        if self.words is not None and len(self.label) > 1:
            raise ConfigError(
                "two words answer one question, and there are several labels",
                where="words",
                expected="one column under `label`",
                got=", ".join(self.label),
                remedy="Give the column its own entry.",
            )
        for key in ("test_path", "test_split"):
            if self.test is not None and getattr(self, key, None) is not None:
                raise ConfigError(
                    "the test texts are given, and a share of the others cannot be them, too",
                    where="test",
                    expected=f"`test` or `{key}`",
                    got=self.test,
                    remedy="Remove one of them.",
                )
        return self


TestShare = Annotated[float, Field(gt=0, lt=1)]


class LocalLabelled(ReadLabelled):
    """Labelled texts in local files, JSON Lines, CSV or Parquet, followed by content."""

    path: Text
    """A file (.jsonl, .ndjson, .csv, .parquet; all but Parquet also .gz or .zst), which is a
    dataset of the entry's name; or a directory of such files or a pattern, each file of which is a
    dataset of the file's name. Relative to the working directory."""
    test_path: LeftOut[Text] = None
    """Test texts, if they are in files of their own, each of the dataset with whose name its name
    begins."""
    shift_path: LeftOut[Text] = None
    """Texts of a second distribution with the same label, likewise; they are only tested on."""
    test: LeftOut[TestShare] = None
    """Share of the texts that are test texts, by a hash of each: 0.2 by default. Not with
    `test_path`."""


class HubLabelled(TextsOnHub, ReadLabelled):
    """Labelled texts from a dataset on the Hugging Face hub, fetched once."""

    hub: HubName
    """Name on the Hugging Face hub ("stanfordnlp/imdb")."""
    split: str
    """The hub's split to read, for training where there is a `test_split`."""
    test_split: LeftOut[str] = None
    """The hub's split with the test texts."""
    test: LeftOut[TestShare] = None
    """Share of the texts that are test texts, by a hash of each: 0.2 by default. Not with
    `test_split`."""


class GeneratedLabelled(LabelledSet):
    """Reviews of the built-in world, with what it knows of them."""

    generate: Literal["sentiment"]
    """Reviews up to their verdict: whether they praise, how strongly, what they are of, whether
    they negate."""
    dataset: Name
    """A name under `datasets`, of a generated one: its seed, and its number of prompts, of which
    there are four times as many training texts."""


AnyLabelled = Annotated[
    Annotated[HubLabelled, Tag("hub")]
    | Annotated[LocalLabelled, Tag("path")]
    | Annotated[GeneratedLabelled, Tag("generate")],
    kind("hub", "path", "generate"),
]
