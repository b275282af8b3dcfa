"""What measures do with labelled texts, by hand: the model of `test_work`, 300 texts, six tasks."""

from pathlib import Path

import pytest

from saeflow.config.probing import Probing
from saeflow.cost.probes import fits_of_codes, fits_of_states, seconds_of_reader
from saeflow.cost.shapes import OPERATIONS_PER_S
from saeflow.cost.work import Works
from saeflow.plan.result import Result

N, TOKENS, TASKS, TRAIN, TEST = 300, 60 * 300, 6, 200, 50
BLOCK, SAE = 12 * 64**2, 64 * 256
MODEL = 4 * BLOCK + 1024 * 64
HOOKS = ("resid_post.1", "resid_post.3")
BESIDE = 1 / 2e4
"""Seconds of a token of a short text, beside the products of the model."""


@pytest.fixture
def measured(plan):
    """Return a function that plans a measure of labelled texts at two hooks, or with their SAEs."""

    def change(config):
        config["labelled"] = {"reviews": {"generate": "sentiment", "dataset": "world"}}
        config["datasets"]["world"]["generate"]["n_prompts"] = 50

    made = plan(change).plan
    model, texts = made.model("m"), made.labelled("reviews")

    def of(measure, settings, inputs, hook, seed=0):
        return Result(
            "measure", {"measure": measure, "model": "m"}, Path(f"{hook}/{seed}/{measure}.json"),
            {"measure": measure, **settings}, {"labelled": texts, **inputs},
        )  # fmt: skip

    def make(measure, settings, *, hooks=HOOKS, seeds=(), pooling=("last",)):
        found = []
        for hook in hooks:
            how = {"hook": hook, "pooling": list(pooling)}
            states = of("states", how, {"model": model}, hook)
            if measure == "states":
                found.append(states)
                continue
            reads = {"states": states} | ({} if measure == "dense_probes" else {"model": model})
            place = {"model": "m", "dataset": "world", "packing": "some", "hook": hook}
            saes = [{"sae": made.sae(**place, sae="relu", seed=seed)} for seed in seeds] or [{}]
            for seed, sae in enumerate(saes):
                found.append(of(measure, settings, {**reads, **sae}, hook, seed))
        return found

    return make


def test_states_are_read_once_as_far_as_the_last_hook(measured):
    for pooling, kept in ((["last"], N), (["last", "mean"], TOKENS)):
        work = Works()(measured("states", {}, pooling=pooling))
        assert work.rows.value == TOKENS
        assert work.amount.value == pytest.approx(
            TOKENS * (2 * 4 * BLOCK / OPERATIONS_PER_S + BESIDE)
        )
        assert work.n_bytes.value == pytest.approx(2 * (kept * 64 * 4 + 1.5e5))
    early = Works()(measured("states", {}, hooks=HOOKS[:1]))
    assert early.amount.value == pytest.approx(TOKENS * (2 * 2 * BLOCK / OPERATIONS_PER_S + BESIDE))


def test_lenses_read_some_tokens_to_the_end_and_take_moments_of_each_hook(measured):
    work = Works()(measured("lenses", {"tokens": 1000}))
    assert work.rows.value == 1000
    operations = 2 * 4 * BLOCK + 2 * 8 * 64**2
    assert work.amount.value == pytest.approx(1000 * (operations / OPERATIONS_PER_S + BESIDE))


def test_probes_run_no_model_and_are_fitted_for_each_task_hook_and_sae(measured):
    settings = Probing().model_dump()
    work = Works()(measured("dense_probes", settings))
    fits = fits_of_states(settings, TRAIN, 64)
    assert (work.rows.value, work.count) == (N, 2 * N)
    assert work.amount.value == pytest.approx(2 * TASKS * fits.seconds)
    assert work.n_bytes.value == pytest.approx(2 * (TASKS * fits.n * TEST * 6 + 1.5e5))
    for poolings, rows in ((["last"], N), (["last", "mean"], TOKENS)):
        work = Works()(measured("sparse_probes", settings, seeds=[0, 1], pooling=poolings))
        fits = fits_of_codes(settings, TRAIN, 64, 256, poolings=len(poolings))
        coding = 4 * rows * 2 * 2 * 2 * SAE / OPERATIONS_PER_S
        assert work.amount.value == pytest.approx(4 * TASKS * fits.seconds + coding)


def test_edits_run_the_model_from_their_hook_on_and_fit_readers_anew(measured):
    settings = {
        "tasks": 2, "others": 1, "examples": 100, "features": [1, 4], "strengths": [-1.0, 1.0],
        "tokens": 500,
    }  # fmt: skip
    work = Works()(measured("erasure", settings, seeds=[0, 1]))
    clean = 2 * 50 * 60 * (2 * MODEL / OPERATIONS_PER_S + BESIDE)
    # once a hook: nothing, three removals, two directions of two strengths; an SAE: four, and two
    edits = 1 + 3 + 2 * 2 + 2 * (2 * 2 + 2)
    behind = sum(2 * ((3 - block) * BLOCK + 1024 * 64) for block in (1, 3))
    edited = 2 * 500 * (edits * behind + 4 * 2 * 2 * SAE) / OPERATIONS_PER_S
    readers = 2 * 2 * (1 + 3 + 2 * 2 * 2) * 3 * seconds_of_reader(50, 64)
    assert work.rows.value == 500
    assert work.amount.value == pytest.approx(clean + edited + readers)
