"""The paper's settings: probes where data are scarce, unbalanced, noisy or from elsewhere.

After "Are Sparse Autoencoders Useful? A Case Study in Sparse Probing" (Kantamneni et al., 2025):
does it help to have an SAE's probes among those that one chooses from? Read `TABLES` and `FIGURES`.
"""

from __future__ import annotations

from saeflow.labelled.files import has_shift
from saeflow.studies.study import Config, Figure, Table

_HERE = "saeflow.studies.classification.settings"
_READS = ("dense_probes", "sparse_probes", "sae")


def is_along(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Say whether probes are fitted to training sets of several sizes, shares or noises."""
    probing = config["measures"]["probing"]
    least = {"scarcity": ("sizes", 2), "imbalance": ("shares", 2), "noise": ("flips", 1)}
    return probing is not None and any(
        len(probing[levels]) >= n and probing["states"][setting] and probing["codes"][setting]
        for setting, (levels, n) in least.items()
    )


def is_shifted(config: Config, section: Config) -> bool:
    """Say whether some labelled texts have a second source on which probes are tested."""
    probing = config["measures"]["probing"]
    return probing is not None and any(
        has_shift(config["labelled"][name]) for name in section["labelled"]
    )


def is_shuffled(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Say whether probes are fitted to permuted labels."""
    probing = config["measures"]["probing"]
    return probing is not None and any(probing[of]["shuffled"] for of in ("states", "codes"))


TABLES: dict[str, Table] = {
    "probe_choices": Table(f"{_HERE}.tables:choices", _READS, resampled=True),
    "probe_tasks": Table(f"{_HERE}.tables:tasks", _READS, resampled=True),
    "probe_wins": Table(f"{_HERE}.wins:wins", _READS, resampled=True),
    "probe_curves": Table(f"{_HERE}.along:curves", _READS, resampled=True, when=is_along),
    "probe_control": Table(f"{_HERE}.tables:control", _READS, resampled=True, when=is_shuffled),
    "published_settings": Table(f"{_HERE}.published:published", _READS, resampled=True),
}

_CHOSEN = """The best probe of a task is that of the highest AUC on folds of its training examples;
        no test text has a part in it."""

FIGURES: dict[str, Figure] = {
    "gains_by_sae": Figure(
        "probe_choices",
        "What SAE probes add to the choice",
        f"""
        Test AUC of the best of all probes, those of an SAE's codes among them, minus that of the
        best of the probes of states alone: the mean over tasks, trained on all examples. {_CHOSEN}
        In grey: how often it is a probe of codes that is chosen. Where none is chosen, or one that
        is as good, nothing is gained, and nothing lost: zero says that SAEs were not needed, not
        that they are as good. A control that gains is a sign of luck in choosing among more.
        """,
        f"{_HERE}.forest:gains_by_sae",
    ),
    "gains_by_condition": Figure(
        "probe_choices",
        "What SAE probes add where training data are lacking",
        f"""
        The same of the probes of all SAEs of a hook together, by what the training sets are: few
        examples, unequal classes, turned labels, or texts of another source than those that are
        tested. {_CHOSEN} Rows have different tasks where not all have examples enough; within a
        row both choices are of the same ones.
        """,
        f"{_HERE}.forest:gains_by_condition",
    ),
    "auc_by_condition": Figure(
        "probe_curves",
        "AUC with fewer examples, unequal classes and turned labels",
        f"""
        Mean test AUC over tasks of the best probe of states, of the best probe of codes, and of
        logistic regressions on 16 and 128 latents that are chosen on the training set. {_CHOSEN} A
        point's interval is as wide as tasks and texts differ; the difference of two lines, which
        are of the same tasks and texts, is known better than either. Fewer kinds of probes are
        fitted here than to all examples.
        """,
        f"{_HERE}.curves:auc_curves",
    ),
    "win_rates": Figure(
        "probe_wins",
        "How often SAE probes win",
        """
        Share of tasks where a probe of an SAE's codes has the higher test AUC, equal ones counting
        half: logistic regressions on so many latents, and the best of them by validation. Red is
        below one half, blue above it. A win may be by nothing: the table has the mean difference.
        Against the best baseline an SAE's probes have one try where that had several.
        """,
        f"{_HERE}.win_maps:win_rates",
    ),
    "probes_by_task": Figure(
        "probe_tasks",
        "Task by task",
        f"""
        Test AUC of the best probe of the codes of all SAEs of a hook, against that of the best
        probe of its states: a point per task, trained on all examples; above the dashed line the
        SAEs win. {_CHOSEN} Points lie off the line by chance too, most where test texts are few:
        the table has the interval of each difference.
        """,
        f"{_HERE}.by_task:tasks_scatter",
    ),
    "probes_under_shift": Figure(
        "probe_tasks",
        "On texts of another source",
        f"""
        Test AUC of the same probes on the task's own test texts and on those of another source with
        the same label. {_CHOSEN} The dashed line is chance. Tasks on which the best baseline loses
        most are above. A probe that loses much has learned what goes with the label in its own
        source, not only the label.
        """,
        f"{_HERE}.by_task:shifted",
        when=is_shifted,
    ),
    "permuted_labels": Figure(
        "probe_control",
        "The control: permuted labels",
        """
        Test AUC of probes whose training labels were permuted: the mean over tasks and
        permutations, by what they read and how. Of such labels nothing can be learned about the
        test texts, so that all of them have to be at one half, the dashed line, within their
        intervals, which are of tasks and permutations. With few of these an interval is too short,
        and points of one panel have the same permutations, so that they are off together. All of
        them above it would mean that probes had seen what they are tested on.
        """,
        f"{_HERE}.forest:chance",
    ),
}
