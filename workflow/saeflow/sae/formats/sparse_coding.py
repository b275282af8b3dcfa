"""sparse_coding (HoagyC, Elriggs): a pickled list of dictionaries and their hyperparameters.

Of its classes, TiedSAE and UntiedSAE are read. Both normalise decoder rows when they decode,
neither takes a bias off its input; a TiedSAE may translate, rotate and scale its input, and its
encoder is normalised where it says so, which differs between forks of the code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saeflow.errors import ModelError
from saeflow.sae.saved import fold
from saeflow.sae.saved.foreign import Foreign, Place, sources
from saeflow.sae.saved.pickles import Holder
from saeflow.sae.saved.tensors import Tensors, require_tensors

TITLE = "sparse_coding's list of dictionaries"
_KINDS = ("TiedSAE", "UntiedSAE")
_SMALLEST = 1e-8  # of the classes' own normalisation


def fits(place: Place) -> bool:
    """Whether the file holds such a list, or one dictionary."""
    return bool(_entries(place.content))


def _entries(content: Any) -> list[tuple[Holder, dict[str, Any]]]:
    if isinstance(content, Holder):
        content = [(content, {})]
    if not isinstance(content, list | tuple):
        return []
    pairs = [item if isinstance(item, tuple) and len(item) == 2 else (item, {}) for item in content]
    known = all(isinstance(one, Holder) and _is_dictionary(one) for one, _ in pairs)
    return pairs if known else []


def _is_dictionary(held: Holder) -> bool:
    return "encoder_bias" in held.attributes() and "shift_bias" not in held.attributes()


def read(place: Place, *, entry: int | None = None) -> Foreign:
    """Return one SAE of the list; ``entry``, from 0, may be left out where there is one."""
    entries = _entries(place.content)
    if entry is None and len(entries) == 1:
        entry = 0
    if entry is None or not 0 <= entry < len(entries):
        listed = "; ".join(f"{i}: {about}" for i, (_, about) in enumerate(entries))
        raise ModelError(
            f"the file holds {len(entries)} dictionaries",
            where=place.path,
            expected=f"entry, from 0 to {len(entries) - 1}",
            got=entry,
            remedy=f"Choose one: {listed}",
        )
    held, about = entries[entry]
    weights = _weights(held, place)
    facts = {
        # the activations came from TransformerLens' processed weights
        "center_input": True,
        "source": {"entry": entry, **_plain(about), **sources(place.path)},
    }
    rule = {"architecture": "standard", "apply_b_dec_to_input": False}
    return Foreign(rule, weights, facts)


def _plain(about: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in about.items() if isinstance(value, int | float | str)}


def _weights(held: Holder, place: Place) -> dict[str, Tensor]:
    kind, own = held.kind.rpartition(".")[2], Tensors(held.attributes(), place.path)
    if kind not in _KINDS:
        raise ModelError(
            "this class of dictionaries is not read", where=place.path,
            expected=" | ".join(_KINDS), got=kind,
        )  # fmt: skip
    encoder = own["encoder"].detach()
    if kind == "TiedSAE" and "norm_encoder" not in own:
        raise ModelError("the file does not say whether the encoder is normalised",
                         where=place.path, expected="norm_encoder")  # fmt: skip
    decoder = _unit(own["decoder"].detach() if kind == "UntiedSAE" else encoder)
    if kind == "TiedSAE" and own["norm_encoder"]:
        encoder = _unit(encoder)
    d_in = encoder.shape[1]
    weights = {
        "W_enc": encoder.T.contiguous(),
        "b_enc": own["encoder_bias"].detach(),
        "W_dec": decoder.contiguous(),
        "b_dec": torch.zeros(d_in, dtype=encoder.dtype),
    }
    require_tensors(weights, ("b_enc",), where=place.path)
    return _centred(weights, own, d_in)


def _centred(weights: dict[str, Tensor], own: dict[str, Any], d_in: int) -> dict[str, Tensor]:
    """Fold the class' ``center`` into the weights: (R (x - t)) s, undone after decoding."""
    shift, rotation, scale = (own.get(f"center_{part}") for part in ("trans", "rot", "scale"))
    if shift is None and rotation is None and scale is None:
        return weights
    shift = torch.zeros(d_in) if shift is None else shift
    rotation = torch.eye(d_in) if rotation is None else rotation
    scale = torch.ones(d_in) if scale is None else scale
    matrix = rotation.double().T * scale.double()
    inverse = rotation.double() / scale.double()[:, None]  # what its ``uncenter`` applies
    return fold.affine(weights, shift, matrix, inverse, subtracted=False)


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True).clamp(min=_SMALLEST)
