"""Figures by layer: accuracy of states and codes, controls, pooling, errors at probed tokens.

`saeflow.studies.classification.post.curves` draws probes against k and against sparsity, and
`saeflow.studies.classification.post.look` the post's own figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from saeflow.figures.drawing import Drawing, seeds_note
from saeflow.figures.lines import Level, lines_by_layer, of_level
from saeflow.figures.style import MUTED, SERIES, Look
from saeflow.studies.classification.averages import DATASETS
from saeflow.studies.classification.post.tables import (
    BEST,
    CENTRED,
    CODES,
    K_SPARSE,
    NORMAL,
    PUBLISHED,
    SHUFFLED,
    STATES,
)
from saeflow.studies.saying import span

CHANCE = (0.5, "chance")
AUC = "AUC"
_BROWN = "#8c510a"
_TRAIN = "train"
LOOKS = {
    STATES: Look(SERIES[0], "o", "states"),
    CODES: Look(SERIES[1], "D", "codes"),
    CENTRED: Look(SERIES[5], "s", "states, centred"),
    "decoded": Look(SERIES[2], "^", "reconstructions"),
    "residual": Look(SERIES[3], "v", "errors of reconstructions"),
    "pca_active": Look(SERIES[4], "P", "PCA, as many as are active"),
    "pca_on": Look(SERIES[4], "P", "PCA, as many as are ever on", 1),
    "random_active": Look(_BROWN, "X", "random directions, as many as are active"),
    "logit_lens": Look(SERIES[7], "<", "logit lens"),
    "tuned_lens": Look(SERIES[7], ">", "tuned lens", 1),
    SHUFFLED: Look(MUTED, "*", "codes, labels shuffled", 3),
}
"""What is classified by, in the order of legends."""
POOLINGS = {"last": "last token", "mean": "mean", "max": "maximum", "concept": "concept's tokens"}


def accuracy_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw test and training accuracy of states and codes, with the post's classifier."""
    rows = _published(table)
    rows = rows[rows["input"].isin((STATES, CODES))]
    test = of_level(rows, rows["input"], "accuracy")
    train = of_level(rows, rows["input"] + _TRAIN, "train_accuracy", "accuracy")
    looks = {
        f"{name}{split}": LOOKS[name]._replace(
            variant=int(bool(split)), label=f"{LOOKS[name].label}, {words}"
        )
        for name in (STATES, CODES)
        for split, words in (("", "test"), (_TRAIN, "training"))
    }
    return _by_layer([test, train], looks, {"accuracy": Level("Accuracy", line=CHANCE)})


def controls_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw the AUC of codes beside that of what they are held against, by one classifier."""
    rows = _published(table, (NORMAL, SHUFFLED))
    series = rows["input"].where(rows["setting"] == NORMAL, SHUFFLED)
    kept = (rows["setting"] == NORMAL) | (rows["input"] == CODES)
    others = _last(table[(table["setting"] == NORMAL) & table["probe"].isin(LOOKS)])
    drawn = [of_level(rows[kept], series[kept], "auc"), of_level(others, others["probe"], "auc")]
    return _by_layer(drawn, LOOKS, {"auc": Level(AUC, line=CHANCE)}, height=2.3)


def pooling_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw the AUC of states and codes by what stands for a text."""
    rows = table[(table["setting"] == NORMAL) & (table["probe"] == PUBLISHED)]
    rows = rows[rows["input"].isin((STATES, CODES))]
    looks = {
        f"{given} {how}": Look(SERIES[index], marker, f"{LOOKS[given].label}, {words}", variant)
        for variant, given in enumerate((STATES, CODES))
        for index, ((how, words), marker) in enumerate(
            zip(POOLINGS.items(), "oD^v", strict=True)
        )
    }  # fmt: skip
    drawn = of_level(rows, rows["input"] + " " + rows["pooling"], "auc")
    return _by_layer([drawn], looks, {"auc": Level(AUC, line=CHANCE)}, height=2.1)


