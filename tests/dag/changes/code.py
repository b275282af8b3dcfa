"""Changes of the code."""

from __future__ import annotations

from dag.changes.change import Change
from dag.edits import (
    code,
    comment,
)
from dag.jobs import (
    ALL_SAES,
    FIGURES,
    OF_LANGUAGE,
    OF_PROBES,
    REPORT,
    TOYS,
    below_saes,
    clean,
    figures,
    measures,
    outputs,
)

CODE = (
    Change("comments and docstrings, anywhere", comment, set()),
    Change("the command line", code("cli/main.py", "_EXIT_ERROR = 1", "_EXIT_ERROR = 2"), set()),
    Change(
        "a metric's formula (`fvu`)",
        code(
            "metrics/reconstruction.py",
            'ratio("squared_error", "squared_deviation")',
            'ratio("squared_error", "squared_norm")',
        ),
        outputs(["frontier", "metrics", "suppression_by_architecture"]),
    ),
    Change(
        "a metric's label (`l2_ratio`)",
        code("metrics/reconstruction.py", '"L2 ratio"', '"Ratio of norms"'),
        {"plot l2_ratio_by_layer", "plot suppression_by_architecture"} | REPORT,
    ),
    Change(
        "how intervals are drawn",
        code("metrics/intervals.py", "MIN_DOCUMENTS = 2", "MIN_DOCUMENTS = 3"),
        outputs() | TOYS - {"simulate theory/suppression"},
    ),
    Change(
        "a metric's formula (`delta_ce`)",
        code(
            "metrics/language.py",
            'delta_ce = difference("ce_sae", "ce_clean", "predictions")',
            'delta_ce = difference("ce_zero", "ce_clean", "predictions")',
        ),
        outputs(["frontier", "metrics", "published"]),
    ),
    Change(
        "how losses without exchange and under ablations are measured",
        code("measures/clean.py", "torch.zeros_like(self._mean)", "0 * self._mean"),
        clean() | measures(ALL_SAES, kinds=["language"]) | outputs(OF_LANGUAGE),
    ),
    Change(
        "how a probe is fitted",
        code("measures/probes/linear_probe.py", "_MAX_STEPS = 2000", "_MAX_STEPS = 2001"),
        measures(ALL_SAES, kinds=["probes"]) | outputs(OF_PROBES),
    ),
    Change(
        "how an architecture trains (`topk.py`)",
        code("sae/architectures/topk.py", "\ndef step(", "\n_CHANGED = 1\n\n\ndef step("),
        below_saes(["topk"]),
    ),
    Change(
        "an architecture that no SAE of the study has (`gated.py`)",
        code("sae/architectures/gated.py", "\ndef step(", "\n_CHANGED = 1\n\n\ndef step("),
        set(),
    ),
    Change(
        "the architecture that the toys have too (`relu.py`)",
        code("sae/architectures/relu.py", "mul_(2 / scale)", "mul_(2.0 / scale)"),
        below_saes(["relu", "relu~scale"]) | TOYS,
    ),
    Change(
        "how a penalty's weight is found, where all recipes give it (`target_l0.py`)",
        code("sae/training/target_l0.py", "N_TRIALS = 8", "N_TRIALS = 9"),
        set(),
    ),
    Change(
        "a penalty that no SAE has",
        code("sae/penalties/ghost_gradients.py", "\ndef ", "\n_CHANGED = 1\n\n\ndef "),
        set(),
    ),
    Change(
        "how a model's weights are shuffled, where no model's are",
        code("models/shuffled.py", "[seed, zlib", "[seed, 1, zlib"),
        set(),
    ),
    Change("a preset", code("config/presets.py", '"l1": 2e-3', '"l1": 3e-3'), set()),
    Change(
        "what a fine-tuning method fits (`scale`)",
        code("finetune/methods.py", 'SCALE = ("scale",)', 'SCALE = ("scale", "b_dec")'),
        below_saes(["relu~scale"]),
    ),
    Change(
        "how fine-tuning is solved in closed form, where no method is",
        code("finetune/solvers/exact.py", "_EVIDENCE_ROWS = 1024", "_EVIDENCE_ROWS = 1025"),
        set(),
    ),
    Change(
        "how activations are computed live, where they are stored",
        code("activations/calibration.py", "\ndef ", "\n_CHANGED = 1\n\n\ndef "),
        set(),
    ),
    Change(
        "how the toys are trained",
        code("studies/suppression/toys.py", "_RATE = 0.01", "_RATE = 0.02"),
        TOYS | REPORT,
    ),
    Change(
        "how one table is formed (`kept`)",
        code("studies/suppression/tuning.py", "\ndef kept(", "\n@staticmethod\ndef kept("),
        outputs(["kept"]),
    ),
    Change(
        "what the loss is predicted to take from latents",
        code("studies/suppression/laws.py", "else 1) / 2", "else 1.0) / 2"),
        outputs(["published"]),
    ),
    Change(
        "when a number is doubted (`l0`)",
        code("metrics/reconstruction.py", "DENSE_SHARE = 1 / 4", "DENSE_SHARE = 1 / 3"),
        outputs(["l0", "frontier", "metrics", "suppression_by_architecture", "kept", "published"]),
    ),
    Change(
        "what one is told of an SAE that is not sparse",
        code("sae/training/sparsity.py", "not sparse; %s%s", "dense; %s%s"),
        set(),
    ),
    Change(
        "which metrics a table has (`l0`)",
        code(
            "studies/suppression/__init__.py",
            '"l0": metrics_table("l0")',
            '"l0": metrics_table("l0", "fvu")',
        ),
        outputs(["l0"]),
    ),
    Change(
        "how a kind of figure is drawn (bars)",
        code("figures/bars.py", "_SLOT = 0.045", "_SLOT = 0.05"),
        figures(
            "l2_ratio_by_layer",
            "mse_reduction_by_method",
            "perplexity_recovery_by_method",
            "language_change_by_method",
            "probe_change_by_method",
            "reconstruction_bias_by_layer",
        ),
    ),
    Change(
        "the figures' style file",
        lambda tree: tree.append("workflow/saeflow/figures/saeflow.mplstyle", "\nfont.size: 9\n"),
        FIGURES | {"plot theory"} | REPORT,
    ),
    Change(
        "a caption",
        code("studies/suppression/figures.py", "L2 ratio: the mean", "L2 ratio: the average"),
        REPORT,
    ),
)
