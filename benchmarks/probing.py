"""All probes of 1,000 texts at 6 hooks with 4 SAEs each, and those of one SAE beside sae-probes.

States are random, of the width of Pythia-70m with a falling spectrum, and tell the label up to
noise; SAEs are TopK with random weights. Probes are as they are by default. sae-probes is asked in
the environment that `make interop` installs: a part of its numbers and shares of training examples,
its penalties, and ours with the same; without it nothing is told of it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.figure import Figure, seconds
from saeflow.config.probing import Probing
from saeflow.labelled.labelled import LabelledTask
from saeflow.probing.draws import NORMAL, SETTINGS
from saeflow.probing.logistic import PENALTIES
from saeflow.probing.methods import methods_of
from saeflow.probing.probe import Input, Unit, probe

ROOT = Path(__file__).parents[1]
PEERS = Path(os.environ.get("SAEFLOW_PEERS", ROOT / ".peers")) / "bin" / "python"
TEXTS, HOOKS, SAES, D_IN, D_SAE, K = 1000, 6, 4, 512, 4096, 32
PROCESSES = 2

logger = logging.getLogger(__name__)


def figures() -> Iterator[Figure]:
    """Yield what all probes take, and one SAE's beside those of sae-probes."""
    name = f"all probes of {TEXTS} texts, {HOOKS} hooks, {SAES} SAEs each, {PROCESSES} processes"
    settings = Probing.read({}, where="benchmark").plain()
    units = list(_units(settings))
    probe(units[:2], {**settings, "sizes": []}, n_jobs=PROCESSES)  # starts the processes
    yield Figure(
        name, seconds(lambda: probe(units, settings, n_jobs=PROCESSES)), 20, False, "seconds"
    )
    if not PEERS.is_file():
        logger.warning("sae-probes is not installed: `make interop` does it")
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield from _beside_sae_probes(Path(scratch))


def _units(settings: dict[str, Any]) -> Iterator[Unit]:
    """Yield the dense inputs of each hook, and the sparse ones of its SAEs."""
    of = settings["states"]
    dense = {name: methods_of(of[name], settings, ks=of["ks"]) for name in SETTINGS}
    centred = {NORMAL: methods_of(of["centred"], settings)}
    sparse = codes_methods(settings)
    for hook in range(HOOKS):
        x, task = made(TEXTS, hook)
        yield Unit(hook, task, Input("states", "last", x, dense))
        x_centred = x - x.mean(1, keepdims=True)
        yield Unit(hook, task, Input("centred", "last", x_centred, centred))
        for sae in range(SAES):
            yield Unit(hook, task, Input("codes", "last", codes(x, sae), sparse))


def codes_methods(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the methods for codes by setting."""
    of = settings["codes"]
    ks = {name: of["ks"] if name == NORMAL else of["few_ks"] for name in SETTINGS}
    return {name: methods_of(of[name], settings, ks=ks[name]) for name in SETTINGS}


def made(n: int, seed: int) -> tuple[np.ndarray, LabelledTask]:
    """Return states (n, D_IN) float32, and a task of which three quarters are trained on."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(D_IN, D_IN)))[0]
    x = rng.normal(size=(n, D_IN)) * 10 * np.arange(1, D_IN + 1) ** -0.6
    told = x @ rng.normal(size=D_IN)
    labels = (told / told.std() + 0.7 * rng.normal(size=n) > 0).astype(np.int8)
    splits = np.where(np.arange(n) % 4 == 3, "test", "train")
    return (x @ basis).astype(np.float32), LabelledTask("a", "a", np.arange(n), labels, splits, {})


def codes(x: np.ndarray, seed: int) -> csr_matrix:
    """Return the largest K of random projections of each row, where they are positive."""
    encoder = np.random.default_rng(100 + seed).normal(size=(D_IN, D_SAE))
    h = x @ (encoder / np.linalg.norm(x, axis=1).mean())
    least = np.partition(h, -K, axis=1)[:, -K][:, None]
    return csr_matrix(np.where(h >= np.maximum(least, 0), h, 0).astype(np.float32))


def _beside_sae_probes(scratch: Path) -> Iterator[Figure]:
    """Yield what sae-probes takes of one SAE and one dataset, over what ours do."""
    asked = [str(PEERS), str(ROOT / "benchmarks" / "peer_probes.py"), str(scratch)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    answer = subprocess.run(asked, check=True, capture_output=True, text=True, env=environment)
    theirs = json.loads(answer.stdout.splitlines()[-1])
    x, labels = np.load(scratch / "codes.npy"), np.load(scratch / "labels.npy")
    train = np.random.default_rng(0).permutation(len(x)) < theirs["train"]
    task = LabelledTask("a", "a", np.arange(len(x)), labels, np.where(train, "train", "test"), {})
    own = {
        "sizes": theirs["sizes"], "shares": theirs["shares"], "flips": [], "standardise": False,
        "penalties": list(PENALTIES), "codes": {
            "normal": ["k_sparse"], "shuffled": [], "ks": theirs["ks"], "few_ks": theirs["few_ks"],
        },
    }  # fmt: skip
    settings = Probing.read(own, where="benchmark").plain()
    unit = Unit(0, task, Input("codes", "last", csr_matrix(x), codes_methods(settings)))
    probe([unit], {**settings, "sizes": [], "shares": []})  # imports, as theirs are not timed
    ours = seconds(lambda: probe([unit], settings))
    name = "sae-probes' probes of an SAE (normal, scarcity, imbalance) against ours, one core"
    yield Figure(name, theirs["seconds"] / ours, 5)
