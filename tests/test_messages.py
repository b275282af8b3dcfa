"""Every error that the library raises: what it says, and whether its remedy can be followed.

Errors are found in the source, so that a new one is among them as soon as it is written.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from saeflow import errors, registry
from saeflow.config.schema import is_section, keys_of, kinds_of, value_of
from saeflow.config.sections import Config, section_of, study_names

LIBRARY = Path(__file__).parents[1] / "workflow" / "saeflow"
KINDS = {
    name
    for name, one in vars(errors).items()
    if inspect.isclass(one) and issubclass(one, errors.SaeflowError)
}
_PARTS = ("where", "expected", "got", "remedy")
# What stands in backquotes and is no key: names of Python, of other files, of programs.
_PROGRAMS = {"make", "saeflow", "sbatch", "snakemake"}
_NO_KEYS = {"encode_sparse", "input_norm", "is_decoder"}
# What says again what another error said, with all of its parts.
_SAID_AGAIN = {"script.py"}


class Raised(NamedTuple):
    """An error in the source: where, and the texts of its parts with "{}" for what is put in."""

    place: str
    kind: str
    what: str
    parts: dict[str, str]
    spread: bool


def raised() -> list[Raised]:
    """Return every call of a class of `saeflow.errors`."""
    found = []
    for file in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in KINDS:
                parts = {one.arg: text_of(one.value) for one in node.keywords if one.arg}
                found.append(
                    Raised(
                        f"{file.relative_to(LIBRARY)}:{node.lineno}",
                        node.func.id,
                        text_of(node.args[0]) if node.args else "",
                        parts,
                        any(one.arg is None for one in node.keywords),
                    )
                )
    return found


def text_of(node: ast.AST) -> str:
    """Return the words in an expression, every alternative of it, and "{}" for the rest."""
    if isinstance(node, ast.Constant):
        return "" if node.value is None else str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(one) for one in node.values)
    if isinstance(node, ast.IfExp):
        return f"{text_of(node.body)} {text_of(node.orelse)}"
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return "{}"


RAISED = raised()


def listed(wrong: list[str]) -> str:
    return "\n  ".join(["", *wrong])


def test_the_errors_are_found():
    assert len(RAISED) > 200
    assert {one.kind for one in RAISED} == KINDS


def test_every_error_says_what_and_where_it_is_and_what_would_be_right():
    """Give each ``where`` or ``got``, and ``expected`` or ``remedy``: see `saeflow.errors`."""
    wrong = []
    for one in RAISED:
        if one.what == "{}" and one.place.partition(":")[0] in _SAID_AGAIN:
            continue
        has = {name for name in _PARTS if one.spread or one.parts.get(name)}
        if not one.what:
            wrong.append(f"{one.place} says nothing")
        if not has & {"where", "got", "expected"}:
            wrong.append(f"{one.place} does not say where ({one.what})")
        if not has & {"expected", "remedy"}:
            wrong.append(f"{one.place} has neither `expected` nor `remedy` ({one.what})")
    assert not wrong, listed(wrong)


def test_remedies_are_sentences():
    wrong = [
        f"{one.place}: {remedy}"
        for one in RAISED
        if (remedy := one.parts.get("remedy", "")) and not re.search(r"[.?]( |$)|\{\}$", remedy)
    ]
    assert not wrong, listed(wrong)


def keys() -> set[str]:
    """Return every key of the configuration, with the words that say of which kind an entry is."""
    found: set[str] = set()
    seen: set[type] = set()
    queue: list = [Config, *(section_of(name, where="") for name in study_names())]
    while queue:
        annotation = queue.pop()
        value = value_of(annotation)
        if kinds := kinds_of(annotation):
            found |= {*kinds}
            queue += kinds.values()
        elif is_section(value):
            if value not in seen:
                seen.add(value)
                found |= {*keys_of(value)}
                queue += [field.annotation for field in keys_of(value).values()]
        else:
            queue += get_args(value)
    return found


KEYS = keys()


def test_the_keys_are_found():
    assert {"models", "path", "context_length", "separator", "ridge", "tune", "validation"} <= KEYS


def commands() -> dict[str, set[str]]:
    """Return the options of each command of saeflow."""
    found = {}
    for name in registry.names("cli.commands"):
        parser = argparse.ArgumentParser()
        registry.load("cli.commands", name).add_arguments(parser)
        found[name] = {option for action in parser._actions for option in action.option_strings}
    return found


def words(one: Raised) -> str:
    return " ".join(one.parts.get(name, "") for name in ("expected", "remedy"))


def test_commands_in_messages_are_there():
    known, wrong = commands(), []
    for one in RAISED:
        for command, options in re.findall(r"`saeflow (\S+?)((?: --\S+?)*)[ `]", words(one)):
            if command not in known or not set(options.split()) <= known[command]:
                wrong.append(f"{one.place}: saeflow {command}{options}")
    assert not wrong, listed(wrong)


_KEY_PATTERNS = (
    r"`(\w+)(?:: [^`]*)?`",  # `text: ...`
    r"(?:the|a) (?:packing|dataset|method|study|model|recipe)'s `?(\w*_\w+|tokens|splits|seeds)\b",
    r"\b(?:activations|measures|studies|packings|datasets|models)\.(\w+)",
    r"\bsplits > (\w+)|\btokens > (\w+)",
    r"\b[Ss]et (?:the \w+'s )?(\w+)(?: to|: )",
)


def test_keys_in_messages_are_those_of_the_configuration():
    """A remedy that names a key names one that can be given."""
    wrong = []
    for one in RAISED:
        for pattern in _KEY_PATTERNS:
            for found in re.findall(pattern, words(one)):
                named = [found] if isinstance(found, str) else [name for name in found if name]
                wrong += [
                    f"{one.place}: '{name}' is no key of the configuration"
                    for name in named
                    if name not in KEYS | _NO_KEYS | _PROGRAMS
                ]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize("word", ["Delete it", "Delete this directory"])
def test_nobody_is_told_to_delete_what_is_his_own(word):
    """What lies outside results/ is never made again: a remedy of deleting is for the rest."""
    of_results = ("files.py", "models/load.py", "tables/files.py", "cli/")
    wrong = [
        one.place
        for one in RAISED
        if word in one.parts.get("remedy", "") and not one.place.startswith(of_results)
    ]
    assert not wrong, listed(wrong)
