"""Prompts of the built-in world, as `saeflow.world.prompts` wrote them. Read `prompts_of`."""

from __future__ import annotations

from pathlib import Path

from saeflow.prompts.prompt import CHOICE, CLOZE, LAST_WORD, Prompt
from saeflow.world.dataset import read_prompts

KINDS = {
    "last_word": LAST_WORD,
    "cloze": CLOZE,
    "indirect_object": CHOICE,
    "owner_binding": CHOICE,
}
"""The world's sets that have an answer, and of what kind they are."""

_AFTER = " ."  # every sentence of the world ends so, and every answer ends a sentence


def prompts_of(dataset: Path, name: str) -> tuple[str, list[Prompt]]:
    """Return the kind of a set and its prompts, of a finished dataset's bulk directory.

    For the last word, anything may be answered; the names in its story are no candidates.
    """
    kind = KINDS[name]
    prompts = []
    for row in read_prompts(dataset, name).to_dict("records"):
        candidates = None if kind == LAST_WORD else list(row["candidates"])
        others = [word for word in candidates or () if word != row["target"]]
        prompts.append(
            Prompt(
                row["text"],
                row["target"],
                candidates,
                _AFTER,
                others[0] if len(others) == 1 else None,
                row.get("order"),
            )
        )
    return kind, prompts
