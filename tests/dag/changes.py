"""What a user may change, and exactly which results that makes stale.

The tests apply each change to a finished workflow; docs/staleness.md is made from this list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dag.edits import (
    add_import,
    add_sae,
    add_shuffled,
    after,
    ask_labelled,
    ask_prompts,
    change_bulk,
    change_digit,
    code,
    comment,
    cut,
    delete_bulk,
    delete_record,
    entry,
    keep_stores,
    leave_beside,
    put,
    read_shards,
    rename_shards,
    shard,
    stores,
    study,
    take_local_files,
    take_local_model,
    temporary,
)
from dag.jobs import (
    ALL_SAES,
    FIGURES,
    FROM_STORES,
    FROM_TEXTS,
    HOOKS,
    MEASURES,
    OF_LANGUAGE,
    OF_MEASURES,
    OF_PROBES,
    REPORT,
    TOYS,
    below_labelled,
    below_prompts,
    below_saes,
    clean,
    figures,
    harvest,
    measures,
    of_model,
    outputs,
    release,
    saes,
)
from dag.pairs import (
    LAYERS,
    ORDERS,
    SEEDS,
    ask_pairs,
    below_pairs,
    compare,
    measuring,
    of_kinds,
    of_sae,
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
    results : set of str
        What `Tree.stale` must then return.
    """

    title: str
    apply: Callable[[Tree], object]
    results: set[str]


_LAYERS_TOO = compare(comparisons={"seeds": SEEDS, "orders": ORDERS, "layers": LAYERS})
_THREE_SEEDS = compare(comparisons={"seeds": {**SEEDS, "seeds": [0, 1, 2]}, "orders": ORDERS})
_RENAMED = compare(
    comparisons={"o": {**ORDERS, "saes": ["relu-order", "relu"]}, "s": {**SEEDS, "seeds": [1, 0]}}
)
_NO_NULL = compare(nulls={"hooks": ["resid_post.2"]})
_OTHER_CHANCE = measuring(similarity={"seed": 1})
_AS_PUBLISHED = measuring(similarity={"published_mode": True})
_FEWER_TOKENS = measuring(codes={"tokens": 99})

