"""What decides whether a feature is found: seed, order and data; what it is; how wide an SAE is.

Read `TABLES`, then what `variance.py` says of shares.
"""

from __future__ import annotations

from typing import Any

from saeflow.studies.study import Figure, Table
from saeflow.studies.universality import rows
from saeflow.studies.universality.comparisons import given_pairs

_HERE = "saeflow.studies.universality.fates"
_READS = ("similarity", "sae")

_DESIGNS: dict[str, Any] = {"given": given_pairs, "resampled": True, "when": rows.has_designs}
_OWN: dict[str, Any] = {
    "given": rows.given_own,
    "also": ("effects", "facts"),
    "when": rows.has_others,
}
_WIDTHS: dict[str, Any] = {"given": given_pairs, "when": rows.has_differing("expansion")}

TABLES: dict[str, Table] = {
    "factorial": Table(f"{_HERE}.factorial:factorial", _READS, **_DESIGNS),
    "fate_shares": Table(f"{_HERE}.factorial:fate_shares", _READS, **_DESIGNS),
    "found": Table(f"{_HERE}.found:found", _READS, **_OWN),
    "found_by": Table(f"{_HERE}.found:found_by", _READS, resampled=True, **_OWN),
    "found_ranked": Table(f"{_HERE}.found:found_ranked", _READS, resampled=True, **_OWN),
    "lineages": Table(f"{_HERE}.lineages:lineages", _READS, also=("splitting", "facts"), **_WIDTHS),
    "children": Table(f"{_HERE}.widths:children", _READS, resampled=True, **_WIDTHS),
    "absorption": Table(
        f"{_HERE}.widths:absorption", (*_READS, "splitting"), resampled=True, **_WIDTHS
    ),
}

