"""Names of the jobs of the small workflow that staleness is tested on, by what they make."""

from __future__ import annotations

from collections.abc import Iterable

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
OF_PROBES = {"probes", "probe_change"}
OF_RECONSTRUCTION = OF_MEASURES - {"perplexity_recovery", "language_change"} - OF_PROBES
REPORT = {"build_report report"}
TOYS = {
    "simulate_suppression theory/suppression",
    "tabulate_suppression theory",
    "plot_suppression theory",
}
SOURCES = {
    "fetch_dataset datasets/texts/dataset",
    "train_tokenizer tokenizers/words/tokenizer",
    "tokenize_dataset tokens/words/texts/ctx-64/tokens",
    "train_lm models/small/model",
}


def saes(names: Iterable[str], hooks: Iterable[str] = HOOKS, seed: int = 0) -> set[str]:
    """Return the jobs that make these SAEs."""
    at = "/" if seed == 0 else f"/seed-{seed}/"
    return {
        f"{'finetune_sae' if '~' in name else 'train_sae'} {hook}/{name}{at}sae"
        for hook in hooks
        for name in names
    }


def measures(
    names: Iterable[str],
    hooks: Iterable[str] = HOOKS,
    kinds: Iterable[str] = MEASURES,
    seed: int = 0,
) -> set[str]:
    """Return the jobs that measure these SAEs."""
    at = "/" if seed == 0 else f"/seed-{seed}/"
    return {
        f"measure_{kind} {hook}/{name}{at.rstrip('/')}/{kind}"
        for hook in hooks
        for name in names
        for kind in kinds
    }


def outputs(tables: Iterable[str] = tuple(TABLES)) -> set[str]:
    """Return the jobs that make these tables, their figures and the report."""
    return {
        *(f"tabulate_suppression {table}" for table in tables),
        *(f"plot_suppression {figure}" for table in tables for figure in TABLES[table]),
        *REPORT,
    }


def below_saes(names: Iterable[str], hooks: Iterable[str] = HOOKS, seed: int = 0) -> set[str]:
    """Return these SAEs' jobs and everything that reads them."""
    return saes(names, hooks, seed) | measures(names, hooks, seed=seed) | outputs()


def harvest(hooks: Iterable[str] = HOOKS) -> set[str]:
    """Return the jobs that store activations."""
    return {f"harvest_activations {hook}" for hook in hooks}


def parts(n: int) -> set[str]:
    """Return the jobs that each store a part of the activations."""
    return {f"harvest_part parts/{part}-of-{n}" for part in range(1, n + 1)}


def release(hooks: Iterable[str] = HOOKS) -> set[str]:
    """Return the jobs that remove temporary stores."""
    return {f"release_activations {hook}.released" for hook in hooks}


FIGURES = {f"plot_suppression {figure}" for figures in TABLES.values() for figure in figures}
FROM_TEXTS = SOURCES | harvest() | below_saes(ALL_SAES)
EVERYTHING = FROM_TEXTS | TOYS
