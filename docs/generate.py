"""Write the pages of docs/ that follow from the sources; with --check, say which are out of date.

configuration.md from its sections, recipes.md from the presets, metrics.md from the registry,
staleness.md from the tests that prove it, rules.md from the rule files. families.md, which takes
minutes, only with --families; a slow test checks it.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "tests")]

from dag.changes import CHANGES  # noqa: E402
from dag.jobs import EVERYTHING  # noqa: E402
from saeflow import paths  # noqa: E402
from saeflow.config.documentation import configuration_page, recipes_page  # noqa: E402
from saeflow.files import write_atomic  # noqa: E402
from saeflow.metrics.documentation import metrics_page  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--families", action="store_true", help="write families.md, too")
    options = parser.parse_args(arguments)
    if options.families:
        from tried_families import families_page

        write_atomic(ROOT / "docs" / "families.md", families_page().encode())
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


# -- staleness.md ----------------------------------------------------------------------------

_KINDS = {
    "texts and models": (
        *("fetch_dataset", "train_tokenizer", "tokenize_dataset", "train_lm"),
        *("fetch_model", "copy_tokenizer", "fetch_prompts", "fetch_labelled"),
    ),
    "stores": ("harvest", "release_activations"),
    "SAEs": ("train_saes", "import_saes"),
    "fine-tuned": ("finetune_saes",),
    "sums": ("measure", "simulate"),
    "tables": ("tabulate",),
    "figures": ("plot",),
    "report": ("build_report",),
}


def staleness_page() -> str:
    """Return the matrix of changes and the kinds of results that they make stale."""
    rows = [
        (change.title, *(_extent(rules, change.results) for rules in _KINDS.values()))
        for change in CHANGES
    ]
    table = _table(("if this changes", *_KINDS), rows)
    return f"""# What is made again

Generated from `tests/dag/changes/`; `tests/dag/test_staleness.py` proves each line. Do not edit.

The study of the tests has one small language model, two hooks, two SAEs (relu and topk), one
fine-tuning method and one seed. **all** of a kind, **some**: only those that the change concerns
(of the SAE, the hook, the metric), **new**: only what was not there before. What makes a result is
made again too only where that column says so.

{table}

Threads, device, profile, file times, copying `results/` elsewhere or losing `.snakemake` change
nothing. `saeflow why PATH` says which setting or definition it was.
"""


def _extent(rules: tuple[str, ...], results: set[str]) -> str:
    mine = {result for result in results if result.split()[0] in rules}
    known = {result for result in EVERYTHING if result.split()[0] in rules}
    if not mine:
        return ""
    if mine <= known:
        return "all" if mine == known else "some"
    return "new" if not mine & known else "all, new" if known <= mine else "some, new"


# -- rules.md --------------------------------------------------------------------------------

_RULE = re.compile(r'^rule (?P<name>\w+):\n {4}"""(?P<about>.+?)"""', re.M | re.S)


def rules_page() -> str:
    """Return the page about every rule."""
    found = all_rules()
    rows = [
        (f"`{name}`", about, f"`{paths.PASSES[name]}`", f"`rules/{file}.smk`")
        for name, (about, file) in sorted(found.items(), key=lambda one: _place(one[0]))
    ]
    table = _table(("rule", "does", "one pass for each", "file"), rows)
    names = _table(
        ("wildcard", "may be"),
        [(f"`{n}`", f"`{p}`".replace("|", "\\|")) for n, p in paths.WILDCARDS.items()],
    )
    return f"""# Rules

Generated from `rules/`. Do not edit: edit the rules.

Each rule runs `scripts/<rule>.py`, which hands the results of a pass to a function of the library.
Snakemake knows a pass by its receipt, `{paths.RECEIPTS}/<rule>/<place>/<plan>.json`, whose name
follows from what the pass makes; see [concepts](concepts.md). The log has the same name under
`{paths.LOGS}`. Studies are rules too: `snakemake suppression`.

{table}

## Wildcards

{names}
"""


def all_rules() -> dict[str, tuple[str, str]]:
    """Return what each rule does, and its file, by name."""
    return {
        match["name"]: (match["about"], file.stem)
        for file in sorted((ROOT / "rules").glob("*.smk"))
        for match in _RULE.finditer(file.read_text(encoding="utf-8"))
    }


def _place(rule: str) -> int:
    return list(paths.PASSES).index(rule)


if __name__ == "__main__":
    sys.exit(main())
