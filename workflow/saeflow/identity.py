"""What a job is: a hash of its settings, of the code it uses and of what it reads.

`code_digests` follows the imports of a job's script inside saeflow and hashes each module's
syntax tree without comments and docstrings; `identity_of` joins that with the settings and the
identities of the inputs (a Merkle chain). Nothing here imports the code that it hashes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from saeflow.errors import SaeflowError
from saeflow.files import canonical_json, sha256_text

PACKAGE = "saeflow"

NEUTRAL = frozenset({PACKAGE}) | frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        "activations.mixing",
        "activations.room",
        "device",
        "errors",
        "files",
        "identity",
        "interrupt",
        "inventory",
        "logs",
        "readers",
        "registry",
        "script",
        "tracking",
        "work",
    )
)
"""Modules that carry results but cannot change their bytes: messages, locks, progress, hashing."""


def identity_of(
    *,
    rule: str,
    settings: Mapping[str, Any],
    code: Mapping[str, str],
    inputs: Mapping[str, Any],
) -> str:
    """Return the identity of a job: a SHA-256 in hexadecimal.

    Parameters
    ----------
    rule
        The rule's name.
    settings
        The resolved settings that can change the result's bytes, and no others.
    code
        Digest by module, from `code_digests`.
    inputs
        Identity, or list of identities, by input name.
    """
    parts = {"rule": rule, "settings": settings, "code": code, "inputs": inputs}
    return sha256_text(canonical_json(parts))


def code_digests(root: Path, script: Path, modules: Iterable[str] = ()) -> dict[str, str]:
    """Return the digest of a script and of every saeflow module that it can import.

    Parameters
    ----------
    root
        The directory that holds the package ("workflow").
    script
        The job's script.
    modules
        Modules loaded by name at run time, which imports do not show
        ("saeflow.sae.architectures.relu").

    Returns
    -------
    dict
        Digest by module name; the script's key is its file name.

    Notes
    -----
    A package's ``__init__`` runs on import, so it counts. Imports for type checkers do not.
    """
    digests = {script.name: _digest(script)}
    queue = [*_imports(script, root), *modules]
    for module in modules:
        if _module_file(module, root) is None:
            raise SaeflowError(f"there is no module '{module}'", where=root)
    while queue:
        module = queue.pop()
        if module in digests or module in NEUTRAL:
            continue
        path = _module_file(module, root)
        if path is None:
            continue
        digests[module] = _digest(path)
        queue.extend(_imports(path, root))
        queue.append(module.rpartition(".")[0])
    return dict(sorted(digests.items()))


def _module_file(module: str, root: Path) -> Path | None:
    if not module:
        return None
    base = root.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _digest(path: Path) -> str:
    return _analyse(path, path.stat().st_mtime_ns, path.stat().st_size)[0]


def _imports(path: Path, root: Path) -> list[str]:
    names = _analyse(path, path.stat().st_mtime_ns, path.stat().st_size)[1]
    # "from saeflow.sae import train" names a module or an attribute: the file system decides.
    return [name for name in names if _module_file(name, root)]


@cache
def _analyse(path: Path, _mtime_ns: int, _size: int) -> tuple[str, tuple[str, ...]]:
    """Parse one file; the time and size are part of the key, so that an edit is seen."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    names = tuple(sorted(set(_imported_names(tree))))
    _strip_docstrings(tree)
    return sha256_text(canonical_json(_serialise(tree))), names


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in _walk_runtime(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.level:
                raise SaeflowError(f"relative import of '{node.module}': write the full name")
            if node.module.split(".")[0] == PACKAGE:
                yield node.module
                yield from (f"{node.module}.{a.name}" for a in node.names)


def _walk_runtime(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree except for the bodies of ``if TYPE_CHECKING:``."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield from _walk_runtime(other)
        else:
            yield from _walk_runtime(child)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _strip_docstrings(tree: ast.AST) -> None:
    """Drop every string that stands alone as a statement: docstrings, also of attributes."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                kept = [s for s in body if not _is_string_statement(s)]
                setattr(node, field, kept)


def _is_string_statement(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _serialise(node: Any) -> Any:
    """Turn a syntax tree into JSON that does not change with Python's minor version.

    Newer versions add fields that are empty unless the new syntax is used, so empty ones are
    left out; positions and type comments never enter.
    """
    if isinstance(node, ast.AST):
        fields = {
            name: _serialise(value)
            for name, value in ast.iter_fields(node)
            if name not in ("ctx", "kind", "type_comment", "type_ignores")
            and value is not None
            and value != []
        }
        return [type(node).__name__, fields]
    if isinstance(node, list):
        return [_serialise(item) for item in node]
    return f"{type(node).__name__}:{node!r}"
