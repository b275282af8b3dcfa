"""Print SAEs side by side: what they are, what was measured of them, how alike their latents are.

SAE is a record (sae.json), its directory, or any file or directory that the workflow can import.
"alike" is the mean over the latents of the one of the largest cosine between its decoder row and
any of the other's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saeflow.sae.model import SAE
    from saeflow.sae.saved.describe import Description

HELP = "print SAEs side by side"
_MATCHED = 0.9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("saes", nargs="+", type=Path, metavar="SAE", help="SAEs to compare")
    parser.add_argument(
        "--all", action="store_true", help="also print the settings in which they agree"
    )


def run(options: argparse.Namespace) -> int:
    """Print the tables."""
    from saeflow.cli.saes import open_sae
    from saeflow.sae.saved.describe import describe

    opened = [open_sae(path) for path in options.saes]
    found = [describe(sae, record) for sae, record in opened]
    heads = [f"[{number}]" for number in range(1, len(found) + 1)]
    for head, path in zip(heads, options.saes, strict=True):
        print(f"{head} {path}")
    _print_facts(found, heads, everything=options.all or len(found) == 1)
    _print_metrics(found, heads)
    if len(found) > 1:
        _print_alikeness([sae for sae, _ in opened], heads)
    return 0


def _print_facts(found: Sequence[Description], heads: list[str], *, everything: bool) -> None:
    names = list(dict.fromkeys(name for one in found for name in one.facts))
    rows = [(name, [one.facts.get(name, "-") for one in found]) for name in names]
    shown = [row for row in rows if everything or len(set(row[1])) > 1]
    _print_table("settings", heads, shown)
    if len(shown) < len(rows):
        same = ", ".join(f"{name} {values[0]}" for name, values in rows if len(set(values)) == 1)
        print(f"  the same in all: {same}")


def _print_metrics(found: Sequence[Description], heads: list[str]) -> None:
    keys = sorted({key for one in found for key in one.metrics})
    for place in dict.fromkeys(place for place, _ in keys):
        rows = [
            (name, [_number(one.metrics.get((place, name))) for one in found])
            for where, name in keys
            if where == place
        ]
        _print_table(f"measured on {place}", heads, rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _print_alikeness(saes: Sequence[SAE], heads: list[str]) -> None:
    from saeflow.sae.saved.describe import best_cosines

    mean, matched = [], []
    for head, sae in zip(heads, saes, strict=True):
        cosines = [
            best_cosines(sae.W_dec, other.W_dec)
            if sae.W_dec.shape[1] == other.W_dec.shape[1]
            else None
            for other in saes
        ]
        mean.append((head, ["-" if c is None else f"{float(c.mean()):.3f}" for c in cosines]))
        shares = ["-" if c is None else f"{float((c > _MATCHED).double().mean()):.1%}"
                  for c in cosines]  # fmt: skip
        matched.append((head, shares))
    _print_table("alike: the row's latents among the column's", heads, mean)
    _print_table(f"latents with a cosine above {_MATCHED}", heads, matched)


def _print_table(title: str, heads: list[str], rows: Sequence[tuple[str, list[str]]]) -> None:
    if not rows:
        return
    first = max(len(name) for name, _ in rows) + 2
    widths = [
        max(len(head), *(len(values[i]) for _, values in rows)) for i, head in enumerate(heads)
    ]
    line = "  ".join(head.rjust(width) for head, width in zip(heads, widths, strict=True))
    print(f"\n{title}\n  {'':<{first}}{line}".rstrip())
    for name, values in rows:
        line = "  ".join(v.rjust(width) for v, width in zip(values, widths, strict=True))
        print(f"  {name:<{first}}{line}")
