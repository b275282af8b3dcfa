"""Which SAEs are held against which, and in what the two differ. Read `pairs`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from saeflow.hooks import Hook
from saeflow.sae.baselines import BASELINES
from saeflow.sae.formats import is_imported
from saeflow.studies.study import WITH, Config, Row, every_sae

KEYS = {"model": "models", "train_on": "train_on", "hook": "hooks", "sae": "saes", "seed": "seeds"}
"""What SAEs of a comparison may differ in, and the key of a comparison that lists its values."""

LAYER, UNTRAINED, SHUFFLED = "another layer", "random weights", "shuffled model"
"""What SAEs are held against that should have nothing in common with them: nulls."""
NULLS = (LAYER, UNTRAINED, SHUFFLED)
FOUND = 0.7
"""The similarity above which a feature counts as found in another SAE."""
_SEED_OF_NULLS = 1000  # or the next one that is free: a seed more in a comparison leaves it alone

_OF_RECIPES = {
    "architecture": "architecture",
    "expansion": "expansion",
    "order_seed": "order",
    "part": "part",
}
"""Keys of a recipe, and what two SAEs differ in that differ there."""
RECIPE = "recipe"
"""What they differ in that differ in another key of it."""


class Pair(NamedTuple):
    """Two SAEs that are compared.

    Attributes
    ----------
    comparison : str
        The name of the comparison, or one of `NULLS`.
    differ : tuple of str
        In what they differ: of model, checkpoint, dataset, packing, hook, architecture, expansion,
        order, part, recipe (anything else in it), seed.
    first, second : dict
        Their wildcards; which is the first depends on nothing else.
    reference : str
        Of a null: "first" or "second", which is the study's own SAE that is held against it.
    """

    comparison: str
    differ: tuple[str, ...]
    first: Row
    second: Row
    reference: str = ""

    @property
    def row(self) -> Row:
        """The row of what is measured of them."""
        return {**self.first, WITH: self.second}


def pairs(config: Config, section: Config) -> list[Pair]:
    """Return all pairs of a study: those of its comparisons, then those with nulls.

    Two SAEs of a comparison are a pair if they differ in something that it varies, and in nothing
    else. A pair that is in several comparisons stands in each.
    """
    found = []
    for name, comparison in section["comparisons"].items():
        found += _within(config, name, comparison, list(_saes(section, comparison)))
    for name, reference, null in _nulls(section):
        pair = _pair(config, name, reference, null)
        found.append(pair._replace(reference="first" if pair.first == reference else "second"))
    return found


def compared_pairs(config: Config, section: Config) -> list[Pair]:
    """Return the pairs of comparisons, without those with nulls."""
    return [pair for pair in pairs(config, section) if pair.comparison not in NULLS]


def first_seed(section: Config) -> Config:
    """Return the study's section with the first of its seeds alone."""
    return {**section, "seeds": section["seeds"][:1]}


def of_comparison(section: Config, comparison: Mapping[str, Any]) -> dict[str, Any]:
    """Return the study's section with what a comparison sets in the place of its own."""
    own = {key: comparison[key] for key in KEYS.values() if comparison[key] is not None}
    return {**section, **own}


def paired(config: Config, section: Config) -> Iterator[Row]:
    """Yield the rows of what is measured of pairs, each pair once."""
    found = {(*pair.first.values(), *pair.second.values()): pair for pair in pairs(config, section)}
    yield from (pair.row for pair in found.values())


