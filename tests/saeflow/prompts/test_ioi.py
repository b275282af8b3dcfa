"""Questions for the indirect object in English."""

import pytest
from transformers import AutoTokenizer

from saeflow.prompts.ioi import NAMES, ORDERS, PLACES, TEMPLATES, THINGS, generate_prompts


def test_the_answer_is_the_name_that_is_not_repeated():
    for number, prompt in enumerate(generate_prompts(200, 0)):
        words = prompt.text.replace(",", " ").replace(".", " ").split()
        assert words.count(prompt.answer) == 1
        assert words.count(prompt.distractor) == 2
        assert prompt.candidates == sorted([prompt.answer, prompt.distractor])
        assert prompt.group == ORDERS[number % 2]
        first = min(prompt.candidates, key=words.index)
        assert (first == prompt.answer) == (prompt.group == "ABBA")
        assert words[-1] == "to"


def test_names_stand_after_a_space_and_articles_fit():
    for template in TEMPLATES:
        assert template.index("{first}") > 0
        assert template.index("{first}") < template.index("{second}") < template.index("{giver}")
    texts = " ".join(prompt.text for prompt in generate_prompts(2000, 1))
    assert not any(f" a {thing} " in texts for thing in THINGS if thing[0] in "aeiou")
    assert " an apple " in texts
    assert " a book " in texts


def test_prompts_are_distinct_seeded_and_fewer_are_the_first_ones():
    prompts = generate_prompts(500, 3)
    assert len({prompt.text for prompt in prompts}) == 500
    assert generate_prompts(100, 3) == prompts[:100]
    assert generate_prompts(100, 4) != prompts[:100]


def test_nothing_stands_in_a_list_twice_and_no_name_is_a_place_or_a_thing():
    words = [*NAMES, *PLACES, *THINGS]
    assert len({word.lower() for word in words}) == len(words)


@pytest.mark.parametrize("name", ["gpt2", "pythia"])
def test_every_name_is_one_token(real_data, name):
    tokenizer = AutoTokenizer.from_pretrained(real_data / "tokenizers" / name)
    ids = tokenizer([f" {one}" for one in NAMES], add_special_tokens=False)["input_ids"]
    assert {len(one) for one in ids} == {1}
