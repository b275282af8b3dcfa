"""The study of universality: whether different SAEs find the same features.

After the post on the universality of SAE features (2024) that compares SAEs of Pythia models. Read
`STUDY`, then `comparisons` (which SAEs are held against which), `rows` (what each table is about)
and `reading` (what was measured of these). Each part, with its tables and figures, is a folder.
"""

from __future__ import annotations

from saeflow.studies.study import Figure, Study, Table
from saeflow.studies.universality import crosscoders, fates, matches, pairs, post, rows
from saeflow.studies.universality.comparisons import each_sae, paired

_PARTS = (pairs, post, fates, matches, crosscoders)

TABLES: dict[str, Table] = {name: one for part in _PARTS for name, one in part.TABLES.items()}

FIGURES: dict[str, Figure] = {name: one for part in _PARTS for name, one in part.FIGURES.items()}

STUDY = Study(
    title="Universality of features",
    introduction="""
    If features are what a model computes with, and no artefact of one dictionary, then SAEs that
    differ in their seed, their data, their width or their architecture, and even SAEs of different
    layers or models, should find the same ones. This study holds pairs of SAEs against each other,
    by their weights and by when their features are active, and says beside every similarity what
    chance alone gives: of two SAEs that share nothing, each feature still has a most similar one.
    """,
    tables=TABLES,
    figures=FIGURES,
    key_figure="similarity",
    summary="saeflow.studies.universality.summary:summary",
    section="saeflow.studies.universality.section:Section",
    rows=each_sae,
    rows_of={
        "similarity": paired,
        "language": rows.in_model,
        "splitting": rows.of_widths,
        "effects": rows.effect_saes,
        "facts": rows.known_saes,
        "contexts": rows.shown_saes,
    },
)
