"""The study of classification: whether sparse codes say of a text what the model's states say.

After the post "Classifying representations of sparse autoencoders" (Annah, 2023) and the paper "Are
Sparse Autoencoders Useful? A Case Study in Sparse Probing" (Kantamneni et al., 2025). Read `STUDY`;
each part of the study is a folder of its own.
"""

from __future__ import annotations

from saeflow.studies.classification import facts, post, removal, settings
from saeflow.studies.classification.rows import at_hooks, erased, on_labelled
from saeflow.studies.study import Study

STUDY = Study(
    title="Classification from sparse codes",
    introduction="""
    If an SAE's features are what a model thinks in, then a classifier that reads them should do as
    well as one that reads the activations, with fewer inputs, or with fewer examples. This study
    fits probes to both on labelled texts, with the controls that say what a difference means, and
    asks what becomes of a concept that is taken out of the model, or put in.
    """,
    tables={**post.TABLES, **settings.TABLES, **facts.TABLES, **removal.TABLES},
    figures={**post.FIGURES, **settings.FIGURES, **facts.FIGURES, **removal.FIGURES},
    key_figure="accuracy_by_layer",
    summary="saeflow.studies.classification.summary:summary",
    section="saeflow.studies.classification.section:Section",
    rows=on_labelled,
    rows_of={**dict.fromkeys(("states", "dense_probes", "lenses"), at_hooks), "erasure": erased},
)
