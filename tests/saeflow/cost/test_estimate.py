"""The arithmetic of every rule, with speeds that make the figures round."""

import math

import pytest

from saeflow.cost.estimate import Estimator, passes_of, row_table
from saeflow.cost.speeds import Speeds, block_key, step_key, training_key
from saeflow.cost.stores import store_size
from saeflow.cost.summary import as_dict, lines, summarise
from saeflow.cost.wanted import wanted_of
from saeflow.plan.parts import Parts
from saeflow.plan.rules import Rules


def speeds_for(jobs):
    """10,000 tokens/s through a block, 1,000 in training, 0.1 s a step, 1 MB/s, 2 s to start."""
    speeds = Speeds(2, disk=1e6, start=2.0)
    estimator = Estimator(speeds)
    shape = estimator.shape(jobs["train_lm"][0])
    speeds.blocks[block_key(shape)] = 10_000.0
    speeds.training[training_key(shape)] = 1_000.0
    settings = jobs["train_sae"][0].settings
    speeds.steps[step_key(settings, 64)] = 0.1
    return speeds


@pytest.fixture
def planned(jobs):
    return jobs()


@pytest.fixture
def estimator(planned):
    return Estimator(speeds_for(planned))


def test_training_a_model_takes_its_tokens_and_the_induction_steps(planned, estimator):
    cost = estimator.together(planned["train_lm"])
    assert cost.rows.value == 200_000 + 100 * 1000
    assert cost.seconds.value == 300_000 / 1_000 + 2.0
    # 4 blocks of 12 x 64^2 weights, 1024 words assumed; the model and two checkpoints
    assert cost.n_bytes.value == 3 * 4 * (4 * 12 * 64**2 + 1024 * 64)


def test_a_harvest_is_one_pass_to_the_last_hook_and_writes_every_store(planned, estimator):
    (group,) = passes_of(planned["harvest_activations"])
    cost = estimator.together(group)
    size = store_size(110_000, 64, "float16")
    assert cost.rows == (110_000, 1.0)
    assert cost.n_bytes == (2 * size.n_bytes, 1.0)
    assert cost.files == (2 * size.n_files, 1.0)
    # block 3 is the fourth: 10,000 tokens/s through one block are 2,500 through four
    assert cost.seconds.value == pytest.approx(2.0 + 110_000 / 2_500 + 2 * size.n_bytes / 1e6)


def test_fewer_blocks_are_needed_for_an_early_hook(planned, estimator):
    early = [j for j in planned["harvest_activations"] if j.settings["hook"] == "resid_post.1"]
    seconds = estimator.together(early).seconds.value
    size = store_size(110_000, 64, "float16")
    assert seconds == pytest.approx(2.0 + 110_000 / 5_000 + size.n_bytes / 1e6)


def test_saes_of_a_hook_share_the_rows_but_not_the_steps(planned, estimator):
    groups = passes_of(planned["train_sae"])
    assert [len(group) for group in groups] == [2, 2]
    cost = estimator.together(groups[0])
    assert cost.rows.value == 100_000
    # two seeds, each 100 steps of 1000 rows
    assert cost.seconds.value == pytest.approx(2.0 + 2 * 100 * 0.1)
    # W_enc and W_dec of 64 x 256, b_enc and what is about as long, in float32
    assert cost.n_bytes.value == 2 * 4 * (2 * 64 * 256 + 2 * 256)


def test_epochs_and_tokens_decide_the_steps(jobs):
    planned = jobs(lambda c: c["saes"]["relu"].update(epochs=3))
    estimator = Estimator(speeds_for(planned))
    cost = estimator.together(passes_of(planned["train_sae"])[0])
    assert cost.seconds.value == pytest.approx(2.0 + 2 * 300 * 0.1)
    planned = jobs(lambda c: c["saes"]["relu"].update(epochs=3, tokens=50_000))
    cost = Estimator(speeds_for(planned)).together(passes_of(planned["train_sae"])[0])
    assert cost.seconds.value == pytest.approx(2.0 + 2 * 50 * 0.1)


