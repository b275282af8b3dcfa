"""A tiny generated world with its tokenizer and tokens, written as the workflow does it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from saeflow.tokens.tokenize import tokenize_dataset
from saeflow.work import hold
from saeflow.world.dataset import write_dataset
from saeflow.world.tokenizer import train_tokenizer

SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}


class TinyWorld(NamedTuple):
    """Records of a world: ``dataset.json``, ``tokenizer.json`` and ``tokens.json``."""

    dataset: Path
    tokenizer: Path
    tokens: Path


def make_world(root: Path, *, n_tokens: int = 6000, context_length: int = 32) -> TinyWorld:
    """Generate a world and tokenize it."""
    world = TinyWorld(*(root / f"{name}.json" for name in TinyWorld._fields))
    generate = {"seed": 0, "n_tokens": n_tokens, "n_prompts": 20}
    with hold(world.dataset, "d" * 64) as work:
        write_dataset(work, {"generate": generate, "splits": SPLITS, "splits_seed": 0})
        work.publish()
    with hold(world.tokenizer, "t" * 64) as work:
        train_tokenizer(work, world.dataset)
        work.publish()
    packing = {
        "mode": "pack",
        "context_length": context_length,
        "bos": "auto",
        "separator": "eos",
        "tokens": {},
        "seed": 0,
    }
    with hold(world.tokens, "k" * 64, ".zarr") as work:
        tokenize_dataset(work, world.dataset, world.tokenizer, packing)
        work.publish()
    return world
