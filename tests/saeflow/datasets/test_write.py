"""The documents as they are written."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saeflow.datasets.columns import Batch, columns_of
from saeflow.datasets.source import Source
from saeflow.datasets.split import splits_of
from saeflow.datasets.write import write_documents
from saeflow.errors import DataError

FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}


def source(*batches, text="text"):
    tables = [pa.RecordBatch.from_pylist(batch) for batch in batches]
    return Source("a source", lambda: (Batch(columns_of(one, text)) for one in tables), text)


def read(directory):
    return pq.read_table(directory / "documents.parquet").to_pylist()


def test_documents_are_numbered_split_and_counted_over_all_batches(tmp_path):
    batches = [[{"text": f"text {i}"} for i in range(9)], [{"text": f"text {i}"} for i in (9, 10)]]
    facts = write_documents(tmp_path, source(*batches), FRACTIONS, 5)
    rows = read(tmp_path)
    splits = splits_of([f"text {i}" for i in range(11)], FRACTIONS, 5)
    assert rows == [
        {"document": i, "text": f"text {i}", "split": split} for i, split in enumerate(splits)
    ]
    for split in FRACTIONS:
        texts = [row["text"] for row in rows if row["split"] == split]
        assert facts["n_documents"][split] == len(texts)
        assert facts["n_characters"][split] == sum(map(len, texts))
    assert facts["columns"] == ["document", "text", "split"]


def test_blank_documents_are_left_out_and_counted(tmp_path):
    batch = [{"text": t, "label": i} for i, t in enumerate(["a", " \n\t", "", "\u3000", "b"])]
    facts = write_documents(tmp_path, source(batch), FRACTIONS, 0)
    assert [(row["document"], row["text"], row["label"]) for row in read(tmp_path)] == [
        (0, "a", 0),
        (1, "b", 4),
    ]
    assert facts["n_blank"] == 3


def test_columns_beside_the_text_are_kept_and_never_overwrite_ours(tmp_path):
    batch = [{"body": "a", "text": "a title", "split": "theirs", "document": 9, "tags": ["x"]}]
    facts = write_documents(tmp_path, source(batch, text="body"), {"test": 1.0}, 0)
    assert read(tmp_path) == [
        {
            "document": 0,
            "text": "a",
            "split": "test",
            "source_text": "a title",
            "source_split": "theirs",
            "source_document": 9,
            "tags": ["x"],
        }
    ]
    assert facts["columns"][3:] == ["source_text", "source_split", "source_document", "tags"]


def test_the_same_documents_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_documents(tmp_path / name, source([{"text": "x", "n": 1}]), FRACTIONS, 0)
    assert (tmp_path / "a" / "documents.parquet").read_bytes() == (
        tmp_path / "b" / "documents.parquet"
    ).read_bytes()


def test_no_document_with_text_is_an_error(tmp_path):
    with pytest.raises(DataError, match="a source.*no document"):
        write_documents(tmp_path, source([{"text": " "}]), FRACTIONS, 0)


def test_a_row_without_a_value_is_named(tmp_path):
    batches = [{"text": ""}, {"text": "a"}], [{"text": "b"}, {"text": None}]
    with pytest.raises(DataError, match="row 4.*no value"):
        write_documents(tmp_path, source(*batches), FRACTIONS, 0)


def test_a_column_of_numbers_is_no_text(tmp_path):
    with pytest.raises(DataError, match="'n' holds no text.*int64"):
        write_documents(tmp_path, source([{"text": "a", "n": 1}], text="n"), FRACTIONS, 0)


def test_two_columns_never_become_one(tmp_path):
    batch = [{"body": "a", "text": "b", "source_text": "c"}]
    write_documents(tmp_path, source(batch, text="body"), {"test": 1.0}, 0)
    assert read(tmp_path) == [
        {"document": 0, "text": "a", "split": "test", "source_text_": "b", "source_text": "c"}
    ]
