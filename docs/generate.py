"""Write the pages of docs/ that follow from the sources; with --check, say which are out of date.

configuration.md from the schema, recipes.md from the presets, metrics.md from the registry,
staleness.md from the tests that prove it, rules.md from the rule files.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "tests")]

from dag.changes import CHANGES  # noqa: E402
from dag.jobs import EVERYTHING  # noqa: E402
from saeflow import paths  # noqa: E402
from saeflow.config.documentation import recipes_page  # noqa: E402
from saeflow.config.schema import load_schema, type_in_words  # noqa: E402
from saeflow.files import canonical_json, write_atomic  # noqa: E402
from saeflow.metrics.documentation import metrics_page  # noqa: E402

Schema = Mapping[str, Any]

_LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {}",
}


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    stale = [name for name, text in pages().items() if _read(name) != text]
    if not options.check:
        for name in stale:
            write_atomic(ROOT / "docs" / name, pages()[name].encode())
    elif stale:
        names = ", ".join(f"docs/{name}" for name in stale)
        sys.stderr.write(f"out of date: {names}. Run `make docs`.\n")
        return 1
    return 0


def pages() -> dict[str, str]:
    """Return the text of every generated page by its name."""
    return {
        "configuration.md": configuration_page(),
        "metrics.md": metrics_page(),
        "recipes.md": recipes_page(),
        "rules.md": rules_page(),
        "staleness.md": staleness_page(),
    }


def _read(name: str) -> str | None:
    path = ROOT / "docs" / name
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# -- configuration.md ------------------------------------------------------------------------


def configuration_page() -> str:
    """Return the page about every key of the configuration."""
    schema = load_schema()
    parts = [
        "# Configuration",
        "Generated from `workflow/schemas/config.schema.yaml`. Do not edit: edit the schema.",
        schema["description"]
        + " A name that you choose is part of paths: at most 64 letters, digits, `.`, `_`, `+` or"
        " `-`, beginning with a letter or digit. A key that is not listed here is an error.",
        "In the tables, *required* has no default; `a > b` is the key `b` below the key `a`.",
    ]
    for key, section in schema["properties"].items():
        parts.extend(_section(key, _followed(section)))
    return "\n\n".join(parts) + "\n"


def _section(key: str, section: Schema) -> Iterator[str]:
    yield f"## {key}"
    yield section["description"]
    entries = section.get("additionalProperties")
    if isinstance(entries, dict):
        entries = _followed(entries)
        for kind in entries.get("oneOf", [entries]):
            yield from _kind(f"{key} > NAME", _followed(kind))
    elif key == "studies":
        for name, study in section["properties"].items():
            yield from _kind(f"studies > {name}", _followed(study))
    else:
        yield _keys(section)


def _kind(where: str, entry: Schema) -> Iterator[str]:
    """Yield the heading, the description and the table of one kind of entry."""
    first = next(iter(entry.get("required", ())), None)
    constant = first and _followed(entry["properties"][first]).get("const")
    mark = f"{first}: {constant}" if constant else first
    named = where.endswith("NAME") and mark
    yield f"### `{where}`" + (f" with `{mark}`" if named else "")
    yield entry["description"]
    yield _keys(entry)


def _keys(entry: Schema) -> str:
    rows = list(_rows(entry, ()))
    return _table(("key", "type", "default", "limits", "meaning"), rows)


def _rows(entry: Schema, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for key, value in entry["properties"].items():
        value = _followed(value)
        names = (*above, key)
        required = key in entry.get("required", ())
        yield (
            f"`{' > '.join(names)}`",
            _type(value),
            _default(value, required=required),
            _limits(value),
            value["description"].replace("|", "\\|"),
        )
        if "properties" in value:
            yield from _rows(value, names)


def _followed(value: Schema) -> Schema:
    """Replace a reference by what it names; keys beside it win."""
    if "$ref" not in value:
        return value
    target = load_schema()["$defs"][value["$ref"].removeprefix("#/$defs/")]
    return {**_followed(target), **{k: v for k, v in value.items() if k != "$ref"}}


def _type(value: Schema) -> str:
    if "enum" in value:
        return "a choice"
    if "const" in value:
        return "this word"
    text = type_in_words(value["type"])
    if "items" in value:
        items = _followed(value["items"])
        text += f" (items: {type_in_words(items.get('type', 'string'))})"
    return text


def _default(value: Schema, *, required: bool) -> str:
    if required:
        return "*required*"
    if "default" not in value or value["default"] in ({}, []):
        return "–"
    default = value["default"]
    return f"`{default if isinstance(default, str) else canonical_json(default)}`"


def _limits(value: Schema) -> str:
    if "enum" in value:
        words = (v if isinstance(v, str) else canonical_json(v) for v in value["enum"])
        return ", ".join(f"`{word}`" for word in words)
    if "const" in value:
        return f"`{value['const']}`"
    found = [text.format(value[key]) for key, text in _LIMITS.items() if key in value]
    if value.get("uniqueItems"):
        found.append("each once")
    return ", ".join(found) or "–"


# -- staleness.md ----------------------------------------------------------------------------


def staleness_page() -> str:
    """Return the page "if you change this, these rules rerun"."""
    rows = [(change.title, _consequence(change.jobs)) for change in CHANGES]
    table = _table(("if this changes", "these rules rerun"), rows)
    return f"""# What reruns

