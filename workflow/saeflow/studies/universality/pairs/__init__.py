"""How similar the features of two SAEs are, beside what chance gives."""

from __future__ import annotations

from saeflow.metrics.registry import MEASURES
from saeflow.studies.study import Figure, Table
from saeflow.studies.universality.comparisons import given_pairs
from saeflow.studies.universality.rows import has_maps

_HERE = "saeflow.studies.universality.pairs"
_METRICS = tuple(metric.name for metric in MEASURES["similarity"].metrics)
_READS = ("similarity", "sae")

TABLES: dict[str, Table] = {
    "similarities": Table(
        f"{_HERE}.tables:similarities", _READS, _METRICS, given=given_pairs, resampled=True
    ),
    "similarity": Table(
        f"{_HERE}.seeds:over_seeds", _READS, _METRICS, given=given_pairs, resampled=True
    ),
    "distributions": Table(f"{_HERE}.distributions:distributions", _READS, given=given_pairs),
    "spaces": Table(f"{_HERE}.tables:spaces", _READS, given=given_pairs),
    "counts": Table(f"{_HERE}.tables:counts", ("codes", "sae")),
}

_NULLS = """
        Similarities mean nothing without what chance gives, for the best of many is high: random
        directions and the other SAE's directions with shuffled coordinates, as many as that has
        features; its activations on shuffled tokens; SAEs that were held against the study's own
        for that purpose, at another layer, with random weights, of a shuffled model."""

FIGURES: dict[str, Figure] = {
    "similarity": Figure(
        "similarity", "How similar the features of two SAEs are",
        draw=f"{_HERE}.rows:similarity", labels=("mean_max",),
        options={"statistics": ("mean_max",)},
        caption="""
        The mean over the live features of one SAE of the similarity of the most similar feature of
        the other one, by what the two differ in. Features of a wide SAE that a narrow one cannot
        have make the second direction low, so both are shown.""" + _NULLS + """
        Cosines of SAEs at different hooks or of different models compare directions in two bases,
        which is meaningless unless these are aligned by a rotation first, fitted on other tokens.
        SAEs of one seed, architecture and width begin with the same weights at one hook, also of
        other models, on other texts or in another order, and after a short training that alone
        makes them alike: nulls have another seed, and such comparisons mean most where seeds differ
        too.
        """,
    ),
    "similarity_maps": Figure(
        "similarities", "Similarity of each two SAEs", draw=f"{_HERE}.maps:maps",
        labels=("mean_max",), when=has_maps,
        caption="""
        The mean over the features of the SAE of a row of the similarity of the most similar feature
        of that of a column, for comparisons of three SAEs at least that do not vary the seed beside
        something else. A map need not be symmetric: each feature of a narrow SAE may have its match
        in a wide one, but not the other way round. An SAE is not held against itself. The number
        below each map is what shuffled tokens, or shuffled coordinates, give in the mean: only what
        is above it says something.
        """,
    ),
    "similarity_shares": Figure(
        "similarity", "How many features have a counterpart", draw=f"{_HERE}.rows:similarity",
        labels=("above_07", "above_09"), options={"statistics": ("above_07", "above_09")},
        caption="""
        The share of the live features of the SAE with fewer of them whose most similar feature in
        the other SAE is above 0.7 and above 0.9. Bars are the largest share among all that should
        have no counterpart: random directions, shuffled coordinates or tokens, an SAE at another
        layer, with random weights, or of a shuffled model. The thresholds are conventions: a cosine
        of 0.7 is 45 degrees, and in few dimensions more directions are that close by chance.
        """,
    ),
    "similarity_weighted": Figure(
        "similarity", "Whether it is the important features that are shared",
        draw=f"{_HERE}.rows:similarity",
        labels=("mean_max", "one_to_one", "frequency_weighted", "carried_weighted"),
        options={
            "statistics": ("mean_max", "one_to_one", "frequency_weighted", "carried_weighted")
        },
        caption="""
        Four means over the same features. In the plain one a feature that is hardly ever active
        counts as much as any; weighted by how often features are active, or by how much of the
        reconstruction they carry, it says of what an SAE does how much is shared. If these are
        higher, frequent features are the shared ones; frequent features are also learned better.
        One to one, no two features have the same counterpart, so that one broad feature is not the
        match of many.
        """,
    ),
    "similarity_distribution": Figure(
        "distributions", "Distribution of similarities over features",
        draw=f"{_HERE}.histograms:histograms",
        caption="""
        The share of the live features whose most similar feature in the other SAE is so similar.
        Two separate humps are two populations, features that are shared and features that are not,
        of which a mean says little; one hump between is a similarity that all have. Dotted is
        what chance gives, beyond the top where it is narrow. Where a hump lies under a dotted one,
        its features have no counterpart.
        """,
    ),
    "spaces": Figure(
        "spaces", "How alike the arrangement of matched features is", draw=f"{_HERE}.rows:spaces",
        caption="""
        Similarities of two sets of decoder rows that no rotation of a space changes, over features
        that are each other's best match by the correlation of their activations: linear centred
        kernel alignment, singular vector canonical correlation, and representational similarity.
        Grey is the same for random pairings of these features. Only matched features count: how
        many there are says as much as how alike they are.
        """,
    ),
}  # fmt: skip
