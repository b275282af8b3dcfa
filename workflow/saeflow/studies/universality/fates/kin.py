"""Which SAEs belong together: those of a factorial design, and those of one recipe at all widths.

Read `groups`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from saeflow.studies.universality.reading import Compared, Sae
from saeflow.tables.runs import Key


class Group(NamedTuple):
    """SAEs that are compared with one another.

    Attributes
    ----------
    comparison : str
        The comparison that they are in; "" where any may be.
    saes : tuple of Sae
        All, in the order of `saeflow.tables.runs.Key.order`.
    pairs : dict
        (one, other) -> what was measured of them, by the keys of both in either order.
    """

    comparison: str
    saes: tuple[Sae, ...]
    pairs: dict[tuple[Key, Key], Compared]

    @property
    def name(self) -> Key:
        """The key of the SAE with the shortest name, after which the group is called."""
        return min((sae.key for sae in self.saes), key=lambda key: (len(key.sae), key.order()))


def groups(found: Iterable[Compared], *, apart: bool) -> list[Group]:
    """Return the SAEs that pairs connect with one another.

    Parameters
    ----------
    found
        The pairs.
    apart
        Whether pairs of different comparisons do not belong together.
    """
    several: dict[str, list[set[Key]]] = {}
    saes: dict[Key, Sae] = {}
    pairs: dict[str, dict[tuple[Key, Key], Compared]] = {}
    for pair in found:
        name = pair.comparison if apart else ""
        both = {pair.first.key: pair.first, pair.second.key: pair.second}
        first, second = both
        saes |= both
        pairs.setdefault(name, {}).update({(first, second): pair, (second, first): pair})
        parts = several.setdefault(name, [])
        touched = [part for part in parts if part & both.keys()]
        several[name] = [part for part in parts if part not in touched]
        several[name].append(set(both).union(*touched))
    return [
        Group(
            name,
            tuple(saes[key] for key in sorted(part, key=Key.order)),
            {both: one for both, one in pairs[name].items() if both[0] in part},
        )
        for name, parts in several.items()
        for part in sorted(parts, key=lambda part: min(part, key=Key.order).order())
    ]
