"""Which files are which datasets."""

import pytest

from saeflow.errors import ConfigError
from saeflow.labelled.files import (
    ONLY,
    dataset_files,
    has_shift,
    matched_files,
    name_of,
    owner_of,
)


@pytest.fixture
def put(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")

    return write


@pytest.mark.parametrize("name", ["a.b", "5_is male", "x"])
@pytest.mark.parametrize("end", [".csv", ".csv.zst", ".jsonl.gz", ".parquet", ".NDJSON.GZ"])
def test_a_dataset_has_its_name_from_its_file(tmp_path, name, end):
    assert name_of(tmp_path / f"{name}{end}") == name


def test_a_file_alone_is_called_like_the_entry(put):
    put("d/a.csv", "d/b.csv.zst")
    assert list(dataset_files("d/a.csv", where="here")) == [ONLY]
    assert list(dataset_files("d", where="here")) == ["a", "b"]
    assert list(dataset_files("d/b*", where="here")) == ["b"]


def test_what_cannot_be_datasets_is_refused(put):
    put("a.txt", "one/x.csv", "other/x.csv.gz")
    with pytest.raises(ConfigError, match="here: labelled texts are not read from plain text"):
        dataset_files("a.txt", where="here")
    with pytest.raises(ConfigError, match="two files would be the dataset 'x'.*one.*other"):
        dataset_files("*/x.csv*", where="here")
    with pytest.raises(ConfigError, match="here: the pattern matches no file"):
        dataset_files("none/*", where="here")


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("9_long_OOD", "9_long"),
        ("9_long", "9_long"),
        ("9-2", "9"),
        ("9_lo", "9"),
        ("91_long", None),
        ("8_long", None),
    ],
)
def test_a_file_belongs_to_the_longest_name_that_it_begins_with(name, owner):
    assert owner_of(name, ["9", "9_long", "9_long_far"]) == owner


def test_files_with_test_texts_and_of_a_second_distribution_find_their_datasets(put):
    put("in/a.csv", "in/b.csv", "test/a.csv", "out/b_OOD.jsonl", "out/b_far.jsonl", "out/c.jsonl")
    paths = {"path": "in", "test_path": "test", "shift_path": "out/*"}
    found = matched_files(paths)
    files = {
        name: {key: [file.name for file in files] for key, files in own.items()}
        for name, own in found.datasets.items()
    }
    assert files == {
        "a": {"path": ["a.csv"], "test_path": ["a.csv"]},
        "b": {"path": ["b.csv"], "shift_path": ["b_OOD.jsonl", "b_far.jsonl"]},
    }
    assert found.unmatched == ["c.jsonl"]


def test_all_files_are_of_the_only_dataset(put):
    put("a.csv", "x/1.csv", "x/2.csv", "y.csv")
    found = matched_files({"path": "a.csv", "test_path": "x", "shift_path": "y.csv"})
    assert [len(files) for files in found.datasets[ONLY].values()] == [1, 2, 1]
    assert found.unmatched == []


def test_files_that_are_of_no_dataset_at_all_are_refused(put):
    put("in/a.csv", "in/b.csv", "out/c.csv")
    with pytest.raises(ConfigError, match="me > shift_path: none of these files.*a, b.*c.csv"):
        matched_files({"path": "in", "shift_path": "out"}, where="me")


def test_an_entry_has_a_second_distribution_in_files_or_of_the_world():
    assert has_shift({"path": "a.csv", "shift_path": "b.csv"})
    assert has_shift({"generate": "sentiment", "dataset": "world"})
    assert not has_shift({"path": "a.csv"})
    assert not has_shift({"hub": "org/imdb", "test_split": "test"})
