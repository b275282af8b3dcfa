"""What a source file defines, and what each definition names: read from the syntax, never run.

A *definition* is a function, a class or a value that the top level of a file names, once. Whatever
else the top level runs, apart from imports, is the *effects* of the file. Comments, docstrings,
layout, blocks for type checkers and annotations of functions and variables count for nothing;
annotations in the bodies of classes do count, since dataclasses and their like read them. Read
`analyse`.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from saeflow.errors import SaeflowError
from saeflow.files import sha256_text

PACKAGE = "saeflow"

_KINDS = {ast.FunctionDef: "function", ast.AsyncFunctionDef: "function", ast.ClassDef: "class"}
_TARGETS = (ast.Name, ast.Tuple, ast.List, ast.Starred, ast.expr_context)
_BLOCKS = frozenset({"body", "orelse", "finalbody"})
_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_SEE_EVERYTHING = frozenset({"globals", "vars", "eval", "exec"})
_READING = frozenset("copy count format get index items join keys values".split())
# Decorators that do not look at a function's annotations; under any other one they count.
_BLIND = frozenset(
    "cache cached_property classmethod contextmanager".split()
    + "lru_cache no_grad property staticmethod".split()
)


class Definition(NamedTuple):
    """A definition, or the effects of a file as one.

    Attributes
    ----------
    kind : str
        "function", "class", "value" or "effects".
    digest : str
        Hash of what counts of it, and of what the imported names in it stand for.
    names : list of str
        What it names that is not its own, with attributes ("paths.fill").
    calls : list of str
        Those of them that importing the file calls.
    changes : list of str
        Those of them that may change things: calls of methods, and with "=" for the last part what
        it assigns to a part of.
    imports : dict
        What its own imports bind: name -> absolute dotted names.
    modules : list of str
        What its own imports may import.
    sees_everything : bool
        Whether it reaches for the namespace of its file as a whole.
    """

    kind: str
    digest: str
    names: list[str]
    calls: list[str]
    changes: list[str]
    imports: dict[str, list[str]]
    modules: list[str]
    sees_everything: bool


class Module(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    definitions : dict
        By name.
    effects : Definition or None
        None where there are none.
    unsettled : list of str
        Names that the effects bind.
    imports : dict
        What imports bind: name -> absolute dotted names; "*" -> modules of which they take all.
    modules : list of str
        What those imports may import.
    """

    definitions: dict[str, Definition]
    effects: Definition | None
    unsettled: list[str]
    imports: dict[str, list[str]]
    modules: list[str]


def analyse(content: bytes, where: object) -> Module:
    """Return what a source file holds.

    Parameters
    ----------
    content
        The file.
    where
        Its path, for messages.

    Raises
    ------
    SyntaxError
        If it is not Python.
    SaeflowError
        If it has a relative import.

    Notes
    -----
    A name that is bound twice means what the order of its statements makes of it: they are effects.
    A definition counts the effects before it, so that moving it past one does not go unnoticed.
    """
    statements = list(_statements(ast.parse(content, filename=str(where)).body))
    times = Counter(name for statement in statements for name in _bound(statement)[0])
    effects, n_effects = _Reader(where), 0
    unsettled: set[str] = set()
    found: list[tuple[set[str], str, _Reader]] = []
    for statement in statements:
        names, is_plain = _bound(statement)
        if is_plain and isinstance(statement, ast.Import | ast.ImportFrom):
            effects.bind(statement)
        elif is_plain and all(times[name] == 1 for name in names):
            reader = _Reader(where, n_effects)
            reader.visit(statement)
            found.append((names, _KINDS.get(type(statement), "value"), reader))
        else:
            effects.visit(statement)
            unsettled |= names
            n_effects += 1
    known = {*effects.imports, *unsettled, *(n for names, _, _ in found for n in names)}
    definitions: dict[str, Definition] = {}
    for names, kind, reader in found:
        definitions |= dict.fromkeys(sorted(names), reader.definition(kind, effects.imports, known))
    return Module(
        definitions,
        effects.definition("effects", effects.imports, known) if n_effects else None,
        sorted(unsettled),
        _ours(effects.imports),
        sorted(effects.modules),
    )


