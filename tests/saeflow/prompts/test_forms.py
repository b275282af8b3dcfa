"""How columns become prompts, and what is refused."""

import pytest

from saeflow.errors import DataError
from saeflow.prompts.forms import find_form
from saeflow.prompts.prompt import Prompt

CLOZE = {
    "sentences": ["The fox was red .", "It ran ."],
    "question": "`` Stop , '' said the XXXXX , and he stopped .",
    "answer": "fox",
    "options": ["dog", "fox", "hen"],
}
CHOICE = {
    "text": "Anna and Ben met , and Ben gave a book to ",
    "target": " Anna",
    "candidates": ["Ben", "Anna"],
    "distractor": "Ben",
}


def ask(row, form="auto", **named):
    found = find_form({"form": form, **named}, row, "here")
    return found.kind, *found.prompt(row, "row 1")


def refused(row, form="auto", **named):
    with pytest.raises(DataError) as error:
        ask(row, form, **named)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "before", "answer"),
    [
        ("her pay window ran out of change", "her pay window ran out of", "change"),
        ("“Sal!”\n“I heard him say ‘Sal", "“Sal!”\n“I heard him say", "‘Sal"),
        ("two  spaces \n", "two", "spaces"),
    ],
)
def test_the_last_word_is_what_stands_after_the_last_space(text, before, answer):
    assert ask({"text": text, "domain": None}) == ("last_word", Prompt(before, answer), 0)


def test_an_answer_in_a_column_of_its_own_follows_the_text():
    row = {"prompt": "One and one is ", "is": " two "}
    assert ask(row, text="prompt", answer="is")[1] == Prompt("One and one is", "two")
    assert ask({"text": "One and\n", "target": "two"})[1] == Prompt("One and\n", "two")


def test_a_cloze_is_its_sentences_and_the_question_up_to_the_blank():
    kind, prompt, n_repeated = ask(CLOZE)
    assert (kind, n_repeated) == ("cloze", 0)
    assert prompt.text == "The fox was red . It ran . `` Stop , '' said the"
    assert prompt.after == " , and he stopped ."
    assert (prompt.answer, prompt.candidates) == ("fox", ["dog", "fox", "hen"])
    whole = " ".join([*CLOZE["sentences"], CLOZE["question"].replace("XXXXX", "fox")])
    assert prompt.text + prompt.space + prompt.answer + prompt.after == whole


def test_lists_may_be_texts_with_bars_as_a_csv_has_them():
    row = CLOZE | {"sentences": "The fox was red . It ran .", "options": "dog|fox|hen"}
    assert ask(row) == ask(CLOZE)


def test_a_choice_keeps_its_candidates_in_order_and_spaces_belong_to_the_answer():
    text = "Anna and Ben met , and Ben gave a book to"
    expected = Prompt(text, "Anna", ["Ben", "Anna"], distractor="Ben")
    assert ask(CHOICE) == ("choice", expected, 0)
    del (plain := dict(CHOICE))["distractor"]
    assert ask(plain)[1].distractor is None


def test_candidates_that_stand_there_twice_are_counted_and_left_out():
    kind, prompt, n_repeated = ask(CLOZE | {"options": ["fox", "hen", "fox", "hen", "dog"]})
    assert (prompt.candidates, n_repeated) == (["fox", "hen", "dog"], 2)


def test_a_form_that_is_named_wins_over_what_the_columns_look_like():
    assert ask({**CHOICE, "text": "to the end"}, "last_word")[1] == Prompt("to the end", "Anna")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": "Nothing is left out ."}, "the question has no XXXXX"),
        ({"answer": "cow"}, "the answer is not among the candidates"),
        ({"answer": " "}, "the column 'answer' is empty"),
        ({"answer": 3}, "the column 'answer' holds no text (expected text; got int)"),
        ({"sentences": ["a", None]}, "the column 'sentences' holds no text"),
        ({"options": ["fox", 3]}, "the column 'options' holds no text (expected text; got int)"),
        ({"options": ["fox", "fox"]}, "the answer is the only candidate"),
        ({"options": None}, "the column 'options' holds no text (expected a list"),
        ({"options": ["fox", ""]}, "the column 'options' is empty"),
        ({"question": "half an emoji \ud83d XXXXX"}, "got what is not UTF-8"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_row(change, said):
    text = refused(CLOZE | change, "cloze")
    assert said in text
    assert text.startswith("row 1")


@pytest.mark.parametrize("distractor", ["Carl", "Anna"])
def test_a_distractor_has_to_be_a_wrong_candidate(distractor):
    message = "the distractor is not among the candidates that are wrong (expected Ben"
    assert message in refused(CHOICE | {"distractor": distractor})
    assert ask(CHOICE | {"distractor": ""})[1].distractor is None  # as a CSV has none


@pytest.mark.parametrize("text", ["word", " word ", "word\n"])
def test_a_single_word_is_no_prompt(text):
    assert "single word" in refused({"text": text})


def test_an_empty_text_is_refused():
    assert "the column 'text' is empty" in refused({"text": " "})


def test_missing_columns_are_named_beside_those_that_there_are():
    text = refused({"prompt": "a b", "id": 3})
    assert "no column for the text" in text
    assert "`text:` to be one of prompt, id" in text
    text = refused(CLOZE, "choice")
    assert "no column for the text of prompts" in text
    text = refused({**CHOICE}, candidates="choices")
    assert "`candidates:` to be one of text, target, candidates, distractor" in text
    assert "got choices" in text


def test_a_column_that_the_form_has_no_use_for_is_refused():
    text = refused({"text": "a b", "story": "c"}, "last_word", passage="story")
    assert "no use for a column that is named (expected text, answer; got passage)" in text
