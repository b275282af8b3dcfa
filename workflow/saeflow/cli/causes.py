"""Why a result is stale: its identity taken apart and compared with what it was made from.

`explain` is the one function to read first. An input that changed is followed up to the jobs
whose own settings or code changed; those are the causes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.cli.words import count, more, value
from saeflow.plan.made import recall
from saeflow.plan.passes import describe
from saeflow.plan.result import Result, source


class Cause(NamedTuple):
    """A result with something of its own that changed.

    Attributes
    ----------
    rule : str
        Its rule.
    changes : tuple of str
        What changed, a line each.
    record : Path
        What it makes.
    through : tuple of Path
        The records by which the target depends on it, the target first; empty for the target.
    """

    rule: str
    changes: tuple[str, ...]
    record: Path
    through: tuple[Path, ...]


def explain(result: Result, identity: str) -> list[Cause]:
    """Return what changed since ``result``, as it is planned now, was made under ``identity``."""
    return list(_causes(result, identity, (), set()))


def _causes(
    result: Result, identity: str, through: tuple[Path, ...], seen: set[tuple[Path, str]]
) -> Iterator[Cause]:
    if identity == result.identity or (result.output, identity) in seen:
        return
    seen.add((result.output, identity))
    was = recall(result.output, identity)
    if was is None:
        text = (
            f"made under identity {identity[:16]}, now {result.identity[:16]}: what it was made"
            " from was not kept, so the difference cannot be told"
        )
        yield Cause(result.rule, (text,), result.output, through)
        return
    now = describe(result)
    changes = [
        *_settings(was["settings"], now["settings"]),
        *_code(was["code"], source().closure(result.roots)),
    ]
    if was["rule"] != result.rule:
        changes.insert(0, f"rule: was {was['rule']}, is {result.rule}")
    below = []
    for name in sorted({*was["inputs"], *result.inputs}):
        before = {Path(i["record"]): i["identity"] for i in _listed(was["inputs"].get(name, []))}
        after = {other.output: other for other in _listed(result.inputs.get(name, []))}
        changes.extend(_exchanged(name, before, after))
        below.extend((after[path], before[path]) for path in after if path in before)
    if changes:
        yield Cause(result.rule, tuple(changes), result.output, through)
    for other, old_identity in below:
        yield from _causes(other, old_identity, (*through, result.output), seen)


def _listed(inputs: Any) -> list[Any]:
    return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]


def _exchanged(name: str, before: Mapping[Path, Any], after: Mapping[Path, Any]) -> Iterator[str]:
    """Yield a line for inputs that came or went, with one of them as an example."""
    for word, paths in (
        ("no longer reads", [path for path in before if path not in after]),
        ("reads now", [path for path in after if path not in before]),
    ):
        if paths:
            yield f"input {name}: {word} {paths[0]}{more(paths)}"
    if list(before) != list(after) and set(before) == set(after):
        yield f"input {name}: the same, in another order"


def _settings(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key, before, after in differences(was, now):
        yield f"setting {key}: was {before}, is {after}"


def differences(was: Any, now: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (key, what it was, what it is) for each setting that differs.

    Nested keys are joined by " > "; in a list of entries the same change is told once, and of
    lists of other lengths how many entries came and went.
    """
    if was == now:
        return
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted({*was, *now}):
            below = f"{key} > {name}" if key else name
            if name not in was:
                yield below, "not there", value(now[name])
            elif name not in now:
                yield below, value(was[name]), "not there"
            else:
                yield from differences(was[name], now[name], below)
    elif _entries(was) and _entries(now) and len(was) == len(now):
        pairs = zip(was, now, strict=True)
        below = Counter(
            change for one, other in pairs for change in differences(one, other, f"{key} > [*]")
        )
        for (name, before, after), n in below.items():
            yield name, before, after + (f", in {count(n, 'entry')}" if n > 1 else "")
    elif _entries(was) and _entries(now):
        lost = [item for item in was if item not in now]
        new = [item for item in now if item not in was]
        yield (
            key,
            count(len(was), "entry"),
            f"{count(len(now), 'entry')}: {len(new)} new, {len(lost)} gone",
        )
    else:
        yield key, value(was), value(now)


def _entries(thing: Any) -> bool:
    return isinstance(thing, list) and any(isinstance(item, dict) for item in thing)


def _code(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for word, names in (
        ("changed", [name for name in now if name in was and was[name] != now[name]]),
        ("used now", [name for name in now if name not in was]),
        ("no longer used", [name for name in was if name not in now]),
    ):
        if names:
            yield f"code {word}: {', '.join(names)}"
