"""What becomes of an SAE's error in later layers: how SAEs there do, and by which way it acts."""

from __future__ import annotations

from saeflow.hooks import Hook
from saeflow.metrics.registry import metrics_of
from saeflow.studies.reconstruction.rows import upstream
from saeflow.studies.study import OTHERS, Config, Figure, Table, bars

_HERE = "saeflow.studies.reconstruction.propagation"


def has_later(config: Config, section: Config) -> bool:
    """Say whether an SAE of the study has others after it."""
    return any(upstream(config, section))


def has_maps(config: Config, section: Config) -> bool:
    """Say whether an SAE has others after it at its own site."""
    pairs = ((row["hook"], o["hook"]) for row in upstream(config, section) for o in row[OTHERS])
    return any(Hook.parse(one).site == Hook.parse(other).site for one, other in pairs)


def has_recipes(config: Config, section: Config) -> bool:
    """Say whether later hooks have SAEs of several recipes."""
    return len({row["sae"] for row in upstream(config, section)}) > 1


TABLES: dict[str, Table] = {
    "propagation": Table(
        f"{_HERE}.tables:propagation", ("propagation", "reconstruction"), ("l0", "fvu"),
        resampled=True, when=has_later,
    ),
    "propagation_split": Table(
        f"{_HERE}.tables:split", ("propagation",), tuple(metrics_of("propagation")),
        resampled=True, when=has_later,
    ),
}  # fmt: skip

FIGURES: dict[str, Figure] = {
    "propagation_maps": Figure(
        "propagation", "What an SAE does to those at later layers",
        draw=f"{_HERE}.maps:maps_by_recipe",
        when=has_maps,
        caption="""
        One SAE's reconstructions are put in after the block on the horizontal axis, and an SAE of
        the same recipe reads what then arrives after the block on the vertical one. Colours and
        numbers are by what share its mean squared error, its L0 and the norm of its input change:
        0.5 is half as much again. Numerators and denominators are of the same tokens at the same
        places of their contexts; special tokens are left out. Grey cells have no later layer. A
        negative change of the squared error does not say that the later SAE has become better: what
        arrives may be easier, because the first SAE has already left out what the second would.
        Each column of maps has a scale of its own.
        """,
    ),
    "propagation_ways": Figure(
        "propagation", "Later damage: carried along, or computed anew?",
        draw=f"{_HERE}.maps:maps_by_way",
        when=has_maps,
        caption="""
        The same change twice: above with all that later blocks make of the error, below with the
        error alone, added to what stands in the residual stream in the clean run, while no block
        answers to it. What both rows have in common is the first SAE's error itself, still in the
        stream; the difference is what attention and MLPs computed anew. Maps of one column have one
        scale.
        """,
    ),
    "propagation_averages": Figure(
        "propagation", "How the change is averaged", draw=f"{_HERE}.maps:maps_by_average",
        when=has_maps,
        caption="""
        The same change, averaged over tokens in four ways. A ratio of means is ruled by tokens
        where the quantity is large, a mean of ratios by those where it is nearly zero in the clean
        run; the median by neither. The last row is computed as in the post's notebook (Anders and
        Bloom, 2024): above the line stand tokens at index 50 of the contexts of one half of the
        documents, below it those at indices 1 to 100 of the other half, so that it is not zero
        where nothing changes, and says as much of these places and texts as of the SAE. Every map
        has a scale of its own.
        """,
    ),
    "propagation_split": bars(
        "propagation_split", "delta_ce", title="By which way an SAE's error costs loss", bars="way",
        select=f"{_HERE}.tables:parts",
        caption="""
        Loss that the model gains by an SAE at one layer, in nats per predicted token, as a whole,
        and when parts of the model after it are held at what they gave in the clean run: by the
        direct path alone no block answers to the error, which the residual stream carries to the
        end; with attention outputs frozen MLPs answer, with MLP outputs frozen attention does; with
        attention patterns frozen tokens look where they looked, and what they see there may change.
        The parts do not add up to the whole, since each answers to what the others have changed.
        """,
    ),
    "propagation_chain": bars(
        "propagation_split", "delta_ce", title="SAEs at several hooks at once", bars="way",
        select=f"{_HERE}.tables:together",
        caption="""
        Loss that the model gains by an SAE at one layer alone, and by SAEs of the same recipe at
        this and all later layers of the study at once, each reading what those before it have left,
        in nats per predicted token.
        """,
    ),
    "propagation_by_recipe": Figure(
        "propagation", "Does a better SAE suffer less?", draw=f"{_HERE}.recipes:by_later_recipe",
        when=has_recipes,
        caption="""
        The layer whose squared error grows most in the maps, with SAEs of all recipes there, from
        the worst reconstruction on the left to the best. A panel per recipe of the SAEs that are
        put in before it. Above, by what share the squared error grows, with 95 % intervals; below,
        the error per token itself on a logarithmic axis. A better SAE has less error to begin with,
        so that the same damage is a larger share of it: read the two together.
        """,
    ),
}  # fmt: skip
