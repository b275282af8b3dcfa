import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from saeflow.cli import machine
from saeflow.config.checks import resolve
from saeflow.cost import speeds
from saeflow.cost.work import store_size

PRESETS = Path(__file__).parents[3] / "workflow/presets"


@pytest.fixture(autouse=True)
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def limit(tree, n_tokens):
    """Have a text that may hold as many tokens, and take them: one sequence to test on."""
    (tree.path / "texts.txt").write_text("one two three\n\n" * (n_tokens // 15))
    tokens = {"train": n_tokens - 64, "validation": 0, "test": 64}
    tree.configure(lambda config: config["packings"]["ctx-64"].update(tokens=tokens))


@pytest.fixture
def fresh(tree):
    """A study of 64,000 tokens of which nothing was made."""
    shutil.rmtree("results")
    limit(tree, 64_000)
    return tree


def row(printed, kind):
    """Return a line of the table after its first words: passes, results, and what they take."""
    (line,) = [line for line in printed.splitlines() if line.startswith(f"{kind} ")]
    return line.removeprefix(kind).split()


def test_where_everything_is_there_nothing_is_needed(tree, done):
    printed = done("plan")
    assert "nothing has to run" in printed
    assert row(printed, "train_saes") == ["-", "0", "of", "4"]
    assert "measuring" not in printed, "nothing to measure for"


def test_a_fresh_study_is_planned_by_kind_with_totals(fresh, done):
    printed = done("plan", "--no-calibrate", "--cores", "2")
    assert row(printed, "train_saes")[:4] == ["2", "4", "of", "4"]
    assert row(printed, "measure language")[:4] == ["2", "6", "of", "6"]
    assert row(printed, "harvest")[:6] == ["1", "2", "of", "2", "64", "k"]
    for word in ("\ntime ", " on 2 cores; may be ", "\ndisk ", "\nmemory ", "\nlargest"):
        assert word in printed


def test_only_what_is_stale_counts(tree, saeflow):
    limit(tree, 64_000)
    tree.pretend()
    tree.configure(lambda config: config["saes"]["topk"].update(k=8))
    printed = saeflow("plan", "--no-calibrate")[1]
    assert row(printed, "train_saes")[:4] == ["2", "2", "of", "4"]
    assert row(printed, "harvest") == ["-", "0", "of", "2"]


def test_everything_as_json_with_exact_sizes(fresh, saeflow):
    code, printed = saeflow("plan", "--no-calibrate", "--json", "--cores", "2")
    facts = json.loads(printed)
    (harvest,) = [one for one in facts["rows"] if one["kind"] == "harvest"]
    n_bytes, n_files = store_size(64_000, 128, "float16")
    assert harvest["work"]["n_bytes"] == {"value": 2 * n_bytes, "times": 1.0}
    assert harvest["work"]["files"] == {"value": 2 * n_files, "times": 1.0}
    stores = [n for record, n in facts["largest"] if "resid_post" in record]
    assert stores[:2] == [n_bytes, n_bytes]
    assert code == 0 and facts["fits"] is True and facts["cores"] == 2


def test_a_disk_that_is_too_small_is_told_at_once_with_the_choices(tree, monkeypatch, refused):
    shutil.rmtree("results")
    limit(tree, 64_000_000)
    monkeypatch.setattr(machine, "free_bytes", lambda _: 1 << 30)
    printed = refused("plan", "--no-calibrate")
    assert "The disk cannot hold it." in printed
    for choice in ("fewer tokens", "fewer hooks", "temporary: true", "live: true", "another disk"):
        assert choice in printed


def test_what_is_not_known_is_told_with_the_reason(tree, done):
    shutil.rmtree("results")
    hub = {"hub": "org/texts", "revision": "0" * 40, "split": "train"}
    tree.configure(lambda config: config["datasets"].update(texts=hub))
    printed = done("plan", "--no-calibrate")
    assert "not known yet, and not counted" in printed
    assert "org/texts is not fetched" in printed
    assert row(printed, "train_saes")[4] == "?"


def test_the_measurement_is_announced_and_used(fresh, monkeypatch, saeflow):
    monkeypatch.setattr(speeds, "measure", lambda: 1e-6)  # a slow core
    printed = saeflow("plan", "--cores", "2")[1]
    assert "measuring how fast this machine computes" in printed
    # 2 hooks, products of 128 x 512: 6 (relu) and 3 (topk) of 2 operations each, for all rows but
    # those of one sequence
    days = 2 * 63_936 * (6 + 3) * 2 * 128 * 512 / (4e10 * 1e-6) / 86_400
    assert f"~{days:.1f} d" in " ".join(row(printed, "train_saes"))
    assert "×3.0" in row(printed, "train_saes")


def test_an_sae_that_is_not_imported_yet_is_planned_and_named(fresh, done):
    def change(config):
        config["saes"]["theirs"] = {"hub": "org/saes", "revision": "0" * 40, "file": "{hook}.pt"}
        config["studies"]["suppression"]["saes"].append("theirs")

    fresh.configure(change)
    printed = done("plan", "--no-calibrate")
    assert row(printed, "import_saes")[:4] == ["2", "2", "of", "2"]
    assert "theirs/seed-0: 16 latents for each input, while it is not imported" in printed


def test_temporary_stores_are_told_from_what_stays(fresh, saeflow):
    fresh.configure(lambda config: config.update(activations={"temporary": True}))
    printed = saeflow("plan", "--no-calibrate")[1]
    assert ", of which " in printed and " stay; " in printed
    assert row(printed, "release_activations")[:4] == ["2", "2", "of", "2"]


def test_the_study_at_the_size_of_the_post_is_planned_without_a_network(tree, saeflow):
    preset = PRESETS / "suppression-pythia-70m.yaml"
    printed = saeflow("plan", "--no-calibrate", "--json", "--configfile", preset)[1]
    facts = json.loads(printed)
    (harvest,) = [one for one in facts["rows"] if one["kind"] == "harvest"]
    rows = sum(n // 256 * 256 for n in (100_000_000, 500_000, 500_000))
    assert harvest["work"]["rows"] == {"value": rows, "times": 1.0}
    assert facts["unknown"] == []
    assert any("published shape of EleutherAI/pythia-70m" in note for note in facts["notes"])


def test_the_papers_datasets_are_planned_from_the_files_of_its_package(
    tmp_path, monkeypatch, saeflow
):
    monkeypatch.chdir(tmp_path)
    for name in ("cleaned_data/5_a", "cleaned_data/6_b", "OOD data/5_a_OOD"):
        file = tmp_path / f"data/sae-probes/sae_probes/data/{name}.csv.zst"
        file.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(file), "wb") as raw, pa.CompressedOutputStream(raw, "zstd") as out:
            out.write(b"prompt,target\n" + b"good,1\nbad,0\n" * 50)
    preset = PRESETS / "classification-sae-probes.yaml"
    code, printed = saeflow("plan", "--no-calibrate", "--json", "--configfile", preset)
    facts = json.loads(printed)
    results = {one["kind"]: one["wanted"] for one in facts["rows"]}
    assert code == 0 and results["measure dense_probes"] == 1
    assert results["measure sparse_probes"] == 10


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_a_sound_configuration(preset):
    resolve(yaml.safe_load(preset.read_text()), file=preset.name)
