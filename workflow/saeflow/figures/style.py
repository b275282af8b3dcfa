"""Colour and marker of each method and the style of every figure: the one table.

Colours are those of Okabe and Ito, told apart by people with any of the common kinds of colour
blindness; markers carry the same difference without colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

STYLE_FILE = Path(__file__).parent / "saeflow.mplstyle"

INK = "#222222"
REFERENCE = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}
"""A line that is no data: no suppression, no change, as predicted."""
MUTED = "#6b6b6b"
WARNING = "#b3261e"


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
    """

    colour: str
    marker: str
    label: str


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

_SPARE = (("#7b3294", "<"), ("#8c510a", ">"), ("#01665e", "p"), ("#b2abd2", "d"))

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5a5a5a", "#b3a100")
"""Colours of lines that are not methods (recipes), by order."""

LINE_STYLES = ("-", "--", "-.", ":")


def method_looks(methods: Iterable[str]) -> dict[str, Look]:
    """Return how each method is drawn, in the order of legends.

    Parameters
    ----------
    methods
        Names; one that the table does not know (a name that the config chose) gets a spare look.
    """
    return _looks(methods, METHODS)


def architecture_looks(architectures: Iterable[str]) -> dict[str, Look]:
    """Return how SAEs of each architecture are drawn, in the order of legends."""
    return _looks(architectures, ARCHITECTURES)


def _looks(names: Iterable[str], known: Mapping[str, Look]) -> dict[str, Look]:
    wanted = set(names)
    looks = {name: look for name, look in known.items() if name in wanted}
    for index, name in enumerate(sorted(wanted - set(known))):
        colour, marker = _SPARE[index % len(_SPARE)]
        looks[name] = Look(colour, marker, _label(name, known))
    return looks


def _label(name: str, known: Mapping[str, Look]) -> str:
    """Return "scale, exact" for "scale-exact", and a name of other form as it is."""
    first, _, rest = name.partition("-")
    return f"{known[first].label}, {rest}" if first in known and rest else name


def series_looks(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return colour and line style of each name, by first appearance; 32 different ones."""
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
