"""What the sections of the configuration are made of: their base class, and kinds of values.

A section is a pydantic model. It says of each key the type, the limits and the default, once, and
in the string below it what it means: messages and docs/configuration.md take it from there. The
jobs' library uses the same classes as its settings. Read `Section`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    ValidationError,
)

from saeflow import registry
from saeflow.errors import ConfigError
from saeflow.hooks import SITES, Hook

_Section = TypeVar("_Section", bound="Section")


class Section(BaseModel):
    """Some keys of the configuration with their values; frozen, and strict about types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def read(cls, values: Any, *, where: object) -> Self:
        """Return the section that plain values make, its defaults filled in.

        Parameters
        ----------
        values
            As read from a file; anything else is an error, too.
        where
            Their place, outermost first, for messages.

        Raises
        ------
        ConfigError
            For an unknown or missing key, a wrong type or a value out of range.
        """
        try:
            return cls.model_validate(dict(values) if isinstance(values, Mapping) else values)
        except ValidationError as error:
            # by name: the words of a refusal are no part of what a job computes
            raise registry.load("config", "messages").explained(error, cls, where) from error

    def plain(self) -> dict[str, Any]:
        """Return the values as read from a file, with the defaults filled in."""
        return self.model_dump()

    def as_base(self, section: type[_Section]) -> _Section:
        """Return the keys that a section has from one of its bases, as that base, or one of it."""
        known = section.model_fields.keys() & type(self).model_fields.keys()
        return section.model_validate({key: getattr(self, key) for key in sorted(known)})


def kind(*keys: str, word: str = "", default: str = "") -> Discriminator:
    """Return what tells the kinds of an entry apart, each marked by a `Tag`.

    Parameters
    ----------
    *keys
        Keys of which an entry has one; each is the tag of a kind.
    word
        The key whose value is the tag of an entry that has none of them.
    default
        That value where it is left out.
    """

    def tag(entry: Any) -> str:
        if not isinstance(entry, dict | Section):
            return ""
        entry = dict(entry)
        found = [key for key in keys if key in entry]
        if found:
            return found[0] if len(found) == 1 else ""
        return str(entry.get(word, default))

    return Discriminator(tag, "kind", "no known kind", {"keys": " ".join(keys), "word": word})


_Value = TypeVar("_Value")

LeftOut = Annotated[_Value | None, Field(exclude_if=lambda value: value is None)]
"""A key that is not there unless it was given."""

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", text):
        shown = text if text.isprintable() else json.dumps(text)
        raise ConfigError(
            f"the name '{shown}' cannot be part of a path",
            expected="at most 64 letters, digits, '.', '_', '+' or '-', beginning with a letter"
            " or digit",
            remedy="Choose another name.",
        )
    return text


def _matching(pattern: str, meaning: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ConfigError("this is not of the right form", expected=meaning)
        return text

    return AfterValidator(check)


def _target(text: str) -> str:
    if text in SITES:
        return text
    found = Hook.find(text)
    if found is None:
        raise ConfigError(
            "this is neither a site nor a hook",
            expected=f"one of {', '.join(SITES)}, alone or with a block (mlp_out.3, or"
            " TransformerLens' blocks.3.hook_mlp_out)",
        )
    return str(found)


def _part(text: str) -> str:
    numbers = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", text)
    if numbers is None or int(numbers[2]) < 2 or int(numbers[1]) > int(numbers[2]):
        raise ConfigError(
            "there is no such part",
            expected='"i/n", the i-th of n equal parts, such as "1/2" and "2/2" for halves',
            got=text,
        )
    return text


def _model_hook(text: str) -> str:
    model, slash, hook = text.rpartition("/")
    if slash and not model:
        raise ConfigError("there is no model before the hook", expected="MODEL/HOOK", got=text)
    return f"{model}{slash}{Hook.parse(hook)}"


def each_once(items: list[Any]) -> list[Any]:
    """Return the items of a list if each is there once, else raise a `ConfigError`."""
    if any(item in items[:index] for index, item in enumerate(items)):
        raise ConfigError("something stands in this list twice", expected="each item once")
    return items


Name = Annotated[str, AfterValidator(_name)]
"""A name is part of paths."""

HubName = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?",
        'a name on the Hugging Face hub such as "EleutherAI/pythia-70m"',
    ),
]
Revision = Annotated[str, _matching("[0-9a-f]{40}", "a commit on the hub, 40 hexadecimal digits")]


class OnHub(Section):
    """What lies on the Hugging Face hub and is fetched once."""

    hub: HubName
    """Name on the Hugging Face hub ("EleutherAI/pythia-70m")."""
    revision: Revision
    """The commit on the hub, 40 hexadecimal digits, so that the result never changes by itself."""


class TextsOnHub(OnHub):
    """Rows of a dataset there."""

    config: LeftOut[str] = None
    """The dataset's configuration."""
    split: str
    """The hub's split to read."""


HookName = Annotated[str, AfterValidator(lambda text: str(Hook.parse(text)))]
"""Ours or TransformerLens' name of a hook; read as ours."""

Target = Annotated[str, AfterValidator(_target)]
"""A site (of the block that an SAE reads) or a hook."""

Part = Annotated[str, AfterValidator(_part)]
"""One of several equal parts, "1/2"."""

ModelHook = Annotated[str, AfterValidator(_model_hook)]
"""A hook, or one of another model (MODEL/HOOK); hooks are read as ours."""

_Item = TypeVar("_Item")
Items = Annotated[list[_Item], Field(min_length=1), AfterValidator(each_once)]
"""A list of at least one item, each once."""
MaybeItems = Annotated[list[_Item], AfterValidator(each_once)]
"""A list that may be empty, each item once."""
