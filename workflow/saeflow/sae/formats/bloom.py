"""Joseph Bloom's first release of the GPT-2 SAEs (res-jb): one file with a pickled configuration.

The reformatted release is `saelens`.
"""

from __future__ import annotations

from collections.abc import Mapping

from saeflow.errors import ModelError
from saeflow.sae.formats.saelens import from_parts
from saeflow.sae.saved.foreign import Foreign, Place, sources
from saeflow.sae.saved.pickles import Holder
from saeflow.sae.saved.tensors import Tensors

TITLE = "Joseph Bloom's first files"


def fits(place: Place) -> bool:
    """Whether the file holds a configuration and a state dict."""
    content = place.content
    return isinstance(content, Mapping) and {"cfg", "state_dict"} <= content.keys()


def read(place: Place) -> Foreign:
    """Return the SAE: ReLU latents of x - b_dec."""
    held = place.content["cfg"]
    cfg = held.attributes() if isinstance(held, Holder) else dict(held)
    if "hook_point" not in cfg:
        raise ModelError("the configuration names no hook", where=place.path, expected="hook_point")
    plain = {
        name: value
        for name, value in cfg.items()
        if isinstance(value, str | int | float | bool | dict) or value is None
    }
    plain.pop("dtype", None)
    weights = Tensors(place.content["state_dict"], place.path)
    found = from_parts(plain, weights, where=place.path)
    # it was trained on TransformerLens' processed weights, its only kind at the time
    facts = {**found.facts, "center_input": True, "source": sources(place.path)}
    return Foreign(found.cfg, found.weights, facts)
