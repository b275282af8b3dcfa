"""The study of the language models: those of the other studies that were trained on the world.

It is made whenever there are such models, since what an SAE finds cannot be better than its model.
"""

from __future__ import annotations

from collections.abc import Iterator

from saeflow.studies.study import Config, Figure, Row, Study, Table


def rows(config: Config, section: Config) -> Iterator[Row]:  # noqa: ARG001
    """Yield model, dataset and packing of each model of a study that knew the world's words."""
    for model in sorted(_used(config)):
        entry = config["models"][model.partition("@")[0]]
        dataset = entry.get("train", {}).get("dataset")
        if dataset and "generate" in config["datasets"][dataset]:
            yield {"model": model, "dataset": dataset, "packing": entry["train"]["packing"]}


def _used(config: Config) -> set[str]:
    """Return the models of the studies, and those that parts of them name.

    Of the latter no checkpoint: it is compared as one that has not learned everything yet.
    """
    own = {name for study in config["studies"].values() for name in study["models"]}
    parts = list(config["studies"].values())
    while parts:
        part = parts.pop()
        for key, value in part.items():
            if isinstance(value, dict):
                parts.append(value)
            elif key == "models":
                own |= {name for name in value or () if "@" not in name}
    return own


STUDY = Study(
    title="The language models",
    introduction="""
    What the language models trained here can do. A feature of a model that has learned nothing
    means nothing, so every later figure rests on these scores.
    """,
    tables={
        "language_model": Table(
            "saeflow.studies.models.scores:language_model", ("benchmarks",), resampled=True
        )
    },
    figures={
        "language_model": Figure(
            "language_model",
            "What the language models can do",
            draw="saeflow.studies.models.figure:language_model",
            caption="""
            Held-out loss and prompt sets of the built-in world, each beside chance (black line) and
            beside baselines that need no language model: n-gram models counted on the training
            split, the last sentence alone, the word most often mentioned, the word that followed
            the last one before (*copy bigram*), a probe on averaged embeddings. Below the model's
            own dot lie the baselines; some are shifted down so that they do not cover each other. A
            task whose interval reaches chance is marked as such: the model has not learned it.
            """,
        )
    },
    key_figure="language_model",
    summary="saeflow.studies.models.scores:summary",
    rows=rows,
    automatic=lambda config: any(True for _ in rows(config, {})),
)
