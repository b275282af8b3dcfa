"""Names of the results of the small workflow that staleness is tested on."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from dag.edits import study_labelled, study_prompts
from dag.tree import CONFIG
from saeflow.config.checks import resolve
from saeflow.metrics import registry
from saeflow.studies.classification import STUDY as classification
from saeflow.studies.reconstruction import STUDY

HOOKS = ("resid_post.1", "resid_post.2")
TRAINED = ("relu", "topk")
ALL_SAES = ("relu", "relu~scale", "topk")
TABLES = {
    "l2_ratio": ("l2_ratio_by_layer",),
    "l0": ("l0_by_method",),
    "mse_reduction": ("mse_reduction_by_method",),
    "perplexity_recovery": ("perplexity_recovery_by_method",),
    "language_change": ("language_change_by_method",),
    "probes": (),
    "probe_change": ("probe_change_by_method",),
    "reconstruction_bias": ("reconstruction_bias_by_layer",),
    "suppression_by_architecture": ("suppression_by_architecture",),
    "kept": (),
    "published": ("published_beside_ours",),
    "frequencies": ("frequencies", "activation_sums"),
    "frontier": ("frontier_fvu", "frontier_delta_ce"),
    "metrics": (),
    "training_curves": ("training_curves",),
    "tuning_curves": ("tuning_curves",),
}
MEASURES = ("reconstruction", "language", "probes")
OF_MEASURES = set(TABLES) - {"training_curves", "tuning_curves"}
OF_LANGUAGE = {"perplexity_recovery", "language_change", "frontier", "metrics", "published"}
OF_PROBES = {"probes", "probe_change"}
OF_RECONSTRUCTION = OF_MEASURES - {"perplexity_recovery", "language_change"} - OF_PROBES
REPORT = {"build_report report"}
TOYS = {
    "simulate theory/suppression",
    "tabulate theory",
    "plot theory",
}
SOURCES = {
    "fetch_dataset datasets/texts/dataset",
    "train_tokenizer tokenizers/words/tokenizer",
    "tokenize_dataset tokens/words/texts/ctx-64/tokens",
    "train_lm models/small/model",
}


def saes(names: Iterable[str], hooks: Iterable[str] = HOOKS, seed: int = 0) -> set[str]:
    """Return these SAEs."""
    at = "/" if seed == 0 else f"/seed-{seed}/"
    return {
        f"{'finetune_saes' if '~' in name else 'train_saes'} {hook}/{name}{at}sae"
        for hook in hooks
        for name in names
    }


def measures(
    names: Iterable[str],
    hooks: Iterable[str] = HOOKS,
    kinds: Iterable[str] = MEASURES,
    seed: int = 0,
) -> set[str]:
    """Return the measurements of these SAEs."""
    at = "/" if seed == 0 else f"/seed-{seed}/"
    return {
        f"measure {hook}/{name}{at.rstrip('/')}/{kind}"
        for hook in hooks
        for name in names
        for kind in kinds
    }


def clean(hooks: Iterable[str] = HOOKS, model: str = "small") -> set[str]:
    """Return what the model makes of these hooks' own activations."""
    return {f"measure models/{model}/{hook}/clean" for hook in hooks}


def outputs(tables: Iterable[str] = tuple(TABLES)) -> set[str]:
    """Return these tables, their figures and the report."""
    return {
        *(f"tabulate {table}" for table in tables),
        *(f"plot {figure}" for table in tables for figure in TABLES[table]),
        *REPORT,
    }


def below_saes(names: Iterable[str], hooks: Iterable[str] = HOOKS, seed: int = 0) -> set[str]:
    """Return these SAEs and everything that reads them."""
    return saes(names, hooks, seed) | measures(names, hooks, seed=seed) | outputs()


def of_model(model: str, names: Iterable[str]) -> set[str]:
    """Return these stores, SAEs and measurements with another model than the usual one."""
    found = set()
    for name in names:
        rule, _, rest = name.partition(" ")
        section = "activations" if rule == "harvest" else "saes"
        found.add(f"{rule} {section}/{model}/texts/ctx-64/{rest}")
    return found


def harvest(hooks: Iterable[str] = HOOKS) -> set[str]:
    """Return the stores of these hooks."""
    return {f"harvest {hook}" for hook in hooks}


def release(hooks: Iterable[str] = HOOKS) -> set[str]:
    """Return the removals of temporary stores."""
    return {f"release_activations {hook}.released" for hook in hooks}


def below_prompts(name: str) -> set[str]:
    """Return a prompt set, what the model answers to it, and what shows that."""
    study_prompts(config := copy.deepcopy(CONFIG))
    config = resolve(config)
    section = config["studies"]["reconstruction"]
    kinds = {
        name
        for name, measure in registry.MEASURES.items()
        if "prompts" in measure.reads and config["measures"].get(name, {}) is not None
    }
    tables = {
        table
        for table, one in STUDY.tables.items()
        if kinds & {*one.reads, *one.also} and one.when(config, section)
    }
    shown = {
        figure
        for figure, one in STUDY.figures.items()
        if one.table in tables and one.when(config, section)
    }
    return {
        f"fetch_prompts prompts/{name}/prompts",
        *(
            f"measure {hook}/{sae}/on/{name}/prompts/{kind}"
            for kind in kinds
            for hook in HOOKS
            for sae in TRAINED
        ),
        *(f"tabulate tables/reconstruction/{table}" for table in tables),
        *(f"plot figures/reconstruction/{figure}" for figure in shown),
        *REPORT,
    }


def below_labelled(name: str) -> set[str]:
    """Return labelled texts, what is measured on them, and what shows that."""
    study_labelled(config := copy.deepcopy(CONFIG))
    config = resolve(config)
    section = config["studies"]["classification"]
    measures = registry.MEASURES
    kinds = {kind for kind, one in measures.items() if {"labelled", "states"} & {*one.reads}}
    shown = {
        table: kinds & {*one.reads, *one.also}
        for table, one in classification.tables.items()
        if one.when(config, section) and kinds & {*one.reads, *one.also}
    }
    if not shown:
        return set()
    wanted = set().union(*shown.values())
    wanted |= {read for kind in wanted for read in measures[kind].reads if read in kinds}
    found = set()
    for kind in wanted:
        rows = classification.rows_of.get(kind, classification.rows)
        for row in rows(config, section):
            if row.get("labelled") == name:
                of_hook = measures[kind].of == "hook"
                place = f"models/small/on/{name}/labelled/{row['hook']}"
                if not of_hook:
                    place = f"{row['hook']}/{row['sae']}/on/{name}/labelled"
                found.add(f"measure {place}/{kind}")
    return {
        f"fetch_labelled labelled/{name}/labelled",
        *found,
        *(f"tabulate tables/classification/{table}" for table in shown),
        *(
            f"plot figures/classification/{figure}"
            for figure, one in classification.figures.items()
            if one.table in shown and one.when(config, section)
        ),
        *REPORT,
    }


def figures(*names: str) -> set[str]:
    """Return these figures and the report."""
    return {*(f"plot {name}" for name in names), *REPORT}


FIGURES = {f"plot {figure}" for figures in TABLES.values() for figure in figures}
FROM_STORES = clean() | below_saes(ALL_SAES)
FROM_TEXTS = SOURCES | harvest() | FROM_STORES
EVERYTHING = FROM_TEXTS | TOYS
