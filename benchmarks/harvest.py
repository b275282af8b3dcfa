"""What storing activations adds to the forward pass, and how its memory grows with the text.

The model has the shape of Pythia-70m and random weights; every block's residual is stored.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figure import Figure, ratio

ROOT = Path(__file__).parents[1]
SHAPE = {"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8}
SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
CONTEXT, BATCH_TOKENS = 256, 8192
SPEED_TOKENS = 8 * BATCH_TOKENS
MEMORY_TOKENS = 100_000, 1_000_000


def figures() -> Iterator[Figure]:
    """Yield the speed of a harvest against bare forward passes, and its growth in memory."""
    sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "tests")]
    with tempfile.TemporaryDirectory() as scratch:
        yield Figure("harvest against the bare forward pass", _speed(Path(scratch)), 0.93)
    few, many = (_peak(n) for n in MEMORY_TOKENS)
    yield Figure("peak memory of a harvest of 10 times the tokens", many / few, 1.03, False)


def _make(root: Path, shape: dict[str, int], n_tokens: int) -> None:
    """Write a random model and random tokens."""
    import torch
    from transformers import AutoModelForCausalLM, GPTNeoXConfig

    from tiny_stores import make_tokens, save_model

    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=50304 if shape is SHAPE else 64,
        intermediate_size=4 * shape["hidden_size"],
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
        **shape,
    )
    save_model(AutoModelForCausalLM.from_config(config), root / "model.json")
    sequences = [CONTEXT] * (n_tokens // CONTEXT)
    make_tokens(root, {"train": sequences, "validation": [], "test": []})


def _speed(root: Path) -> float:
    """Return the time of forward passes alone by that of a harvest; each loads the model once."""
    _make(root, SHAPE, SPEED_TOKENS)
    return ratio(lambda: _bare(root), lambda: _harvest(root, SHAPE["num_hidden_layers"]))


def _bare(root: Path) -> None:
    """Run the blocks over the batches of a harvest; no head, no hooks."""
    import torch

    from saeflow.activations.forward import _padded, windows
    from saeflow.models.load import load_model
    from saeflow.models.slices import final_states
    from saeflow.tokens.store import open_tokens

    model, tokens = load_model(root / "model.json"), open_tokens(root / "tokens.json")
    offsets = tokens.sequence_offsets
    with torch.no_grad():
        for window in windows(tokens, BATCH_TOKENS):
            for batch in window.batches:
                starts, lengths = offsets[batch], offsets[batch + 1] - offsets[batch]
                ids, _ = _padded(tokens.token_id.astype("int64"), starts, lengths)
                final_states(model, ids)


def _harvest(root: Path, n_hooks: int) -> None:
    """Store every block's residual, and remove the stores."""
    from saeflow.activations.harvest import harvest
    from saeflow.task import Task
    from saeflow.work import hold

    place = root / "stores"
    with ExitStack() as stack:
        tasks = []
        inputs = {"model": root / "model.json", "tokens": root / "tokens.json"}
        for block in range(n_hooks):
            hook = f"resid_post.{block}"
            work = stack.enter_context(hold(place / f"{hook}.json", hook, ".zarr"))
            settings = {"hook": hook, "dtype": "float16", "batch_tokens": BATCH_TOKENS}
            tasks.append(Task(work.output, hook, settings, inputs, work=work))
        harvest(tasks)
    shutil.rmtree(place)


def _peak(n_tokens: int) -> int:
    """Return the peak resident bytes of a process that harvests so many tokens."""
    with tempfile.TemporaryDirectory() as scratch:
        _make(Path(scratch), SMALL, n_tokens)
        command = [sys.executable, "-m", "benchmarks.harvest", scratch]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2])}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
        return json.loads(done.stdout.splitlines()[-1])["peak_bytes"]


def _harvest_alone(root: Path) -> None:
    """Harvest in this process and tell its peak, which the kernel counts since its start."""
    _harvest(root, SMALL["num_hidden_layers"])
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM:"))
    sys.stdout.write(json.dumps({"peak_bytes": 1024 * int(peak.split()[1])}) + "\n")


if __name__ == "__main__":
    _harvest_alone(Path(sys.argv[1]))
