"""What a study is: a specification that planning reads, without torch, pandas or matplotlib.

A study is a package (or one module) of `saeflow.studies` with ``STUDY``. Functions that build
tables and draw figures are named "module:function" and loaded by the jobs that use them. For what
many studies show there are short ways to write an entry, at the end. Read `Study`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from saeflow.metrics.registry import METRICS, measure_of

_TABLES = "saeflow.tables.builders"
_FIGURES = "saeflow.figures"

Config = Mapping[str, Any]
Row = dict[str, Any]
Rows = Callable[[Config, Config], Iterator[Row]]
When = Callable[[Config, Config], bool]

ON, PROMPTS, LABELLED, OTHERS, WITH = "on", "prompts", "labelled", "others", "with"
"""Keys of a row beside the wildcards of an SAE: the dataset and packing that it is measured on,
where these are not the study's; or the prompt set; or the labelled texts; the rows of other
SAEs that are read too; and that of the other SAE of a pair."""


def always(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Say that there is something to show in every configuration."""
    return True


def nothing(config: Config, section: Config) -> Mapping[str, Any]:  # noqa: ARG001
    """Take nothing from the configuration."""
    return {}


def has(key: str) -> When:
    """Return whether a study's section names anything under a key."""
    return lambda config, section: bool(section[key])  # noqa: ARG005


def every_sae(
    config: Config,  # noqa: ARG001
    section: Config,
    *,
    train_on: Mapping[str, str] | None = None,
    saes: Sequence[str] | None = None,
) -> Iterator[Row]:
    """Yield every SAE of a study: each recipe at each hook of each model with each seed.

    Parameters
    ----------
    config
        The whole configuration, with defaults filled in.
    section
        That of the study.
    train_on, saes
        Where they are trained, and their names; those of the section by default.

    Yields
    ------
    dict
        model, dataset, packing, hook, sae, seed: the wildcards of an SAE's path.
    """
    place = train_on or section["train_on"]
    for model in section["models"]:
        for hook in section["hooks"]:
            for sae in section["saes"] if saes is None else saes:
                for seed in section["seeds"]:
                    yield {
                        "model": model,
                        "dataset": place["dataset"],
                        "packing": place["packing"],
                        "hook": hook,
                        "sae": sae,
                        "seed": seed,
                    }


class Table(NamedTuple):
    """A tidy table."""

    build: str
    """As "module:function"; called with the runs (`saeflow.tables.runs.read_runs`) of the study's
    rows, or what its first kind of ``reads`` gives, and ``options`` by keyword."""
    reads: tuple[str, ...] = ()
    """Kinds of results: names of measures, "sae" for the SAEs themselves, "simulation"."""
    metrics: tuple[str, ...] = ()
    """Names of metrics that it forms; given to the builder as ``metrics``, and in the table's
    identity are the formulas of these and no others."""
    options: Mapping[str, Any] = {}
    """Further arguments of the builder, as JSON."""
    given: Callable[[Config, Config], Mapping[str, Any]] = nothing
    """(config, section) -> arguments of the builder that the configuration has, as JSON."""
    rows: Rows | None = None
    """(config, section) -> what it is about, in place of the study's rows of whatever it reads."""
    rows_of: Mapping[str, Rows] = {}
    """Kind of results -> the same of this kind alone."""
    also: tuple[str, ...] = ()
    """Further kinds that it reads, of those that the configuration does not leave out."""
    resampled: bool = False
    """Whether it has intervals: the builder gets ``bootstrap`` and ``seed``."""
    when: When = always
    """(config, section) -> whether a configuration has something for it."""


class Figure(NamedTuple):
    """A figure of one table."""

    table: str
    """The table that it shows."""
    title: str
    """Its heading."""
    caption: str
    """What was measured and how to read it, in reStructuredText; indented like a docstring."""
    draw: str
    """As "module:function"; called with the table (a DataFrame) and ``options`` by keyword, and
    with ``labels`` where there are any."""
    select: str = ""
    """As "module:function": from a table to the rows that are drawn; "" for all. What the report
    says of the figure's extent is about these."""
    options: Mapping[str, Any] = {}
    """Further arguments, as JSON."""
    labels: tuple[str, ...] = ()
    """Metrics whose axis labels it shows; drawn with ``labels={metric: "label (unit)"}``."""
    when: When = always
    """(config, section) -> whether a configuration has something for it, beside its table."""


