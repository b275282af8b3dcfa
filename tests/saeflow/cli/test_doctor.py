import json
import shutil
from pathlib import Path

import pytest
import yaml

from saeflow.cli import machine
from saeflow.cli.blocks import disk_need
from saeflow.cli.study import open_study

HUB = {"hub": "org/texts", "revision": "0" * 40, "split": "train"}


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch, tmp_path):
    """No network is asked, no GPU is looked for, the hub's cache is empty."""
    monkeypatch.setattr(machine, "device", lambda: "cpu")
    monkeypatch.setattr(machine, "hub_answers", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def from_hub(tree):
    tree.configure(lambda config: config["datasets"].update(texts=HUB))


def test_a_healthy_machine_is_described_and_nothing_blocks(tree, saeflow):
    code, printed = saeflow("doctor")
    assert code == 0
    for word in ("python", "torch", "device", "cores", "memory", "free disk", "slurm"):
        assert f"\n  {word} " in printed
    assert "of which" in printed
    assert "disk needed      none" in printed
    assert printed.rstrip().endswith("nothing blocks it")


def test_a_silent_hub_blocks_nothing_that_does_not_need_it(tree, saeflow):
    code, printed = saeflow("doctor")
    assert code == 0
    assert "hub              does not answer" in printed


def test_a_silent_hub_blocks_what_is_not_fetched_yet(tree, saeflow):
    from_hub(tree)
    code, printed = saeflow("doctor")
    assert code == 1
    assert "datasets > texts: org/texts is not fetched yet, and the hub does not answer" in printed


def test_an_answering_hub_blocks_nothing(tree, saeflow, monkeypatch):
    from_hub(tree)
    monkeypatch.setattr(machine, "hub_answers", lambda: True)
    assert saeflow("doctor")[0] == 0


def test_the_wish_to_be_offline_is_heard(tree, saeflow, monkeypatch):
    from_hub(tree)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(machine, "hub_answers", lambda: pytest.fail("the hub was asked"))
    code, printed = saeflow("doctor")
    assert code == 1
    assert "not asked: HF_HUB_OFFLINE is set" in printed


def test_what_was_fetched_needs_no_hub(tree, saeflow):
    from_hub(tree)
    tree.pretend("fetch_dataset")
    assert saeflow("doctor")[0] == 0


def test_what_is_in_the_hubs_cache_needs_no_hub(tree, saeflow, tmp_path):
    from_hub(tree)
    snapshot = tmp_path / "cache/datasets--org--texts/snapshots" / HUB["revision"]
    snapshot.mkdir(parents=True)
    assert saeflow("doctor")[0] == 1
    (snapshot / "x").touch()
    assert saeflow("doctor")[0] == 0


def test_every_missing_local_path_is_listed(tree, saeflow):
    def change(config):
        config["datasets"]["texts"]["path"] = "none.txt"
        config["models"]["m"] = {"path": "no/model"}

    tree.configure(change)
    code, printed = saeflow("doctor")
    assert code == 1
    assert "config.yaml > datasets > texts > path: there is no none.txt" in printed
    assert "config.yaml > models > m > path: there is no no/model" in printed


def test_an_error_of_the_configuration_is_told_beside_the_machine(tree, saeflow):
    tree.configure(lambda config: config["saes"]["relu"].update(l1=-1))
    code, printed = saeflow("doctor")
    assert code == 1
    assert "config.yaml > saes > relu > l1: this is out of range" in printed
    assert "memory" in printed
    assert "Traceback" not in printed


def test_without_a_configuration_the_machine_is_described_all_the_same(tree, saeflow):
    code, printed = saeflow("doctor", "--configfile", "none.yaml")
    assert code == 1
    assert "memory" in printed
    assert "none.yaml: the configuration cannot be read" in printed


def test_too_little_disk_blocks(tree, saeflow, monkeypatch):
    shutil.rmtree("results")
    tree.configure(
        lambda config: config["packings"]["ctx-64"].update(
            tokens={"train": 10**9, "validation": 0, "test": 0}
        )
    )
    monkeypatch.setattr(machine, "free_bytes", lambda _: 1 << 30)
    code, printed = saeflow("doctor")
    assert code == 1
    assert "  - the disk: about " in printed
    assert "1.0 GiB are free" in printed


def test_results_that_cannot_be_written_block(tree, saeflow, monkeypatch):
    monkeypatch.setattr(machine, "writing_problem", lambda path: f"{path}: Read-only file system")
    code, printed = saeflow("doctor")
    assert code == 1
    assert "results cannot be written to results: Read-only file system" in printed


def test_a_missing_package_blocks(tree, saeflow, monkeypatch):
    monkeypatch.setattr(machine, "missing_packages", lambda: ["zarr"])
    code, printed = saeflow("doctor")
    assert code == 1
    assert "the package zarr is not installed" in printed


def need(**packing):
    config = yaml.safe_load(Path("config.yaml").read_text())
    config["packings"]["ctx-64"].update(packing)
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return disk_need(open_study(Path("config.yaml")).wanted)


def test_the_disk_needed_is_tokens_times_hooks_times_width(tree):
    shutil.rmtree("results")
    n_tokens, width, n_hooks = 1000, 128, 2
    tokens = 15 * n_tokens  # the columns of a token store
    activations = n_hooks * n_tokens * (2 * width + 15)  # float16, beside a copy of the columns
    saes = n_hooks * 3 * 2 * width * 4 * width * 4  # relu, relu~scale, topk: two matrices, float32
    found = need(tokens={"train": 900, "validation": 0, "test": 100})
    assert found.n_bytes == tokens + activations + saes
    assert found.unknown == ()


def test_without_a_limit_the_number_of_tokens_is_not_known(tree):
    shutil.rmtree("results")
    unknown = [str(path) for path in need().unknown]
    assert "results/tokens/words/texts/ctx-64/tokens.json" in unknown
    assert "results/activations/small/texts/ctx-64/resid_post.1.json" in unknown


def test_counted_tokens_and_recorded_widths_go_before_expected_ones(tree):
    """What is there already is not counted again."""
    for place, facts in (
        ("tokens/words/texts/ctx-64/tokens", {"n_tokens": {"train": 10, "test": 2}}),
        ("models/small/model", {"d_model": 4}),
    ):
        (manifest,) = Path("results").glob(f"{place}.*/manifest.json")
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **facts}))
    for bulk in Path("results/activations/small/texts/ctx-64").glob("*.zarr"):
        shutil.rmtree(bulk)
    assert disk_need(open_study(Path("config.yaml")).wanted).n_bytes == 2 * 12 * (2 * 4 + 15)
