"""Datasets from files and the hub, as a job makes them."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from saeflow.datasets.prepare import prepare_dataset
from saeflow.errors import DataError
from saeflow.files import read_json
from saeflow.work import bulk_of, hold

SETTINGS = {"text": "text", "splits": {"train": 0.5, "test": 0.5}, "splits_seed": 0}


def prepare(tmp_path, path, **settings):
    output = tmp_path / "datasets" / "mine" / "dataset.json"
    with hold(output, "d" * 64) as work:
        prepare_dataset(work, {**SETTINGS, **settings}, path=path)
        work.publish()
    return output


def test_a_file_becomes_a_dataset_with_its_record(tmp_path):
    path = tmp_path / "mine.jsonl"
    lines = [{"body": f"document {i}", "label": i % 2} for i in range(40)]
    path.write_text("\n".join(map(json.dumps, lines)))
    record = read_json(prepare(tmp_path, path, text="body"))
    table = pq.read_table(tmp_path / "datasets" / "mine" / record["bulk"] / "documents.parquet")
    assert table["text"].to_pylist() == [line["body"] for line in lines]
    assert table["label"].to_pylist() == [line["label"] for line in lines]
    splits = table["split"].to_pylist()
    counts = {name: splits.count(name) for name in ("train", "validation", "test")}
    assert record["n_documents"] == counts
    assert record["n_blank"] == 0


def test_a_bad_file_leaves_no_record_and_a_mended_one_is_read(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "a"}\n{"tex')
    with pytest.raises(DataError, match="line 2"):
        prepare(tmp_path, path)
    assert not (tmp_path / "datasets" / "mine" / "dataset.json").exists()
    path.write_text('{"text": "a"}\n{"text": "b"}')
    assert sum(read_json(prepare(tmp_path, path))["n_documents"].values()) == 2


def test_finished_work_is_not_done_again(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("one")
    first = bulk_of(prepare(tmp_path, path)) / "documents.parquet"
    time = first.stat().st_mtime_ns
    path.unlink()
    prepare(tmp_path, path)
    assert first.stat().st_mtime_ns == time
