"""Documents from local files, and the errors that bad files give."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saeflow.datasets import local, write
from saeflow.datasets.local import local_source
from saeflow.errors import DataError


@pytest.fixture
def make(tmp_path):
    """Write a file and return its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def rows(path, text="text"):
    source = local_source(path, text)
    return [row for batch in source.batches() for row in batch.to_pylist()]


def test_blank_lines_separate_the_documents_of_a_text_file(make):
    path = make("a.txt", "\ufefffirst line\nsecond line\r\n\n  \n\nanother\nüber\n")
    assert rows(path) == [{"text": "first line\nsecond line"}, {"text": "another\nüber"}]


def test_json_lines_keep_every_column(make):
    lines = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    path = make("a.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    assert rows(path) == lines


def test_columns_and_wider_types_that_come_late_are_kept(make, monkeypatch):
    monkeypatch.setattr(local, "BATCH_DOCUMENTS", 2)
    lines = [{"text": "a", "n": 1}, {"text": "b", "n": 2}, {"text": "c", "n": 0.5, "late": "x"}]
    path = make("a.jsonl", "\n".join(map(json.dumps, lines)))
    assert rows(path) == [
        {"text": "a", "n": 1.0, "late": None},
        {"text": "b", "n": 2.0, "late": None},
        {"text": "c", "n": 0.5, "late": "x"},
    ]


def test_a_column_of_several_kinds_is_refused_by_name(make):
    path = make("a.jsonl", '{"text": "a", "n": 1}\n{"text": "b", "n": "two"}\n')
    with pytest.raises(DataError, match="column 'n'.*several kinds"):
        rows(path)


def test_csv_keeps_commas_line_breaks_and_columns(make):
    path = make("a.csv", 'body,label\n"one, two\nthree",1\nfour,0\n')
    assert rows(path, "body") == [
        {"body": "one, two\nthree", "label": 1},
        {"body": "four", "label": 0},
    ]


def test_a_number_in_the_text_column_of_a_csv_stays_text(make):
    assert rows(make("a.csv", "text\n007\n")) == [{"text": "007"}]


def test_parquet_keeps_every_column(tmp_path):
    table = pa.table({"text": ["a", "b"], "tags": [["x"], []]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet") == table.to_pylist()


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.parquet"])
def test_an_empty_file_is_refused(make, name):
    with pytest.raises(DataError, match=rf"{name}.*empty"):
        rows(make(name, b""))


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_a_byte_that_is_not_utf8_is_found(make, name):
    good = {"a.txt": "é one\n", "a.jsonl": '{"text": "é one"}\n', "a.csv": "text\né one\n"}[name]
    path = make(name, good.encode() + b"two\xff\n")
    message = rf"line {good.count(chr(10)) + 1}.*0xff at offset {len(good.encode()) + 3}\)"
    with pytest.raises(DataError, match=message):
        rows(path)


def test_a_line_that_is_not_json_is_named(make):
    with pytest.raises(DataError, match="line 2.*not JSON"):
        rows(make("a.jsonl", '{"text": "a"}\n{"text": \n'))
    with pytest.raises(DataError, match="line 1.*not a JSON object"):
        rows(make("a.jsonl", '["a"]\n'))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", '{"body": "a", "id": 1}\n'), ("a.csv", "body,id\na,1\n")],
)
def test_a_missing_column_lists_those_there_are(make, tmp_path, name, content):
    path = make(name, content)
    with pytest.raises(DataError, match="'text'.*body, id"):
        write.write_documents(tmp_path, local_source(path), {"train": 1.0}, 0)


def test_a_text_column_without_text_is_refused(make):
    with pytest.raises(DataError, match="line 1.*no text.*int"):
        rows(make("a.jsonl", '{"text": 5}\n'))


def test_a_malformed_table_is_a_clear_error(make):
    with pytest.raises(DataError, match="not readable CSV"):
        rows(make("a.csv", "text,label\none,1\ntwo\n"))
    with pytest.raises(DataError, match="not readable Parquet"):
        rows(make("a.parquet", b"not a table"))


def test_other_files_are_refused_with_what_is_read(make, tmp_path):
    with pytest.raises(DataError, match=r"\.txt \| \.jsonl \| \.csv \| \.parquet"):
        rows(make("a.docx", "x"))
    with pytest.raises(DataError, match="no such file"):
        rows(tmp_path / "none.txt")
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(DataError, match="directory"):
        rows(tmp_path / "d.jsonl")
