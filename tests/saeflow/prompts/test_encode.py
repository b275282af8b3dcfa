"""Prompts as token ids, with tokenizers of each kind."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from saeflow.errors import DataError
from saeflow.prompts.encode import Continuations, encode_prompts
from saeflow.prompts.forms import find_form
from saeflow.prompts.prompt import Prompt

WORDS = ["<s>", "<unk>", *"abcdefgh", "."]
PROMPT = Prompt("a b c", "d", ["d", "e f"], " .", "e f")


@pytest.fixture(scope="module")
def words():
    """A tokenizer of words: BOS 0, unknown 1, a to h from 2, full stop 10."""
    inside = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    inside.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inside, bos_token="<s>", unk_token="<unk>")


def encode(tokenizer, *prompts, max_positions=32):
    return encode_prompts(tokenizer, prompts, max_positions)


def test_a_bos_stands_before_the_text_and_all_tokens_of_answers_are_there(words):
    found = encode(words, PROMPT)
    (one,) = found.prompts
    assert one.ids.tolist() == [0, 2, 3, 4]
    assert one.answer.tolist() == [5]
    assert [ids.tolist() for ids in one.candidates] == [[5], [6, 7]]
    assert one.after.tolist() == [10]
    assert one.distractor.tolist() == [6, 7]
    assert found.has_bos
    assert found.facts == {"n_cut": 0, "n_merged": 0, "n_unknown": 0, "n_of_one_token": 1}


def test_without_candidates_and_what_follows_there_are_none(words):
    (one,) = encode(words, Prompt("a", "b c")).prompts
    assert (one.candidates, one.distractor, one.after.tolist()) == (None, None, [])
    assert one.answer.tolist() == [3, 4]


def test_a_prompt_that_does_not_fit_loses_its_beginning_not_the_bos(words):
    """The longest candidate has two tokens, and one follows: of these the last is never read."""
    for max_positions, ids in ((6, [0, 2, 3, 4]), (5, [0, 3, 4]), (4, [0, 4])):
        found = encode(words, PROMPT, max_positions=max_positions)
        assert found.prompts[0].ids.tolist() == ids
        assert found.prompts[0].n_cut == 4 - len(ids)
        assert found.facts["n_cut"] == (len(ids) < 4)
    with pytest.raises(DataError, match=r"does not fit .*expected less than 3 tokens"):
        encode(words, PROMPT, max_positions=3)


def test_unknown_words_are_counted_in_texts_and_refused_in_answers(words):
    assert encode(words, Prompt("a ? ?", "b")).facts["n_unknown"] == 2
    with pytest.raises(DataError, match="got '!', and 2 such words in all"):
        encode(words, Prompt("a", "b", ["b", "!"]), Prompt("a", "?"))


def test_a_tokenizer_without_bos_has_none(words):
    plain = PreTrainedTokenizerFast(tokenizer_object=words.backend_tokenizer, unk_token="<unk>")
    found = encode(plain, PROMPT)
    assert not found.has_bos
    assert found.prompts[0].ids.tolist() == [2, 3, 4]
    assert encode(plain, PROMPT, max_positions=5).prompts[0].ids.tolist() == [2, 3, 4]
    assert encode(plain, PROMPT, max_positions=4).prompts[0].ids.tolist() == [3, 4]


# -- real tokenizers -----------------------------------------------------------------------------


def lambada(real_data):
    lines = (real_data / "benchmarks" / "lambada_test.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    form = find_form({"form": "auto"}, rows[0], "")
    return [form.prompt(row, "")[0] for row in rows]


@pytest.mark.parametrize(("name", "n_single"), [("gpt2", 4010), ("pythia", 3585)])
def test_lambada_has_as_many_targets_of_one_token_as_others_count(real_data, name, n_single):
    """Trap X39. Apart or together, text and answer are the same tokens."""
    prompts = lambada(real_data)
    assert len(prompts) == 5153
    tokenizer = AutoTokenizer.from_pretrained(real_data / "tokenizers" / name)
    found = encode(tokenizer, *prompts, max_positions=1024)
    assert found.facts == {
        "n_cut": 0,
        "n_merged": 0,
        "n_unknown": 0,
        "n_of_one_token": n_single,
    }
    one = found.prompts[0]
    assert one.ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(one.answer) == f" {prompts[0].answer}"


def test_sentencepiece_gives_no_token_for_the_space_that_it_puts_before_every_text(real_data):
    tokenizer = AutoTokenizer.from_pretrained(real_data / "stories260K")
    prompts = lambada(real_data)[:200]
    found = encode(tokenizer, *prompts, max_positions=512)
    assert found.facts["n_merged"] == 0
    for prompt, one in zip(prompts, found.prompts, strict=True):
        together = tokenizer(f"{prompt.text} {prompt.answer}", add_special_tokens=False)
        np.testing.assert_array_equal(
            np.concatenate([one.ids[1:], one.answer]), together["input_ids"]
        )


def test_what_follows_a_line_break_has_no_space(real_data):
    tokenizer = AutoTokenizer.from_pretrained(real_data / "tokenizers" / "gpt2")
    (one,) = encode(tokenizer, Prompt("Q: who?\nA:\n", "Mary")).prompts
    assert tokenizer.decode(one.answer) == "Mary"
    assert Continuations(tokenizer)(" Mary").tolist() == tokenizer(" Mary")["input_ids"]
