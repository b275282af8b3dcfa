"""Changes of the configuration, and of the local files that it names."""

from __future__ import annotations

from dag.changes.change import Change
from dag.edits import (
    add_import,
    add_sae,
    add_shuffled,
    after,
    ask_labelled,
    ask_prompts,
    entry,
    leave_beside,
    put,
    read_shards,
    rename_shards,
    study,
    take_local_files,
    take_local_model,
)
from dag.jobs import (
    ALL_SAES,
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
    harvest,
    measures,
    of_model,
    outputs,
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

_LAYERS_TOO = compare(comparisons={"seeds": SEEDS, "orders": ORDERS, "layers": LAYERS})
_THREE_SEEDS = compare(comparisons={"seeds": {**SEEDS, "seeds": [0, 1, 2]}, "orders": ORDERS})
_RENAMED = compare(
    comparisons={"o": {**ORDERS, "saes": ["relu-order", "relu"]}, "s": {**SEEDS, "seeds": [1, 0]}}
)
_NO_NULL = compare(nulls={"hooks": ["resid_post.2"]})
_OTHER_CHANCE = measuring(similarity={"seed": 1})
_AS_PUBLISHED = measuring(similarity={"published_mode": True})
_FEWER_TOKENS = measuring(codes={"tokens": 99})

CONFIGURATION = (
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
        "on how many tokens the model is run with SAEs in it (`measures.clean`)",
        lambda tree: tree.configure(lambda c: c["measures"].update(clean={"tokens": 99})),
        clean() | measures(ALL_SAES, kinds=["language"]) | outputs(OF_LANGUAGE),
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
)
