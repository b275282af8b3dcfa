"""Bring SAEs of others, local or from the hub, into our form."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Bring SAEs of others, local or from the hub, into our form."""
    from saeflow.sae.saved.importing import import_saes

    import_saes(tasks)


if __name__ == "__main__":
    run(main, network=True)