def test_a_fit_takes_its_share_of_a_step_and_the_model_where_it_is_in_the_loop(jobs):
    def tune(config):
        study = config["studies"]["suppression"]
        steps = {"learning_rate": 0.001, "batch_size": 1000, "tokens": 50_000}
        config["methods"] = {
            "scale": {**steps, "method": "scale"},
            "encoder": {**steps, "method": "encoder"},
            "scale-exact": {"solver": "exact", "method": "scale", "ridge": 1.0, "tokens": 51_200},
            "loop": {**steps, "method": "all", "solver": "kl_mse"},
        }
        study.update(seeds=[0], methods=list(config["methods"]), hooks=["resid_post.1"])

    planned = jobs(tune)
    estimator = Estimator(speeds_for(planned))
    found = {
        frozenset(job.settings["method"] for job in group): estimator.together(group).seconds.value
        for group in passes_of(planned["finetune_sae"])
        if group[0].settings["solver"] != "exact"
    }
    (exact,) = (j for j in planned["finetune_sae"] if j.settings["solver"] == "exact")
    # 50 steps of 0.1 s; half of each where the encoder is frozen
    assert found[frozenset({"encoder", "scale"})] == pytest.approx(2.0 + 5.0 + 2.5)
    # 51,200 rows in batches of 1024 of a step that is not measured here
    rough = estimator.speeds.step({**planned["train_sae"][0].settings, "batch_size": 1024}, 64)
    assert estimator.together([exact]).seconds.value == pytest.approx(2.0 + 50 * 0.6 * rough.value)
    # four blocks at 2,500 tokens/s, and of the two behind the hook thrice half of that; the head
    shape = estimator.shape(planned["train_lm"][0])
    head = 4 * 50_000 / estimator.speeds.head_rate(shape).value
    assert found[frozenset({"all"})] == pytest.approx(2.0 + 5.0 + 20.0 + 30.0 + head)


def test_an_assumed_speed_follows_from_operations_and_is_said_to_be_rough(planned):
    estimator = Estimator(Speeds(2))
    (group,) = passes_of(planned["harvest_activations"])
    seconds = estimator.together(group).seconds
    # 2 cores at 2e10; 2 x 4 blocks x 12 x 64^2 operations a token; 4 s to start; 3e8 bytes/s
    flops = 110_000 * 2 * 4 * 12 * 64**2
    n_bytes = 2 * store_size(110_000, 64, "float16").n_bytes
    assert seconds.value == pytest.approx(4.0 + flops / 4e10 + n_bytes / 3e8)
    assert seconds.times > 2


def test_live_activations_write_no_store(jobs):
    planned = jobs(lambda c: c.update(activations={"live": True}))
    (group,) = passes_of(planned["harvest_activations"])
    assert Estimator(Speeds(2)).together(group).n_bytes.value < 1e6


def test_live_activations_are_computed_by_each_reader_and_their_window_is_held(jobs):
    costs = {}
    for live in (False, True):
        planned = jobs(lambda c, live=live: c.update(activations={"live": live}))
        estimator = Estimator(speeds_for(planned))
        costs[live] = [
            estimator.together(passes_of(planned[rule])[hook])
            for rule in ("train_sae", "measure_reconstruction")
            for hook in (0, 1)
        ]
    added = [b.seconds.value - a.seconds.value for a, b in zip(*costs.values(), strict=True)]
    # through two blocks and through four, of which one takes 10,000 tokens a second
    rows, rates = [100_000, 100_000, 2 * 10_000, 2 * 10_000], [5_000, 2_500] * 2
    assert added == pytest.approx([n / rate for n, rate in zip(rows, rates, strict=True)])
    stored, live = (costs[kind][0] for kind in (False, True))
    window = 100_000 * 64 * 2
    model = 4 * (4 * 12 * 64**2 + 1024 * 64)
    assert window + model < live.memory - stored.memory < window + model + 64e6


def test_where_only_readers_of_live_activations_run_the_forward_pass_is_measured(jobs):
    planned = jobs(lambda c: c.update(activations={"live": True}))
    readers = planned["train_sae"]
    assert wanted_of(readers, Estimator(Speeds(2))).forward
    planned = jobs()
    assert not wanted_of(planned["train_sae"], Estimator(Speeds(2))).forward


def test_the_size_of_shards_decides_the_number_of_files(jobs):
    planned = jobs(lambda c: c.update(activations={"shard_rows": 1024}))
    cost = Estimator(speeds_for(planned)).together(planned["harvest_activations"])
    size = store_size(110_000, 64, "float16", 1024)
    assert size.n_shards == 108
    assert (cost.n_bytes, cost.files) == ((2 * size.n_bytes, 1.0), (2 * size.n_files, 1.0))


def test_what_cannot_be_known_has_a_reason_and_no_figure(jobs):
    hub = {"hub": "org/texts", "revision": "0" * 40, "split": "train"}

    def change(config):
        config["datasets"]["world"] = hub
        config["packings"]["some"]["tokens"] = {}

    planned = jobs(change)
    estimator = Estimator(Speeds(2))
    for rule in (
        "harvest_activations", "train_sae", "measure_reconstruction", "measure_language",
        "measure_probes",
    ):  # fmt: skip
        cost = estimator.together(passes_of(planned[rule])[0])
        assert "org/texts is not fetched" in cost.unknown, rule
        assert cost.n_bytes.value == 0


