import numpy as np
import pandas as pd
import pytest

from saeflow.measures.ablations.feature_scores import choose, sample, score_features, sets_of

# Four prompts, five latents; latent 4 is never active.
DELTA = np.array([-1.0, 0.5, 0.0, -2.0])
ACTIVE = pd.DataFrame(
    [
        # prompt, latent, n_active, sum_activation
        (0, 0, 2, 4.0),
        (3, 0, 1, 1.0),
        (1, 1, 1, 3.0),
        (2, 1, 3, 3.0),
        (0, 2, 1, 1.0),
        (1, 2, 1, 1.0),
        (2, 2, 1, 1.0),
        (3, 2, 1, 1.0),
        (3, 3, 2, 5.0),
    ],
    columns=["prompt", "latent", "n_active", "sum_activation"],
)


def scores():
    return score_features(DELTA, ACTIVE, 5).set_index("latent")


def test_scores_are_those_computed_by_hand():
    found = scores()
    assert found["n_prompts"].tolist() == [2, 2, 4, 1, 0]
    assert found["n_positions"].tolist() == [3, 4, 4, 2, 0]
    np.testing.assert_allclose(found["sum_delta"], [-3, 0.5, -2.5, -2, 0])
    np.testing.assert_allclose(found["mean_delta"], [-1.5, 0.25, -0.625, -2, np.nan])
    # a change of zero counts as no harm, and a feature that never is active scores 0
    assert found["score"].tolist() == [-2, 2, 0, -1, 0]
    # (4 * -1 + 1 * -2) / 5; (3 * 0.5 + 3 * 0) / 6
    np.testing.assert_allclose(found["weighted_delta"], [-1.2, 0.25, -0.625, -2, np.nan])
    np.testing.assert_allclose(found["frequency"], [0.5, 0.5, 1, 0.25, 0])
    np.testing.assert_allclose(found["strength"], [5 / 3, 1.5, 1, 2.5, np.nan])


def test_r_is_that_of_dense_columns_and_undefined_for_a_constant_one():
    found = scores()["r"]
    for latent in (0, 1, 3):
        dense = np.zeros(4)
        rows = ACTIVE[ACTIVE["latent"] == latent]
        dense[rows["prompt"]] = rows["sum_activation"]
        assert found[latent] == pytest.approx(np.corrcoef(dense, DELTA)[0, 1])
    assert np.isnan(found[2]) and np.isnan(found[4])


def test_order_of_the_rows_changes_no_score_beyond_rounding():
    shuffled = ACTIVE.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        score_features(DELTA, shuffled, 5), score_features(DELTA, ACTIVE, 5)
    )


def test_features_are_chosen_for_their_sum_their_frequency_and_by_chance():
    found = choose(scores().reset_index(), 2, seed=0).set_index("latent")
    assert found.index[found["worst"] == 1].tolist() == [0]  # -3 in sum, though 3 has a worse mean
    assert found.index[found["worst"] == 2].tolist() == [2]
    assert found.index[found["best"] == 1].tolist() == [1]
    assert found.index[found["best"] == 2].tolist() == [3]
    assert found.index[found["frequent"] == 1].tolist() == [2]
    assert found.index[found["frequent"] == 2].tolist() == [0]  # of equals the first
    assert (found["random"] > 0).sum() == 2
    assert 4 not in found.index


def test_a_feature_that_is_never_active_is_never_chosen_and_few_are_enough():
    found = choose(scores().reset_index(), 100, seed=3)
    assert found["latent"].tolist() == [0, 1, 2, 3]
    for kind in ("worst", "best", "frequent", "random"):
        assert sorted(found[kind]) == [1, 2, 3, 4]
    assert choose(score_features(DELTA, ACTIVE[:0], 5), 4, seed=0).empty


def test_random_features_depend_on_the_seed_alone():
    one, again, other = (choose(scores().reset_index(), 1, seed) for seed in (0, 0, 5))
    pd.testing.assert_frame_equal(one, again)
    drawn = {int(choose(scores().reset_index(), 1, s).set_index("latent")["random"].idxmax())
             for s in range(40)}  # fmt: skip
    assert drawn == {0, 1, 2, 3} and len(other)


def test_sets_are_the_first_one_two_four_of_each_kind():
    chosen = pd.DataFrame(
        {"latent": [2, 5, 7, 9], "worst": [3, 1, 2, 0], "best": [0, 0, 0, 1],
         "frequent": [0, 0, 0, 0], "random": [4, 3, 2, 1]}
    )  # fmt: skip
    found = {key: latents.tolist() for key, latents in sets_of(chosen).items()}
    assert found == {
        ("worst", 1): [5],
        ("worst", 2): [5, 7],
        ("best", 1): [9],
        ("random", 1): [9],
        ("random", 2): [9, 7],
        ("random", 4): [9, 7, 5, 2],
    }


def test_prompts_of_a_feature_are_the_first_of_a_common_order_on_which_it_is_active():
    found = sample(ACTIVE, np.array([0, 2]), np.array([3, 1, 0, 2]), 2)
    assert found.values.tolist() == [[3, 0], [0, 0], [3, 2], [1, 2]]
    assert len(sample(ACTIVE, np.array([0, 2]), np.array([3, 1, 0, 2]), 100)) == 6
