"""What is behind matches: the texts on which matched features are active, and known facts."""

from __future__ import annotations

from typing import Any

from saeflow.studies.study import Figure, Table
from saeflow.studies.universality import rows
from saeflow.studies.universality.comparisons import FOUND

MATCHED, UNMATCHED = FOUND, 0.5
"""Correlation of activations from which on a feature has a match, and below which it has none."""

_HERE = "saeflow.studies.universality.matches"

_KNOWN: dict[str, Any] = {"given": rows.given_known, "when": rows.has_some(rows.known_pairs)}

TABLES: dict[str, Table] = {
    "matched_contexts": Table(
        f"{_HERE}.shown:matched_contexts", ("similarity", "contexts", "sae"),
        given=rows.given_shown, when=rows.has_some(rows.shown_pairs),
    ),
    "effects": Table(
        f"{_HERE}.effects:effects", ("effects",), when=rows.has_some(rows.effect_saes)
    ),
    "facts_found": Table(
        f"{_HERE}.facts:facts_found", ("similarity", "facts", "sae"), **_KNOWN
    ),
    "facts_universal": Table(
        f"{_HERE}.facts:facts_universal", ("similarity", "facts", "sae"), resampled=True, **_KNOWN
    ),
}  # fmt: skip

FIGURES: dict[str, Figure] = {
    "matched_contexts": Figure(
        "matched_contexts", "Features of two SAEs, side by side",
        draw=f"{_HERE}.side_by_side:side_by_side",
        caption="""
        To the left features of one SAE, to the right those of the other whose activations correlate
        most with them (r; cos, of the decoder directions, is given where these too are nearest to
        each other). Of each the texts with the largest activations, at most one of a document, and
        in bold the token with it.
        Best matches have the largest r; random matches are drawn from all other features with one
        of at least 0.7, and are what to judge matches by; features without a match have an r
        below 0.5 with any, and are those of them that carry most of the reconstruction: what stands
        beside them is no match but the nearest there is. The largest activations say little of the
        smaller ones: features that agree here can differ on the rest of the text, which r is about.
        """,
    ),
    "facts_universal": Figure(
        "facts_found", "Are true facts the features that SAEs have in common?",
        draw=f"{_HERE}.fact_figures:facts_universal",
        select=f"{_HERE}.fact_figures:by_correlation",
        caption="""
        Each point is a known fact of the world that the best latent of an SAE finds, with an F1
        above 0.7 on the test split. Upwards: how much the activations of this latent correlate with
        the best match in another SAE; to the right: the same for 20 latents of its own SAE that are
        active about as often and find no fact. Both are means over all pairs of SAEs and both
        directions. Above the dashed line features of facts match better than others. That a latent
        finds a fact well and that it matches well may both come of its being a clean one; the facts
        that an SAE does not find are not here. Hollow: some SAEs of the comparison find it and
        others do not. Facts hang together, and intervals over facts are too narrow for it.
        """,
    ),
    "facts_found": Figure(
        "facts_found", "Known facts by the number of SAEs that find them",
        draw=f"{_HERE}.fact_figures:facts_found",
        select=f"{_HERE}.fact_figures:by_correlation",
        caption="""
        A fact counts as found by an SAE if the F1 of its best latent is above 0.7 on the test
        split. Black strokes: how many facts so many SAEs would find if each found as many as they
        do in the mean, but drawn at random. Bars above the strokes at both ends say that SAEs find
        the same facts, which can also be because these are easier for all of them. Lexical facts
        are about the word itself, role facts about what it is there, context facts about what it
        stands in.
        """,
    ),
}  # fmt: skip