def each_sae(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs of all pairs, each once."""
    yield from saes_of(pairs(config, section))


def saes_of(found: Iterable[Pair]) -> Iterator[Row]:
    """Yield the SAEs of some pairs, each once."""
    both = (row for pair in found for row in (pair.first, pair.second))
    yield from {tuple(row.values()): row for row in both}.values()


def given_pairs(config: Config, section: Config) -> dict[str, Any]:
    """Return the pairs as an argument of a table's builder: comparison, differ, first, second."""
    return as_given(pairs(config, section))


def as_given(found: Iterable[Pair]) -> dict[str, Any]:
    """Return some pairs as an argument of a table's builder."""
    return {"pairs": [pair._asdict() for pair in found]}


def places_of(there: Config) -> list[Mapping[str, str]]:
    """Return where SAEs of what `of_comparison` gives are trained."""
    return there["train_on"] if isinstance(there["train_on"], list) else [there["train_on"]]


def _saes(section: Config, comparison: Mapping[str, Any]) -> Iterator[Row]:
    there = of_comparison(section, comparison)
    for place in places_of(there):
        yield from every_sae({}, there, train_on=place)


def _within(
    config: Config, name: str, comparison: Mapping[str, Any], saes: list[Row]
) -> Iterator[Pair]:
    """Yield the pairs of a comparison."""
    of_place = {"train_on": ("dataset", "packing")}
    varied = [part for key in comparison["vary"] for part in of_place.get(key, (key,))]
    against = comparison["against"]
    for one, other in itertools.combinations(saes, 2):
        if all(one[key] == other[key] for key in one if key not in varied) and (
            against is None or against in (one[varied[0]], other[varied[0]])
        ):
            yield _pair(config, name, one, other)


def _nulls(section: Config) -> Iterator[tuple[str, Row, Row]]:
    """Yield what the study's own SAEs of the first seed are held against.

    These have a seed that no other SAE has: with the same one they would begin with the same
    weights, and be alike by that.
    """
    nulls = section["nulls"]
    parts = (section, *section["comparisons"].values())
    used = {seed for part in parts for seed in part["seeds"] or ()}
    apart = {"seed": next(seed for seed in itertools.count(_SEED_OF_NULLS) if seed not in used)}
    for one in every_sae({}, first_seed(section)):
        changed = [
            *((LAYER, {"hook": hook}) for hook in nulls["hooks"]),
            *((UNTRAINED, {"sae": sae}) for sae in nulls["saes"]),
            *((SHUFFLED, {"model": model}) for model in nulls["models"]),
        ]
        for name, change in changed:
            if {**one, **change} != one:
                yield name, one, {**one, **change, **apart}


def _pair(config: Config, name: str, one: Row, other: Row) -> Pair:
    first, second = sorted((one, other), key=lambda row: [*map(str, row.values())])
    return Pair(name, tuple(differences(config, first, second)), first, second)


def differences(config: Config, one: Row, other: Row) -> list[str]:
    """Return in what two SAEs differ, as `Pair` names it."""
    found = []
    if one["model"] != other["model"]:
        models = {row["model"].partition("@")[0] for row in (one, other)}
        found.append("model" if len(models) > 1 else "checkpoint")
    other_texts = one["dataset"] != other["dataset"]
    found += ["dataset"] * other_texts
    if one["packing"] != other["packing"] and not (other_texts and _alike(config, one, other)):
        found.append("packing")
    if Hook.parse(one["hook"]) != Hook.parse(other["hook"]):
        found.append("hook")
    found += _of_recipes(*(config["saes"][row["sae"].partition("~")[0]] for row in (one, other)))
    if one["sae"] != other["sae"] and not {*found} & {*_OF_RECIPES.values(), RECIPE}:
        found.append(RECIPE)  # fine-tuned otherwise, or under another name
    return found + ["seed"] * (one["seed"] != other["seed"])


def _alike(config: Config, one: Row, other: Row) -> bool:
    """Whether two packings are the same but for tokens that no SAE is trained on."""
    packings = (config["packings"][row["packing"]] for row in (one, other))
    first, second = ({**p, "tokens": p["tokens"]["train"]} for p in packings)
    return first == second


def _of_recipes(one: Config, other: Config) -> list[str]:
    """Return in what two recipes differ; nothing where one is imported, whatever it is."""
    if is_imported(one) or is_imported(other):
        return []
    named = dict(_OF_RECIPES)
    if BASELINES.keys() & {one["architecture"], other["architecture"]}:
        named = {key: named[key] for key in ("architecture", "part")}  # all that baselines have
    found = [name for key, name in named.items() if one.get(key) != other.get(key)]
    rest = [{k: v for k, v in recipe.items() if k not in _OF_RECIPES} for recipe in (one, other)]
    alike = one["architecture"] == other["architecture"]
    return found + [RECIPE] * (alike and rest[0] != rest[1])
