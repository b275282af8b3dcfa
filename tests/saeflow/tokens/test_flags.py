import numpy as np
import pytest

from saeflow.tokens.flags import BOS, EOS, PAD, SPECIAL, excluded, flags_of


def test_flags_follow_from_ids_wherever_the_tokens_stand():
    token_id = np.array([5, 1, 2, 0, 5, 1])
    flags = flags_of(token_id, bos_id=1, eos_id=2, special_ids=[0, 1, 2])
    assert flags.tolist() == [0, BOS, EOS, SPECIAL, 0, BOS]


def test_a_token_that_is_bos_and_eos_has_both_flags():
    assert flags_of(np.array([3, 0]), bos_id=0, eos_id=0, special_ids=[0]).tolist() == [
        0,
        BOS | EOS,
    ]


def test_a_tokenizer_without_special_tokens_flags_nothing():
    assert not flags_of(np.arange(4), bos_id=None, eos_id=None, special_ids=[]).any()


@pytest.mark.parametrize("flag", [BOS, EOS, PAD, SPECIAL])
def test_every_flag_excludes(flag):
    assert excluded(np.array([0, flag], np.uint8)).tolist() == [False, True]
