"""What passes have to do, by hand: four blocks of width 64, 1,024 words, rows by the thousand."""

from pathlib import Path

import pytest
import torch

from saeflow.cost.guess import Guess
from saeflow.cost.work import OPERATIONS_PER_S, Works, store_size
from saeflow.files import write_json
from saeflow.inventory import with_checksum
from saeflow.plan.result import Result
from saeflow.work import bulk_of
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_store, make_tokens, save_model

BLOCK = 12 * 64**2
MODEL = 4 * BLOCK + 1024 * 64
SAE = 64 * 256  # weights of one matrix


def operations(work):
    return work.amount.value * OPERATIONS_PER_S


def works_of(passes, kind):
    return [Works()(one.results) for one in passes[kind]]


def test_training_a_model_takes_its_tokens_and_the_induction_steps(passes):
    (work,) = works_of(passes(), "train_lm")
    assert work.rows == (200_000 + 100 * 1000, 1)
    assert operations(work) == pytest.approx(300_000 * 6 * MODEL)
    assert work.n_bytes.value == 3 * 4 * MODEL  # the model and two checkpoints


def test_a_harvest_is_one_pass_to_the_last_hook_and_writes_every_store(passes):
    (work,) = works_of(passes(), "harvest")
    n_bytes, n_files = store_size(110_000, 64, "float16")
    assert work.rows == (110_000, 1)
    assert (work.n_bytes, work.files) == ((2 * n_bytes, 1), (2 * n_files, 1))
    computed = 110_000 * 2 * 4 * BLOCK / OPERATIONS_PER_S
    assert work.amount.value == pytest.approx(computed + 2 * n_bytes / 3e8)


def test_fewer_blocks_are_needed_for_an_early_hook(passes):
    (one,) = passes()["harvest"]
    early = [result for result in one.results if result.settings["hook"] == "resid_post.1"]
    computed = 110_000 * 2 * 2 * BLOCK / OPERATIONS_PER_S
    n_bytes, _ = store_size(110_000, 64, "float16")
    assert Works()(early).amount.value == pytest.approx(computed + n_bytes / 3e8)


def test_the_size_of_shards_decides_the_number_of_files(passes):
    (work,) = works_of(passes(lambda c: c.update(activations={"shard_rows": 1024})), "harvest")
    assert work.files == (2 * (3 * 108 + 8), 1)  # 108 shards of 1,024 rows hold 110,000


def test_saes_of_a_hook_share_the_rows_but_not_the_steps(passes):
    first, second = works_of(passes(), "train_saes")
    assert first == second
    assert first.rows.value == 100_000
    # two seeds, six products of 2 x 64 x 256 for each row
    assert operations(first) == pytest.approx(2 * 100_000 * 6 * 2 * SAE)
    # both matrices, b_enc and what is about as long, b_dec, in float32
    assert first.n_bytes.value == 2 * 4 * (2 * SAE + 2 * 256 + 64)


def test_a_search_for_a_coefficient_is_counted_once_for_all_seeds(passes):
    change = {"l1": None, "target_l0": 16}
    work, _ = works_of(passes(lambda c: c["saes"]["relu"].update(change)), "train_saes")
    assert work.rows.value == 100_000
    # two seeds, and one search of about six trials of a 32nd, one of an eighth
    assert operations(work) == pytest.approx((2 + 0.4) * 100_000 * 6 * 2 * SAE)


@pytest.mark.parametrize(
    ("recipe", "rows"),
    [
        ({"epochs": 3}, 300_000),
        ({"epochs": 3, "part": "2/4"}, 75_000),
        ({"epochs": 3, "tokens": 50_000}, 50_000),
        ({"tokens": 0}, 0),
    ],
)
def test_epochs_and_tokens_decide_the_rows(passes, recipe, rows):
    work, _ = works_of(passes(lambda c: c["saes"]["relu"].update(recipe)), "train_saes")
    assert work.rows.value == rows
    assert operations(work) == pytest.approx(2 * rows * 6 * 2 * SAE)