Generated from `tests/dag/changes.py`; `tests/dag/test_staleness.py` proves each line. Do not edit.

The study of the tests has one small language model, two hooks, two SAEs (relu and topk), one
fine-tuning method and one seed. **all**: every job of the rule; **some**: only those that the
change concerns (of the SAE, the hook, the figure); **new**: only jobs that did not exist before.

{table}

Threads, device, profile, file times, copying `results/` elsewhere or losing `.snakemake` change
nothing. `saeflow why PATH` says which of these it was.
"""


def _consequence(jobs: set[str]) -> str:
    if not jobs:
        return "nothing"
    if jobs == EVERYTHING:
        return "everything"
    rules = sorted({job.split()[0] for job in jobs}, key=_order)
    return ", ".join(f"`{rule}` ({_extent(rule, jobs)})" for rule in rules)


def _extent(rule: str, jobs: set[str]) -> str:
    mine = {job for job in jobs if job.split()[0] == rule}
    known = {job for job in EVERYTHING if job.split()[0] == rule}
    if mine <= known:
        return "all" if mine == known else "some"
    return "new" if not mine & known else "all and new" if known <= mine else "some and new"


def _order(rule: str) -> int:
    """Return the place of a rule in the rule files, which follow the data."""
    return [name for name, *_ in _all_rules()].index(rule)


# -- rules.md --------------------------------------------------------------------------------

_RULE = re.compile(r"^rule (?P<name>\w+):\n(?P<body>(?:(?: {4}.*)?\n)+)", re.M)
_FILES = ("datasets", "models", "activations", "saes", "measures")


def rules_page() -> str:
    """Return the page about every rule."""
    rows = []
    for name, file, about, outputs in _all_rules():
        wildcards = dict.fromkeys(w for path in outputs for w in re.findall(r"\{(\w+)\}", path))
        rows.append(
            (
                f"`{name}`",
                about,
                "<br>".join(f"`{path}`" for path in outputs) or "–",
                ", ".join(f"`{wildcard}`" for wildcard in wildcards) or "–",
                f"`rules/{file}.smk`",
            )
        )
    table = _table(("rule", "does", "makes", "wildcards", "file"), rows)
    names = _table(
        ("wildcard", "may be"),
        [(f"`{n}`", f"`{p}`".replace("|", "\\|")) for n, p in paths.WILDCARDS.items()],
    )
    return f"""# Rules

Generated from `rules/`. Do not edit: edit the rules.

Each rule runs `scripts/<rule>.py`, which adapts one function of the library. The files below are
what Snakemake knows; the data lie beside the records, see [concepts](concepts.md).

{table}

## Wildcards

{names}
"""


def _all_rules() -> list[tuple[str, str, str, list[str]]]:
    """Return (name, file, what it does, output patterns) of every rule, in the data's order."""
    files = sorted(path.stem for path in (ROOT / "rules").glob("*.smk"))
    files.sort(key=lambda stem: (_rank(stem), stem))
    return [rule for stem in files for rule in _rules_of(stem)]


def _rank(stem: str) -> int:
    """Place the shared stages first, then the studies, then the report."""
    if stem in _FILES:
        return _FILES.index(stem)
    return len(_FILES) + (stem == "report")


def _rules_of(stem: str) -> Iterator[tuple[str, str, str, list[str]]]:
    text = (ROOT / "rules" / f"{stem}.smk").read_text(encoding="utf-8")
    names: dict[str, Any] = {"__builtins__": {}, "paths": paths, "_listed": _listed}
    names.update(dict.fromkeys(("ensure", "protected", "report", "temp"), _flagged))
    for name, expression in re.findall(r"^([A-Z_]+) = (.+)$", text, flags=re.M):
        names[name] = eval(expression, names)
    for match in _RULE.finditer(text):
        about = re.search(r'"""(.+?)"""', match["body"], flags=re.S)
        if about is None:
            raise SystemExit(f"rules/{stem}.smk: the rule {match['name']} has no docstring")
        outputs = re.search(r"^ {4}output:\n((?: {8}.+\n)+)", match["body"], flags=re.M)
        found = eval(f"_listed({outputs[1]})", names) if outputs else []
        yield match["name"], stem, about[1].split(" Wildcards:")[0], found


def _listed(*outputs: str, **named: str) -> list[str]:
    return [*outputs, *named.values()]


def _flagged(output: str, *_: object, **__: object) -> str:
    """Stand for a flag of Snakemake around an output."""
    return output


if __name__ == "__main__":
    sys.exit(main())
