"""What the sections say of themselves: their keys, types, choices, and what they mean.

Messages and docs/configuration.md are made of it. Read `keys_of`.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Discriminator, Tag
from pydantic.fields import FieldInfo

from saeflow.config.base import Section

_TYPES = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def keys_of(section: type[Section]) -> dict[str, FieldInfo]:
    """Return the keys of a section: what says its kind, what is required, the others."""

    def rank(item: tuple[str, FieldInfo]) -> tuple[bool, bool]:
        return not item[1].is_required(), len(choices(item[1].annotation)) != 1

    return dict(sorted(section.model_fields.items(), key=rank))


@cache
def descriptions(section: type[Section]) -> dict[str, str]:
    """Return what the keys of a section mean: the strings below them."""
    found: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if issubclass(base, Section) and base is not Section:
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            for key, text in pairwise(node.body):
                is_key = isinstance(key, ast.AnnAssign) and key.target.id in base.model_fields
                if is_key and isinstance(text, ast.Expr):
                    found[key.target.id] = " ".join(ast.literal_eval(text.value).split())
    return found


def type_of(field: FieldInfo) -> Any:
    """Return the type of a key with its limits."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def value_of(annotation: Any) -> Any:
    """Return a type without its limits and without null."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif is_nullable(annotation):
            rest = [one for one in get_args(annotation) if one is not NoneType]
            annotation = Union[tuple(rest)]  # noqa: UP007
        else:
            return annotation


def is_nullable(annotation: Any) -> bool:
    """Whether null may stand there."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)


def is_section(annotation: Any) -> bool:
    """Whether keys and values of a section stand there."""
    return isinstance(annotation, type) and issubclass(annotation, Section)


def kinds_of(annotation: Any) -> dict[str, type[Section]]:
    """Return the sections of which an entry is one, by tag; none where there is no choice."""
    if get_origin(annotation) is not Annotated:
        return {}
    union, *marks = get_args(annotation)
    if not any(isinstance(mark, Discriminator) for mark in marks):
        return {}
    tagged = [get_args(one) for one in get_args(union)]
    return {mark.tag: kind for kind, *more in tagged for mark in more if isinstance(mark, Tag)}


def choices(annotation: Any) -> tuple[Any, ...]:
    """Return the words that may stand there; none where others may, too."""
    value = value_of(annotation)
    return get_args(value) if get_origin(value) is Literal else ()


def in_words(annotation: Any) -> str:
    """Return a type as a person would say it."""
    value = value_of(annotation)
    if kinds_of(annotation) or is_section(value) or get_origin(value) is dict:
        text = "keys and values"
    elif get_origin(value) is list:
        text = "a list"
    elif get_origin(value) in (Union, UnionType):
        text = " or ".join(in_words(one) for one in get_args(value))
    else:
        text = _TYPES.get(value, "a text")
    return f"{text} or null" if is_nullable(annotation) else text