def test_recipes_that_order_rows_otherwise_read_them_again(passes):
    def change(config):
        config["saes"]["small"] = {**config["saes"]["relu"], "batch_size": 500}
        config["studies"]["suppression"]["saes"] = ["relu", "small"]

    work, _ = works_of(passes(change), "train_saes")
    assert work.rows.value == 200_000


def test_parts_are_read_apart_and_are_together_everything(passes):
    work, _ = works_of(
        passes(lambda c: c["saes"]["relu"].update(part=["1/2", "2/2"])), "train_saes"
    )
    assert work.rows.value == 100_000
    assert operations(work) == pytest.approx(2 * 100_000 * 6 * 2 * SAE)


def test_fits_share_batches_sums_and_the_model_in_the_loop(passes):
    def tune(config):
        steps = {"learning_rate": 0.001, "batch_size": 1000, "tokens": 50_000}
        config["methods"] = {
            "scale": {**steps, "method": "scale"},
            "encoder": {**steps, "method": "encoder"},
            "scale-exact": {"solver": "exact", "method": "scale", "ridge": 1.0, "tokens": 30_000},
            "decoder-exact": {
                "solver": "exact", "method": "decoder", "ridge": 1.0, "tokens": 30_000,
            },
            "loop": {**steps, "method": "all", "solver": "kl_mse", "tokens": 10_000},
        }  # fmt: skip
        study = config["studies"]["suppression"]
        study.update(seeds=[0], methods=list(config["methods"]), hooks=["resid_post.1"])

    (work,) = works_of(passes(tune), "finetune_saes")
    assert work.rows.value == 50_000 + 30_000 + 10_000
    products = 2 * 3 * 50_000 + 2 * 1 * 30_000 + 6 * 10_000
    assert operations(work) == pytest.approx(products * 2 * SAE + 10_000 * 6 * MODEL)


def behind(block):
    """Return the operations of a token from a block's output on."""
    return 2 * ((3 - block) * BLOCK + 1024 * 64)


def test_a_measure_runs_the_model_from_its_hook_on_as_it_is_and_with_each_sae(passes):
    found = passes()
    one, _ = works_of(found, "measure reconstruction")
    assert one.rows.value == 10_000
    assert operations(one) == pytest.approx(10_000 * 2 * 2 * 2 * SAE)
    for other, block in zip(works_of(found, "measure language"), (1, 3), strict=True):
        expected = operations(one) + 10_000 * 3 * behind(block)
        assert operations(other) == pytest.approx(expected)


def test_one_whole_run_serves_all_hooks_and_each_runs_three_times_from_there_on(passes):
    (work,) = works_of(passes(), "measure clean")
    assert work.rows.value == 10_000
    assert operations(work) == pytest.approx(10_000 * (2 * MODEL + 3 * (behind(1) + behind(3))))


def of_reconstruction(config):
    """Ask for the study of reconstructed activations in place of the other."""
    study = config["studies"].pop("suppression")
    wanted = {key: study[key] for key in ("models", "evaluate_on", "hooks", "saes")}
    config["studies"]["reconstruction"] = wanted


def test_following_an_error_runs_the_model_six_times_and_each_later_sae_twice(passes):
    def ask(config):
        config["measures"] = {"propagation": {"tokens": 4_000}}
        of_reconstruction(config)

    (work,) = works_of(passes(ask), "measure propagation")
    assert work.rows.value == 4_000
    runs = 2 * MODEL + 6 * behind(1)  # of the one SAE that has another after it
    assert operations(work) == pytest.approx(4_000 * (2 * 2 * SAE + 2 * 2 * 2 * SAE + runs))


def test_controls_run_the_model_three_times_with_each_sae_on_some_of_the_tokens(passes):
    def ask(config):
        config["measures"] = {"controls": {"tokens": 4_000}}
        of_reconstruction(config)

    (work,) = works_of(passes(ask), "measure controls")
    assert work.rows.value == 4_000
    runs = (1 + 3) * (behind(1) + behind(3))
    assert operations(work) == pytest.approx(4_000 * (2 * 2 * 2 * SAE + runs))


