import pytest

from saeflow.activations.order import even, read_rows


@pytest.mark.parametrize(
    ("n", "most", "expected"),
    [(9, 3, [3, 3, 3]), (9, 4, [3, 3, 3]), (10, 4, [3, 3, 4]), (1, 8, [1]), (5, 1, [1] * 5)],
)
def test_windows_are_as_few_and_as_even_as_can_be(n, most, expected):
    assert even(n, most).tolist() == expected


@pytest.mark.parametrize(
    ("chunk_rows", "window_rows", "expected"),
    [
        (2048, 1 << 20, 16_384),  # 64 to a window
        (2048, 1 << 24, 16_384),
        (2048, 1 << 19, 8192),
        (2048, 1 << 17, 2048),
        (2048, 1 << 12, 2048),  # never a part of a chunk
        (2048, 1000, 1000),  # but for a window that is smaller than one
        (3000, 1 << 20, 15_000),
        (1 << 15, 1 << 20, 1 << 15),
    ],
)
def test_as_many_whole_chunks_are_read_together_as_leave_a_window_its_variety(
    chunk_rows, window_rows, expected
):
    assert read_rows(chunk_rows, window_rows) == expected


def test_nothing_makes_no_window():
    assert even(0, 3).tolist() == []


@pytest.mark.parametrize("n", range(1, 40))
def test_no_window_is_larger_than_allowed_or_much_smaller_than_another(n):
    for most in range(1, 12):
        parts = even(n, most)
        assert parts.sum() == n and parts.max() <= most and parts.max() - parts.min() <= 1
        assert len(parts) == -(-n // most)
