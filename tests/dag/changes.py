"""What a user may change, and exactly which jobs that makes stale.

The tests apply each change to a finished workflow; docs/staleness.md is made from this list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dag.edits import (
    add_hook_in_parts,
    add_import,
    add_sae,
    comment,
    delete_bulk,
    delete_record,
    delete_record_of_store,
    entry,
    keep_stores,
    shard,
    source,
    stores,
    study,
    temporary,
)
from dag.jobs import (
    ALL_SAES,
    FIGURES,
    FROM_TEXTS,
    HOOKS,
    OF_MEASURES,
    OF_PROBES,
    OF_RECONSTRUCTION,
    REPORT,
    TOYS,
    below_saes,
    harvest,
    measures,
    outputs,
    parts,
    release,
    saes,
)
from dag.tree import Tree


class Change(NamedTuple):
    """A change and its consequence.

    Attributes
    ----------
    title : str
        In a reader's words.
    apply : callable
        Makes the change in a tree.
    jobs : set of str
        What `Tree.planned` must then return.
    """

    title: str
    apply: Callable[[Tree], object]
    jobs: set[str]


CHANGES = (
    Change("nothing", lambda tree: None, set()),
    Change(
        "a hook of a study is added",
        study("hooks", "resid_post.3"),
        harvest(["resid_post.3"]) | below_saes(ALL_SAES, ["resid_post.3"]),
    ),
    Change("a seed of a study is added", study("seeds", 1), below_saes(ALL_SAES, seed=1)),
    Change("an SAE of a study is added", add_sae, below_saes(["topk-8"])),
    Change(
        "an imported SAE of a study is added",
        add_import,
        {f"import_sae {hook}/theirs/sae" for hook in HOOKS} | measures(["theirs"]) | outputs(),
    ),
    Change(
        "a setting of one SAE (`l1`)",
        entry("saes", "relu", l1=0.2),
        below_saes(["relu", "relu~scale"]),
    ),
    Change(
        "an option of one SAE (`resample_tokens`)",
        entry("saes", "topk", resample_tokens=1000),
        below_saes(["topk"]),
    ),
    Change(
        "the precision of one SAE's products (`matmul_dtype`)",
        entry("saes", "relu", matmul_dtype="bfloat16"),
        below_saes(["relu", "relu~scale"]),
    ),
    Change(
        "a default of an SAE is written out",
        entry(
            "saes", "topk", expansion=4, scale_input="none", matmul_dtype="float32", penalties={}
        ),
        set(),
    ),
    Change("a penalty that no SAE has", source("sae/penalties/ghost_gradients.py"), set()),
    Change("the presets", source("config/presets.py"), set()),
    Change(
        "a setting of a fine-tuning method",
        entry("methods", "scale", learning_rate=0.01),
        below_saes(["relu~scale"]),
    ),
    Change(
        "a setting of the measures (`bootstrap`)",
        lambda tree: tree.configure(lambda c: c.update(measures={"bootstrap": 200})),
        measures(ALL_SAES) | outputs(OF_MEASURES),
    ),
    Change(
        "what probes are asked (`measures.probes`)",
        lambda tree: tree.configure(lambda c: c.update(measures={"probes": {"classes": 8}})),
        measures(ALL_SAES, kinds=["probes"]) | outputs(OF_PROBES),
    ),
    Change(
        "how a probe is fitted",
        source("measures/probe.py"),
        measures(ALL_SAES, kinds=["probes"]) | outputs(OF_PROBES),
    ),
    Change(
        "how activations are stored (`dtype`)",
        lambda tree: tree.configure(lambda c: c.update(activations={"dtype": "float32"})),
        harvest() | below_saes(ALL_SAES),
    ),
    Change(
        "into how many jobs a harvest is divided (`harvest.jobs`)",
        lambda tree: tree.configure(lambda c: c.update(harvest={"jobs": 4})),
        set(),
    ),
    Change(
        "a hook of a study is added, with `harvest.jobs: 2`",
        add_hook_in_parts,
        harvest(["resid_post.3"]) | parts(2) | below_saes(ALL_SAES, ["resid_post.3"]),
    ),
    Change(
        "stores become temporary (`temporary`): they are removed, what was made of them stays",
        lambda tree: keep_stores(tree, False),
        release(),
    ),
    Change(
        "stores are no longer temporary, after they were removed",
        temporary(lambda tree: keep_stores(tree, True)),
        set(),
    ),
    Change(
        "a setting of one SAE, after temporary stores were removed",
        temporary(entry("saes", "topk", k=8)),
        harvest() | below_saes(["topk"]) | release(),
    ),
    Change(
        "an SAE's weights are deleted, after temporary stores were removed",
        temporary(lambda tree: delete_bulk(tree, "resid_post.1/relu/seed-0")),
        harvest(["resid_post.1"]) | saes(["relu"], ["resid_post.1"]) | release(["resid_post.1"]),
    ),
    Change(
        "a metric's formula (`fvu`), after temporary stores were removed",
        temporary(source("metrics/formulas/fvu.py")),
        harvest()
        | measures(ALL_SAES, kinds=["reconstruction"])
        | outputs(OF_RECONSTRUCTION)
        | release(),
    ),
    Change(
        "a figure's module, after temporary stores were removed",
        temporary(source("figures/suppression/l0_by_method.py")),
        {"plot_suppression l0_by_method"} | REPORT,
    ),
    Change(
        "the record of a removed temporary store is deleted",
        temporary(lambda tree: delete_record_of_store(tree, "resid_post.1")),
        set(),
    ),
    Change(
        "whether activations are stored (`live`)",
        lambda tree: tree.configure(lambda c: c.update(activations={"live": True})),
        harvest() | below_saes(ALL_SAES),
    ),
    Change(
        "how activations are computed live, where they are stored",
        source("activations/live.py"),
        set(),
    ),
    Change(
        "the language model's training (`seed`)",
        lambda tree: tree.configure(lambda c: c["models"]["small"]["train"].update(seed=1)),
        FROM_TEXTS
        - {
            "fetch_dataset datasets/texts/dataset",
            "train_tokenizer tokenizers/words/tokenizer",
            "tokenize_dataset tokens/words/texts/ctx-64/tokens",
        },
    ),
    Change(
        "a packing's context length",
        entry("packings", "ctx-64", context_length=32),
        FROM_TEXTS
        - {
            "fetch_dataset datasets/texts/dataset",
            "train_tokenizer tokenizers/words/tokenizer",
        },
    ),
    Change(
        "the content of a local text file",
        lambda tree: tree.append("texts.txt", "four\n"),
        FROM_TEXTS,
    ),
    Change(
        "a metric's formula (`fvu`)",
        source("metrics/formulas/fvu.py"),
        measures(ALL_SAES, kinds=["reconstruction"]) | outputs(OF_RECONSTRUCTION),
    ),
    Change(
        "a metric's label",
        source("metrics/registry.py"),
        FIGURES
        - {
            "plot_suppression mse_reduction_by_method",
            "plot_suppression perplexity_recovery_by_method",
            "plot_suppression language_change_by_method",
            "plot_suppression probe_change_by_method",
            "plot_suppression frequencies",
            "plot_suppression activation_sums",
            "plot_suppression tuning_curves",
            "plot_suppression published_beside_ours",
        }
        | REPORT,
    ),
    Change(
        "an architecture's module (`topk.py`)",
        source("sae/architectures/topk.py"),
        below_saes(["topk"]),
    ),
    Change(
        "the module of an architecture that no SAE of the study has (`gated.py`)",
        source("sae/architectures/gated.py"),
        set(),
    ),
    Change(
        "a fine-tuning method's module (`scale.py`)",
        source("finetune/methods/scale.py"),
        below_saes(["relu~scale"]),
    ),
    Change(
        "how fine-tuning is solved by steps",
        source("finetune/solvers/steps.py"),
        below_saes(["relu~scale"]),
    ),
    Change(
        "how fine-tuning is solved in closed form, where no method is",
        source("finetune/solvers/exact.py"),
        set(),
    ),
    Change(
        "a setting of the theory's toys (`theory.c`)",
        lambda tree: tree.configure(
            lambda c: c["studies"]["suppression"].update(theory={"c": [0.01, 0.05]})
        ),
        TOYS | REPORT,
    ),
    Change("how the toys are trained", source("theory/toys.py"), TOYS | REPORT),
    Change(
        "the theory's formulas, which also stand beside what the post measured",
        source("theory/suppression.py"),
        TOYS | outputs(["published"]),
    ),
    Change(
        "the architecture that the toys have too (`relu.py`)",
        source("sae/architectures/relu.py"),
        below_saes(["relu", "relu~scale"]) | TOYS,
    ),
    Change("a table's module (`l0.py`)", source("tables/suppression/l0.py"), outputs(["l0"])),
    Change(
        "a figure's module",
        source("figures/suppression/l0_by_method.py"),
        {"plot_suppression l0_by_method"} | REPORT,
    ),
    Change(
        "the figures' style file",
        lambda tree: tree.append("workflow/saeflow/figures/saeflow.mplstyle", "\nfont.size: 9\n"),
        FIGURES | {"plot_suppression theory"} | REPORT,
    ),
    Change(
        "a caption",
        lambda tree: tree.append("workflow/report/suppression/l0_by_method.rst", "More.\n"),
        REPORT,
    ),
    Change("the command line", source("cli/main.py"), set()),
    Change("comments and docstrings, anywhere", comment, set()),
    Change(
        "a figure is deleted",
        lambda tree: (tree.path / "results/figures/suppression/l0_by_method.png").unlink(),
        {"plot_suppression l0_by_method"},
    ),
    Change(
        "an SAE's record is deleted (its weights are still there)",
        lambda tree: delete_record(tree, "resid_post.1/relu/seed-0/sae.json"),
        set(),
    ),
    Change(
        "an SAE's weights are deleted",
        lambda tree: delete_bulk(tree, "resid_post.1/relu/seed-0"),
        saes(["relu"], ["resid_post.1"]),
    ),
    Change(
        "a shard of a hook's activations is deleted",
        lambda tree: shard(tree, "resid_post.1").unlink(),
        harvest(["resid_post.1"]),
    ),
    Change(
        "a shard of a hook's activations is cut short",
        lambda tree: shard(tree, "resid_post.2").write_bytes(b""),
        harvest(["resid_post.2"]),
    ),
    Change(
        "the row table of the activations loses a file",
        lambda tree: next(stores(tree).glob("rows.*/token_id")).unlink(),
        harvest(),
    ),
)