def test_every_rule_of_a_plan_has_a_formula(planned, estimator):
    for rule, found in planned.items():
        for group in passes_of(found):
            assert not estimator.together(group).unknown, rule


def test_memory_of_a_sweep_is_weights_gradients_and_two_moments(planned, estimator):
    one, two = (estimator.peak(planned["train_sae"][:n]) for n in (1, 2))
    # one more SAE of 64 x 256: both matrices, about two vectors of its latents, one of its inputs
    assert two - one == 4 * 4 * (2 * 64 * 256 + 2 * 256 + 64)


def test_memory_is_not_guessed_for_a_model_that_nobody_knows(jobs):
    def change(config):
        config["models"]["m"] = {"hub": "nobody/model", "revision": "0" * 40}

    planned = jobs(change)
    assert Estimator(Speeds(1)).peak(planned["train_sae"]) == 0


def everything(planned):
    return [job for found in planned.values() for job in found]


def test_totals_are_the_sums_of_the_rules(planned, estimator):
    every = everything(planned)
    summary = summarise(every, every, estimator, 2)
    assert sum(row.cost.n_bytes.value for row in summary.rows) == pytest.approx(
        summary.n_bytes.value
    )
    (harvested,) = [row for row in summary.rows if row.rule == "harvest_activations"]
    stores = 2 * store_size(110_000, 64, "float16").n_bytes
    tokens = estimator.tokens(planned["harvest_activations"][0].inputs["tokens"])
    assert harvested.cost.n_bytes.value == pytest.approx(stores + row_table(tokens).value)
    assert summary.most_bytes == summary.n_bytes


def test_two_hooks_side_by_side_take_less_than_one_after_the_other(planned, estimator):
    every = everything(planned)
    fits = planned["train_sae"]
    alone = summarise(fits, fits, estimator, 1).seconds.value
    together = summarise(fits, fits, estimator, 2).seconds.value
    # a pass of 22 s and 0.8 s for each of its two jobs
    assert alone == pytest.approx(2 * (22.0 + 2 * 0.8))
    assert together == pytest.approx(22.0 + 2 * 0.8)
    assert len(every) > len(fits)


def test_temporary_stores_do_not_stay(jobs):
    planned = jobs(lambda c: c.update(activations={"temporary": True}))
    every = everything(planned)
    summary = summarise(every, every, Estimator(speeds_for(planned)), 2)
    stores = 2 * store_size(110_000, 64, "float16").n_bytes
    assert summary.most_bytes.value - summary.n_bytes.value == pytest.approx(stores)


def test_what_is_done_costs_nothing(planned, estimator):
    every = everything(planned)
    summary = summarise(every, [], estimator, 2)
    assert summary.n_bytes.value == summary.seconds.value == summary.files.value == 0
    assert {row.n_to_run for row in summary.rows} == {0}


def test_the_rules_stand_in_the_order_in_which_they_run(planned, estimator):
    every = everything(planned)
    order = [row.rule for row in summarise(every, every, estimator, 2).rows]
    for before, after in (
        ("generate_dataset", "tokenize_dataset"),
        ("train_lm", "harvest_activations"),
        ("harvest_activations", "train_sae"),
        ("train_sae", "measure_language"),
        ("plot_suppression", "build_report"),
    ):
        assert order.index(before) < order.index(after)


def test_the_table_is_aligned_and_everything_is_there_as_plain_numbers(planned, estimator):
    every = everything(planned)
    summary = summarise(every, every, estimator, 2)
    table = list(lines(summary))
    ends = {line.rindex(" GiB") for line in table if "GiB" in line}
    assert len(ends) == 1
    facts = as_dict(summary)
    (harvested,) = [r for r in facts["rules"] if r["rule"] == "harvest_activations"]
    assert (harvested["jobs"], harvested["to_run"]) == (2, 2)
    assert harvested["rows"] == {"value": 110_000, "times": 1.0}


def test_snakemake_is_asked_for_half_as_much_again_and_for_no_less_than_a_floor(planned):
    rules = Rules(everything(planned), lambda *_: None, str)
    pair = planned["train_sae"][:2]
    peak = Estimator(Speeds(1)).peak(pair)
    assert rules.memory(lambda **_: pair[0], 1)({}) == math.ceil(1.5 * peak / 1e6)
    assert rules.memory(lambda **_: pair[0], 4000)({}) == 4000


def test_a_part_of_a_harvest_is_given_the_memory_of_its_pass(planned):
    rules = Rules(everything(planned), lambda *_: None, str)
    stores = planned["harvest_activations"]
    (part, _) = Parts(stores, 2)
    peak = Estimator(Speeds(1)).peak(stores)
    assert peak > 0
    assert rules.memory(lambda **_: part, 1)({}) == math.ceil(1.5 * peak / 1e6)
