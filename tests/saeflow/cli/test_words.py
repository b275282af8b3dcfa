import pytest

from saeflow.cli.words import count, size, value


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB"), (5 << 40, "5.0 TiB")],
)
def test_sizes_have_units(n_bytes, text):
    assert size(n_bytes) == text


def test_nouns_agree_with_their_number():
    assert [count(n, "log") for n in (0, 1, 2)] == ["0 logs", "1 log", "2 logs"]
    assert count(2, "entry") == "2 entries"


def test_long_values_are_cut():
    assert len(value("x" * 500)) == 60
