"""What it takes to hold SAEs against each other: products of their directions, and of their codes.

Read `compared` and `descended`; `kept` says what the codes take that are kept for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from saeflow.cost.guess import Guess, Work, total
from saeflow.cost.shapes import OPERATIONS_PER_S
from saeflow.plan.result import Result

if TYPE_CHECKING:
    from saeflow.cost.work import Works

_NULLS, _SOLVED_NULLS = 2, 1  # of directions, each for either side; and those that are solved
_SOLVED_CUBE, _SOLVED_PAIR = 3e-11, 3e-8
"""Seconds of an assignment, for the fewer latents squared times the more, and for each two."""
_PRODUCTS_PER_S = 1.5e8  # of two latents that are active on a token
_KEPT_PER_S = 2.5e6  # active latents: found, added up and written
_READ_PER_S = 2e7  # active latents: read, and brought into the order of latents
_PAIRINGS, _RANKED, _RANKED_PER_S = 33, 1024, 5e8  # of matched latents, and two of them at a time
_ASSUMED_L0 = 32
_SIDE = 0.05  # seconds, to read an SAE and to write what is found of it
_COUNTED, _COUNT_BYTES = 8, 60  # active latents: times that each is gone through; of a latent
_GROUP_BYTES, _LATENT_BYTES, _ACTIVE_BYTES = 50, 250, 6


class _Side(NamedTuple):
    width: int
    d: int
    l0: Guess


def compared(results: Sequence[Result], works: Works) -> Work:
    """Return the work of measuring pairs of SAEs.

    Raises
    ------
    UnknownError
        While the tokens, or a model, are not known.
    """
    amounts, n_bytes, aligned = [], [], set[frozenset[Result]]()
    tokens = results[0].inputs["activations"].inputs["tokens"]
    splits = works.tokens(tokens).splits
    for one in results:
        first, second = (_side(one.inputs, prefix, works) for prefix in ("", "other_"))
        limit = one.inputs["codes"].settings["tokens"]
        rows = splits["test"]._replace(value=min(splits["test"].value, limit))
        names = {"activations", "other_activations"} & one.inputs.keys()
        stores = frozenset(one.inputs[name] for name in names)
        amounts += [_weights(first, second, len(stores) > 1), _activations(first, second, rows)]
        if len(stores) > 1 and stores not in aligned:
            aligned.add(stores)
            n = min(splits["train"].value, one.settings["align_tokens"])
            amounts.append(Guess(4 * 2 * n * first.d * second.d / OPERATIONS_PER_S, 2.0))
        n_latents = first.width + second.width
        each = _LATENT_BYTES + one.settings["groups"] * _GROUP_BYTES
        n_bytes.append(Guess(n_latents * each, 2.0))
    return Work(rows, total(amounts), total(n_bytes))


def descended(results: Sequence[Result], works: Works) -> Work:
    """Return the work of counting where latents of SAEs of two widths are active.

    Raises
    ------
    UnknownError
        As of `compared`.
    """
    amounts, n_bytes = [], []
    for one in results:
        codes = one.inputs["codes"]
        inputs = {**one.inputs, "activations": codes.inputs["activations"]}
        test = works.tokens(inputs["activations"].inputs["tokens"]).splits["test"]
        rows = test._replace(value=min(test.value, codes.settings["tokens"]))
        first, second = (_side(inputs, prefix, works) for prefix in ("", "other_"))
        active = first.l0.value + second.l0.value
        times = max(first.l0.times, second.l0.times)
        cosines = 2 * first.width * second.width * first.d / OPERATIONS_PER_S
        counted = rows.scaled(_COUNTED * active / _READ_PER_S, times)
        amounts += [Guess(cosines + 2 * _SIDE, 2.0), counted]
        n_bytes.append(Guess((first.width + second.width) * _COUNT_BYTES, 2.0))
    return Work(rows, total(amounts), total(n_bytes))


def kept(results: Sequence[Result], rows: Guess, works: Works) -> tuple[Guess, Guess]:
    """Return what it takes to keep the codes of SAEs on some tokens, beside encoding these.

    Returns
    -------
    tuple of Guess
        Seconds, of each active latent and of the cosines of decoder rows; and bytes.
    """
    sides = [_side(one.inputs, "", works) for one in results]
    active = total(side.l0 for side in sides)
    active = rows.scaled(active.value, active.times)
    cosines = Guess(sum(side.width**2 * side.d for side in sides) / OPERATIONS_PER_S)
    return total([active.scaled(1 / _KEPT_PER_S), cosines]), active.scaled(_ACTIVE_BYTES)


def _side(inputs: dict[str, Any], prefix: str, works: Works) -> _Side:
    sae, store = (inputs.get(prefix + name, inputs[name]) for name in ("sae", "activations"))
    d = works.shape(store.inputs["model"]).d_model
    return _Side(works.width(sae, d), d, _active(sae))


def _active(sae: Result) -> Guess:
    """Return how many latents of an SAE are active on a token."""
    recipe = sae.inputs.get("parent", sae).settings
    l0 = recipe.get("k") or recipe.get("target_l0")
    return Guess(l0) if l0 else Guess(_ASSUMED_L0, 3.0)


def _weights(first: _Side, second: _Side, aligned: bool) -> Guess:
    """Return the seconds of cosines, of those by chance, and of assignments."""
    n, m, d = first.width, second.width, max(first.d, second.d)
    n_quantities = (2 if first.d == second.d else 0) + aligned
    products = (1 + 2 * _NULLS) * 2 * n * m * d / OPERATIONS_PER_S
    solved = (1 + 2 * _SOLVED_NULLS) * _assigned(n, m)
    return Guess(n_quantities * (products + solved) + 2 * _SIDE, 2.0)


def _activations(first: _Side, second: _Side, rows: Guess) -> Guess:
    """Return the seconds of correlations, of those by chance, and of matched latents' spaces."""
    n, m, d = first.width, second.width, max(first.d, second.d)
    met = rows.scaled(2 * first.l0.value * second.l0.value / _PRODUCTS_PER_S)
    read = rows.scaled(2 * (first.l0.value + second.l0.value) / _READ_PER_S)
    k = min(n, m)
    spaces = _PAIRINGS * (
        2 * 2 * k * d * d / OPERATIONS_PER_S + min(k, _RANKED) ** 2 / _RANKED_PER_S
    )
    times = max(first.l0.times, second.l0.times)
    parts = [met.scaled(1, times), read.scaled(1, times), Guess(2 * _assigned(n, m) + spaces, 2.0)]
    return total(parts)


def _assigned(n: int, m: int) -> float:
    few, many = sorted((n, m))
    return _SOLVED_CUBE * few**2 * many + _SOLVED_PAIR * few * many
