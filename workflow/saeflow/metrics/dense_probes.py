"""How well probes tell tasks from a hook's states: formulas from sums over test examples.

Of a fit, or of several together: ``pairs`` of a positive and a negative test example and the
``wins`` among them, where the positive one has the higher score (half of those with equal ones);
``examples`` that were tested and the ``correct`` among them. What is summed over fits is
``train_accuracy`` and ``validation_auc``, over ``fits`` and ``chosen`` (those that were chosen on
folds).
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure, Metric, ratio

_PAPER = "Kantamneni et al. 2025, Are sparse autoencoders useful?"
_POST = "Annah 2023, Classifying representations of sparse autoencoders (SAEs)"


probed_auc = ratio("wins", "pairs")
probed_accuracy = ratio("correct", "examples")
probed_train_accuracy = ratio("train_accuracy", "fits")
probed_validation_auc = ratio("validation_auc", "chosen")


MEASURE = Measure(
    name="dense_probes",
    text="What probes of several kinds tell of labelled texts from a hook's states, trained in"
    " several settings. Needs labelled texts.",
    compute="saeflow.measures.dense_probes:measure_dense_probes",
    reads=("states", "labelled"),
    of="hook",
    together=True,
    section="probing",
    ignores=("codes",),
    metrics=(
        Metric(
            "probed_auc", "Test AUC",
            "share of pairs of a positive and a negative test example in which the positive one has"
            " the higher score; equals count half",
            probed_auc, _PAPER, direction="higher",
        ),
        Metric(
            "probed_accuracy", "Test accuracy",
            "share of test examples whose score is above 0 where they are positive, else not",
            probed_accuracy, _POST, direction="higher",
        ),
        Metric(
            "probed_train_accuracy", "Training accuracy", "the same of the training examples",
            probed_train_accuracy, _POST, direction="higher",
        ),
        Metric(
            "probed_validation_auc", "Validation AUC",
            "mean AUC on folds of the training set, where C, components or neighbours are chosen",
            probed_validation_auc, _PAPER, direction="higher",
        ),
    ),
)  # fmt: skip
