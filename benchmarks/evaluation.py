"""Losses with an SAE at each layer, from stored activations, against whole runs and SAELens'.

The model has the shape of Pythia-70m and random weights, the SAEs are TopK (k 32, 4,096 latents)
with random ones. Losses with the activations themselves are kept from a pass that is not counted.
SAELens is asked in the environment that `make interop` installs; without it nothing is told of it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, ratio

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".peers" / "bin" / "python"
SHAPE = {"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8}
SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
CONTEXT, VOCABULARY, SMALL_VOCABULARY, D_SAE, K = 128, 50304, 4096, 4096, 32
TOKENS, REPEATS = 4096, 3
MEMORY_TOKENS = 8192, 32768

logger = logging.getLogger(__name__)


def figures() -> Iterator[Figure]:
    """Yield speeds and memory of losses with SAEs in the model."""
    sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "tests")]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        _make(place, SHAPE, TOKENS)
        value = ratio(lambda: full(place), lambda: from_stores(place), repeats=REPEATS)
        yield Figure(
            "whole runs (clean, SAE) of each layer against stored ones, limit 2.7", value, 2
        )
        if PEERS.is_file():
            yield from _beside_saelens(place)
        else:
            logger.warning("SAELens is not installed: `make interop` does it")
    few, many = (_peak_of_measures(n) for n in MEMORY_TOKENS)
    name = "peak memory of clean and language on 4 times the tokens, without mapped files"
    yield Figure(name, many / few, 1.03, False)


def _beside_saelens(place: Path) -> Iterator[Figure]:
    """Yield what SAELens' evaluation takes of the same losses, and zero ablation, and what ours."""
    from saeflow.measures.exchange import evaluated_tokens
    from saeflow.work import bulk_of

    ids = evaluated_tokens(place / "tokens.json").token_ids
    np.save(place / "ids.npy", ids.astype(np.int64).reshape(-1, CONTEXT))
    saes = [bulk_of(place / hook / "sae.json") for hook in _hooks(place)]
    paths = [bulk_of(place / "model.json"), place / "ids.npy", *saes]
    theirs = _asked([str(PEERS), str(ROOT / "benchmarks" / "saelens.py"), *map(str, paths)])
    ours = _asked([sys.executable, "-m", "benchmarks.evaluation", "from_stores", str(place)])
    name = f"SAELens' losses with an SAE at 6 layers, {TOKENS} tokens, against ours"
    yield Figure(name, theirs["seconds"] / ours["seconds"], 5)
    yield Figure("peak memory of ours", ours["peak_bytes"] / 1e9, 1.5, False, "GB")
    yield Figure("peak memory of SAELens'", theirs["peak_bytes"] / 1e9, unit="GB")
    pairs = zip(theirs["losses"], ours["losses"], strict=True)
    apart = max(abs(one - other) for one, other in pairs)
    yield Figure("largest difference of a layer's losses", apart, 1e-3, False, "nats/token")


