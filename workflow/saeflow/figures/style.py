"""Colour and marker of each method and the style of every figure: the one table.

Colours are those of Okabe and Ito, told apart by people with any of the common kinds of colour
blindness; markers carry the same difference without colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

STYLE_FILE = Path(__file__).parent / "saeflow.mplstyle"

INK = "#222222"
REFERENCE = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}
"""A line that is no data: no suppression, no change, as predicted."""
MUTED = "#6b6b6b"
WARNING = "#b3261e"
GUIDE = {"color": INK, "linewidth": 0.6}
"""A line at zero, where that is no claim."""


_SMALL = 4.0  # points: a white rim would leave little of a marker
_FILLS = ("full", "none", "left", "right", "top", "bottom")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 4)))
_HATCHES = ("", "/////", ".....", "xxxxx", "-----", "ooooo")


class Look(NamedTuple):
    """How a method is drawn.

    Attributes
    ----------
    colour : str
        Hexadecimal RGB.
    marker : str
        Matplotlib's marker.
    label : str
        Its name in legends.
    variant : int
        Tells apart those of one colour and marker: 0 is filled, 1 hollow, others half filled.
    """

    colour: str
    marker: str
    label: str
    variant: int = 0

    def point(self, size: float = 4.5) -> dict[str, Any]:
        """Return the properties of a point, ``size`` points large."""
        rim = {"markeredgecolor": "white", "markeredgewidth": 0.4}
        filled = {} if self.variant or size <= _SMALL else rim
        return {
            "color": self.colour, "marker": self.marker, "markersize": size, "linestyle": "",
            "fillstyle": _FILLS[self.variant % len(_FILLS)], **filled,
        }  # fmt: skip

    def bar(self) -> dict[str, Any]:
        """Return the properties of a bar."""
        if not self.variant:
            return {"color": self.colour}
        hatch = _HATCHES[self.variant % len(_HATCHES)]
        return {"facecolor": "white", "edgecolor": self.colour, "hatch": hatch, "linewidth": 0.7}

    def line(self) -> dict[str, Any]:
        """Return the properties of a line."""
        return {"color": self.colour, "linestyle": LINE_STYLES[self.variant % len(LINE_STYLES)]}


METHODS = {
    "original": Look("#5a5a5a", "o", "original"),
    "baseline": Look("#b8b8b8", "X", "baseline"),
    "scale": Look("#e69f00", "s", "scale"),
    "decoder": Look("#0072b2", "D", "decoder"),
    "unrotated_decoder": Look("#56b4e9", "^", "unrotated decoder"),
    "encoder": Look("#d55e00", "v", "encoder"),
    "unrotated_encoder": Look("#cc79a7", "P", "unrotated encoder"),
    "unrotated_all": Look("#009e73", "*", "unrotated all"),
    "kl_mse": Look("#f0e442", "h", "KL + MSE"),
}
"""The methods that have a colour of their own, in the order of legends."""

ARCHITECTURES = {
    "relu": Look("#0072b2", "o", "ReLU"),
    "p_anneal": Look("#56b4e9", "<", "p-anneal"),
    "gated": Look("#009e73", "s", "gated"),
    "jumprelu": Look("#cc79a7", "^", "JumpReLU"),
    "topk": Look("#d55e00", "D", "TopK"),
    "batchtopk": Look("#e69f00", "v", "BatchTopK"),
    "matryoshka": Look("#5a5a5a", "P", "Matryoshka"),
}
"""The architectures that have a colour of their own, in the order of legends."""

WAYS = {
    "full": Look("#5a5a5a", "o", "whole effect"),
    "direct": Look("#0072b2", "D", "direct path alone"),
    "attention_frozen": Look("#d55e00", "s", "attention outputs frozen"),
    "patterns_frozen": Look("#e69f00", "^", "attention patterns frozen"),
    "mlp_frozen": Look("#009e73", "v", "MLP outputs frozen"),
    "chain": Look("#cc79a7", "P", "SAEs at all later hooks too"),
}
"""The ways by which an SAE's error acts, in the order of legends."""

_SPARE = (("#7b3294", "<"), ("#8c510a", ">"), ("#01665e", "p"), ("#b2abd2", "d"))

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5a5a5a", "#b3a100")
"""Colours of lines that are not methods (recipes), by order."""


def method_looks(methods: Iterable[str]) -> dict[str, Look]:
    """Return how each method is drawn, in the order of legends.

    Parameters
    ----------
    methods
        Names, or those of ways; one that the tables do not know (a name that the config chose) gets
        a spare look.
    """
    return _looks(methods, METHODS | WAYS)


def architecture_looks(architectures: Iterable[str]) -> dict[str, Look]:
    """Return how SAEs of each architecture are drawn, in the order of legends."""
    return _looks(architectures, ARCHITECTURES)


def _looks(names: Iterable[str], known: Mapping[str, Look]) -> dict[str, Look]:
    """Return known names with what is called after them ("scale-exact"), then all others."""
    wanted = set(names)
    families: dict[str, list[str]] = {name: [] for name in known}
    others = []
    for name in sorted(wanted - set(known)):
        families.get(name.partition("-")[0], others).append(name)
    looks = {}
    for first, look in known.items():
        if first in wanted:
            looks[first] = look
        for variant, name in enumerate(families[first], start=1):
            rest = name.partition("-")[2]
            looks[name] = look._replace(label=f"{look.label}, {rest}", variant=variant)
    for index, name in enumerate(others):
        variant, at = divmod(index, len(_SPARE))
        looks[name] = Look(*_SPARE[at], name, variant)
    return looks


def series_looks(names: Iterable[str]) -> dict[str, tuple[str, Any]]:
    """Return colour and line style of each name, by first appearance; 48 different ones."""
    n = len(SERIES)
    return {
        name: (SERIES[index % n], LINE_STYLES[index // n % len(LINE_STYLES)])
        for index, name in enumerate(dict.fromkeys(names))
    }


def use_style() -> mpl.rc_context:
    """Return a context in which the style file, and nothing of the user's, is in force."""
    style = mpl.rc_params_from_file(STYLE_FILE, use_default_template=True)
    # The backend is the process's affair: setting it would close other figures.
    return mpl.rc_context({key: value for key, value in style.items() if key != "backend"})
