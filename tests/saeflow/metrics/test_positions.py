import numpy as np
import pytest

from saeflow.metrics.positions import ranges


def test_ranges_are_half_octaves_that_end_with_the_context():
    assert ranges(13).tolist() == [0, 1, 2, 3, 4, 6, 8, 12, 13]
    assert ranges(1).tolist() == [0, 1]


@pytest.mark.parametrize("length", [64, 512, 1024])
def test_powers_of_two_are_borders(length):
    powers = 2 ** np.arange(length.bit_length())
    assert np.isin(powers, ranges(length)).all()
    widths = np.diff(np.log2(ranges(length)[1:]))
    assert widths.max() <= 1.0 and ranges(length)[-1] == length


def test_the_context_of_a_training_is_a_border_and_adds_no_other():
    assert set(ranges(256, 100)) - set(ranges(256)) == {100}
    assert ranges(256, 64).tolist() == ranges(256).tolist()
    assert ranges(256, 1000).tolist() == ranges(256).tolist()
