import json

import pytest

from saeflow.cost.guess import UnknownError
from saeflow.cost.tokens import sizes_of_labelled, tokens_of, tokens_of_prompts
from saeflow.work import hold


def store(plan, packing, change=lambda config: None):
    return plan(change).plan.tokens("words", "world", packing)


def tokens(plan, packing, change=lambda config: None):
    return tokens_of(store(plan, packing, change))


def test_a_limit_gives_the_whole_sequences_that_fit_exactly(plan):
    found = tokens(plan, "some")
    assert {split: n.value for split, n in found.splits.items()} == {
        "train": 100_000,  # of 100,050 with sequences of 100
        "validation": 0,
        "test": 10_000,
    }
    assert found.all.exact


def test_the_world_has_about_the_words_asked_for(plan):
    found = tokens(plan, "all")
    assert found.splits["train"].value == pytest.approx(240_000)
    assert found.splits["test"].value == pytest.approx(60_000)
    assert not found.all.exact


def test_one_document_a_sequence_need_not_fill_the_limit(plan):
    def change(config):
        config["packings"]["some"]["mode"] = "document"

    found = tokens(plan, "some", change)
    assert found.splits["train"].value == 100_050
    assert not found.splits["train"].exact


def test_counted_tokens_are_exact(plan):
    counted = store(plan, "all")
    with hold(counted.output, counted.identity, counted.suffix) as work:
        work.finish({"n_tokens": {"train": 7, "test": 3}})
    assert tokens_of(counted).all == (10, 1)


def test_a_local_file_is_guessed_by_its_size_and_says_so(plan, tmp_path):
    (tmp_path / "t.txt").write_text("x" * 4700)

    def change(config):
        config["datasets"]["world"] = {"path": "t.txt"}

    found = tokens(plan, "all", change)
    assert found.all.value == pytest.approx(1000)  # 4.7 bytes a word; shares sum to one
    assert found.all.times > 1
    assert "4.7 bytes of t.txt" in found.note


HUB = {"hub": "org/texts", "revision": "0" * 40, "split": "train"}


def test_of_what_is_not_fetched_nothing_is_said_without_a_limit(plan):
    with pytest.raises(UnknownError, match="org/texts is not fetched"):
        tokens(plan, "all", lambda c: c["datasets"].update(world=HUB))
    assert tokens(plan, "some", lambda c: c["datasets"].update(world=HUB)).all.value == 110_000


def test_a_number_of_documents_gives_a_rough_guess(plan):
    hub = {**HUB, "n_documents": 1000}
    found = tokens(plan, "all", lambda c: c["datasets"].update(world=hub))
    assert found.all.value == pytest.approx(1_100_000)
    assert found.all.times >= 2
    assert json.dumps(found.note)


def test_prompts_are_guessed_until_their_characters_are_counted(plan):
    def change(config):
        config["prompts"] = {"ioi": {"generate": "ioi", "n_prompts": 200}}

    prompts = plan(change).plan.prompts("ioi")
    assert tokens_of_prompts(prompts).value == 200 * 150
    with hold(prompts.output, prompts.identity, prompts.suffix) as work:
        work.finish({"n_prompts": 200, "n_characters": 4300})
    assert tokens_of_prompts(prompts).value == pytest.approx(1000)


def test_all_prompts_of_a_world_are_as_many_as_it_has(plan):
    def change(config):
        config["prompts"] = {"who": {"generate": "owner_binding", "dataset": "world"}}
        config["datasets"]["world"]["generate"]["n_prompts"] = 70

    assert tokens_of_prompts(plan(change).plan.prompts("who")).value == 70 * 150


def test_labelled_texts_are_guessed_until_they_are_counted(plan, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(bytes(43_000))
    (tmp_path / "b.jsonl").write_bytes(bytes(4_300))

    def change(config):
        config["labelled"] = {
            "all": {"generate": "sentiment", "dataset": "world"},
            "some": {"generate": "sentiment", "dataset": "world", "examples": 100},
            "read": {"path": str(tmp_path / "a.jsonl")},
            "drawn": {"path": str(tmp_path), "examples": 20},
            "hub": {"hub": "org/texts", "revision": "0" * 40, "split": "train"},
        }
        config["datasets"]["world"]["generate"]["n_prompts"] = 70

    made = plan(change).plan
    for name, n in (("all", 6 * 70), ("some", 100 + 70)):
        sizes = sizes_of_labelled(made.labelled(name))
        assert (sizes.texts.value, sizes.tokens.value) == (n, 60 * n)
    read = made.labelled("read")
    assert sizes_of_labelled(read).tokens.value == pytest.approx(10_000)
    assert sizes_of_labelled(read).texts.value == pytest.approx(100)
    assert sizes_of_labelled(made.labelled("drawn")).texts.value == pytest.approx(20 + 10)
    with pytest.raises(UnknownError, match="org/texts is not fetched"):
        sizes_of_labelled(made.labelled("hub"))
    with hold(read.output, read.identity, read.suffix) as work:
        work.finish({"n_examples": 20, "n_characters": 4300})
    sizes = sizes_of_labelled(read)
    assert (sizes.texts.value, sizes.tokens.value) == (20, pytest.approx(1000))
