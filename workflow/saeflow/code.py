"""The code that a result depends on: every definition that its making can reach, and no other.

`Source` follows what definitions name, from the function that a result names through all of
saeflow, and hashes each definition's syntax (`saeflow.definitions` says what counts of it). Nothing
here imports the code that it hashes. What cannot be told from the syntax takes more, never less:

- A module that is used as a value (passed on, given to `getattr`) is all that it defines and
  imports, and a package its modules; so is one that does not define what is asked of it, one of
  which everything is imported, and one with a definition that reaches for its own namespace
  (``global``, ``globals()``).
- What a file's top level runs besides defining belongs to every definition of the file, and of each
  file that imports it. So does a definition whose making may change another one: a function that
  it calls registers it somewhere, say.
- A class is one definition, with its bases. Classes of objects are reached where the objects are
  made.
- What is loaded by name (`saeflow.registry`) is not seen: a result names it beside its function.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from saeflow import definitions
from saeflow.definitions import PACKAGE, Definition, Module, analyse
from saeflow.errors import SaeflowError
from saeflow.files import canonical_json, sha256_file, sha256_text, write_atomic

NEUTRAL = {
    f"{PACKAGE}.{name}": reason
    for name, reason in {
        "activations.mixing": "tells before a training how well batches will mix",
        "activations.room": "refuses to begin what the disk cannot hold",
        "device": "which machine computes is no part of a result",
        "errors": "messages",
        "failures": "notes what could not be made",
        "files": "writes bytes given to it, and hashes, one of which is this one",
        "inputs": "compares records with what was planned",
        "interrupt": "ends a job early, to be resumed",
        "hooks": "names places in a model; which of them is a setting",
        "inventory": "notices damaged files",
        "locks": "makes a process wait",
        "logs": "progress",
        "plan.local": "refuses local files that are not those of the plan",
        "provenance": "for receipts, which are no results",
        "readers": "makes a process wait",
        "registry": "imports what is named, which results name themselves",
        "sae.training.sparsity": "warns of an SAE that is not sparse",
        "script": "checks a job's inputs, logs, reports failures",
        "studies.study": "declares tables and figures, whose settings are in their identities",
        "task": "hands a pass what it is to make",
        "tracking": "shows a training elsewhere",
        "work": "where a result is put together, and its one rename",
    }.items()
}
"""Modules that carry results but cannot change what they say, each with why."""

_SCRIPTS = "scripts/"
_EVERYTHING, _EFFECTS = "*", "<import>"
_NO_IMPORTS: Mapping[str, list[str]] = {}


class Source:
    """The source of saeflow as it is now.

    Parameters
    ----------
    root
        The directory that holds the package ("workflow").
    scripts
        The directory of the scripts.
    cache
        A directory in which what was read of each file is kept; one that cannot be read or written
        to does no harm.
    """

    def __init__(self, root: Path, scripts: Path, cache: Path | None = None) -> None:
        self._root, self._scripts = Path(root), Path(scripts)
        self._paths: dict[str, Path | None] = {
            _module_name(path.relative_to(self._root)): path
            for path in (self._root / PACKAGE).rglob("*.py")
        }
        for module in list(self._paths):  # a package may do without a file of its own
            while module := module.rpartition(".")[0]:
                self._paths.setdefault(module, None)
        self._cache = _Cache(cache)
        self._modules: dict[str, Module] = {}
        self._hashes: dict[str, str] = {}
        self._next: dict[str, tuple[str, ...]] = {}
        self._reached: dict[frozenset[str], set[str]] = {}
        self._digests: dict[frozenset[str], str] = {}

    def closure(self, roots: Iterable[str]) -> dict[str, str]:
        """Return the digest of every definition that is reached.

        Parameters
        ----------
        roots
            Definitions ("scripts/train_saes.py:main", "saeflow.figures.bars:bars_by_layer") and
            whole modules ("saeflow.sae.architectures.relu").

        Returns
        -------
        dict
            By "module:name", and "module:<import>" for what importing a module runs besides.

        Raises
        ------
        SaeflowError
            If a root does not exist.
        """
        found = {node: self._definition(node) for node in sorted(self._reach(frozenset(roots)))}
        return {node: definition.digest for node, definition in found.items() if definition}

    def digest(self, roots: Iterable[str]) -> str:
        """Return one hash of everything that is reached."""
        key = frozenset(roots)
        if key not in self._digests:
            self._digests[key] = sha256_text(canonical_json(self.closure(key)))
        return self._digests[key]

    def files(self, roots: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of every file that was looked at, by its path beside ``root``.

        As long as none of them differs, neither does the digest.
        """
        modules = {node.partition(":")[0] for node in self._reach(frozenset(roots))}
        return {
            path.relative_to(self._root.parent).as_posix(): self._hashes[module]
            for module in sorted(modules)
            if (path := self._path(module)) is not None
        }

    def _reach(self, roots: frozenset[str]) -> set[str]:
        """Return the nodes that are reached: "module:name", of which some stand for no text."""
        if roots not in self._reached:
            queue = [node for root in roots for node in self._root_nodes(root)]
            reached = self._reached[roots] = set(queue)
            while queue:
                for node in self._edges(queue.pop()):
                    if node not in reached:
                        reached.add(node)
                        queue.append(node)
            self._cache.save()
        return self._reached[roots]

    def _root_nodes(self, root: str) -> list[str]:
        module, _, name = root.partition(":")
        if module not in self._paths and not self._path(module).is_file():
            raise SaeflowError(
                f"there is no module '{module}'", where=self._root, expected="a file of that name"
            )
        if not name:
            return [f"{module}:{_EVERYTHING}"]
        content = self._module(module)
        if name not in {*content.definitions, *content.unsettled, *content.imports}:
            raise SaeflowError(
                f"there is no '{name}' in '{module}'",
                where=self._path(module),
                expected="a definition of that name",
            )
        return [node for node, _ in self._named(module, name)]

    def _edges(self, node: str) -> tuple[str, ...]:
        """Return what a node leads to directly."""
        if node not in self._next:
            module, _, name = node.partition(":")
            found = {
                _EVERYTHING: self._edges_of_everything,
                _EFFECTS: self._edges_of_effects,
            }.get(name, lambda module: self._edges_of_one(module, self._definition(node)))
            self._next[node] = tuple(dict.fromkeys(found(module)))
        return self._next[node]

    def _edges_of_one(self, module: str, found: Definition) -> Iterator[str]:
        yield f"{module}:{_EFFECTS}"
        yield from self._imported(found.modules)
        for name in found.names:
            yield from (node for node, _ in self._named(module, name, found.imports))
        if found.sees_everything:
            yield f"{module}:{_EVERYTHING}"

    def _edges_of_effects(self, module: str) -> Iterator[str]:
        content = self._module(module)
        yield from self._imported(content.modules)
        yield from self._imported([module.rpartition(".")[0]])
        yield from (node for node, _ in self._named(module, "*"))
        if content.effects is not None:
            yield from self._edges_of_one(module, content.effects)
        for name, found in content.definitions.items():
            if self._may_register(module, found):
                yield f"{module}:{name}"

    def _edges_of_everything(self, module: str) -> Iterator[str]:
        content = self._module(module)
        yield f"{module}:{_EFFECTS}"
        yield from (f"{module}:{name}" for name in content.definitions)
        for name in content.imports:
            yield from (node for node, _ in self._named(module, name))
        for below in self._paths:
            if below.rpartition(".")[0] == module and below not in NEUTRAL:
                yield f"{below}:{_EVERYTHING}"

    def _imported(self, modules: Iterable[str]) -> Iterator[str]:
        """Yield the effects of those names that are modules."""
        for module in modules:
            if module in self._paths and module not in NEUTRAL:
                yield f"{module}:{_EFFECTS}"

    def _may_register(self, module: str, found: Definition) -> bool:
        """Whether making a definition, when its file is imported, may change another one.

        Decorators of ours may. So may what is called if somewhere it assigns to a part of something
        that a file of ours defines, or calls a method of a value that one defines; such a value
        under another name, of an argument say, is not recognised.
        """
        for call in found.calls:
            for node, is_whole_name in self._named(module, call, found.imports):
                target = self._definition(node)
                if target is None or call.endswith(".__call__"):
                    return True
                if target.kind == "value" and not is_whole_name:
                    if call in found.changes:
                        return True
                elif self._may_change(node):
                    return True
        return False

    def _may_change(self, node: str) -> bool:
        queue = [node]
        seen = set(queue)
        while queue:
            node = queue.pop()
            module, found = node.partition(":")[0], self._definition(node)
            if found is None or found.sees_everything:
                return True
            for change in found.changes:
                for target, is_whole_name in self._named(module, change, found.imports):
                    known = self._definition(target)
                    if known is None or change.endswith("="):
                        return True
                    if known.kind in ("value", "effects") and not is_whole_name:
                        return True
            for name in found.names:
                for target, _ in self._named(module, name, found.imports):
                    if target not in seen:
                        seen.add(target)
                        queue.append(target)
        return False

    def _named(
        self, module: str, name: str, imports: Mapping[str, list[str]] = _NO_IMPORTS
    ) -> Iterator[tuple[str, bool]]:
        """Yield what a name stands for in a module, and whether nothing of the name is left.

        Local variables are not told from names of the module: that is too much, never too little.
        """
        first, _, rest = name.partition(".")
        targets = [*imports.get(first, ()), *self._module(module).imports.get(first, ())]
        queue = [_dotted(target, rest) for target in targets]
        yield from self._defined(module, first, rest)
        seen = set()
        while queue:
            target = queue.pop()
            if target not in seen:
                seen.add(target)
                yield from self._of_package(target, queue)

    def _of_package(self, target: str, queue: list[str]) -> Iterator[tuple[str, bool]]:
        """Yield what an absolute name stands for; names that it was imported from are queued."""
        module, rest = PACKAGE, target.partition(".")[2]
        while rest:
            first, _, rest = rest.partition(".")
            below, is_known = f"{module}.{first}", module in NEUTRAL
            if not is_known:
                defined = list(self._defined(module, first, rest))
                others = self._module(module).imports.get(first, ())
                queue.extend(_dotted(other, rest) for other in others)
                is_known = bool(defined or others)
                yield from defined
            if below not in self._paths:
                if not is_known:
                    yield f"{module}:{_EVERYTHING}", False
                return
            module = below
        if module not in NEUTRAL:
            yield f"{module}:{_EVERYTHING}", False

    def _defined(self, module: str, name: str, rest: str) -> Iterator[tuple[str, bool]]:
        content = self._module(module)
        if name in content.definitions:
            yield f"{module}:{name}", not rest
        if name in content.unsettled:
            yield f"{module}:{_EFFECTS}", False

    def _definition(self, node: str) -> Definition | None:
        module, _, name = node.partition(":")
        content = self._module(module)
        return content.effects if name == _EFFECTS else content.definitions.get(name)

    def _path(self, module: str) -> Path | None:
        if module in self._paths:
            return self._paths[module]
        return self._scripts / module.removeprefix(_SCRIPTS)

    def _module(self, module: str) -> Module:
        if module not in self._modules:
            path = self._path(module)
            content = b"" if path is None else path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            found = self._cache.get(module, digest)
            if found is None:
                found = analyse(content, path)
                self._cache.put(module, digest, found)
            self._modules[module], self._hashes[module] = found, digest
        return self._modules[module]


