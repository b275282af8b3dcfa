"""Ground truth: which known facts of a generated world's tokens single latents tell."""

from __future__ import annotations

from saeflow.metrics.registry import metrics_of
from saeflow.sae.baselines import BASELINES
from saeflow.studies.classification.facts.rows import (
    has_facts,
    has_shuffled,
    known_facts,
    known_facts_on_shuffled,
)
from saeflow.studies.shuffled import shuffled_of
from saeflow.studies.study import Config, Figure, Table

CAPTURED = 0.7
"""F1 of its best latent above which a fact counts as captured: the gate of the built-in world."""

EVERY = "all"
"""In the place of a kind of facts."""

TRAINED = "trained"
"""The weights of a model that is not shuffled."""

_HERE = "saeflow.studies.classification.facts"
_METRICS = tuple(metrics_of("facts"))

TABLES: dict[str, Table] = {
    "facts": Table(
        f"{_HERE}.tables:facts", ("facts", "sae"), _METRICS, rows=known_facts, resampled=True,
        when=has_facts,
    ),
    "facts_captured": Table(
        f"{_HERE}.tables:captured", ("facts", "sae"), _METRICS, rows=known_facts, resampled=True,
        when=has_facts,
    ),
    "facts_on_shuffled": Table(
        f"{_HERE}.tables:captured", ("facts",), _METRICS, given=shuffled_of,
        rows=known_facts_on_shuffled, resampled=True, when=has_shuffled,
    ),
}  # fmt: skip


def has_widths(config: Config, section: Config) -> bool:
    """Say whether SAEs with known facts have several widths."""
    recipes = [config["saes"][row["sae"].partition("~")[0]] for row in known_facts(config, section)]
    saes = [one for one in recipes if one.get("architecture") not in BASELINES]
    return len({one.get("expansion") for one in saes}) > 1


_CAPTURED_CAPTION = """
        A fact is captured if the F1 of its best latent is above 0.7 on the test split: the harmonic
        mean of precision and recall, where the latent says that the fact holds when its activation
        is above a threshold. Latent and threshold are chosen on the validation split. Lexical facts
        are about the word itself, role facts about what it is there, context facts about what it
        stands in."""

FIGURES: dict[str, Figure] = {
    "facts_by_layer": Figure(
        "facts_captured", "How many known facts single latents capture",
        draw=f"{_HERE}.figures:captured_by_layer",
        caption=_CAPTURED_CAPTION + """
        Single neurons and principal components count in both senses; random directions are as many
        as the SAE has latents, and as many of them are active. Black strokes: facts that a linear
        probe of the activations tells as well, chosen on the same tokens; so many are there to be
        found. Facts hang together (a praising word is a sentiment word), so their number is no
        number of independent findings. A fact near the border can be captured in one resample and
        not in another: that is what intervals are of.
        """,
    ),
    "facts_by_hook": Figure(
        "facts", "Which known facts single latents tell", draw=f"{_HERE}.maps:facts_by_hook",
        caption="""
        F1 of the best latent of each SAE for each fact, on the test split, with latent and
        threshold chosen on the validation split; the white line in the scale is where a fact counts
        as captured. The last map has linear probes of the activations. A fact of many tokens has a
        high F1 by chance: a detector that always fires has 2 p / (1 + p) of a fact with a share p
        of the tokens, 0.57 for 40 %. Facts of few tokens are uncertain; the table has the
        intervals.
        """,
    ),
    "facts_f1": Figure(
        "facts", "How well single latents tell known facts",
        draw=f"{_HERE}.figures:f1_distribution",
        caption="""
        The number of facts whose best latent has at least the F1 on the horizontal axis; the dotted
        line is where facts count as captured. A curve further right tells more facts well. SAEs
        differ in how many latents there are to choose from, so that more of them have more chances;
        what is chosen is counted on other tokens.
        """,
    ),
    "facts_split": Figure(
        "facts", "Facts told by several latents, and absorbed ones",
        draw=f"{_HERE}.splitting:splitting",
        caption="""
        Of each fact the F1 of the best latent with its 95 % interval, of the latents that tell it
        together, each above its own threshold (with their number at the right, where it is more
        than one), and of a linear probe. A latent belongs to a fact if it raises the F1 by at least
        0.03 on the validation split (Chanin et al., 2024). Crosses: the share of the tokens where
        the probe finds the fact on which all its latents are silent and another latent gives at
        least 0.4 of the probe's signal, so that it stands in for them; without a cross the probe's
        F1 is below 0.6. A fact that no latent tells has nothing to be absorbed: read crosses beside
        the F1.
        """,
    ),
    "facts_by_l0": Figure(
        "facts_captured", "Facts captured against sparsity",
        draw=f"{_HERE}.figures:captured_by_l0", select=f"{_HERE}.figures:every_kind",
        labels=("l0",),
        caption=_CAPTURED_CAPTION + """
        The number of facts of all kinds against the active latents per token. Dense controls stand
        at the number of their directions. Panels have axes of their own.
        """,
    ),
    "facts_by_width": Figure(
        "facts_captured", "Splitting and absorption by width",
        draw=f"{_HERE}.figures:splitting_by_width", select=f"{_HERE}.figures:every_kind",
        when=has_widths,
        caption="""
        The mean number of latents that tell a fact together, and the mean share of a fact's tokens
        that other latents absorb, against the number of latents of the SAE; means over all facts,
        of absorption over those that a linear probe tells with an F1 of at least 0.6.
        """,
    ),
    "facts_on_shuffled": Figure(
        "facts_on_shuffled", "Known facts on a model whose weights mean nothing",
        draw=f"{_HERE}.figures:captured_by_layer", select=f"{_HERE}.figures:beside_shuffled",
        caption=_CAPTURED_CAPTION + """
        SAEs of one recipe on the model and on a control with the same texts, in which the entries
        of every weight were permuted. Which word a token is can be told of any activations, also
        there; a role or a context that only the real model has is the model's doing. Black strokes
        are linear probes of the real model's activations.
        """,
    ),
}  # fmt: skip
