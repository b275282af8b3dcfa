"""Which SAEs belong together: those of a factorial design, and those of one recipe at all widths.

Read `groups`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


def groups(found: Iterable[Compared], *, apart: bool) -> Iterator[Group]:
    """Yield the SAEs that pairs connect; ``apart``, not through pairs of different comparisons."""
    by_name: dict[str, list[Compared]] = {}
    for pair in found:
        by_name.setdefault(pair.comparison if apart else "", []).append(pair)
    for name, own in by_name.items():
        saes: dict[Key, Sae] = {}
        pairs: dict[tuple[Key, Key], Compared] = {}
        parts: dict[Key, set[Key]] = {}
        for pair in own:
            first, second = pair.first.key, pair.second.key
            saes |= {first: pair.first, second: pair.second}
            pairs |= {(first, second): pair, (second, first): pair}
            part = parts.get(first, {first}) | parts.get(second, {second})
            parts |= dict.fromkeys(part, part)
        order = sorted(saes, key=Key.order)
        for least in order:
            part = [key for key in order if key in parts[least]]
            if part[0] == least:
                inside = {both: pair for both, pair in pairs.items() if both[0] in parts[least]}
                yield Group(name, tuple(saes[key] for key in part), inside)