def _make(place: Path, shape: dict[str, int], n_tokens: int) -> None:
    """Write a random model, random tokens, stores, kept losses and SAEs."""
    import torch
    from transformers import AutoModelForCausalLM, GPTNeoXConfig

    from measured import measure_hooks
    from saeflow.sae.model import SAE, architecture_settings
    from saeflow.sae.saved.save import save
    from saeflow.work import hold
    from tiny_stores import harvest_hooks, make_tokens, save_model

    torch.manual_seed(0)
    d = shape["hidden_size"]
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY if shape is SHAPE else SMALL_VOCABULARY,
        intermediate_size=4 * d,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
        **shape,
    )
    model = save_model(AutoModelForCausalLM.from_config(config), place / "model.json")
    lengths = {"train": [], "validation": [], "test": [CONTEXT] * (n_tokens // CONTEXT)}
    tokens = make_tokens(place, lengths)
    hooks = [f"resid_post.{block}" for block in range(shape["num_hidden_layers"])]
    options = {"dtype": "float16", "batch_tokens": 4096, "shard_rows": None}
    stores = harvest_hooks(place / "stores", hooks, model, tokens, **options)
    measure_hooks(place / "clean", stores, model=model, tokens=tokens)
    settings = architecture_settings("topk", {"k": K})
    for hook in hooks:
        W_dec = torch.nn.functional.normalize(torch.randn(D_SAE, d), dim=1)
        weights = {"W_enc": W_dec.T.clone(), "b_enc": torch.zeros(D_SAE), "W_dec": W_dec}
        with hold(place / hook / "sae.json", hook.ljust(64, "0")) as work:
            weights["b_dec"] = torch.zeros(d)
            save(SAE("topk", settings, weights, {"hook": hook}), work.path)
            work.finish({})


def _parts(place: Path, hook: str):
    """Return the model with a hook, its SAE and the tokens."""
    from saeflow.hooks import Hook
    from saeflow.measures.exchange import evaluated_tokens
    from saeflow.models.load import load_model_once
    from saeflow.models.patched import PatchedModel
    from saeflow.sae.saved.load import load_sae

    patched = PatchedModel(load_model_once(place / "model.json"), Hook.parse(hook))
    return patched, load_sae(place / hook / "sae.json"), evaluated_tokens(place / "tokens.json")


def _hooks(place: Path) -> list[str]:
    return sorted(path.stem for path in (place / "stores").glob("resid_post.*.json"))


def from_stores(place: Path) -> list[float]:
    """Return the mean loss with the SAE of each hook, from stores and kept losses."""
    import torch

    from saeflow.measures.exchange import exchanges, stored
    from saeflow.measures.losses import Losses

    means = []
    for hook in _hooks(place):
        patched, sae, tokens = _parts(place, hook)
        clean = Losses.of(place / "clean" / hook / "clean.json", tokens)
        stores = stored(place / "tokens.json", place / "stores" / f"{hook}.json")
        losses, added = [], []
        with torch.no_grad():
            for part in exchanges(patched, tokens, stores):
                x_hat = sae.decode(sae.encode_sparse(part.x))
                found = part.losses(part.states_with(x_hat))
                added.append(found - clean.at(part.tokens.scored)["ce_clean"])
                inside = ~np.isin(part.tokens.scored - 1, tokens.offsets)
                losses.append(found[inside])  # SAELens leaves out what follows a BOS
        means.append(float(np.concatenate(losses).mean()))
    return means


def full(place: Path) -> None:
    """Compute what every SAE adds to the loss by two passes of the whole model for each hook."""
    import torch

    from saeflow.measures.exchange import Marked
    from saeflow.models.hooks import replace
    from saeflow.models.slices import final_states

    for hook in _hooks(place):
        patched, sae, tokens = _parts(place, hook)
        model, head = patched.model, patched.head

        def exchanged(x: torch.Tensor, marked: Marked, sae=sae) -> torch.Tensor:
            return marked.put(x, sae.decode(sae.encode_sparse(marked.taken(x))))

        with torch.no_grad():
            for batch in tokens.batches():
                marked = Marked(batch)
                clean = marked.losses(head, marked.predicting(final_states(model, batch.input_ids)))
                with replace(model, patched.hook, lambda x, marked=marked: exchanged(x, marked)):
                    states = final_states(model, batch.input_ids)
                marked.losses(head, marked.predicting(states)) - clean


def _peak_of_measures(n_tokens: int) -> int:
    """Return the peak bytes of a process that measures so many tokens, without mapped files.

    Pages of stores that the system keeps while it has room for them are not counted.
    """
    with tempfile.TemporaryDirectory() as scratch:
        _make(Path(scratch), SMALL, n_tokens)
        command = [sys.executable, "-m", "benchmarks.evaluation", "measures", scratch]
        return _asked(command)["peak_own_bytes"]


def measures(place: Path) -> list[float]:
    """Measure the hooks, and an SAE at each, as jobs do."""
    from measured import measure, measure_hooks

    inputs = {"model": place / "model.json", "tokens": place / "tokens.json"}
    stores = {hook: place / "stores" / f"{hook}.json" for hook in _hooks(place)}
    clean = measure_hooks(place / "again", stores, **inputs)
    for hook, store in stores.items():
        of_hook = {"activations": store, "clean": clean[hook].output, **inputs}
        measure("language", place / "on" / hook, {"sae": place / hook / "sae.json"}, **of_hook)
    return []


def _asked(command: list[str]) -> dict:
    """Return what a process says in its last line."""
    environment = {**os.environ}
    if command[0] == sys.executable:  # large pieces go back to the system when they are freed
        environment |= {"PYTHONPATH": os.pathsep.join(sys.path[:2])}
        environment |= {"MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _alone(what: str, place: Path) -> None:
    """Run one of the functions here and tell its time, peak memory and losses."""
    function = {"from_stores": from_stores, "measures": measures}[what]
    if what == "from_stores":
        function(place)  # warms up
    own, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            own[0] = max(own[0], _status("RssAnon"))

    watching = threading.Thread(target=watch)
    watching.start()
    start = time.perf_counter()
    losses = function(place)
    seconds = time.perf_counter() - start
    ended.set()
    watching.join()
    peaks = {"peak_bytes": _status("VmHWM"), "peak_own_bytes": own[0]}
    sys.stdout.write(json.dumps({"seconds": seconds, "losses": losses, **peaks}) + "\n")


def _status(name: str) -> int:
    """Return a line of this process' memory status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


if __name__ == "__main__":
    _alone(sys.argv[1], Path(sys.argv[2]))