def _statements(block: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a block that do something."""
    for statement in block:
        if isinstance(statement, ast.If) and _last_name(statement.test) == "TYPE_CHECKING":
            yield from _statements(statement.orelse)
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring, also of an attribute; the dots of an empty body
        elif not isinstance(statement, ast.Pass):
            yield statement


def _bound(statement: ast.stmt) -> tuple[set[str], bool]:
    """Return the names that a statement binds or changes, and whether it does nothing else."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names = {alias.asname or alias.name.split(".")[0] for alias in statement.names}
        return names, "*" not in names
    if type(statement) in _KINDS:
        return {statement.name}, True
    parts = list(ast.walk(statement))
    is_plain = isinstance(statement, ast.Assign | ast.AnnAssign)
    if is_plain and not any(isinstance(part, ast.NamedExpr) for part in parts):
        targets = getattr(statement, "targets", None) or [statement.target]
        parts = [part for target in targets for part in ast.walk(target)]
        is_plain = all(isinstance(part, _TARGETS) for part in parts)
    else:
        is_plain = False
    stored = {p.id for p in parts if isinstance(p, ast.Name) and not isinstance(p.ctx, ast.Load)}
    return stored | {part.name for part in parts if type(part) in _KINDS}, is_plain


def _is_ours(name: str) -> bool:
    return name.split(".")[0] == PACKAGE


def _ours(imports: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    ours = {name: sorted(filter(_is_ours, targets)) for name, targets in sorted(imports.items())}
    return {name: targets for name, targets in ours.items() if targets}


def _dotted(node: ast.AST) -> str | None:
    """Return "a.b.c" for names and attributes of names, None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _root(node: ast.AST) -> str | None:
    """Return what an expression takes a part of, or calls, first."""
    while isinstance(node, ast.Subscript | ast.Call) or (
        isinstance(node, ast.Attribute) and _dotted(node) is None
    ):
        node = node.func if isinstance(node, ast.Call) else node.value
    return _dotted(node)


def _last_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)


class _Reader(ast.NodeVisitor):
    """Writes down what counts of statements, and notes what they name.

    What it writes stays the same from one minor version of Python to the next: newer ones add
    fields that are empty where new syntax is not used, and empty fields are left out.

    Parameters
    ----------
    where
        The file, for messages.
    n_effects
        How many of the file's effects come before.
    """

    def __init__(self, where: object, n_effects: int = 0) -> None:
        self.imports: dict[str, set[str]] = defaultdict(set)
        self.modules: set[str] = set()
        self._where = where
        self._text = [f"{n_effects} "]
        self._names: set[str] = set()
        self._calls: set[str] = set()
        self._changes: set[str] = set()
        self._sees_everything = False
        self._is_later = False  # inside a function: it runs when that is called
        self._in_class = self._annotated = False

    def definition(
        self, kind: str, imports: Mapping[str, Iterable[str]], known: set[str]
    ) -> Definition:
        """Return what was read, given what the file imports and all names that it binds."""
        known = {*known, *self.imports}
        names, calls, changes = (
            sorted(name for name in noted if name.split(".")[0] in known)
            for noted in (self._names, self._calls, self._changes)
        )
        imported = {name.split(".")[0] for name in names} & imports.keys()
        meaning = [[name, sorted(imports[name])] for name in sorted(imported)]
        return Definition(
            kind,
            sha256_text("".join([kind, ascii(meaning), *self._text])),
            names,
            calls,
            changes,
            _ours(self.imports),
            sorted(self.modules),
            self._sees_everything,
        )

    def bind(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note what an import binds and imports."""
        if getattr(node, "level", 0):
            place = f"{self._where}:{node.lineno}"
            raise SaeflowError("the import is relative", where=place, remedy="Write the full name.")
        for alias in node.names:
            first = alias.name.split(".")[0]
            if isinstance(node, ast.Import):
                module, target = alias.name, alias.name if alias.asname else first
            else:
                module, first = node.module, alias.name
                target = module if first == "*" else f"{module}.{first}"
            self.imports[alias.asname or first].add(target)
            self.modules.update(filter(_is_ours, (module, target)))

    def generic_visit(self, node: ast.AST, *without: str) -> None:
        """Write a node and everything below it, but for some of its fields."""
        self._text.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in _IGNORED or name in without:
                continue
            self._text.append(f"{name}=")
            is_block = name in _BLOCKS and isinstance(value, list)
            self._write(list(_statements(value)) if is_block else value)
        self._text.append(")")

    def _write(self, value: Any) -> None:
        if isinstance(value, ast.AST):
            self.visit(value)
        elif isinstance(value, list):
            self._text.append("[")
            for item in value:
                self._write(item)
                self._text.append(",")
            self._text.append("]")
        else:
            self._text.append(ascii(value))

    def visit_Name(self, node: ast.Name | ast.Attribute) -> None:
        name = _dotted(node)
        if name is None:
            self.generic_visit(node)
            return
        self._text.append(f"<{name}>")
        self._names.add(name)
        self._sees_everything |= name in _SEE_EVERYTHING
        if "." in name and not isinstance(node.ctx, ast.Load):
            self._changes.add(f"{name}.=")

    visit_Attribute = visit_Name

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        # Python 3.12 alone has empty texts here.
        parts = [part for part in node.values if getattr(part, "value", None) != ""]
        self.generic_visit(ast.JoinedStr(parts))

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self._changes.add(f"{_root(node)}.=")

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        self._note_call(_dotted(node.func) or f"{_root(node.func)}.__call__")

    def _note_call(self, name: str) -> None:
        if not self._is_later:
            self._calls.add(name)
        _, is_part, last = name.rpartition(".")
        if is_part and last not in _READING:
            self._changes.add(name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        before = self._is_later, self._in_class, self._annotated
        self._write_decorators(node)
        self._annotated = any(_last_name(one) not in _BLIND for one in node.decorator_list)
        self.visit(node.args)
        self._is_later, self._in_class = True, False
        returns = () if self._annotated else ("returns",)
        self.generic_visit(node, "args", "decorator_list", *returns)
        self._is_later, self._in_class, self._annotated = before

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        before = self._is_later
        self.visit(node.args)
        self._is_later = True
        self.generic_visit(node, "args")
        self._is_later = before

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        before = self._in_class
        self._write_decorators(node)
        self._in_class = True
        self.generic_visit(node, "decorator_list")
        self._in_class = before

    def _write_decorators(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    ) -> None:
        self._write(node.decorator_list)
        for one in node.decorator_list:
            self._note_call(f"{_root(one)}.__call__")

    def visit_arg(self, node: ast.arg) -> None:
        self.generic_visit(node, *(() if self._annotated else ("annotation",)))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if self._in_class:
            self.generic_visit(node)
            for part in ast.walk(node.annotation):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    self._names.update(re.findall(r"[^\W\d][\w.]*", part.value))
        elif node.value is None:
            self.generic_visit(node, "annotation")
        else:
            self.generic_visit(ast.Assign([node.target], node.value))

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.generic_visit(node)
        self.bind(node)

    visit_ImportFrom = visit_Import

    def visit_Global(self, node: ast.Global) -> None:
        self.generic_visit(node)
        self._sees_everything = True
