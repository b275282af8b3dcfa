"""The layers of a model along the horizontal axes of panels: how wide these are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from saeflow.figures.panels import MAX_WIDTH
from saeflow.figures.places import Place

GROUP_WIDTH = 0.8
"""Of what stands at one layer, where layers are 1 apart."""
_BESIDE = 0.15  # inches in a panel beside its layers
_ROW = MAX_WIDTH - 0.5
_LEAST_PANEL = 1.3
_ALONE = 2.6  # a panel need not be wider for few layers
_MOST = 5.2
_NARROW = (0.18, 0.3)  # inches of a layer where a point per method stands: of one site, of several
_WIDEST = 0.6


class Layers(NamedTuple):
    """The horizontal axes of panels by layer.

    Attributes
    ----------
    sites : dict
        Site -> its blocks, sorted.
    inch : float
        Of one layer.
    narrow : bool
        Whether that is less than what stands at a layer asks for.
    widths : list of float
        Of the panels, in inches.
    """

    sites: dict[str, list[int]]
    inch: float
    narrow: bool
    widths: list[float]

    def blocks(self, place: Place) -> list[int]:
        """Return the blocks of a panel: all that its site has anywhere in the table."""
        return self.sites[place.rows["site"].iloc[0]]

    @property
    def label(self) -> str:
        """The label of the axis."""
        return f"Block ({next(iter(self.sites))})" if len(self.sites) == 1 else "Block"

    @property
    def sharex(self) -> Any:
        """Which panels have the same layers."""
        return True if len(self.sites) == 1 else "col"


def layers_of(places: Sequence[Place], wanted: float) -> Layers:
    """Return the layers of panels, of which each wants so many inches."""
    sites: dict[str, set[int]] = {}
    for place in places:
        sites.setdefault(place.rows["site"].iloc[0], set()).update(place.rows["block"])
    n = sum(map(len, sites.values()))
    # The panels of several sites stand beside one another; that of a single one has half a row.
    room = (_ROW if len(sites) > 1 else _MOST) - _BESIDE * len(sites)
    narrow = wanted * n > room
    least_layer = _NARROW[len(sites) > 1]
    inch = min(least_layer if narrow else max(wanted, min(_WIDEST, _LEAST_PANEL / n)), room / n)
    found = {site: sorted(blocks) for site, blocks in sites.items()}
    least = _LEAST_PANEL if len(sites) == 1 else min(_LEAST_PANEL, _ROW / len(sites))
    of_site = {s: max(least, inch * len(blocks) + _BESIDE) for s, blocks in found.items()}
    return Layers(found, inch, narrow, [of_site[p.rows["site"].iloc[0]] for p in places])