class _Cache:
    """What was read of each file, as long as neither it nor the reading changes.

    Its first line is a hash of the rest and of the code that wrote it: a file that is damaged, or
    of another version, counts as none.
    """

    def __init__(self, directory: Path | None) -> None:
        self._file = directory and Path(directory) / "code.json"
        self._reading = sha256_file(Path(definitions.__file__))
        self._rows: dict[str, Any] = {}
        self._is_saved = True
        if self._file is not None:
            with suppress(OSError, ValueError):
                head, text = self._file.read_text().split("\n", 1)
                if head == self._head(text):
                    self._rows = json.loads(text)

    def get(self, module: str, digest: str) -> Module | None:
        """Return what a file of this content holds, if that is known."""
        known, row = self._rows.get(module, (None, None))
        if known != digest:
            return None
        found, effects, *others = row
        return Module(
            {name: Definition(*one) for name, one in found.items()},
            effects and Definition(*effects),
            *others,
        )

    def put(self, module: str, digest: str, found: Module) -> None:
        """Keep what a file holds."""
        self._rows[module] = (digest, found)
        self._is_saved = False

    def save(self) -> None:
        """Write what is new, if that is possible."""
        if self._is_saved or self._file is None:
            return
        self._is_saved = True
        text = json.dumps(self._rows, separators=(",", ":"))
        with suppress(OSError, SaeflowError):
            write_atomic(self._file, f"{self._head(text)}\n{text}".encode(), flush=False)

    def _head(self, text: str) -> str:
        return sha256_text(self._reading + text)


def _dotted(*names: str) -> str:
    return ".".join(filter(None, names))


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
