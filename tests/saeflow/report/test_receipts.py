import json

import pytest

from saeflow.files import write_json
from saeflow.report.receipts import made_with, read_receipts, times, times_script


@pytest.fixture
def receipt(tmp_path, monkeypatch):
    """Return a function that leaves a receipt."""
    monkeypatch.chdir(tmp_path)

    def leave(name, identities, **facts):
        results = [{"record": "r.json", "identity": one} for one in identities]
        usage = {"seconds": 90.4, "cpu_seconds": 30.0, "peak_memory_bytes": 1.5e9}
        content = {"rule": "measure", "results": results, "usage": usage, **facts}
        write_json(tmp_path / "results/.receipts/measure" / f"{name}.json", content)

    return leave


def test_only_receipts_of_what_is_shown_are_read(receipt, tmp_path):
    receipt("a", ["1", "2"])
    receipt("b", ["3"])
    (tmp_path / "results/.receipts/torn.json").write_text("{")
    assert [one["results"][0]["identity"] for one in read_receipts(["2", "9"])] == ["1"]


def test_versions_and_commit_are_told_and_where_passes_differ_how_many_had_which(receipt):
    for name, torch, commit in (("a", "2.13", "abc"), ("b", "2.13", "abc"), ("c", "2.14", "")):
        versions = {"zarr": "3", "torch": torch, "python": "3.11"}
        receipt(name, [name], versions=versions, commit=commit)
    receipt("old", ["d"])  # it says nothing of them
    found = made_with(read_receipts(["a", "b", "c", "d"]))
    assert list(found.items()) == [
        ("commit", "abc (2 passes), not in a checkout (1 pass)"),
        ("python", "3.11"),
        ("torch", "2.13 (2 passes), 2.14 (1 pass)"),
        ("zarr", "3"),
    ]
    assert made_with(read_receipts(["d"])) == made_with([]) == {}


def test_times_are_added_up_by_rule_and_in_all(receipt):
    receipt("a", ["1", "2"], machine="2 x CPU")
    receipt("b", ["3"], machine="2 x CPU", usage={"seconds": 3600.0, "cpu_seconds": 7261.0})
    receipt("c", ["4"], rule="train_saes", part=[1, 2], machine="GPU")
    assert times(read_receipts(["1", "3", "4"])) == [
        ["measure", "2", "3", "1 h 01 min", "2 h 01 min", "1.5 GB", "2 x CPU"],
        ["train saes", "1", "0", "1 min 30 s", "30 s", "1.5 GB", "GPU"],
        ["all", "3", "3", "1 h 03 min", "2 h 02 min", "1.5 GB", "2 x CPU, GPU"],
    ]
    assert times([]) == []


def test_the_script_hands_the_page_text_and_nothing_else():
    script = times_script([["</script>", "ü"]])
    given = json.loads(script.removeprefix("showTimes(").removesuffix(");\n"))
    assert given == [["</script>", "ü"]]
