"""Try a model before anything is made with it: a few tokens through blocks, sites, tail and head.

Read `try_model`; `saeflow.models.fetch` puts what it finds into the model's record.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from saeflow.errors import ModelError, first_line
from saeflow.hooks import SITES, Hook
from saeflow.models.hooks import layout_of, sites_of
from saeflow.models.layout import forward_arguments, probe_ids
from saeflow.models.points import get_output
from saeflow.models.slices import Head, final_states
from saeflow.models.tail import Tail

_TOLERANCE = 1e-4
"""Of the largest value: rounding differs by kernel, and by how many tokens an expert gets."""


@torch.no_grad()
def try_model(model: nn.Module) -> dict[str, Any]:
    """Return what can be read and exchanged in a causal language model in eval mode, or refuse it.

    Returns
    -------
    dict
        ``n_layers`` and ``d_model`` as they are found; ``sites``: site -> blocks that have it;
        ``not_offered``: site -> why some block lacks it; ``whole_passes``: the sites at which an
        exchange takes a forward pass of the whole model, because it cannot be run from there on.

    Raises
    ------
    ModelError
        If there is no stack of blocks with a stream, if a token's states depend on later tokens,
        if they are no numbers, or if the head cannot be run alone.
    """
    blocks, outputs = sites_of(model), layout_of(model).block_outputs
    ids, name = probe_ids(model), type(model).__name__
    states = final_states(model, ids)
    if not bool(states.isfinite().all()):
        raise ModelError(
            "the model's states are not finite after a few tokens",
            where=name,
            remedy="Fetch or convert the model again; its weights may be damaged.",
        )
    _check_causal(model, ids, states)
    _check_head(model, ids, states)
    sites = {s: [i for i, one in enumerate(blocks) if s in one.points] for s in SITES}
    middle = len(blocks) // 2
    return {
        "n_layers": len(blocks),
        "d_model": next(get_output(one) for one in outputs if one is not None).shape[-1],
        "sites": {site: found for site, found in sites.items() if found},
        "not_offered": {s: one.refused[s] for one in blocks for s in SITES if s in one.refused},
        "whole_passes": [
            site
            for site, found in sites.items()
            if found and not _has_tail(model, Hook(site, min(found, key=lambda b: abs(b - middle))))
        ],
    }


def _check_causal(model: nn.Module, ids: torch.Tensor, states: torch.Tensor) -> None:
    """Refuse a model in which the last token changes what comes before it."""
    changed = ids.clone()
    changed[:, -1] = ids[:, 0]
    if not _same(final_states(model, changed)[:, :-1], states[:, :-1]):
        raise ModelError(
            "this is not a causal model: a token's states depend on the tokens after it",
            where=type(model).__name__,
            remedy="Choose a decoder-only model; of a BERT that was trained as a decoder, set"
            " is_decoder: true in its config.json.",
        )


def _check_head(model: nn.Module, ids: torch.Tensor, states: torch.Tensor) -> None:
    """Refuse a model whose logits do not follow from the states of its blocks alone."""
    try:
        expected, got = model(ids, **forward_arguments(model)).logits, Head(model)(states)
        is_alike, problem = got.shape == expected.shape and _same(got, expected), "other logits"
    except Exception as error:  # a family's code may ask for more than the states
        is_alike, problem = False, f"{type(error).__name__}: {first_line(error)}"
    if not is_alike:
        raise ModelError(
            "the head of this model cannot be run alone",
            where=type(model).__name__,
            expected="the logits of the whole model",
            got=problem,
            remedy="Choose a model whose logits are its head's of the last states.",
        )


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one - other).abs().max() <= _TOLERANCE * other.abs().max())


def _has_tail(model: nn.Module, hook: Hook) -> bool:
    try:
        Tail(model, hook)
    except ModelError:
        return False
    return True