def test_each_latent_that_is_taken_out_is_a_run_from_its_hook_on(plan):
    settings = {"tokens": 4_000, "exact": 5, "exact_sequences": 3}
    made = plan(lambda c: c.update(measures={"effects": settings})).plan
    place = {"model": "m", "dataset": "world", "packing": "some", "sae": "relu"}
    on = {"eval_dataset": "world", "eval_packing": "some"}
    results = [
        made.measurement("effects", hook="resid_post.1", seed=seed, **place, **on)
        for seed in (0, 1)
    ]
    work = Works()(results)
    assert work.rows.value == 4_000
    length = made.tokens(made.tokenizer_name("m"), "world", "some").settings["context_length"]
    assert 3 * length < 4_000
    runs = 3 * 4_000 * behind(1) + 2 * 5 * 3 * length * behind(1)  # once with its gradient
    assert operations(work) == pytest.approx(4_000 * 2 * 2 * 2 * SAE + runs)


def test_prompts_are_asked_once_as_they_are_and_once_with_each_sae(plan):
    def change(config):
        config["prompts"] = {name: {"generate": "ioi", "n_prompts": 100} for name in "ab"}

    made = plan(change).plan
    place = {"model": "m", "dataset": "world", "packing": "some"}
    results = [
        Result(
            "measure",
            {"measure": "answers", "model": "m"},
            Path(f"results/{prompts}/{hook}/answers.json"),
            {"measure": "answers"},
            {
                "sae": made.sae(**place, hook=hook, sae="relu", seed=0),
                "model": made.model("m"),
                "prompts": made.prompts(prompts),
            },
        )
        for prompts in "ab"
        for hook in ("resid_post.1", "resid_post.3")
    ]
    work, tokens = Works()(results), 100 * 150
    assert work.rows.value == 2 * tokens
    assert operations(work) == pytest.approx(
        2 * tokens * 2 * MODEL + 4 * tokens * (2 * MODEL + 2 * 2 * SAE)
    )


def test_live_activations_write_no_store_and_are_computed_by_their_readers(passes):
    live = passes(lambda c: c.update(activations={"live": True}))
    (harvest,) = works_of(live, "harvest")
    assert harvest.n_bytes.value < 1e6
    for kind, rows in (("train_saes", 100_000), ("measure reconstruction", 10_000)):
        pairs = zip(works_of(passes(), kind), works_of(live, kind), strict=True)
        added = sorted(operations(now) - operations(before) for before, now in pairs)
        assert added == pytest.approx([rows * 2 * 2 * BLOCK, rows * 2 * 4 * BLOCK])


def test_what_cannot_be_known_has_a_reason_and_no_figure(passes):
    def change(config):
        config["datasets"]["world"] = {
            "hub": "org/texts", "revision": "0" * 40, "split": "train",
        }  # fmt: skip
        config["packings"]["some"]["tokens"] = {}

    found = passes(change)
    for kind in ("harvest", "train_saes", "measure reconstruction", "measure language"):
        work = works_of(found, kind)[0]
        assert "org/texts is not fetched" in work.unknown, kind
        assert work.n_bytes.value == work.amount.value == 0


def test_everything_else_is_known(passes):
    for kind, found in passes().items():
        for one in found:
            work = Works()(one.results)
            assert not work.unknown, kind
            assert min(work.amount.value, work.n_bytes.value, work.files.value) > 0, kind


def test_more_rows_are_more_work(passes):
    def more(config):
        config["packings"]["some"]["tokens"].update(train=200_000, test=20_000)

    for kind, found in passes().items():
        for few, many in zip(found, passes(more)[kind], strict=True):
            few, many = Works()(few.results), Works()(many.results)
            assert many.rows.value >= few.rows.value
            assert many.amount.value >= few.amount.value
            assert many.n_bytes.value >= few.n_bytes.value