CHANGES = (
    Change("nothing", lambda tree: None, set()),
    # -- the configuration
    Change(
        "a hook of a study is added",
        study("hooks", "resid_post.3"),
        harvest(["resid_post.3"])
        | clean(["resid_post.3"])
        | below_saes(ALL_SAES, ["resid_post.3"]),
    ),
    Change(
        "a hook is written as TransformerLens names it",
        lambda tree: tree.configure(
            lambda c: c["studies"]["suppression"].update(
                hooks=["blocks.1.hook_resid_post", "resid_post.2"]
            )
        ),
        set(),
    ),
    Change("a seed of a study is added", study("seeds", 1), below_saes(ALL_SAES, seed=1)),
    Change("an SAE of a study is added", add_sae, below_saes(["topk-8"])),
    Change(
        "a control of a model is added: the same with its weights shuffled (`shuffle`)",
        add_shuffled,
        {"shuffle_model models/noise/model"}
        | clean(model="noise")
        | of_model("noise", harvest() | saes(ALL_SAES) | measures(ALL_SAES))
        | outputs(),
    ),
    Change(
        "an SAE of a study is removed",
        lambda tree: tree.configure(lambda c: c["studies"]["suppression"].update(saes=["relu"])),
        outputs(),
    ),
    Change(
        "an imported SAE of a study is added",
        add_import,
        {f"import_saes {hook}/theirs/sae" for hook in HOOKS}
        | measures(["theirs"], kinds=[*MEASURES, "gate"])
        | outputs(),
    ),
    Change(
        "a setting of one SAE (`l1`)",
        entry("saes", "relu", l1=0.2),
        below_saes(["relu", "relu~scale"]),
    ),
    Change(
        "the wished L0 in place of a penalty's weight (`target_l0`)",
        entry("saes", "relu", l1=None, target_l0=4),
        below_saes(["relu", "relu~scale"]),
    ),
    Change(
        "an option of one SAE (`resample_tokens`)",
        entry("saes", "topk", resample_tokens=1000),
        below_saes(["topk"]),
    ),
    Change(
        "rows of one SAE are normalised one by one (`normalize_input`)",
        entry("saes", "topk", normalize_input="constant_norm"),
        below_saes(["topk"]),
    ),
    Change(
        "the part of the training documents that one SAE reads (`part`)",
        entry("saes", "topk", part="1/2"),
        below_saes(["topk"]),
    ),
    Change(
        "a default of an SAE is written out",
        entry(
            "saes", "topk", expansion=4, scale_input="none", matmul_dtype="float32", penalties={}
        ),
        set(),
    ),
    Change(
        "a setting of a fine-tuning method",
        entry("methods", "scale", learning_rate=0.01),
        below_saes(["relu~scale"]),
    ),
    Change(
        "the number of resamples (`bootstrap`)",
        lambda tree: tree.configure(lambda c: c["measures"].update(bootstrap=200)),
        outputs(OF_MEASURES - {"kept", "frequencies", "published"}),
    ),
    Change(
        "what probes are asked (`measures.probes`)",
        lambda tree: tree.configure(lambda c: c["measures"].update(probes={"classes": 8})),
        measures(ALL_SAES, kinds=["probes"]) | outputs(OF_PROBES),
    ),
    Change(
        "how errors are followed, where no study asks (`measures.propagation`)",
        lambda tree: tree.configure(lambda c: c["measures"].update(propagation={"tokens": 99})),
        set(),
    ),
    Change(
        "what the loss gains without a latent, where no study asks (`measures.effects`)",
        lambda tree: tree.configure(lambda c: c["measures"].update(effects={"exact": 2})),
        set(),
    ),
    Change(
        "how much text is kept around tokens, where no study asks (`measures.contexts`)",
        lambda tree: tree.configure(lambda c: c["measures"].update(contexts={"after": 2})),
        set(),
    ),
    Change(
        "how answers are scored (`measures.answers`), where no prompt set is asked",
        lambda tree: tree.configure(lambda c: c["measures"].update(answers={"after": True})),
        set(),
    ),
    Change(
        "which features are ablated (`measures.ablations`), where no prompt set is asked",
        lambda tree: tree.configure(lambda c: c["measures"].update(ablations={"features": 4})),
        set(),
    ),
    Change(
        "how labelled texts are read (`measures.states`), where none are classified",
        lambda tree: tree.configure(lambda c: c["measures"].update(states={"long": "refuse"})),
        set(),
    ),
    Change(
        "how lenses are tuned (`measures.lenses`), where no texts are classified",
        lambda tree: tree.configure(lambda c: c["measures"].update(lenses={"tokens": 99})),
        set(),
    ),
    Change(
        "how probes are fitted (`measures.probing`), where no labelled texts are asked",
        lambda tree: tree.configure(lambda c: c["measures"].update(probing={"seeds": [1]})),
        set(),
    ),
    Change(
        "which facts latents are held against (`measures.facts`), where no study asks",
        lambda tree: tree.configure(lambda c: c["measures"].update(facts={"words": 4})),
        set(),
    ),
    Change(
        "how activations are stored (`dtype`)",
        lambda tree: tree.configure(lambda c: c.update(activations={"dtype": "float32"})),
        harvest() | FROM_STORES,
    ),
    Change(
        "how concepts are removed (`measures.erasure`), where no labelled texts are asked for",
        lambda tree: tree.configure(lambda c: c["measures"].update(erasure={"tasks": 1})),
        set(),
    ),
    Change(
        "whether activations are stored (`live`)",
        lambda tree: tree.configure(lambda c: c.update(activations={"live": True})),
        harvest() | FROM_STORES,
    ),
    Change(
        "into how many jobs passes are divided (`jobs`)",
        lambda tree: tree.configure(lambda c: c.update(jobs={"harvest": 4, "measure": 2})),
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
        "the line between the documents of a text file (`separator`)",
        entry("datasets", "texts", separator="---"),
        FROM_TEXTS,
    ),
    Change(
        "a shard is added to a directory of texts",
        after(read_shards, put("shards/2.jsonl", '{"text": "three"}\n')),
        FROM_TEXTS,
    ),
    Change(
        "shards are renamed, in the same order",
        after(read_shards, rename_shards),
        set(),
    ),
    Change(
        "what git, systems, downloads, trainings leave beside local texts, models and SAEs",
        after(take_local_files, leave_beside),
        set(),
    ),
    Change(
        "the configuration of a local model",
        after(take_local_model, put("mine/config.json", '{"n": 1}')),
        {
            "fetch_model models/small/model",
            "copy_tokenizer tokenizers/small/tokenizer",
            "tokenize_dataset tokens/small/texts/ctx-64/tokens",
        }
        | harvest()
        | FROM_STORES,
    ),
    Change(
        "a setting of the theory's toys (`theory.c`)",
        lambda tree: tree.configure(
            lambda c: c["studies"]["suppression"].update(theory={"c": [0.01, 0.05]})
        ),
        TOYS | REPORT,
    ),
    Change(
        "the content of a file with prompts",
        after(ask_prompts, put("one.jsonl", '{"text": "so it is"}\n')),
        below_prompts("one"),
    ),
    Change(
        "the window over which latents count as active at prompts",
        after(ask_prompts, entry("prompts", "one", window=8)),
        below_prompts("one"),
    ),
    Change(
        "the content of a file with labelled texts",
        after(ask_labelled, put("one.jsonl", '{"text": "so it is", "label": 0}\n')),
        below_labelled("one"),
    ),
    Change(
        "which labelled texts are drawn (`examples`)",
        after(ask_labelled, entry("labelled", "one", examples=8)),
        below_labelled("one"),
    ),
    Change(
        "a comparison of SAEs that are there is added (`comparisons`)",
        after(ask_pairs, lambda tree: tree.configure(_LAYERS_TOO)),
        below_pairs(_LAYERS_TOO),
    ),
    Change(
        "a seed is added to a comparison",
        after(ask_pairs, lambda tree: tree.configure(_THREE_SEEDS)),
        saes(["relu"], ["resid_post.1"], seed=2) | below_pairs(_THREE_SEEDS),
    ),
    Change(
        "comparisons are renamed, what they list is put into another order",
        after(ask_pairs, lambda tree: tree.configure(_RENAMED)),
        below_pairs(_RENAMED),
    ),
    Change(
        "a null is no longer compared with (`nulls`)",
        after(ask_pairs, lambda tree: tree.configure(_NO_NULL)),
        below_pairs(_NO_NULL),
    ),
    Change(
        "in which order one compared SAE reads the rows (`order_seed`)",
        after(ask_pairs, entry("saes", "relu-order", order_seed=2)),
        saes(["relu-order"], ["resid_post.1"])
        | below_pairs(lambda config: None, of_sae("relu-order")),
    ),
    Change(
        "what chance gives is drawn anew (`measures.similarity`)",
        after(ask_pairs, lambda tree: tree.configure(_OTHER_CHANCE)),
        below_pairs(_OTHER_CHANCE, of_kinds("similarity")),
    ),
    Change(
        "similarities as they were published are added (`published_mode`)",
        after(ask_pairs, lambda tree: tree.configure(_AS_PUBLISHED)),
        below_pairs(_AS_PUBLISHED, of_kinds("similarity")),
    ),
    Change(
        "on how many tokens latents are compared (`measures.codes`)",
        after(ask_pairs, lambda tree: tree.configure(_FEWER_TOKENS)),
        below_pairs(_FEWER_TOKENS, of_kinds("codes")),
    ),
    Change(
        "how SAEs are compared, where no study does",
        lambda tree: [tree.configure(change) for change in (_OTHER_CHANCE, _FEWER_TOKENS)],
        set(),
    ),
    # -- the code
    Change("comments and docstrings, anywhere", comment, set()),
    Change("the command line", code("cli/main.py", "_EXIT_ERROR = 1", "_EXIT_ERROR = 2"), set()),
    Change(
        "a metric's formula (`fvu`)",
        code(
            "metrics/reconstruction.py",
            'sums["squared_error"] / sums["squared_deviation"]',
            '1 * sums["squared_error"] / sums["squared_deviation"]',
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
            '(sums["ce_sae"] - sums["ce_clean"])',
            '1 * (sums["ce_sae"] - sums["ce_clean"])',
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
        "how a penalty's weight is found, where all recipes give it (`search.py`)",
        code("sae/training/search.py", "N_TRIALS = 8", "N_TRIALS = 9"),
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
    # -- what was made
    Change(
        "a figure is deleted",
        lambda tree: (
            tree.path / "results/studies/config/figures/suppression/l0_by_method.png"
        ).unlink(),
        {"plot l0_by_method"},
    ),
    Change(
        "a table is cut short",
        lambda tree: cut(tree, "results/studies/config/tables/suppression/l0.csv"),
        {"tabulate l0"},
    ),
    Change(
        "a digit of a table is edited",
        lambda tree: change_digit(tree, "results/studies/config/tables/suppression/l0.csv"),
        {"tabulate l0"},
    ),
    Change(
        "a digit of a figure's record is edited",
        lambda tree: change_digit(
            tree, "results/studies/config/figures/suppression/l0_by_method.json"
        ),
        {"plot l0_by_method"},
    ),
    Change(
        "a byte of an SAE's weights is edited",
        lambda tree: change_bulk(tree, "resid_post.1/relu/seed-0"),
        saes(["relu"], ["resid_post.1"]),
    ),
    Change(
        "an SAE's record is deleted: it is published again",
        lambda tree: delete_record(tree, "resid_post.1/relu/seed-0/sae.json"),
        saes(["relu"], ["resid_post.1"]),
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
    # -- temporary stores
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
        temporary(
            code(
                "metrics/reconstruction.py",
                'sums["squared_error"] / sums["squared_deviation"]',
                '1 * sums["squared_error"] / sums["squared_deviation"]',
            )
        ),
        outputs(["frontier", "metrics", "suppression_by_architecture"]),
    ),
)
