"""Load a member of a family by its name.

An architecture, a measure and a format of SAEs each live in a module of their own and are loaded
here, so that no module imports them all: the code digest of a job then covers the members that it
uses and no other.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from saeflow.errors import SaeflowError

_ROOT = Path(__file__).parent


def names(package: str) -> list[str]:
    """Return the sorted names of the members of ``package`` ("sae.architectures")."""
    directory = _ROOT.joinpath(*package.split("."))
    return sorted(m.name for m in pkgutil.iter_modules([str(directory)]))


@cache
def load(package: str, name: str) -> ModuleType:
    """Import the member ``name`` of ``package``."""
    if name not in names(package):
        raise SaeflowError(
            f"there is no '{name}' in saeflow.{package}", expected=" | ".join(names(package))
        )
    return importlib.import_module(f"saeflow.{package}.{name}")


def literal(package: str, name: str, constant: str, default: Any) -> Any:
    """Return a constant that a member writes out, without importing it: members may need torch."""
    source = _ROOT.joinpath(*package.split("."), f"{name}.py").read_text()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == constant:
            return ast.literal_eval(node.value)
    return default


def function(name: str) -> Any:
    """Return the function, class or constant that "module:name" names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
