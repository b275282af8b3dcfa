"""Run every benchmark, or those whose names are given, and print a line of JSON per figure."""

import importlib
import pkgutil
import sys
from pathlib import Path

from saeflow.device import let_waiting_threads_sleep

SKIPPED = ("__main__", "figure", "peer_probes", "saelens")


def main() -> None:
    """Print the figures; exit with 1 if one misses its target."""
    let_waiting_threads_sleep()  # as jobs do
    names = [m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])]
    missed = False
    for name in sys.argv[1:] or [n for n in names if n not in SKIPPED]:
        for figure in importlib.import_module(f"benchmarks.{name}").figures():
            print(figure.line(), flush=True)
            missed = missed or figure.ok is False
    sys.exit(missed)


if __name__ == "__main__":
    main()
