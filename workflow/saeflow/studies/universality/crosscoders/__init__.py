"""Crosscoders: what one dictionary of several places shares, beside SAEs of each of them."""

from __future__ import annotations

from saeflow.studies.study import Figure, Table
from saeflow.studies.universality import rows

ALONE, SHARED = 0.1, 0.4
"""Relative norms of a latent that is one place's alone, below this or above 1 less this, and of one
that both share, from this to 1 less this: those of Minder et al. (2025)."""

MATCHED, WEAK, EXCHANGED = "matched", "weakly matched", "exchanged"
"""Pairs of features of two SAEs: partners one to one whose activations correlate above `FOUND`
(also the cosine with its part of a crosscoder's latent above which a direction is found); other
partners; and features of the first with the partners of others of them."""

_HERE = "saeflow.studies.universality.crosscoders"

TABLES: dict[str, Table] = {
    **{
        f"crosscoder_{name}": Table(
            f"{_HERE}.tables:{name}", ("codes", "sae"), given=rows.given_crosscoders,
            rows=rows.crosscoder_rows, when=lambda _, section: bool(section["crosscoders"]),
        )
        for name in ("norms", "shares")
    },
    "crosscoder_agreement": Table(
        f"{_HERE}.agreement:agreement", ("similarity", "codes", "sae"),
        given=rows.given_crosscoders_and_pairs,
        rows_of={"codes": rows.crosscoder_rows, "sae": rows.crosscoders_and_others},
        resampled=True, when=rows.has_pairs_there,
    ),
}  # fmt: skip

FIGURES: dict[str, Figure] = {
    "crosscoder_norms": Figure(
        "crosscoder_norms", "What a crosscoder's features are of: both places, or one",
        draw=f"{_HERE}.figures:relative_norms",
        caption="""
        A crosscoder is one dictionary of two places (hooks, models or checkpoints) at once.
        Of each live feature the norm of its decoder at the second place, over the sum of
        those at both, for activations of one mean size: 0 is a feature of the first place
        alone, 1 of the second, 0.5 of both alike. Below 0.1 and above 0.9 a feature counts
        as one place's own, from 0.4 to 0.6 as shared. Of weights that mean nothing (a
        shuffled model) only what tells the token itself can be shared, so what a panel with
        one shows as shared is no finding. An L1 penalty drives the smaller of two norms to
        zero and so splits features that both places have; BatchTopK does so less. Norms
        start about equal, so that after a short training many are near 0.5 for no other
        reason. A norm says how much of a place a feature writes, not whether its direction
        there means the same. One training: other seeds give other shares.
        """,
    ),
    "crosscoder_agreement": Figure(
        "crosscoder_agreement", "Whether matched features of two SAEs are one of a crosscoder",
        draw=f"{_HERE}.figures:agreement", when=rows.has_pairs_there,
        caption="""
        Two SAEs were trained at a crosscoder's two places, each by itself, and their
        features paired one to one by the correlation of their activations. The share of
        such pairs of which some feature of the crosscoder that is not of one place alone
        has both directions, with cosines above 0.7, and below it the mean over pairs of the
        smaller of the two cosines with the best such feature: of pairs that correlate above
        0.7, of the others, and of the former with partners exchanged, which is what chance
        gives: the best of many is never near zero.
        If the first is far above the last, both ways find the same common features. A pair
        is also missed where the crosscoder has it as two features.
        """,
    ),
}  # fmt: skip
