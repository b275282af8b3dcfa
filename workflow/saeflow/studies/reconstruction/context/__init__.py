"""What becomes of SAEs at positions of the context: the tables and figures of this part."""

from __future__ import annotations

from saeflow.metrics.registry import metrics_of
from saeflow.studies.study import Figure, Table

_HERE = "saeflow.studies.reconstruction.context"
_POSITIONS = ("positions",)

TABLES: dict[str, Table] = {
    "context": Table(
        f"{_HERE}.tables:summary", _POSITIONS, tuple(metrics_of("positions")), resampled=True
    ),
    "context_positions": Table(f"{_HERE}.tables:by_range", _POSITIONS, resampled=True),
    "context_exact": Table(f"{_HERE}.tables:exact", _POSITIONS),
}

_FIRST = f"{_HERE}.selections:of_shortest_context"

FIGURES: dict[str, Figure] = {
    "context_sizes": Figure(
        "context_positions",
        title="SAEs at each position of the context",
        caption="""
        Active latents, squared error (summed over dimensions) and sum of latents of one SAE per
        layer against the position in the context, and below against the layer. Position 1 would be
        BOS, which no point counts. Points are means over the tokens in a half octave of positions,
        so the first few stand for one position each and the last for many. Norms and spread of
        activations change with the position too: a squared error that grows is no larger share of
        them by itself.
        """,
        draw=f"{_HERE}.figures:by_position",
        select=_FIRST,
        options={"values": ("l0", "squared_error", "l1")},
    ),
    "context_sizes_ce": Figure(
        "context_positions",
        title="What reconstructions cost at each position of the context",
        caption="""
        Loss that the model gains in predicting the token after each position when one hook's
        activations are replaced at all ordinary tokens of the sequence. So errors at earlier
        positions, which attention reads, count as well as that of the position itself.
        """,
        draw=f"{_HERE}.figures:by_position",
        select=_FIRST,
        options={"values": ("delta_ce",), "log": False, "beside": True},
    ),
    "activations_vs_error": Figure(
        "context_positions",
        title="Norms of activations and squared errors",
        caption="""
        Mean norm of activations by layer, and against the mean squared error of the same tokens: a
        point per layer and range of positions, in the colour of the position, and on the right of
        the layer. BOS and separators are in none of them.
        """,
        draw=f"{_HERE}.figures:norms_and_errors",
        select=_FIRST,
    ),
    "context_saes": Figure(
        "context_positions",
        title="SAEs of short and long contexts, and of normalised inputs",
        caption="""
        Active latents, the unexplained share of the spread (about the mean of the tokens in the
        same range of positions) and the added loss of each SAE on held-out documents, against the
        position in the context, where 1 is that of BOS, which is left out. A line per seed; bands
        are 95 % intervals from resampled documents.
        """,
        draw=f"{_HERE}.several:curves",
        select=f"{_HERE}.selections:ordinary",
    ),
    "context_beyond": Figure(
        "context",
        title="Beyond the context of a training, and on documents of the training",
        caption="""
        Of each SAE, active latents and unexplained share at positions beyond the shortest context
        that one of them was trained at, over those within it; the added loss beyond (filled) and
        within (hollow); and the unexplained share on documents that it was trained on over that on
        others. Lines are 95 % intervals from resampled documents. Dashed: no difference. The same
        border is used for SAEs of longer contexts, which show what positions do by themselves.
        """,
        draw=f"{_HERE}.several:summary",
    ),
}  # fmt: skip
