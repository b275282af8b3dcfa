"""Words as directions."""

import pytest
import torch

from labelled_by_hand import labelled
from saeflow.measures.lenses.words import described, directions
from tiny_models import make_model, make_tokenizer


def found(**words):
    tasks = {name: {0: 1} for name in words}
    facts = {
        name: {} if own is None else {"words": {"positive": own[0], "negative": own[1]}}
        for name, own in words.items()
    }
    made = labelled(["w3"], tasks=tasks, facts=facts)
    return directions(make_model("llama"), make_tokenizer(), made.tasks)


def test_a_direction_is_the_difference_of_two_rows():
    asked, left_out = found(a=(" w7", " w9"), b=None)
    rows = make_model("llama").get_output_embeddings().weight.double()
    assert [one.task.name for one in asked] == ["a"] and not left_out
    torch.testing.assert_close(asked[0].direction, rows[7] - rows[9])
    assert asked[0].whole
    assert described(asked) == {"a": {"positive": "w7", "negative": "w9", "whole_words": True}}


def test_of_words_of_several_tokens_the_first_counts_and_that_is_said():
    (one,), _ = found(a=(" w7 w8", " w9"))
    (other,), _ = found(a=(" w7", " w9"))
    assert torch.equal(one.direction, other.direction)
    assert not one.whole and one.tokens == other.tokens


@pytest.mark.parametrize(
    ("words", "why"),
    [((" w7 w3", " w7 w4"), "same token"), ((" dog", " w7"), "unknown"), ((" w7", " "), "unknown")],
)
def test_words_that_cannot_be_told_apart_have_a_reason(words, why):
    asked, left_out = found(a=words, b=(" w3", " w4"))
    assert [one.task.name for one in asked] == ["b"]
    assert why in left_out["a"] and words[0] in left_out["a"]