FIGURES: dict[str, Figure] = {
    "factorial": Figure(
        "factorial", "What seed, order and part of the data do to features",
        draw=f"{_HERE}.factorial_figures:factorial",
        caption="""
        SAEs of one recipe that differ in the seed of their initial weights, in the order of their
        training rows, in the part of the documents that they see, or in several of these. Each is
        the reference once; above: how similar the best match of its live features is in others, the
        mean and a pale point per reference; in the middle: how many have a match above 0.7. An SAE
        and itself have 1 in both. Below: what of the loss, 1 less the similarity, is these factors'
        together and not already that of fewer; the bars of all sets within a set add up to its
        loss. A negative bar says that the factors take the same features: what another seed loses
        cannot be lost again to another order. Two parts share no document, so what differs in its
        part differs in its order as well, whatever the order's seed: the part alone says what data
        and order do, and of the order alone only SAEs of one part tell. SAEs of one seed begin at
        the same weights: where training moves them little, order and data change little too. A part
        has fewer documents than all. By chance: the best of as many Gaussian directions, and
        activations at shuffled tokens. Intervals: 95 % bootstrap over features of the same SAEs;
        how other SAEs would differ, the pale points say.
        """,
    ),
    "fate_shares": Figure(
        "fate_shares", "Whose the fate of a feature is",
        draw=f"{_HERE}.factorial_figures:fate_shares",
        caption="""
        The variance of what becomes of features, over features and over the SAEs of the figure
        before in which they are looked for: of their similarity to the best match, and of whether
        that is above 0.7. The feature itself: some are found everywhere, others nowhere. Seed,
        order and part: all features alike fare worse where these differ; of single features: a
        factor that some features mind and others do not. The rest is what hangs on several factors
        for single features, and what nothing explains; with one SAE for each set of differences
        these two cannot be told apart. The last bar has the shares that numbers without meaning
        would have, for as many features and SAEs: compare with it, for a share of a seventh of the
        feature itself is nothing. An SAE and itself are left out: they agree by construction. A
        small share of a factor does not say that it changes little, but that others change as much.
        With a missing SAE the share of a factor is a mean over the orders in which factors can be
        added. The table has intervals, over features of the same SAEs, and the range over
        references.
        """,
    ),
    "found_by": Figure(
        "found_by", "Which features other SAEs find", draw=f"{_HERE}.found_figures:found_by",
        caption="""
        The features of one of the study's own SAEs in ten parts of equal number, by how often they
        are active, how strong they then are (activation times the norm of the decoder's row), what
        they carry of the reconstruction and, where it was measured, how much the loss changes
        without them, either way; and how many of the other SAEs at this hook that the study
        compares with it have a feature with a similarity above 0.7, in the mean. Wider and narrower
        SAEs and other architectures count among these; dashed, where there are others: those of the
        same recipe, with another seed, order or part of the data. The properties hang together (a
        frequent feature carries more), so a rise in one panel may be that of another. A rare
        feature's correlation rests on few tokens. SAEs of one seed, architecture and width begin
        with the same directions: where training moved them little, what one of these finds is what
        it began with. Intervals: 95 % bootstrap over the features of a part.
        """,
    ),
    "found_ranked": Figure(
        "found_ranked", "What is shared carries how much",
        draw=f"{_HERE}.found_figures:found_ranked",
        caption="""
        Each point: the features of one of the study's own SAEs that at least so many of the other
        SAEs find (from all of them, the large point, to none, the upper right corner), as a share
        of its live features, and the share that they have of the reconstruction: a feature carries
        its activation times the projection of the reconstruction on its direction, summed over
        tokens. On the broken line, what is shared carries no more than other features; no choice of
        as many features carries more than the dotted one, whose points are joined by straight
        lines. What a feature carries counts what it has in common with others that are active with
        it. Intervals: 95 % bootstrap over features.
        """,
    ),
    "family_trees": Figure(
        "lineages", "Features and their descendants in wider SAEs",
        draw=f"{_HERE}.trees:family_trees",
        caption="""
        SAEs that differ in nothing but their expansion, the narrowest to the left; the features of
        that one with most descendants. A feature's parent is the one in the next narrower SAE with
        the most similar decoder direction, if their cosine is at least 0.55 (three children of one
        size without anything else in common have 0.58). Beside a feature: the share of tokens on
        which it is active, or the fact of the world that it tells where that is known; (+ n):
        children that are not shown, the least frequent ones; larger points are more frequent.
        Hollow: by the correlation of activations its parent is another one. These are the largest
        families, not usual ones, and a tree by construction: a child of two features has the nearer
        one as its parent. Where a hook has few dimensions, unrelated directions can be as near (the
        next figure says how often).
        """,
    ),
    "children_by_width": Figure(
        "children", "How many children features have",
        draw=f"{_HERE}.width_figures:children_by_width",
        caption="""
        Above: the features of the narrower of two SAEs by the number of children that they have in
        the wider one, parents as in the trees; a single child is most often the feature itself.
        Below: the share of the wider SAE's features without a parent, new ones;
        the dotted line is where Gaussian directions would stand. A feature without children is
        lost, or has come apart into ones whose directions are far from its own. Strokes: 95 %
        bootstrap over features, of each seed.
        """,
    ),
    "absorption": Figure(
        "absorption", "Where the descendants of a feature are active",
        draw=f"{_HERE}.width_figures:absorption",
        caption="""
        Above: the tokens on which a feature of the narrower of two SAEs is active, mean over its
        features. Blue: the wider SAE's feature with the most similar direction, if their cosine is
        at least 0.55, is active too; orange: that one is silent, and a child is active, whose
        direction has the feature's in it. Where the feature lives on beside the child, this is
        absorption; where it has no such feature, the children have parted it among themselves.
        Grey: neither. Below: the tokens on which a feature of the wider SAE is active, and the
        share of them on which its parent is, mean over those with a parent: near 1, the child is a
        part of its parent. Dotted: what it would be if the wider SAE's features were active as
        often elsewhere. With more children there is more to be active by chance. Strokes: 95 %
        bootstrap over features, of each seed.
        """,
    ),
}  # fmt: skip
