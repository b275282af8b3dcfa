"""With what and how long results were made, from the receipts of the passes. Read `read_receipts`.

Versions and the commit of the code are in the page. Times are not the same when the same is done
again, so they lie beside it, in a file that the page shows where it is there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.files import read_object
from saeflow.logs import duration

Receipt = Mapping[str, Any]


def read_receipts(identities: Collection[str]) -> list[Receipt]:
    """Return the receipts of passes that made some results, in the order of their paths."""
    wanted = set(identities)
    receipts = (read_object(path) for path in sorted(Path(paths.RECEIPTS).rglob("*.json")))
    return [
        receipt
        for receipt in receipts
        if any(one.get("identity") in wanted for one in receipt.get("results", ()))
    ]


def made_with(receipts: Iterable[Receipt]) -> dict[str, str]:
    """Return version by package, and the commit; where passes differ, how many had which."""
    seen: dict[str, Counter[str]] = {}
    for receipt in receipts:
        if "versions" in receipt:
            named = {**receipt["versions"], "commit": receipt.get("commit") or "not in a checkout"}
            for name, value in named.items():
                seen.setdefault(name, Counter())[value] += 1
    return {name: _words(values) for name, values in sorted(seen.items(), key=_order)}


def times(receipts: Iterable[Receipt]) -> list[list[str]]:
    """Return rule, passes, results, time, processor time, memory and machines of the passes."""
    rules: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        rules.setdefault(str(receipt.get("rule")), []).append(receipt)
    rows = [_row(rule, of) for rule, of in rules.items()]
    return [*rows, _row("all", [one for of in rules.values() for one in of])] if rows else []


def times_script(rows: Iterable[Iterable[str]]) -> str:
    """Return a script that hands the rows of `times` to the page."""
    return f"showTimes({json.dumps(list(map(list, rows)), ensure_ascii=False)});\n"


def _row(rule: str, receipts: Collection[Receipt]) -> list[str]:
    usage = [receipt.get("usage", {}) for receipt in receipts]
    n_results = sum(len(r.get("results", ())) for r in receipts if not r.get("part"))
    peak = max((used.get("peak_memory_bytes", 0) for used in usage), default=0)
    return [
        rule.replace("_", " "),
        f"{len(receipts):,}",
        f"{n_results:,}",
        duration(sum(used.get("seconds", 0.0) for used in usage)),
        duration(sum(used.get("cpu_seconds", 0.0) for used in usage)),
        f"{peak / 1e9:.1f} GB",
        ", ".join(sorted({str(r["machine"]) for r in receipts if r.get("machine")})),
    ]


def _words(values: Counter[str]) -> str:
    if len(values) == 1:
        return next(iter(values))
    counted = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{value} ({n} pass{'' if n == 1 else 'es'})" for value, n in counted)


def _order(item: tuple[str, Any]) -> tuple[int, str]:
    first = ("commit", "saeflow", "python", "torch", "transformers")
    name = item[0]
    return (first.index(name) if name in first else len(first), name)
