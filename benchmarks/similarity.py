"""The best matches of the latents of two SAEs, against products of dense matrices.

Directions are random. Codes have 32 active latents a token, of frequencies over three orders of
magnitude. Correlations are held against the product f^T g of the dense codes at all threads, timed
on a part of the tokens; what two SAEs of 100,000 latents take on a million tokens is told by a
16th of the first one's latents.
"""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.figure import Figure, ratio, seconds
from saeflow.measures.codes import DOCUMENTS, LATENTS, ROWS, StoredCodes, open_codes
from saeflow.measures.codes.files import CodesWriter
from saeflow.measures.similarity.best import best
from saeflow.measures.similarity.cooccurrence import Correlations
from saeflow.measures.similarity.cosines import Cosines, unit
from saeflow.measures.sums import write_table
from saeflow.work import hold

D_IN, DIRECTIONS, BLOCK = 512, 1 << 14, 2048
D_SAE, TOKENS, ACTIVE, DENSE_PART = 4096, 100_000, 32, 20
WIDE, MANY_TOKENS, WIDE_PART = 100_000, 1_000_000, 16


def figures() -> Iterator[Figure]:
    """Yield how fast directions and activations are compared."""
    yield from _directions()
    with tempfile.TemporaryDirectory() as scratch:
        yield from _activations(Path(scratch))
    with tempfile.TemporaryDirectory() as scratch:
        yield _extrapolated(Path(scratch))


def _directions() -> Iterator[Figure]:
    rng = np.random.default_rng(0)
    a, b = (unit(rng.standard_normal((DIRECTIONS, D_IN))) for _ in range(2))
    rows, columns, out = torch.from_numpy(a), torch.from_numpy(b).T, torch.empty(BLOCK, DIRECTIONS)

    def multiply() -> None:
        for block in rows.split(BLOCK):
            torch.matmul(block, columns, out=out)

    cosines = Cosines(a, b)
    of = f"{DIRECTIONS} x {DIRECTIONS} directions, d {D_IN}"
    taken = ratio(lambda: best(cosines), multiply)
    yield Figure(f"best matches of {of}, both ways: rate over that of the products", 1 / taken, 0.6)
    tracemalloc.start()
    best(cosines)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    yield Figure(
        f"memory of it over that of all cosines, {of}",
        peak / a.shape[0] / b.shape[0] / 4,
        0.05,
        False,
    )


def _activations(scratch: Path) -> Iterator[Figure]:
    first, second = (made(scratch / str(seed), TOKENS, D_SAE, seed) for seed in (0, 1))
    n = TOKENS // DENSE_PART
    f, g = (torch.from_numpy(own.matrix(tokens=slice(n)).toarray()) for own in (first, second))
    taken = ratio(lambda: best(Correlations(first, second)), lambda: f.T @ g)
    of = f"{D_SAE} x {D_SAE} latents on {TOKENS} tokens"
    name = f"best correlations of {of}, both ways: times as fast as the dense product"
    yield Figure(name, DENSE_PART / taken, 20)


def _extrapolated(scratch: Path) -> Figure:
    first, second = (made(scratch / str(seed), MANY_TOKENS, WIDE, seed) for seed in (0, 1))
    latents = first.live[::WIDE_PART], second.live
    taken = seconds(lambda: best(Correlations(first, second, latents=latents)))
    of = f"{WIDE} x {WIDE} latents on {MANY_TOKENS} tokens"
    name = f"best correlations of {of}, both ways, by a {WIDE_PART}th of the first ones"
    return Figure(name, taken * WIDE_PART, unit="seconds")


def made(place: Path, n_tokens: int, d_sae: int, seed: int) -> StoredCodes:
    """Write random codes as the measure does, and open them."""
    rng = np.random.default_rng(seed)
    frequencies = rng.lognormal(0, 1.5, d_sae)
    ends = np.cumsum(frequencies / frequencies.sum())
    sums = np.zeros((3, d_sae))
    with hold(place / "codes.json", f"{seed}".zfill(64)) as work:
        with CodesWriter(work.path, d_sae) as writer:
            for n in np.diff([*range(0, n_tokens, TOKENS), n_tokens]):
                index = np.sort(np.searchsorted(ends, rng.random((n, ACTIVE)) * ends[-1]), axis=1)
                kept = np.diff(index, axis=1, prepend=-1) > 0
                index, values = index[kept], rng.gamma(2.0, size=kept.sum()).astype(np.float32)
                writer.append(values, index, kept.sum(axis=1))
                wide = values.astype(np.float64)
                for own, of in zip(sums, (np.ones(len(wide)), wide, wide**2), strict=True):
                    own += np.bincount(index, weights=of, minlength=d_sae)
        np.save(work.path / ROWS, np.arange(n_tokens))
        names = ("active", "sum", "square")
        columns = dict(zip(names, (sums[0].astype(np.int64), *sums[1:]), strict=True))
        status = np.where(sums[0] > 1, "live", "dead")
        write_table(work.path / LATENTS, {"latent": np.arange(d_sae), **columns, "status": status})
        write_table(
            work.path / DOCUMENTS, {"document": np.zeros(1), "n_tokens": np.array([n_tokens])}
        )
        work.finish({"d_sae": d_sae})
        work.publish()
    return open_codes(place / "codes.json")
