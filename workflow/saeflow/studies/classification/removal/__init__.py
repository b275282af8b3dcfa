"""Removing a concept from a model, and steering with it: by features, and by directions."""

from __future__ import annotations

from saeflow.metrics.registry import metrics_of
from saeflow.studies.study import Config, Figure, Table

_HERE = "saeflow.studies.classification.removal"


def has_others(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Say whether other concepts are looked for than those that are removed."""
    settings = config["measures"]["erasure"]
    return settings is not None and (settings["tasks"] > 1 or settings["others"] > 0)


TABLES: dict[str, Table] = {
    "removal": Table(
        f"{_HERE}.tables:removal", ("erasure",), ("edit_delta_ce", "edit_end_score"),
        resampled=True,
    ),
    "steering": Table(
        f"{_HERE}.tables:steering", ("erasure",), tuple(metrics_of("erasure")), resampled=True
    ),
}  # fmt: skip

FIGURES: dict[str, Figure] = {
    "removal_frontier": Figure(
        "removal", "What is left of a concept, and what its removal costs",
        draw=f"{_HERE}.figures:frontier", labels=("edit_delta_ce",),
        caption="""
        How well a concept is still read from states after its removal, against the loss that the
        removal adds in the model where it stands at every token: linearly about zero, by its
        logarithm beyond the first marks. Each line takes out the best 1, 4, 16, ... features of an
        SAE for the concept (larger marks for more), its error kept; dotted ones as many others that
        are as often active. LEACE takes out the concept's direction with the least change, and
        beside it stand the projections along the difference of the class means and along a random
        direction. Low and far to the left is best; the full line is a reader without any removal.
        Readers are logistic regressions fitted to edited states of training texts that the removal
        was not made of, so that chance is not reached for nothing, and LEACE, which is exact on its
        own examples, may leave something. A point at chance says that no *linear* reader finds the
        concept *at this hook*: it may be there otherwise, and attention can bring it back from
        earlier layers. Where the full line is at chance there is nothing to remove; a point below
        chance is noise of few test texts.
        """,
    ),
    "removal_readers": Figure(
        "removal", "A reader that fails is not a concept that is gone",
        draw=f"{_HERE}.figures:old_readers",
        caption="""
        The AUC of a reader that is fitted anew after a removal, against that of the reader that was
        fitted before, a point per hook, SAE and removal. On the dashed line both find as much of
        the concept. Left of it the old reader is at a loss only because states have moved: what it
        misses is still there for one who looks for it. The thin lines are chance. An old reader
        below chance was turned around, not made blind.
        """,
    ),
    "removal_damage": Figure(
        "removal", "What else is removed with a concept", draw=f"{_HERE}.figures:damage",
        caption="""
        What fresh readers of other concepts lose by the removal of one, on average, against what
        readers of that concept lose, both in AUC, a point per hook, SAE and removal. On the dashed
        line a removal takes as much of others as of its own; a good one is to the right, at the
        height of zero. Concepts that go together in the texts (the classes of one label do) cannot
        be removed one by one: part of what others lose is then their own share in the concept.
        """,
        when=has_others,
    ),
    "removal_by_layer": Figure(
        "removal", "Removal by layer", draw=f"{_HERE}.layers:by_layer",
        caption="""
        By layer, how well a fresh linear reader finds a concept that is removed there, and the loss
        that the model gains by it. Of features the largest number is drawn that is taken out. The
        layers do not add up: each is edited alone, and what is removed at one is not removed from
        the layers before, from which later tokens still read it. An early removal that costs little
        may be one that the model makes good.
        """,
    ),
    "steering": Figure(
        "steering", "Steering with a concept", draw=f"{_HERE}.steering:steering",
        caption="""
        What becomes of test texts when every ordinary token's activations are moved along a
        direction, by so many times the distance between the means of the two classes at the texts'
        last tokens: the log-odds of the positive class that a reader of the model's last states
        gives, in nats, fitted without steering; the logit of the word for the positive class over
        that of the other, where the texts have such words; and the loss that the model gains, in
        nats per token. All moves of a strength are equally long. An effect counts only beside that
        of a random direction, and what is gained at a high loss may be a model that is out of its
        depth rather than of another mind. At the last block the first panel must rise with the
        difference of means: it is nearly the reader's own direction.
        """,
    ),
}  # fmt: skip
