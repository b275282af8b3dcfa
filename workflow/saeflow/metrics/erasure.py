"""What removing a concept from a hook's activations costs, and what steering with it does.

Sums over texts, without the edit (``_clean``) and with it: ``ce`` in nats over ``tokens``,
``logit_difference`` of the words of the two classes after the texts that have some (``worded``),
and ``end_score`` of a linear reader of the model's last states, over ``texts``. Whether readers
still find the concept is a matter of order, not of sums: tables hold the scores themselves.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure, Metric, difference

NONE = "none"
REMOVAL, STEERING = "removal", "steering"
"""Kinds of edits."""

FEATURES, RANDOM_FEATURES = "features", "random_features"
MEAN_DIFFERENCE, LEACE, RANDOM_DIRECTION = "mean_difference", "leace", "random_direction"
WAYS = (FEATURES, RANDOM_FEATURES, MEAN_DIFFERENCE, LEACE, RANDOM_DIRECTION)
"""By what a concept is removed, or steered with."""

EDITS, READINGS, TEXTS = "edits.parquet", "readings.parquet", "texts.parquet"
"""What it writes."""

_LEACE = "Belrose et al. 2023, LEACE: Perfect linear concept erasure in closed form"
_STEERING = "Turner et al. 2023, Activation addition: steering language models"


edit_delta_ce = difference("ce", "ce_clean", "tokens")
edit_logit_difference = difference("logit_difference", "logit_difference_clean", "worded")
edit_end_score = difference("end_score", "end_score_clean", "texts")


MEASURE = Measure(
    name="erasure",
    text="What readers still find of a concept that is removed from a hook's activations, by an"
    " SAE's features or by directions, what that costs the model, and what steering does to it."
    " Needs labelled texts.",
    compute="saeflow.measures.erasure.measure:measure_erasure",
    reads=("model", "tokenizer", "labelled", "states"),
    together=True,
    metrics=(
        Metric(
            "edit_delta_ce", "Added loss by an edit",
            "CE(edited x) − CE(x) on the tokens of labelled texts",
            edit_delta_ce, _LEACE, "nats/token", "lower",
        ),
        Metric(
            "edit_logit_difference", "Change of logit difference of the words",
            "mean change of logit(positive word) − logit(negative word) after a labelled text",
            edit_logit_difference, _STEERING, "nats",
        ),
        Metric(
            "edit_end_score", "Change of the log-odds read at the end",
            "mean change of the log-odds of the positive class, by a logistic regression on the"
            " states that the LM head reads at the texts' last tokens, which is fitted without the"
            " edit",
            edit_end_score, "Alain and Bengio 2016, Understanding intermediate layers using linear"
            " classifier probes", "nats",
        ),
    ),
)  # fmt: skip
