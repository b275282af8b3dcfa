"""What SAEs make of one state per labelled text: codes, reconstructions, and what these lose.

SAEs with one encoder share their codes. Read `read_states`; `features_on` counts which features
are on over a whole dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from saeflow.errors import SaeflowError
from saeflow.measures.code_matrix import matrix, require_finite
from saeflow.measures.encoders import Coder, Encoders
from saeflow.measures.sums import Entries, Targets
from saeflow.sae.sparse.codes import Codes

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from saeflow.measures.states import States

_OF_ERROR = ("squared_error", "squared_deviation", "directed", "cosine")
"""What is summed of a reconstruction, of all that `Targets` knows."""
CENTRED = "_centred"

Means = Sequence[tuple[slice, np.ndarray]]
BATCH_ROWS = 4096
_BLOCK_ROWS = 1 << 16


class Read(NamedTuple):
    """What an SAE makes of states.

    Attributes
    ----------
    codes : csr_matrix (n, d_sae) float32
        Shared by the SAEs of one encoder.
    decoded : ndarray (n, d_out) float32
    sums : dict
        Name -> (n,) float64, the sums of `saeflow.metrics.sparse_probes` of each state; those of
        a transcoder's error are not there.
    """

    codes: csr_matrix
    decoded: np.ndarray
    sums: dict[str, np.ndarray]


def read_states(
    coders: Sequence[Coder], x: np.ndarray, means: Means, machine: torch.device | str = "cpu"
) -> Iterator[tuple[list[int], list[Read | SaeflowError]]]:
    """Yield of one encoder after the other the places of its SAEs, and what each makes of states.

    Parameters
    ----------
    coders
        SAEs on the device ``machine``.
    x : ndarray (n, d_in) float32
        States; at least one.
    means
        Parts of the rows, in order and together all of them, each with the state (d_in,) float64
        that deviations are from.
    machine
        Where to encode and decode.
    """
    first = Encoders(coders).first
    for group in sorted(set(first)):
        places = [place for place, own in enumerate(first) if own == group]
        yield places, _read([coders[place] for place in places], x, means, machine)


@torch.no_grad()
def _read(
    coders: Sequence[Coder], x: np.ndarray, means: Means, machine: torch.device | str
) -> list[Read | SaeflowError]:
    """Read states with SAEs of one encoder."""
    from scipy.sparse import vstack

    encoders, codes = Encoders(coders), []
    parts = [_Parts(coder) for coder in coders]
    for rows, mean in ((rows, mean) for part, mean in means for rows in _batches(part)):
        own = torch.from_numpy(np.array(x[rows], dtype=np.float32)).to(machine)
        mu = torch.from_numpy(mean).to(machine)
        codes.append(_add(parts, encoders, own, mu))
        _add(parts, encoders, own - own.mean(-1, keepdim=True), mu - mu.mean(), CENTRED)
    if len(encoders.errors) < len(coders):
        latents = vstack(codes, format="csr")
        try:
            require_finite(latents.data, "on every labelled text")
        except SaeflowError as error:
            encoders.fail(0, error)
    return encoders.results(lambda place: parts[place].read(latents))


def _batches(rows: slice) -> Iterator[slice]:
    for start in range(rows.start, rows.stop, BATCH_ROWS):
        yield slice(start, min(start + BATCH_ROWS, rows.stop))


def _add(
    parts: Sequence[_Parts], encoders: Encoders, x: torch.Tensor, mu: torch.Tensor, suffix: str = ""
) -> csr_matrix | None:
    """Add what SAEs of one encoder make of x (n, d_in), and return its codes."""
    targets, codes = Targets(x, mu), None
    for place, codes, x_hat in encoders.run(x):
        parts[place].add(codes, x_hat, targets, suffix)
    return None if codes is None else matrix(codes)


class _Parts:
    """What an SAE makes of states, batch after batch; a transcoder has no error."""

    def __init__(self, coder: Coder) -> None:
        self._has_error = "target" not in getattr(coder, "metadata", {})
        self._decoded: list[np.ndarray] = []
        self._sums: dict[str, list[np.ndarray]] = {}

    def add(self, codes: Codes, x_hat: torch.Tensor, targets: Targets, suffix: str) -> None:
        found = {"active": Entries.of(codes).sums["active"]}
        if self._has_error:
            known = targets.sums | targets.compare(x_hat)
            found |= {name: known[name] for name in _OF_ERROR}
        for name, values in found.items():
            self._sums.setdefault(f"{name}{suffix}", []).append(values)
        if not suffix:
            self._decoded.append(x_hat.float().cpu().numpy())

    def read(self, codes: csr_matrix) -> Read:
        sums = {name: np.concatenate(values) for name, values in self._sums.items()}
        return Read(codes, np.concatenate(self._decoded), sums)


@torch.no_grad()
def pooled_codes(
    coder: Coder,
    states: States,
    poolings: Sequence[str],
    machine: torch.device | str = "cpu",
) -> dict[str, csr_matrix]:
    """Return the codes of all kept tokens, pooled to a row per text in some ways.

    Parameters
    ----------
    coder, machine
        An SAE on the device ``machine``.
    states, poolings
        States of all tokens, and some of `saeflow.measures.states.POOLINGS`.

    Returns
    -------
    dict
        Pooling -> (n_examples, d_sae) float32. Codes of some thousand tokens exist at a time.
    """
    found: dict[str, csr_matrix] = {}
    for rows in _of_whole_texts(states.examples):
        parts = [
            matrix(coder.encode_sparse(torch.from_numpy(np.array(states.x[part])).to(machine)))
            for part in _batches(rows)
        ]
        own = _among_all(parts, rows, len(states.x))
        for how in poolings:
            pooled = states.pool(own, how)
            found[how] = found[how] + pooled if how in found else pooled
    return found


def _of_whole_texts(examples: np.ndarray) -> Iterator[slice]:
    """Yield slices of rows that hold all tokens of some texts, `_BLOCK_ROWS` or a text more."""
    starts = np.flatnonzero(np.diff(examples, prepend=-1))
    first = 0
    while first < len(examples):
        after = np.searchsorted(starts, first + _BLOCK_ROWS)
        last = int(starts[after]) if after < len(starts) else len(examples)
        yield slice(first, last)
        first = last


def _among_all(parts: Sequence[csr_matrix], rows: slice, n_rows: int) -> csr_matrix:
    """Return matrices of some rows as one of all, of which the others are empty."""
    from scipy.sparse import csr_matrix, vstack

    own = vstack(parts, format="csr")
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    indptr[rows.start + 1 : rows.stop + 1] = own.indptr[1:]
    indptr[rows.stop + 1 :] = own.indptr[-1]
    return csr_matrix((own.data, own.indices, indptr), shape=(n_rows, own.shape[1]))


class FeaturesOn(NamedTuple):
    """How many features are on for any of ``n`` texts, and for all of them."""

    n: int
    on: int
    always: int


def features_on(codes: csr_matrix) -> FeaturesOn:
    """Count features over all rows of codes (n, d_sae)."""
    texts = np.bincount(codes.indices[codes.data != 0], minlength=codes.shape[1])
    n = codes.shape[0]
    return FeaturesOn(n, int((texts > 0).sum()), int((texts == n).sum()) if n else 0)
