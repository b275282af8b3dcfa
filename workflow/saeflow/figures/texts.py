"""Texts that have to fit: how wide one is, and one broken into lines, made smaller or cut."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

_SMALLEST = 5.5  # points
_ELLIPSIS = "…"


def inches(text: str, size: float, weight: str = "normal") -> float:
    """Return how wide a line is at a font size in points."""
    font = FontProperties(size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def fit(text: Text, room: float) -> None:
    """Break a text into lines of at most ``room`` inches; then make it smaller, then shorten it."""
    size, words = text.get_fontsize(), text.get_text()
    while True:
        lines = [_broken(line, size, room) for line in words.split("\n")]
        widest = max(inches(line, size) for whole in lines for line in whole)
        if widest <= room or size <= _SMALLEST:
            break
        size = max(_SMALLEST, 0.99 * size * room / widest)
    text.set_text("\n".join(shortened(line, size, room) for whole in lines for line in whole))
    text.set_fontsize(size)


def _broken(line: str, size: float, room: float) -> list[str]:
    """Break a line between words into as few lines as fit."""
    lines = [""]
    for word in line.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and inches(longer, size) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def shortened(line: str, size: float, room: float) -> str:
    """Take out the middle of a line that is longer than ``room`` inches: ends tell names apart."""
    whole, n = line, len(line)
    while n > 2 and inches(line, size) > room:
        n -= 1
        line = whole[: (n + 1) // 2] + _ELLIPSIS + whole[len(whole) - n // 2 :]
    return line


def in_one_line(text: str) -> str:
    """Return a text in one line, without formulas and letters that matplotlib cannot draw."""
    seen = (letter if letter.isprintable() or letter.isspace() else "·" for letter in str(text))
    return " ".join("".join(seen).split()).replace("$", r"\$")


def ending(text: str, room: float, size: float) -> str:
    """Return the last words of a text that fit in so many inches."""
    words, room = text.split(" "), room / 1.03

    def without(n: int) -> str:
        """Return the text without its first n words."""
        rest = " ".join(words[n:])
        return _ELLIPSIS + rest.lstrip(_ELLIPSIS) if n else rest

    # the first of falling widths that fits
    n = bisect_left(range(len(words) - 1), -room, key=lambda n: -inches(without(n), size))
    return without(n)


def beginning(text: str, room: float, size: float) -> str:
    """Return the beginning of a text that fits in so many inches, also in bold letters."""
    size = 1.15 * size
    if inches(text, size) <= room:
        return text
    letters = range(1, len(text))
    n = bisect_right(letters, room, key=lambda n: inches(text[:n] + _ELLIPSIS, size))
    return text[:n].rstrip() + _ELLIPSIS
