"""What measures do with labelled texts: what each reads, and what that is multiplied by.

The model reads texts for `states` and `lenses`, once for all hooks. Probes are fitted to stored
states; what they take are the fits of a task. For `erasure` the model goes on from a hook for each
edit. Read `done_with`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saeflow.cost.guess import Guess, Work, total
from saeflow.cost.probes import fits_of_codes, fits_of_states, seconds_of_reader
from saeflow.cost.shapes import OPERATIONS_PER_S, Shape
from saeflow.cost.tokens import TextSizes, sizes_of_labelled
from saeflow.hooks import Hook
from saeflow.plan.result import Result

if TYPE_CHECKING:
    from saeflow.cost.work import Works

_READ_PER_S = 2e4  # tokens of short texts, beside the products of the model
_STATE_BYTES, _SCORE_BYTES = 4, 6.0  # the latter of a fit and a test text
_DENSE_REMOVALS, _DENSE_DIRECTIONS = 3, 2
"""Of an edit without an SAE, see `saeflow.measures.erasure.edits.dense_edits`."""


def done_with(results: Sequence[Result], works: Works) -> Work:
    """Return what the measurements of a pass do with labelled texts.

    Raises
    ------
    UnknownError
        While the texts, or the model, are not known.
    """
    own = {"states": _states, "lenses": _lenses, "erasure": _erasure}
    return own.get(results[0].place["measure"], _probes)(results, works)


def _shape(result: Result, works: Works) -> Shape:
    return works.shape(result.inputs.get("model") or result.inputs["states"].inputs["model"])


def _sizes(results: Sequence[Result]) -> dict[Result, TextSizes]:
    texts = dict.fromkeys(one.inputs["labelled"] for one in results)
    return {labelled: sizes_of_labelled(labelled) for labelled in texts}


def _at_most(tokens: Guess, limit: float) -> Guess:
    return tokens._replace(value=min(tokens.value, limit))


def _kept(states: Result, sizes: TextSizes) -> Guess:
    """Return how many tokens' states are kept."""
    return sizes.texts if states.settings["pooling"] == ["last"] else sizes.tokens


def _states(results: Sequence[Result], works: Works) -> Work:
    """Return the work of reading texts as far as the last hook."""
    shape, sizes = _shape(results[0], works), _sizes(results)
    hooks = (Hook.parse(one.settings["hook"]) for one in results)
    n_blocks = max(hook.block + (hook.site != "resid_pre") for hook in hooks)
    kept = total(_kept(one, sizes[one.inputs["labelled"]]) for one in results)
    n_bytes = kept.scaled(shape.d_model * _STATE_BYTES, 2.0)
    rows = total(own.tokens for own in sizes.values())
    return Work(rows, _reading(rows, 2 * n_blocks * shape.block_parameters), n_bytes)


def _lenses(results: Sequence[Result], works: Works) -> Work:
    """Return the work of reading texts to the end, and of two moments a hook in float64."""
    shape, sizes, limit = _shape(results[0], works), _sizes(results), results[0].settings["tokens"]
    moments = len(results) / len(sizes) * 2 * 2 * 2 * shape.d_model**2
    rows = total(_at_most(own.tokens, limit) for own in sizes.values())
    return Work(rows, _reading(rows, 2 * shape.n_layers * shape.block_parameters + moments))


def _reading(tokens: Guess, operations: float) -> Guess:
    return tokens.scaled(operations / OPERATIONS_PER_S + 1 / _READ_PER_S)


def _probes(results: Sequence[Result], works: Works) -> Work:
    """Return the work of the fits of all tasks, to states or to what each SAE makes of them."""
    d, sizes = _shape(results[0], works).d_model, _sizes(results)
    rows, amounts, n_bytes = {}, [], []
    for one in results:
        texts, states = one.inputs["labelled"], one.inputs["states"]
        own = sizes[texts]
        rows[texts] = _kept(states, own)
        n_train, n_poolings = own.train.value, len(states.settings["pooling"])
        if "sae" in one.inputs:
            width = works.width(one.inputs["sae"], d)
            coding = 2 * 4 * d * width  # as they are, and centred
            amounts.append(rows[texts].scaled(coding / OPERATIONS_PER_S))
            fits = fits_of_codes(one.settings, n_train, d, width, poolings=n_poolings)
        else:
            fits = fits_of_states(one.settings, n_train, d, poolings=n_poolings)
        amounts.append(own.tasks.scaled(fits.seconds))
        n_bytes.append(own.tasks.scaled(fits.n * own.test.value * _SCORE_BYTES, 2.0))
    return Work(total(rows.values()), total(amounts), total(n_bytes))


def _erasure(results: Sequence[Result], works: Works) -> Work:
    """Return the work of edits: the model from the hook on for each, readers for each removal.

    Those without an SAE are made once a hook, and clean texts are read once.
    """
    shape, sizes, how = _shape(results[0], works), _sizes(results), results[0].settings
    rows = {texts: _at_most(own.tokens, how["tokens"]) for texts, own in sizes.items()}
    n_strengths, amounts, hooks = len(how["strengths"]), [], set[Result]()
    for own in sizes.values():
        clean = own.tokens.scaled(_of_concept(own, how) / max(1.0, own.texts.value))
        amounts.append(_reading(clean.scaled(_concepts(own, how)), 2 * shape.n_parameters))
    for one in results:
        own, texts = sizes[one.inputs["labelled"]], one.inputs["labelled"]
        removals, steerings = 2 * len(how["features"]), n_strengths
        if one.inputs["states"] not in hooks:
            hooks.add(one.inputs["states"])
            removals += 1 + _DENSE_REMOVALS  # and nothing
            steerings += _DENSE_DIRECTIONS * n_strengths
        n, n_read = _concepts(own, how), _concepts(own, how, others=how["others"])
        code = 4 * shape.d_model * works.width(one.inputs["sae"], shape.d_model)
        operations = (removals + steerings) * works.behind(one, shape) + code
        amounts.append(rows[texts].scaled(n * operations / OPERATIONS_PER_S))
        reader = seconds_of_reader(_of_concept(own, how), shape.d_model)
        amounts.append(Guess(n * removals * n_read * reader, own.train.times))
    return Work(total(rows.values()), total(amounts))


def _concepts(sizes: TextSizes, how: Mapping[str, Any], *, others: int = 0) -> float:
    """Return how many concepts are removed, or with others looked for."""
    return min(how["tasks"] + others, sizes.tasks.value)


def _of_concept(sizes: TextSizes, how: Mapping[str, Any]) -> float:
    """Return the training examples of readers: half of them."""
    return min(how["examples"], sizes.train.value) / 2
