"""The post's experiment, with the controls that its readers asked for."""

from __future__ import annotations

from typing import Any

from saeflow.metrics.registry import metrics_of
from saeflow.studies.classification.rows import of_domain
from saeflow.studies.study import Config, Figure, Table

_HERE = "saeflow.studies.classification.post"


def has_domain(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Say whether there are SAEs of the texts' own domain."""
    return bool(section["in_domain_saes"])


def has_poolings(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Say whether texts stand for by anything else than their last token."""
    states = config["measures"]["states"]
    return states is not None and len(states["pooling"]) > 1


def domain_of(config: Config, section: Config) -> dict[str, Any]:  # noqa: ARG001
    """Return where SAEs of the domain are trained."""
    return {"domain": dict(section["in_domain_on"] or {})}


TABLES: dict[str, Table] = {
    "probes": Table(
        f"{_HERE}.tables:probes", ("dense_probes", "sparse_probes", "sae"), also=("lenses",),
        resampled=True,
    ),
    "probed_tokens": Table(
        f"{_HERE}.tables:probed", ("sparse_probes", "sae"), tuple(metrics_of("sparse_probes")),
        resampled=True,
    ),
    "in_domain": Table(
        f"{_HERE}.tables:in_domain", ("sparse_probes", "sae"), given=domain_of, rows=of_domain,
        resampled=True, when=has_domain,
    ),
    "published": Table(
        f"{_HERE}.published:published", ("dense_probes", "sparse_probes", "sae"),
        ("probed_l0", "probed_mse", "probed_cosine"),
    ),
}  # fmt: skip

_CHANCE = "A blind guess gets one half, the dashed line."

FIGURES: dict[str, Figure] = {
    "accuracy_by_layer": Figure(
        "probes", "Accuracy of states and of codes", draw=f"{_HERE}.figures:accuracy_by_layer",
        caption=f"""
        The share of texts that a logistic regression gets right, of the states of their last tokens
        and of an SAE's codes of these: on the test texts, and on those that it was fitted to. The
        classifier is the post's: inputs standardised on the training texts, C = 0.01, the intercept
        penalised too. {_CHANCE} That of a task with unequal classes is higher. Codes have more
        numbers than states, so that they are fitted more closely: compare the test lines, and take
        the distance of each from its training line for what the fit made of noise. Strokes are
        intervals of each point alone; on the same texts a difference is known much better, and
        stands in the table (accuracy_gap).
        """,
    ),
    "as_published": Figure(
        "probes", "The same in the look of the post", draw=f"{_HERE}.look:as_published",
        caption="""
        Test accuracy of original and of encoded states, drawn as in the post, without intervals and
        without chance; the vertical axis does not begin at zero, nor at one half.
        """,
    ),
    "controls_by_layer": Figure(
        "probes", "What codes are held against", draw=f"{_HERE}.figures:controls_by_layer",
        caption=f"""
        Test AUC of the post's classifier given an SAE's codes; the reconstructions made of these;
        the errors, x less its reconstruction; the states, also without their mean over the width;
        as many principal components, or random directions, of the states as features are active on
        a text on average, and as many components as features are on for any training text; and of
        codes with permuted training labels, which has to be chance. {_CHANCE} Errors that classify
        well hold what the SAE lost of the concept; but what is in the errors need not be missing in
        the codes. Components as many as are active are always the same ones, while a code chooses
        among all features anew for each text: between the two kinds of components lies what a
        fair comparison is.
        """,
    ),
    "pooling_by_layer": Figure(
        "probes", "What stands for a text", draw=f"{_HERE}.figures:pooling_by_layer",
        when=has_poolings,
        caption=f"""
        Test AUC of the post's classifier where a text's last token stands for it, the mean or the
        maximum over the text's tokens without those of the template, or the mean over the tokens
        of the concept, for states and for codes. {_CHANCE} A mean can tell what no single token
        says: which words there are. That needs no model to have understood anything.
        """,
    ),
    "k_sparse": Figure(
        "probes", "Probes of few features", draw=f"{_HERE}.curves:k_sparse_curves",
        caption="""
        Test AUC of a logistic regression on the k features whose means differ most between the
        classes of the training texts, by k, and on all features at the right. The line across is
        the best probe of the states, chosen for each task by validation inside the training texts.
        A line that is high at k = 1 has a feature for the concept; one that rises slowly spreads it
        over many. The features are chosen by the training texts alone, so the line may fall.
        """,
    ),
    "probes_by_sparsity": Figure(
        "probes", "Probes of codes against sparsity", draw=f"{_HERE}.curves:sparsity_curves",
        caption="""
        Test AUC of the post's classifier on an SAE's codes, by the mean number of features that are
        active on the probed tokens: a line joins SAEs of one architecture and width. The line
        across is the same classifier of the states. Points of different widths have different
        numbers of inputs, and more inputs are fitted more closely.
        """,
    ),
    "in_domain_by_layer": Figure(
        "in_domain", "SAEs trained on text of the domain",
        draw=f"{_HERE}.figures:in_domain_by_layer",
        caption="""
        How much more test AUC the codes of an SAE have that was trained on text like the labelled
        one than those of one of the same recipe and seed that was trained on general text; on the
        same tasks and texts, so that the interval is that of the difference. Both see as many
        tokens as their recipe says, and the sparsity of the two may differ: the table has their L0.
        """,
    ),
    "error_by_layer": Figure(
        "probed_tokens", "Reconstructions of the probed tokens",
        draw=f"{_HERE}.figures:error_by_layer",
        caption="""
        Squared error per element of an SAE's reconstructions of the states of last tokens, mean
        over the training texts, on a logarithmic axis, and their mean cosine with these states, as
        the post gives them. Once for states as the model makes them, and once for states without
        their mean over the width, held against themselves: TransformerLens hands these to SAEs that
        are trained with it. Where the two differ, so much of the error is a wrong input. An SAE
        that takes the mean off by itself has one line upon the other. The error has the scale of
        the states, which grows with the layer; the table has it as a share of their variance.
        """,
    ),
    "features_on_by_layer": Figure(
        "probed_tokens", "Features that are on", draw=f"{_HERE}.figures:features_on_by_layer",
        caption="""
        How many features are active on the last token of any text of a dataset, training and test
        texts apart; on one text on average; and on every training text alike, on a logarithmic
        axis. A classifier can only use features between the last two lines and the first: one that
        is always on says nothing by being on. More texts turn more features on.
        """,
    ),
}  # fmt: skip
