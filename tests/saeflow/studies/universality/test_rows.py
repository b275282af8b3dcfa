"""Which pairs are shown, and of which SAEs facts and effects are known."""

import pytest

import made_up_pairs as made_up
from saeflow.studies.universality import rows
from saeflow.studies.universality.matches import TABLES

COMPARISONS = {
    "seeds": {"vary": ["seed"], "seeds": [0, 1, 2]},
    "both": {"vary": ["sae", "seed"], "saes": ["topk-x2", "topk-x4"], "seeds": [0, 1]},
    "steps": {"vary": ["model"], "models": ["small@64", "small"]},
}
DATASET = {"generate": {}, "splits": {"train": 0.8, "validation": 0.1, "test": 0.1}}


def asked(**own):
    """Return a configuration with its section."""
    made = made_up.study(COMPARISONS)
    world = {
        "datasets": {"world": DATASET},
        "packings": {"sae-256": {"tokens": {"train": 9, "validation": 9, "test": 9}}},
        "models": {"small": {"train": {"tokenizer": "words"}}},
        "tokenizers": {"words": {"train": "world"}},
        "measures": {"seed": 3},
    }
    keys = dict.fromkeys(("effect_saes", "contexts_of", "facts_of"))
    return {**made.config, **world}, {**made.section, **keys, **own}


def test_the_first_pair_is_shown_of_each_thing_that_saes_of_a_comparison_differ_in_alone():
    found = rows.shown_pairs(*asked())
    assert [(p.comparison, p.differ) for p in found] == [
        ("seeds", ("seed",)), ("both", ("seed",)), ("both", ("expansion",)),
        ("steps", ("checkpoint",)),
    ]  # fmt: skip
    assert [p.first["seed"] for p in found] == [0, 0, 0, 0]
    saes = [(row["model"], row["sae"], row["seed"]) for row in rows.shown_saes(*asked())]
    assert len(saes) == len(set(saes)) == 5
    assert rows.given_shown(*asked())["seed"] == 3


def test_only_what_is_asked_for_is_shown():
    assert {p.comparison for p in rows.shown_pairs(*asked(contexts_of=["both"]))} == {"both"}
    assert not TABLES["matched_contexts"].when(*asked(contexts_of=[]))


def test_facts_are_asked_of_all_saes_of_a_comparison():
    config, section = asked(facts_of=["both"])
    saes = {(row["sae"], row["seed"]) for row in rows.known_saes(config, section)}
    assert saes == {("topk-x2", 0), ("topk-x2", 1), ("topk-x4", 0), ("topk-x4", 1)}
    assert len(rows.given_known(config, section)["pairs"]) == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["datasets"]["world"].pop("generate"),
        lambda c: c["packings"]["sae-256"]["tokens"].update(validation=0),
        lambda c: c["tokenizers"]["words"].pop("train"),
    ],
)
def test_nothing_is_known_of_other_texts(change):
    config, section = asked()
    config = {**config, "datasets": {"world": {**DATASET}}}
    change(config)
    assert not TABLES["facts_found"].when(config, section)


def test_effects_are_of_the_studys_own_saes():
    config, section = asked()
    section = {**section, "saes": ["topk-x2", "topk-x4"], "seeds": [5, 6], "hooks": ["a", "b"]}
    found = [(row["hook"], row["sae"], row["seed"]) for row in rows.effect_saes(config, section)]
    assert found == [("a", "topk-x2", 5), ("a", "topk-x4", 5), ("b", "topk-x2", 5),
                     ("b", "topk-x4", 5)]  # fmt: skip
    section["effect_saes"] = ["topk-x4"]
    assert {row["sae"] for row in rows.effect_saes(config, section)} == {"topk-x4"}
