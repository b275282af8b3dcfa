"""A study that compares SAEs of the small workflow, and what a change of it makes stale."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from dag.jobs import REPORT
from dag.tree import CONFIG, Tree, shorten
from saeflow import paths
from saeflow.config.checks import resolve
from saeflow.metrics.registry import MEASURES
from saeflow.studies.study import WITH, Row
from saeflow.studies.universality import STUDY

PLACE = {"dataset": "texts", "packing": "ctx-64"}
ON = {"eval_dataset": "texts", "eval_packing": "ctx-64"}
SEEDS = {"vary": ["seed"], "seeds": [0, 1]}
ORDERS = {"vary": ["sae"], "saes": ["relu", "relu-order"]}
LAYERS = {"vary": ["hook"], "hooks": ["resid_post.1", "resid_post.2"], "saes": ["topk"]}


def study_pairs(config: dict[str, Any]) -> None:
    """Add a study that compares SAEs to a configuration."""
    relu = {"architecture": "relu", "l1": 0.1}
    config["saes"] |= {"relu-order": {**relu, "order_seed": 1}, "empty": {**relu, "tokens": 0}}
    config["studies"]["universality"] = {
        "models": ["small"],
        "evaluate_on": PLACE,
        "hooks": ["resid_post.1"],
        "saes": ["relu"],
        "comparisons": {"seeds": SEEDS, "orders": ORDERS},
        "nulls": {"hooks": ["resid_post.2"], "saes": ["empty"]},
    }


def ask_pairs(tree: Tree) -> None:
    """Have a second study, that compares SAEs."""
    tree.configure(study_pairs)


def compare(**keys: Any) -> Callable[[dict[str, Any]], object]:
    """Return a change of a configuration: of keys of this study."""
    return lambda config: config["studies"]["universality"].update(keys)


def measuring(**keys: Any) -> Callable[[dict[str, Any]], object]:
    """Return a change of a configuration: of keys under `measures`."""
    return lambda config: config.setdefault("measures", {}).update(keys)


def below_pairs(
    change: Callable[[dict[str, Any]], object],
    anew: Callable[[str, Row], bool] = lambda kind, row: False,  # noqa: ARG005
) -> set[str]:
    """Return what a change of a configuration makes stale of this study.

    Parameters
    ----------
    change
        Edits the configuration in place.
    anew
        (kind of result, row) -> whether a result that was there before is made again.
    """
    before, after = copy.deepcopy(CONFIG), copy.deepcopy(CONFIG)
    for config in (before, after):
        study_pairs(config)
    change(after)
    written = (yaml.safe_load(yaml.safe_dump(config)) for config in (before, after))
    before, after = map(resolve, written)  # their keys are sorted in a tree's file
    found: set[str] = set()
    tables = set()
    for name, table in _tables(after):
        old, new = (_read(config, table) for config in (before, after))
        made = {
            (kind, _name(kind, row))
            for kind, rows in new.items()
            for row in rows
            if kind != "sae" and (row not in old[kind] or anew(kind, row))
        }
        told = [_told(config, table) for config in (before, after)]
        if made or old != new or told[0] != told[1]:
            tables.add(name)
        found |= {f"measure {shorten(path)}" for _, path in made}
    figures = {
        f"plot figures/universality/{name}"
        for name, figure in STUDY.figures.items()
        if figure.table in tables and figure.when(after, _section(after))
    }
    return found | figures | {f"tabulate tables/universality/{name}" for name in tables} | REPORT


def of_kinds(*kinds: str) -> Callable[[str, Row], bool]:
    """Return whether a result is of these kinds, or read one of them."""

    def anew(kind: str, row: Row) -> bool:  # noqa: ARG001
        reads = MEASURES[kind].reads
        return kind in kinds or any(anew(one, row) for one in reads if one in MEASURES)

    return anew


def of_sae(sae: str) -> Callable[[str, Row], bool]:
    """Return whether a result is about this SAE, or about a pair with it."""
    return lambda kind, row: sae in (row["sae"], row.get(WITH, {}).get("sae"))  # noqa: ARG005


def _section(config: dict[str, Any]) -> dict[str, Any]:
    return config["studies"]["universality"]


def _tables(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, table in STUDY.tables.items():
        if table.when(config, _section(config)):
            yield name, table


def _read(config: dict[str, Any], table: Any) -> dict[str, list[Row]]:
    """Return the rows of each kind that a table reads."""
    return {
        kind: list((table.rows or STUDY.rows_of.get(kind, STUDY.rows))(config, _section(config)))
        for kind in (*table.reads, *table.also)
    }


def _told(config: dict[str, Any], table: Any) -> tuple[Any, list[Row]]:
    """Return what a table is given of the configuration, and what it is about."""
    rows = (table.rows or STUDY.rows)(config, _section(config))
    return table.given(config, _section(config)), list(rows)


def _name(kind: str, row: Row) -> str:
    """Return the path of what is measured."""
    of = {key: value for key, value in row.items() if key in paths.WITH}
    if MEASURES[kind].of == "hook":
        where = {key: of[key] for key in ("model", "hook")}
        return str(paths.fill(paths.MEASUREMENT_OF_HOOK, **where, **ON, measure=kind))
    if WITH not in row:
        return str(paths.fill(paths.MEASUREMENT, **of, **ON, measure=kind))
    other = {paths.WITH[key]: value for key, value in row[WITH].items()}
    return str(paths.fill(paths.MEASUREMENT_OF_PAIR, **of, **other, **ON, measure=kind))
