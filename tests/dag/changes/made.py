"""Changes of what was made, also of temporary stores."""

from __future__ import annotations

from dag.changes.change import Change
from dag.edits import (
    change_bulk,
    change_digit,
    code,
    cut,
    delete_bulk,
    delete_record,
    entry,
    keep_stores,
    shard,
    stores,
    temporary,
)
from dag.jobs import (
    below_saes,
    harvest,
    outputs,
    release,
    saes,
)

MADE = (
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
                'ratio("squared_error", "squared_deviation")',
                'ratio("squared_error", "squared_norm")',
            )
        ),
        outputs(["frontier", "metrics", "suppression_by_architecture"]),
    ),
)
