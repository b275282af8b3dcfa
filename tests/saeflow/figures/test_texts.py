"""Texts that are cut to what fits."""

import pytest

from saeflow.figures.texts import beginning, ending, in_one_line, inches

WORDS = "the quick brown fox jumps over the lazy dog"


@pytest.mark.parametrize("room", [0.05, 0.4, 1.0, 1.7, 9.0])
def test_the_most_words_that_fit_are_left_of_an_end(room):
    words, found = WORDS.split(), ending(WORDS, room, 6.5)
    cut = ["…" + " ".join(words[n:]) for n in range(1, len(words))]
    fitting = [text for text in [WORDS, *cut] if inches(text, 6.5) <= room / 1.03]
    assert found == (fitting[0] if fitting else "…dog")


@pytest.mark.parametrize("room", [0.05, 0.4, 1.0, 1.7, 9.0])
def test_the_most_letters_that_fit_are_left_of_a_beginning(room):
    found = beginning(WORDS, room, 6.5)
    cut = [WORDS[:n] + "…" for n in range(1, len(WORDS))]
    fitting = [text for text in [*cut, WORDS] if inches(text, 1.15 * 6.5) <= room]
    assert found.replace(" …", "…") == (fitting[-1] if fitting else "…").replace(" …", "…")


def test_what_matplotlib_cannot_draw_is_drawn_otherwise():
    assert in_one_line(" a\n\tb $x$ \x07 ") == r"a b \$x\$ ·"
