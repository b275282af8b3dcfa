import json

import pytest

from saeflow import paths
from saeflow.cost.memory import peak
from saeflow.cost.work import Works
from saeflow.plan.passes import write_plan

MODEL_BYTES = 4 * (4 * 12 * 64**2 + 1024 * 64)


def peak_of(results):
    return peak(results, Works())


def test_memory_of_a_sweep_is_weights_gradients_and_two_moments(passes):
    results = passes()["train_saes"][0].results
    one, two = (peak_of(results[:n]) for n in (1, 2))
    # one more SAE of 64 x 256: both matrices, about two vectors of its latents, one of its inputs
    assert two - one == 4 * 4 * (2 * 64 * 256 + 2 * 256 + 64)


def test_live_activations_take_the_model_and_a_window_of_rows(passes):
    live = passes(lambda c: c.update(activations={"live": True}))
    stored, alive = (peak_of(found["train_saes"][0].results) for found in (passes(), live))
    added = MODEL_BYTES + 100_000 * 64 * 2  # there are no more rows than these
    # beside these a batch of 8,192 tokens: within a block of 64 + 4 x 64, and one hook twice
    assert alive - stored == pytest.approx(added + 4 * 8192 * (4 * 64 + 8 * 64 + 2 * 64))


def test_each_hook_of_a_harvest_adds_its_rows_of_a_batch_twice(passes):
    (one,) = passes()["harvest"]
    assert peak_of(one.results) - peak_of(one.results[:1]) == 4 * 8192 * 2 * 64


def test_a_model_in_training_holds_its_weights_four_times(passes):
    def large(config):
        config["models"]["m"]["train"]["d_model"] = 128

    small, large = (peak_of(passes(c)["train_lm"][0].results) for c in (lambda c: None, large))
    weights = [4 * 12 * d**2 + 1024 * d for d in (64, 128)]
    backward = [1000 * (4 * (14 * d + 3 * 4 * d) + 4 * 1024) for d in (64, 128)]
    assert large - small == 4 * (4 * (weights[1] - weights[0]) + backward[1] - backward[0])


def test_what_holds_little_or_is_not_known_has_no_figure(passes):
    assert peak_of(passes()["tabulate"][0].results) is None
    unknown = {"hub": "nobody/model", "revision": "0" * 40}
    found = passes(lambda c: c["models"].update(m=unknown))
    assert peak_of(found["train_saes"][0].results) is None


def test_a_plan_says_what_its_job_will_hold(passes):
    (one,) = passes()["train_lm"]
    write_plan(one)
    written = json.loads(paths.plan_file(one.plan).read_bytes())
    assert written["memory_bytes"] == round(peak_of(one.results))
