"""One SAE of a pair: its live latents, their directions, and what its codes say of them.

Read `Sides`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saeflow.errors import DataError
from saeflow.measures.codes import STATUSES, StoredCodes, open_codes
from saeflow.measures.similarity.cosines import unit
from saeflow.sae.saved.load import load_sae

OTHER = "other_"
"""What the inputs of the second SAE begin with, where they are not those of the first."""

_COLUMNS = ("active", "sum", "square", "norm", "carried")
_KEPT = 8


class Side(NamedTuple):
    """An SAE of a pair.

    Attributes
    ----------
    codes : StoredCodes
        Its latents on tokens.
    columns : dict
        Of its n live latents: latent, active, sum, square, norm, carried.
    decoder, encoder : ndarray (n, d_out) and (n, d_in) float32
        Their directions, of length 1.
    space : Path
        The record of the activations that it gives back: decoder rows are directions there.
    target : str
        The hook that it predicts, where that is not its own (a transcoder); else "".
    """

    codes: StoredCodes
    columns: dict[str, np.ndarray]
    decoder: np.ndarray
    encoder: np.ndarray
    space: Path
    target: str

    @property
    def latents(self) -> np.ndarray:
        """The numbers of its live latents, (n,) int64."""
        return self.columns["latent"]

    @property
    def counts(self) -> dict[str, int]:
        """How many latents it has, and of each kind."""
        return {**self.codes.facts["counts"], "width": self.codes.d_sae}


class Sides:
    """Reads the SAEs of pairs; those that several pairs share are kept for a while."""

    def __init__(self) -> None:
        self._read = lru_cache(_KEPT)(_read)

    def of(self, inputs: Mapping[str, Any]) -> tuple[Side, Side]:
        """Return both SAEs of a pair, by the inputs of its task.

        Raises
        ------
        DataError
            If one has no live latent, or they were not read on the same tokens.
        """
        other = {
            name: inputs.get(OTHER + name, inputs.get(name))
            for name in ("sae", "codes", "activations", "target")
        }
        first, second = (
            self._read(own["sae"], own["codes"], own["activations"], own.get("target"))
            for own in (inputs, other)
        )
        _check_tokens(first, second, inputs["codes"])
        return first, second


def _read(record: Path, codes: Path, activations: Path, target: Path | None) -> Side:
    stored, sae = open_codes(codes), load_sae(record)
    live = stored.live
    if not len(live):
        counts = stored.facts["counts"]
        raise DataError(
            "the SAE has no latent that can be compared",
            where=codes,
            expected="latents that are active on enough tokens",
            got=", ".join(f"{counts[name]} {name}" for name in STATUSES),
            remedy="Leave it out of the comparison or train it anew; or lower measures > codes >"
            " least, or raise its tokens.",
        )
    table = stored.latents.iloc[live]
    predicts = sae.metadata.get("target", {}).get("hook", "")
    return Side(
        stored,
        {"latent": live, **{name: table[name].to_numpy() for name in _COLUMNS}},
        unit(sae.W_dec.float().numpy()[live]),
        unit(sae.W_enc.float().numpy().T[live]),
        target if predicts and target else activations,
        predicts,
    )


def _check_tokens(first: Side, second: Side, where: Path) -> None:
    one, other = first.codes, second.codes
    if one.facts["tokens"] != other.facts["tokens"] or not np.array_equal(one.rows, other.rows):
        raise DataError(
            "activations are compared token by token, and the two SAEs were read on others",
            where=where,
            expected=f"tokens {one.facts['tokens'][:16]}, {one.n_tokens:,} of them",
            got=f"tokens {other.facts['tokens'][:16]}, {other.n_tokens:,} of them",
            remedy="Compare SAEs of models with one tokenizer, on one dataset and packing.",
        )
