"""Splits by the text."""

from __future__ import annotations

import pytest

from saeflow.datasets.split import splits_of
from saeflow.errors import ConfigError

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
TEXTS = [f"document {i}" for i in range(4000)]


def test_the_splits_have_their_shares():
    splits = splits_of(TEXTS, FRACTIONS, 0)
    for split, share in FRACTIONS.items():
        # four standard deviations of a binomial with n = 4000
        assert splits.count(split) / 4000 == pytest.approx(
            share, abs=4 * (share * (1 - share) / 4000) ** 0.5
        )


def test_a_document_keeps_its_split_whatever_is_around_it():
    whole = splits_of(TEXTS, FRACTIONS, 0)
    assert splits_of(TEXTS[::-1][:100], FRACTIONS, 0) == whole[::-1][:100]
    assert [splits_of([text], FRACTIONS, 0)[0] for text in TEXTS[:50]] == whole[:50]


def test_duplicates_that_differ_only_in_white_space_share_a_split():
    """Trap X35."""
    others = [f"  {text.replace(' ', chr(10))}\t" for text in TEXTS[:200]]
    assert splits_of(others, FRACTIONS, 0) == splits_of(TEXTS[:200], FRACTIONS, 0)


def test_another_seed_makes_an_independent_split():
    first = splits_of(TEXTS, {"train": 0.5, "test": 0.5}, 0)
    second = splits_of(TEXTS, {"train": 0.5, "test": 0.5}, 1)
    equal = sum(a == b for a, b in zip(first, second, strict=True)) / 4000
    assert equal == pytest.approx(0.5, abs=0.04)


def test_more_training_data_takes_none_out_of_training():
    small = splits_of(TEXTS, {"train": 0.5, "test": 0.5}, 0)
    large = splits_of(TEXTS, {"train": 0.7, "test": 0.3}, 0)
    assert all(b == "train" for a, b in zip(small, large, strict=True) if a == "train")


def test_a_split_without_a_share_gets_nothing_and_a_whole_share_everything():
    assert set(splits_of(TEXTS, {"train": 1.0, "validation": 0, "test": 0}, 0)) == {"train"}
    assert set(splits_of(TEXTS, {"test": 1.0}, 0)) == {"test"}


@pytest.mark.parametrize(
    "fractions",
    [{"train": 0.8}, {"train": 1.2, "test": -0.2}, {"train": 0.5, "dev": 0.5}],
)
def test_shares_that_make_no_whole_are_refused(fractions):
    with pytest.raises(ConfigError, match="shares"):
        splits_of("x", fractions, 0)


def test_unpaired_surrogates_in_a_text_are_no_obstacle():
    assert splits_of(["\ud800"], FRACTIONS, 0)[0] in FRACTIONS
