"""What comparing SAEs takes, by hand: the model of `test_work`, 10,000 tokens, width 256."""

import pytest

from saeflow import paths
from saeflow.cost.shapes import OPERATIONS_PER_S
from saeflow.cost.work import Works

D, WIDTH, ROWS, L0 = 64, 256, 10_000, 8
ON = {"eval_dataset": "world", "eval_packing": "some"}
SAE = {"model": "m", "dataset": "world", "packing": "some", "hook": "resid_post.1", "sae": "topk"}


@pytest.fixture
def pair(plan):
    """Return a function that plans the comparison of two seeds, or of what else is given."""

    def change(config):
        recipe = {"architecture": "topk", "k": L0, "expansion": 4, "batch_size": 1000}
        config["saes"] |= {"topk": recipe, "wide": {**recipe, "expansion": 16}}

    made = plan(change).plan

    def make(seed=0, measure="similarity", **other):
        second = {paths.WITH[name]: one for name, one in {**SAE, "seed": seed + 1, **other}.items()}
        return made.measurement(measure, **SAE, seed=seed, **second, **ON)

    return make


def seconds(*pairs):
    return Works()(pairs).amount.value


def assigned(few, many):
    return 3e-11 * few**2 * many + 3e-8 * few * many


def expected(n, m, *, quantities=2, l0=L0):
    """Return the seconds of a pair: products, assignments, tokens, matched latents, files."""
    weights = quantities * (5 * 2 * n * m * D / OPERATIONS_PER_S + 3 * assigned(n, m))
    tokens = ROWS * (2 * L0 * l0 / 1.5e8 + 2 * (L0 + l0) / 2e7)
    spaces = 33 * (4 * n * D**2 / OPERATIONS_PER_S + n**2 / 5e8)
    return weights + tokens + 2 * assigned(n, m) + spaces + 2 * 0.05


def test_a_pair_takes_the_products_of_its_directions_and_of_its_codes(pair):
    work = Works()([pair()])
    assert work.rows.value == work.count == ROWS
    assert work.amount.value == pytest.approx(expected(WIDTH, WIDTH))
    assert work.n_bytes.value == 2 * WIDTH * (250 + 20 * 50)


def test_the_pairs_of_a_pass_add_up(pair):
    work = Works()([pair(), pair(2), pair(sae="wide")])
    assert work.count == 3 * ROWS
    assert work.amount.value == pytest.approx(
        2 * expected(WIDTH, WIDTH) + expected(WIDTH, 4 * WIDTH)
    )


def test_two_hooks_are_aligned_once_for_all_their_pairs(pair):
    across = [pair(seed, hook="resid_post.3") for seed in (0, 2)]
    aligned = 2 * 2 * 20_000 * 2 * D * D / OPERATIONS_PER_S  # training and test tokens, float64
    assert seconds(*across) == pytest.approx(2 * expected(WIDTH, WIDTH, quantities=3) + aligned)


def test_how_many_latents_are_active_is_assumed_where_no_recipe_says_it(pair):
    work = Works()([pair(sae="relu")])
    assert work.amount.value == pytest.approx(expected(WIDTH, WIDTH, l0=32))
    assert work.amount.times > Works()([pair()]).amount.times


def test_counting_descendants_takes_their_directions_once_and_goes_through_codes(pair):
    work = Works()([pair(measure="splitting", sae="wide")])
    cosines = 2 * WIDTH * 4 * WIDTH * D / OPERATIONS_PER_S
    assert work.amount.value == pytest.approx(cosines + ROWS * 8 * 2 * L0 / 2e7 + 2 * 0.05)
    assert work.count == ROWS and work.n_bytes.value == 5 * WIDTH * 60


def test_codes_take_their_values_and_numbers_and_the_cosines_of_each_two_directions(pair):
    codes = [pair().inputs["codes"], pair(sae="relu").inputs["other_codes"]]
    work = Works()(codes)
    operations = 2 * (ROWS * 2 * 2 * D * WIDTH + WIDTH**2 * D)
    seconds = operations / OPERATIONS_PER_S + ROWS * (L0 + 32) / 2.5e6
    assert work.amount.value == pytest.approx(seconds)
    assert work.n_bytes.value == 2 * 1.5e5 + ROWS * (L0 + 32) * 6
