"""Watch which functions of saeflow run, to hold the closure of a result against the facts.

with traced() as trace:
    train_sweep(tasks)
assert_reached(trace, source, ["saeflow.sae.training.sweep:train_sweep"])
"""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import saeflow
from saeflow.code import NEUTRAL, Source

PACKAGE = Path(saeflow.__file__).parent
SCRIPTS = PACKAGE.parents[1] / "scripts"


@dataclass
class Trace:
    """What ran.

    Attributes
    ----------
    called : set of str
        Definitions, as "module:name", that were called, and "module:<import>" of imported modules.
    imported : set of (str, str)
        A definition that ran because an import made another one, and that other one.
    """

    called: set[str] = field(default_factory=set)
    imported: set[tuple[str, str]] = field(default_factory=set)
    _seen: set[CodeType] = field(default_factory=set)

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Note a call."""
        if event != "call" or frame.f_code in self._seen:
            return
        code = frame.f_code
        module = _module(code.co_filename)
        importing = None if module is None else _importing(frame)
        if importing is not None and importing is not frame:
            cause = _definition(importing.f_code.co_filename, importing.f_lineno)
            self.imported.add((_definition(code.co_filename, code.co_firstlineno), cause))
            return
        self._seen.add(code)
        if importing is frame:
            self.called.add(f"{module}:<import>")
        elif module is not None:
            self.called.add(_definition(code.co_filename, code.co_firstlineno))


@contextmanager
def traced(trace: Trace | None = None) -> Iterator[Trace]:
    """Watch this thread, and those that are started meanwhile."""
    trace, before = trace or Trace(), sys.getprofile()
    threading.setprofile(trace)
    sys.setprofile(trace)
    try:
        yield trace
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def unreached(trace: Trace, source: Source, roots: Iterable[str]) -> set[str]:
    """Return what ran though no root leads to it.

    What an import runs to make a definition must be reached where that definition is.
    """
    closure = set(source.closure(roots))
    ran = trace.called | {name for name, cause in trace.imported if cause in closure}
    return {name for name in ran - closure if not _is_effect_of(name, source, closure)}


def _is_effect_of(name: str, source: Source, closure: set[str]) -> bool:
    """Whether something has no digest of its own, and what has it in its place is reached."""
    module, _, last = name.partition(":")
    if module in NEUTRAL:
        return True
    is_own = name in source.closure([module])
    return not is_own and (last == "<import>" or f"{module}:<import>" in closure)


def assert_reached(trace: Trace, source: Source, roots: Iterable[str]) -> None:
    """Raise unless everything that ran is neutral or in the closure of the roots."""
    missing = unreached(trace, source, roots)
    assert not missing, f"ran, but is not reached: {sorted(missing)}"


def _importing(frame: FrameType | None) -> FrameType | None:
    """Return the frame of the file of ours whose import is at work, if one is."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>" and _module(code.co_filename) is not None:
            return frame
        frame = frame.f_back
    return None


@cache
def _module(file: str) -> str | None:
    path = Path(file)
    if path.parent == SCRIPTS:
        return f"scripts/{path.name}"
    if path.suffix != ".py" or not path.is_relative_to(PACKAGE):
        return None  # a template of Jinja is code, too, under its own name
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _definition(file: str, line: int) -> str:
    """Return the definition of ours that a line belongs to, as "module:name"."""
    module = _module(file)
    for statement in ast.parse(Path(file).read_bytes()).body:
        decorators = getattr(statement, "decorator_list", [])
        first = min(part.lineno for part in (statement, *decorators))
        if first <= line <= statement.end_lineno:
            return f"{module}:{_name(statement)}"
    return f"{module}:<import>"


def _name(statement: ast.stmt) -> str:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return statement.name
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = getattr(statement, "targets", None) or [statement.target]
        names = [part.id for part in ast.walk(targets[0]) if isinstance(part, ast.Name)]
        return names[0]
    return "<import>"
