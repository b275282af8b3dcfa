"""The study of reconstructed activations on a model, texts and prompts that nobody here made."""

from functools import partial

import pytest

from e2e import running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cores")]


@pytest.fixture(scope="module")
def finished(real_data, tmp_path_factory):
    """A directory in which the study was run."""
    return running.run_study("reconstruction", tmp_path_factory.mktemp("reconstruction"), real_data)


table = partial(running.table, "reconstruction")


def test_a_second_run_has_nothing_to_do(finished):
    running.assert_nothing_to_do("reconstruction", finished)


def test_short_trained_saes_lose_more_beyond_their_context_than_long_trained_ones(finished):
    ratios = table(finished, "context").query("sae == 'topk-16'")
    by = ratios.pivot_table(index="hook", columns="training_context", values="fvu_beyond_ratio")
    assert len(by) == 5 and (by[64] > by[512]).all()
    assert (by[64] > 1).all()


def test_the_parts_of_an_errors_effect_lie_in_their_order(finished):
    """Attention and MLPs that answer to an error of TopK add to what is carried along."""
    split = table(finished, "propagation_split").query("sae == 'topk-16'")
    loss = split.pivot_table(index="hook", columns="way", values="delta_ce")
    assert (loss["direct"] < loss["full"]).all() and (loss["full"] < loss["chain"]).all()


def test_lambada_is_about_one_percent(finished):
    """Four of the first 500 answers: it is a model of 260,000 weights, trained on stories."""
    answers = table(finished, "answers")
    assert answers["accuracy_clean"].nunique() == 1
    assert 0 < answers["accuracy_clean"].iloc[0] < 0.03