def theirs(config):
    config["saes"]["theirs"] = {"hub": "org/saes", "revision": "0" * 40, "file": "{hook}.pt"}
    config["studies"]["suppression"].update(saes=["relu", "theirs"], seeds=[0])


def test_the_width_of_an_sae_that_is_not_imported_is_assumed_and_said(passes):
    found, works = passes(theirs), Works()
    (first, *_) = found["import_saes"]
    n = len(first.results)
    work = works(first.results)
    assert work.n_bytes == (n * 4 * (2 * 64 * 1024 + 2 * 1024 + 64), 4)
    (note, *_) = works.notes
    assert "theirs" in note and "16 latents for each input" in note
    assert not works(found["measure reconstruction"][0].results).unknown


def test_the_width_of_one_that_is_there_is_that_of_its_record(passes):
    result = passes(theirs)["import_saes"][0].results[0]
    result.output.parent.mkdir(parents=True)
    write_json(result.output, with_checksum({"identity": result.identity, "d_sae": 100}))
    works = Works()
    assert works.width(result, 64) == 100
    assert not works.notes


def test_of_a_model_that_nobody_knows_the_size_is_not_known(passes):
    found = passes(lambda c: c["models"].update(m={"hub": "org/m", "revision": "0" * 40}))
    work = Works()(found["fetch_model"][0].results)
    assert work.unknown == "the shape of org/m is not known before it is fetched"


# -- stores, to the byte ----------------------------------------------------------------------


def written(record):
    shards = [p for p in (bulk_of(record) / "activations" / "c").rglob("*") if p.is_file()]
    everything = [p for p in bulk_of(record).rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in shards), len(everything)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("n_rows", [1, 256, 257, 1000])
def test_shards_are_predicted_to_the_byte(tmp_path, dtype, n_rows):
    x = torch.zeros(n_rows, 8)
    record = make_store(tmp_path, x, {"train": [n_rows]}, dtype=dtype, shard_rows=256)
    assert written(record)[0] == store_size(n_rows, 8, dtype, 256)[0]


def test_a_harvest_of_some_hooks_writes_what_was_predicted(tmp_path):
    tokens = make_tokens(tmp_path / "tokens", {"train": [30] * 20, "test": [20] * 5})
    model = save_model(make_model("llama"), tmp_path / "m" / "model.json")
    hooks = ["resid_post.0", "resid_post.2"]
    records = harvest_hooks(tmp_path / "place", hooks, model, tokens, dtype="float16")
    for record in records.values():
        assert written(record) == store_size(700, 16, "float16", 256)


def test_large_stores_have_large_shards():
    # 512 wide, 2 bytes: inner chunks of 2048 rows; 64 of them below 1e8 rows, then 256
    for n_rows, inners in ((99_999_999, 64), (100_000_000, 256)):
        n_shards = -(-n_rows // (inners * 2048))
        assert store_size(n_rows, 512, "float16")[1] == 3 * n_shards + 8


def test_guesses_stay_guesses(passes):
    def whole(config):
        config["packings"]["some"]["tokens"] = {}

    (work,) = works_of(passes(whole), "harvest")
    assert work.rows == Guess(300_000, pytest.approx(1.05))
    assert not work.n_bytes.exact


def test_a_crosscoder_multiplies_by_the_widths_of_all_its_hooks(plan):
    cross = {"preset": "crosscoder", "l1": 1.0, "joined": ["mlp_out.1", "n/mlp_out.1"]}

    def change(config):
        config["saes"]["cross"] = cross
        config["models"]["n"] = {"train": {**config["models"]["m"]["train"], "d_model": 32}}

    place = {"model": "m", "dataset": "world", "packing": "some", "hook": "resid_post.1"}
    work = Works()([plan(change).plan.sae(**place, sae="cross", seed=0)])
    # 64 + 64 + 32 inputs, and 4 x 64 latents
    assert operations(work) == pytest.approx(100_000 * 6 * 2 * 160 * 256)
    assert work.n_bytes.value == 4 * (2 * 160 * 256 + 2 * 256 + 160)
