"""What the command line says of temporary stores, and does with them."""

import shutil
from pathlib import Path

import pytest

STORES = "results/activations/small/texts/ctx-64"
STORE = f"{STORES}/resid_post.1.json"
SAE = "results/saes/small/texts/ctx-64/resid_post.1/topk/seed-0"


@pytest.fixture
def removed(tree):
    """The finished workflow, whose stores were temporary and are removed."""
    tree.configure(lambda config: config.update(activations={"temporary": True}))
    tree.pretend()
    return tree


def test_a_removed_store_is_current_and_why_says_so(removed, saeflow):
    printed = saeflow("why", STORE)[1]
    assert f"{STORE} is current. Its data were temporary and were removed" in printed


def test_why_names_the_reader_that_needs_a_removed_store_again(removed, saeflow):
    (weights,) = Path(SAE).glob("sae.*/")
    shutil.rmtree(weights)
    printed = saeflow("why", STORE)[1]
    assert f"They are made anew for {SAE}/sae.json." in printed
    assert "resid_post.2" not in printed


def test_the_record_of_the_removal_has_an_answer_too(removed, saeflow):
    assert "is current" in saeflow("why", f"{STORES}/resid_post.1.released.json")[1]


def test_clean_keeps_what_is_known_of_a_removed_store_while_it_is_wanted(removed, saeflow):
    assert "Nothing to remove" in saeflow("clean", "--yes")[1]
    assert len(list(Path(STORES).glob("resid*/released.json"))) == 2


def test_clean_removes_what_is_known_of_a_removed_store_that_nothing_wants(removed, saeflow):
    removed.configure(lambda c: c["studies"]["suppression"]["hooks"].remove("resid_post.1"))
    assert "resid_post.1" in saeflow("clean", "--yes")[1]
    assert not [p for p in Path(STORES).glob("resid_post.1*") if not p.name.startswith(".")]
    assert len(list(Path(STORES).glob("resid*/released.json"))) == 1
