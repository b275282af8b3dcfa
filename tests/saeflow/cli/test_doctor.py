import shutil
from pathlib import Path

import pytest
import yaml

from damage import rewrite
from saeflow.cli import machine
from saeflow.cli.blocks import disk_need
from saeflow.cli.study import open_study
from saeflow.cost.work import store_size

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


def test_a_healthy_machine_is_described_and_nothing_blocks(tree, done):
    printed = done("doctor")
    for word in ("python", "torch", "device", "cores", "memory", "free disk", "slurm"):
        assert f"\n  {word} " in printed
    assert "of which" in printed
    assert "disk needed      none" in printed
    assert printed.rstrip().endswith("nothing blocks it")


def test_a_silent_hub_blocks_nothing_that_does_not_need_it(tree, done):
    printed = done("doctor")
    assert "hub              does not answer" in printed


def test_a_silent_hub_blocks_what_is_not_fetched_yet(tree, refused):
    from_hub(tree)
    printed = refused("doctor")
    assert "datasets > texts: org/texts is not fetched yet, and the hub does not answer" in printed


def test_an_answering_hub_blocks_nothing(tree, monkeypatch, done):
    from_hub(tree)
    monkeypatch.setattr(machine, "hub_answers", lambda: True)
    done("doctor")


def test_the_wish_to_be_offline_is_heard(tree, monkeypatch, refused):
    from_hub(tree)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(machine, "hub_answers", lambda: pytest.fail("the hub was asked"))
    printed = refused("doctor")
    assert "not asked: HF_HUB_OFFLINE is set" in printed


def test_what_was_fetched_needs_no_hub(tree, done):
    from_hub(tree)
    tree.pretend("fetch_dataset")
    done("doctor")


def test_what_is_in_the_hubs_cache_needs_no_hub(tree, tmp_path, done, refused):
    from_hub(tree)
    snapshot = tmp_path / "cache/datasets--org--texts/snapshots" / HUB["revision"]
    snapshot.mkdir(parents=True)
    refused("doctor")
    (snapshot / "x").touch()
    done("doctor")


def test_every_missing_local_path_is_listed(tree, refused):
    def change(config):
        config["datasets"]["texts"]["path"] = "none.txt"
        config["models"]["m"] = {"path": "no/model"}
        config["prompts"] = {"p": {"path": "none/*.jsonl"}}
        config["labelled"] = {"l": {"path": "texts.csv", "shift_path": "none/*.csv"}}

    tree.configure(change)
    (tree.path / "texts.csv").touch()
    printed = refused("doctor")
    assert "config.yaml > labelled > l > shift_path: the pattern matches no file" in printed
    assert "labelled > l > path" not in printed
    assert "config.yaml > datasets > texts > path: there is no such file" in printed
    assert "got none.txt" in printed
    assert "config.yaml > models > m > path: there is no such file or directory" in printed
    assert "config.yaml > prompts > p > path: the pattern matches no file" in printed


def test_an_error_of_the_configuration_is_told_beside_the_machine(tree, refused):
    tree.configure(lambda config: config["saes"]["relu"].update(l1=-1))
    printed = refused("doctor")
    assert "config.yaml > saes > relu > l1: this is out of range" in printed
    assert "memory" in printed
    assert "Traceback" not in printed


def test_without_a_configuration_the_machine_is_described_all_the_same(tree, refused):
    printed = refused("doctor", "--configfile", "none.yaml")
    assert "memory" in printed
    assert "none.yaml: the configuration cannot be read" in printed


def test_too_little_disk_blocks(tree, monkeypatch, refused):
    shutil.rmtree("results")
    hub = {"hub": "org/texts", "revision": "0" * 40, "split": "train"}  # of nobody knows what size
    tree.configure(lambda config: config["datasets"].update(texts=hub))
    tree.configure(
        lambda config: config["packings"]["ctx-64"].update(
            tokens={"train": 10**9, "validation": 0, "test": 64}
        )
    )
    monkeypatch.setattr(machine, "free_bytes", lambda _: 1 << 30)
    printed = refused("doctor")
    assert "  - the disk: about " in printed
    assert "1.0 GiB are free" in printed


def test_results_that_cannot_be_written_block(tree, monkeypatch, refused):
    monkeypatch.setattr(machine, "writing_problem", lambda path: f"{path}: Read-only file system")
    printed = refused("doctor")
    assert "results cannot be written to results: Read-only file system" in printed


def test_a_missing_package_blocks(tree, monkeypatch, refused):
    monkeypatch.setattr(machine, "missing_packages", lambda: ["zarr"])
    printed = refused("doctor")
    assert "the package zarr is not installed" in printed


def need(**packing):
    config = yaml.safe_load(Path("config.yaml").read_text())
    config["packings"]["ctx-64"].update(packing)
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return disk_need(open_study(Path("config.yaml")).outputs)


def test_the_disk_needed_is_that_of_the_stores_and_little_more(tree):
    shutil.rmtree("results")
    Path("texts.txt").write_text("one two three\n\n" * 40_000)
    found = need(tokens={"train": 900_000, "validation": 0, "test": 100_000})
    stores = 2 * store_size(900_000 // 64 * 64 + 100_000 // 64 * 64, 128, "float16")[0]
    assert stores < found.n_bytes < 1.2 * stores
    assert found.unknown == ()


def test_what_is_not_fetched_and_not_limited_is_of_unknown_size(tree):
    shutil.rmtree("results")
    from_hub(tree)
    unknown = need().unknown
    assert any(
        line.startswith("results/tokens/words/texts/ctx-64: org/texts is not") for line in unknown
    )
    assert any(line.startswith("results/activations/small/texts/ctx-64") for line in unknown)


def test_counted_tokens_and_recorded_widths_go_before_expected_ones(tree):
    """What is there already is not counted again."""
    facts = {"n_tokens": {"train": 100_000, "test": 20_000}}
    (manifest,) = Path("results/tokens/words/texts/ctx-64").glob("tokens.*/manifest.json")
    rewrite(manifest, **facts)
    (model,) = Path("results/models/small").glob("model.*/manifest.json")
    for bulk in Path("results/activations/small/texts/ctx-64").glob("*.zarr"):
        shutil.rmtree(bulk)
    found = disk_need(open_study(Path("config.yaml")).outputs).n_bytes
    stores = 2 * store_size(120_000, 128, "float16")[0]
    assert stores <= found < 1.01 * stores + 1e6
    assert model.is_file()


def test_temporary_stores_that_were_removed_need_no_disk(tree, done):
    tree.configure(lambda config: config.update(activations={"temporary": True}))
    tree.pretend()
    assert not list(Path("results/activations/small/texts/ctx-64").glob("resid*/manifest.json"))
    printed = done("doctor")
    assert "disk needed      none" in printed