def in_domain_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw how much more codes of SAEs of the domain get than those of general ones."""
    rows = table[table["pooling"] == "last"]
    most = rows.loc[rows["probe"] == K_SPARSE, "k"].max()
    rows = rows[(rows["probe"] == PUBLISHED) | ((rows["probe"] == K_SPARSE) & (rows["k"] == most))]
    looks = {
        PUBLISHED: Look(SERIES[1], "D", "all features"),
        K_SPARSE: Look(SERIES[0], "o", f"the best {most:.0f} features" if most > 0 else ""),
    }
    levels = {"auc_gap": Level("Gain in AUC", line=(0.0, "as an SAE of other text"))}
    return _by_layer([of_level(rows, rows["probe"], "auc_gap")], looks, levels)


def error_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw error and cosine of reconstructions of probed tokens, of raw and of centred states."""
    rows = table[table["split"] == _TRAIN]
    looks = {
        "": Look(SERIES[0], "o", "states as they are"),
        f"_{CENTRED}": Look(SERIES[1], "s", "states, centred", 1),
    }
    drawn = [
        of_level(rows, series, f"{value}{series}", value)
        for value in ("probed_mse", "probed_cosine")
        for series in looks
    ]  # fmt: skip
    levels = {"probed_mse": Level("MSE", log=True), "probed_cosine": Level("Cosine")}
    return _by_layer(drawn, looks, levels, height=1.6)


def features_on_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw how many features are on: for a text, for any of a dataset, for every one."""
    train, test = table[table["split"] == _TRAIN], table[table["split"] == "test"]
    looks = {
        "any train": Look(SERIES[0], "o", "for any training text"),
        "any test": Look(SERIES[5], "s", "for any test text", 1),
        "l0": Look(SERIES[1], "D", "for a text, on average (L0)"),
        "always": Look(SERIES[2], "^", "for every training text"),
    }
    drawn = [
        of_level(rows, series, value, "on")
        for series, rows, value in (
            ("any train", train, "features_on"), ("any test", test, "features_on"),
            ("l0", train, "probed_l0"), ("always", train, "features_always_on"),
        )
    ]  # fmt: skip
    found = _by_layer(drawn, looks, {"on": Level("Features", log=True)}, height=2.1)
    silent = ("No feature is on for every training text where that has no point.",)
    return found._replace(notes=(*found.notes, *silent))


def of_several(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows of several entries of labelled texts as those of several models.

    Rows of hooks have no SAE, "", which a file does not tell from a missing value.
    """
    table = table.assign(sae=table["sae"].fillna(""))
    if table["labelled"].nunique() < 2:  # noqa: PLR2004
        return table
    return table.assign(model=table["model"] + ", " + table["labelled"])


def of_saes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the drawn rows that are of SAEs, which are counted under a figure; all for none."""
    own = rows[rows["sae"] != ""]
    return own if len(own) else rows


def beside_saes(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows of SAEs, and those of hooks once for each recipe of their model and texts."""
    of_hook = table["sae"] == ""
    places = ["model", "labelled"]
    recipes = table.loc[~of_hook, [*places, "sae"]].drop_duplicates()
    hooks = table[of_hook].drop(columns="sae").merge(recipes, on=places)
    return pd.concat([hooks[table.columns], table[~of_hook]], ignore_index=True)


def over_note(table: pd.DataFrame) -> tuple[str, ...]:
    """Return over how many tasks numbers are means, and what their intervals are over."""
    if "n_tasks" not in table:
        return ()
    n = table["n_tasks"].dropna().astype(int)
    if n.empty or n.max() == 0:
        return ()
    over = "datasets" if (table["resampled"] == DATASETS).any() else "test texts"
    said = "One task" if n.max() == 1 else f"Means over {span(n, 'd')} tasks"
    return (f"{said}; intervals are over {over}.",)


def _published(table: pd.DataFrame, settings: Sequence[str] = (NORMAL,)) -> pd.DataFrame:
    """Select what the post's classifier gets of last tokens."""
    return _last(table[table["setting"].isin(settings) & (table["probe"] == PUBLISHED)])


def _last(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["pooling"] == "last") & (table["probe"] != BEST)]


def _by_layer(
    parts: Sequence[pd.DataFrame],
    looks: Mapping[str, Look],
    levels: Mapping[str, Level],
    *,
    height: float = 1.9,
) -> Drawing:
    """Draw series by layer, with notes on seeds and tasks."""
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True)
    table = of_several(rows)
    table = beside_saes(table.assign(counted=table["sae"]))
    found = lines_by_layer(table, looks, levels, height=height)
    added = ["series", "level", "value", "value_low", "value_high", "counted"]
    drawn = of_saes(found.rows.assign(sae=found.rows["counted"])).drop(columns=added)
    shown = drawn.drop_duplicates(["model", "hook", "sae", "seed"])
    seeds = seeds_note(shown.groupby(["model", "hook", "sae"]).size())
    return Drawing(found.figure, drawn, (seeds, *over_note(rows), *found.notes))