class Study(NamedTuple):
    """A study."""

    title: str
    """Its heading."""
    introduction: str
    """What it asks and does, in reStructuredText; indented like a docstring."""
    tables: Mapping[str, Table]
    """Name -> `Table`."""
    figures: Mapping[str, Figure]
    """Name -> `Figure`, in the order of the report."""
    key_figure: str = ""
    """The one that the report opens with."""
    summary: str = ""
    """As "module:function": from the study's tables, name -> DataFrame, to what was found, as a
    paragraph of plain text; "" for none."""
    section: str = ""
    """As "module:Class" of the study's section of the configuration, a
    `saeflow.config.sections.StudySection`; "" for that base class itself."""
    rows: Rows = every_sae
    """(config, section) -> the SAEs that it is about, or the models: wildcards of their paths."""
    rows_of: Mapping[str, Rows] = {}
    """Kind of result -> the same for what tables read of this kind, where that is about other SAEs
    or other texts: rows that may also have `ON`, `PROMPTS`, `LABELLED` or `OTHERS`. Of what is
    measured of hooks, rows of a model and a hook; of pairs, those with `WITH`."""
    automatic: Callable[[Config], bool] | None = None
    """(config) -> whether the study is made without being asked for; None for never."""
    simulation: str = ""
    """As "module:function" that computes what some table reads as "simulation" from the section's
    ``theory``; "" for none."""


def metrics_table(
    *metrics: str, reads: tuple[str, ...] = (), when: When = always, **options: Any
) -> Table:
    """Return a table of metrics with their intervals, a row per SAE.

    Parameters
    ----------
    *metrics
        Names; their measures are read, and ``reads``; also the SAEs themselves where a metric can
        be doubted.
    reads, when
        As of `Table`; "sae" for ``facts``.
    **options
        As of `saeflow.tables.builders.metrics_table`.
    """
    build = f"{_TABLES}:metrics_table"
    if any(METRICS[name].doubt for name in metrics):
        reads = tuple(dict.fromkeys((*reads, "sae")))
    return Table(build, _reads(metrics) + reads, metrics, options, resampled=True, when=when)


def paired_table(*metrics: str, when: When = always) -> Table:
    """Return a table of what fine-tuning changed: paired metrics, a row per fine-tuned SAE."""
    build = f"{_TABLES}:paired_table"
    return Table(build, _reads(metrics), metrics, resampled=True, when=when)


def training_logs(*quantities: str) -> Table:
    """Return a table of the training logs, a row per logged step of each SAE."""
    return Table(f"{_TABLES}:training_logs", ("sae",), options={"quantities": quantities})


def bars(
    table: str,
    value: str = "",
    *,
    title: str,
    caption: str,
    label: str = "",
    select: str = "",
    **options: Any,
) -> Figure:
    """Return bars by layer and method, a panel per recipe.

    Parameters
    ----------
    table, value
        The table and its column, which has the table's name if none is given: a metric, or
        something else that has a ``label``.
    title, caption, select
        As of `Figure`.
    label, **options
        As of `saeflow.figures.bars.bars_by_layer`.
    """
    value = value or table
    labels = () if label else (value,)
    given = {"value": value, "label": label, **options}
    return Figure(table, title, caption, f"{_FIGURES}.bars:bars_by_layer", select, given, labels)


def frontier(table: str, value: str, *, title: str, caption: str) -> Figure:
    """Return a metric against L0: a panel per hook, an SAE tied to what it became."""
    draw, labels = f"{_FIGURES}.frontier:frontier", ("l0", value)
    return Figure(table, title, caption, draw, options={"value": value}, labels=labels)


def _reads(metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(measure_of(name).name for name in metrics))
