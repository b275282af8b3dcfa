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
    hub = {"hub": "org/texts", "revision": "0" * 40, "split": "train"}

    def change(config):
        config["labelled"] = {
            "all": {"generate": "sentiment", "dataset": "world"},
            "some": {"generate": "sentiment", "dataset": "world", "examples": 100},
            "read": {"path": str(tmp_path / "a.jsonl"), "test": 0.4},
            "drawn": {"path": str(tmp_path), "examples": 20, "label": ["x", "y", "z"]},
            "hub": hub,
            "counted": {
                **hub, "expect": {"train": 90, "test": 30}, "template": "Good? {text}",
                "longer_than": 50, "shorter_than": 98,
            },
        }  # fmt: skip
        config["datasets"]["world"]["generate"]["n_prompts"] = 70

    made = plan(change).plan

    def values(name):
        return [one.value for one in sizes_of_labelled(made.labelled(name))]

    # texts, tokens, tasks, and of a task texts to train and to test on
    assert values("all") == pytest.approx([6 * 70, 60 * 6 * 70, 6, 4 * 70, 70])
    assert values("some") == pytest.approx([100 + 70, 60 * 170, 6, 80, 20])
    assert values("read") == pytest.approx([100, 10_000, 1, 60, 40])
    assert values("drawn") == pytest.approx([20 + 10, 3000, 6, 15 * 0.8, 15 * 0.2])
    assert values("counted") == pytest.approx([120, 120 * (74 + 12) / 4.3, 1, 90, 30])
    with pytest.raises(UnknownError, match="org/texts is not fetched"):
        values("hub")
    read = made.labelled("read")
    with hold(read.output, read.identity, read.suffix) as work:
        counts = {"n_examples": 20, "n_train": 10, "n_test": 6, "n_shift": 4}
        work.finish({**counts, "n_tasks": 3, "n_labels": 45, "n_characters": 4300})
    assert values("read") == pytest.approx([20, 1000, 3, 15 * 10 / 20, 15 * 6 / 20])
