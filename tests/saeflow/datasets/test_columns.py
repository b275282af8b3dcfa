"""Columns of local files: what becomes of those that nobody reads, and which is the text."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from saeflow.datasets import source
from saeflow.errors import DataError


def test_columns_and_wider_types_that_come_late_are_kept(make, rows, monkeypatch):
    monkeypatch.setattr(source, "BATCH_DOCUMENTS", 2)
    objects = [
        {"text": "a", "n": 1, "deep": {"x": 1}},
        {"text": "b", "n": 2**60 + 1, "deep": {}},
        {"text": "c", "n": 0.5, "deep": {"y": "z"}, "late": "x"},
    ]
    assert rows(make("a.jsonl", objects)) == [
        {"text": "a", "n": 1.0, "deep": {"x": 1, "y": None}, "late": None},
        {"text": "b", "n": 2.0**60, "deep": {"x": None, "y": None}, "late": None},
        {"text": "c", "n": 0.5, "deep": {"x": None, "y": "z"}, "late": "x"},
    ]


@pytest.mark.parametrize("batch", [1, 100])
def test_what_fits_no_one_type_is_kept_as_json_text(make, written, monkeypatch, batch):
    monkeypatch.setattr(source, "BATCH_DOCUMENTS", batch)
    columns = {
        "meta": [{}, {}],
        "mixed": [1, "two"],
        "lists": [[1], ["ü"]],
        "huge": [1, 2**70],
        "deep": [{"a": {}}, {"a": {}}],
        "truth": [True, 2],
        "words": [{f"word{i}": 1 for i in range(200)}, None],
    }
    objects = [{"text": t, **{n: v[i] for n, v in columns.items()}} for i, t in enumerate("ab")]
    rows, facts = written(make("a.jsonl", objects))
    assert facts["columns_as_json"] == list(columns)
    for i, row in enumerate(rows):
        for name, values in columns.items():
            back = None if row[name] is None else json.loads(row[name])
            assert back == values[i], name
    assert rows[0]["meta"] == "{}" and rows[1]["lists"] == '["ü"]' and rows[1]["words"] is None


def test_a_csv_whose_column_turns_to_words_late_is_text_there_and_stays_as_written(
    make, written, monkeypatch
):
    monkeypatch.setattr(source, "BATCH_DOCUMENTS", 2)
    content = "id,text\n" + "".join(f"0{i},t{i}\n" for i in range(5)) + "x,last\n"
    rows, facts = written(make("a.csv", content))
    assert [row["id"] for row in rows] == ["00", "01", "02", "03", "04", "x"]
    assert facts["columns_as_json"] == []


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_a_csv_has_a_type_only_where_every_value_has_it(make, rows, monkeypatch, batch):
    monkeypatch.setattr(source, "BATCH_DOCUMENTS", batch)
    content = "text,a,b,c\nx,5,1,0.5\ny,true,0,NA\nz,,true,2\n"
    assert [list(row.values())[1:] for row in rows(make("a.csv", content))] == [
        ["5", True, 0.5],
        ["true", False, None],
        ["", True, 2.0],
    ]


def test_what_parquet_cannot_hold_is_kept_as_json_text(make, written):
    kinds = pa.array(["x", "x"]).dictionary_encode()
    table = pa.table({"text": kinds, "kind": kinds, "n": pa.array([None, None], pa.null())})
    rows, facts = written(make("a.parquet", table))
    assert rows == [{"text": "x", "kind": "x", "n": None}] * 2 and not facts["columns_as_json"]


def test_a_name_that_is_no_text_and_a_value_that_is_very_deep_are_in_nobodys_way(make, written):
    rows, facts = written(make("a.csv", b"text,M\xfcller\na,1\n"))
    assert rows == [{"text": "a", "M\ufffdller": 1}]
    deep = "[" * 400 + "]" * 400
    rows, facts = written(make("a.jsonl", f'{{"text": "a", "deep": {deep}}}\n'))
    assert rows == [{"text": "a", "deep": deep}] and facts["columns_as_json"] == ["deep"]


def test_two_columns_of_one_name_are_both_kept(make, rows):
    assert rows(make("a.csv", "text,n,n\na,1,x\n")) == [{"text": "a", "n": 1, "n.2": "x"}]


def test_half_an_emoji_is_replaced_and_counted_wherever_it_is(make, written, caplog):
    cut = {"text": "cut \ud83d", "tags": [{"\ud83d": "\ude00 \ud83d"}], "n": 1}
    whole = {"text": "whole \U0001f600 \\ud83d", "tags": [], "n": 2}
    rows, facts = written(make("a.jsonl", [cut, whole]))
    assert rows[0] == {"text": "cut \ufffd", "tags": [{"\ufffd": "\ufffd \ufffd"}], "n": 1}
    assert rows[1]["text"] == whole["text"]
    assert facts["n_replaced"] == 4 and "4 times" in caplog.text


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_broken_byte_beside_the_text_is_replaced_and_counted(make, written, name):
    content = (
        b'{"text": "a", "by": "M\xfcller"}\n' if name == "a.jsonl" else b"text,by\na,M\xfcller\n"
    )
    rows, facts = written(make(name, content))
    assert rows == [{"text": "a", "by": "M\ufffdller"}] and facts["n_replaced"] == 1


# -- the text itself -------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 100])
def test_the_text_may_be_a_field_of_a_column(make, written, monkeypatch, batch):
    monkeypatch.setattr(source, "BATCH_DOCUMENTS", batch)
    objects = [
        {"id": 1, "meta": {"body": {"en": "one"}, "by": "A"}},
        {"id": 2, "meta": {"body": {"en": "two"}, "by": 5}},
    ]
    rows, facts = written(make("a.jsonl", objects), "meta.body.en")
    assert rows == [
        {"text": "one", "id": 1, "meta": '{"by": "A"}'},
        {"text": "two", "id": 2, "meta": '{"by": 5}'},
    ]
    table = pa.Table.from_pylist(objects[:1])
    rows, _ = written(make("a.parquet", table), "meta.body.en")
    assert rows == [{"text": "one", "id": 1, "meta": {"by": "A"}}]


def test_a_column_with_nothing_but_the_text_is_taken_whole(make, rows):
    objects = [{"meta": {"body": "a"}}]
    for path in make("a.parquet", pa.Table.from_pylist(objects)), make("a.jsonl", objects):
        assert rows(path, "meta.body") == [{"text": "a"}]
    dotted = [{"meta.body": "a", "meta": {"body": "b"}}]
    assert rows(make("a.jsonl", dotted), "meta.body") == [{"text": "a", "meta": {"body": "b"}}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"body": "a", "meta": {"id": 1}}\n'),
        ("a.csv", "body,meta.id\na,1\n"),
        ("a.parquet", pa.table({"body": ["a"], "meta": [{"id": 1}]})),
    ],
)
def test_a_missing_column_lists_those_there_are(make, rows, name, content):
    path = make(name, content)
    for text in ("text", "meta.text", "body.text"):
        with pytest.raises(DataError, match=f"no column '{text}'.*one of body, meta.id"):
            rows(path, text)


@pytest.mark.parametrize(
    "kind",
    [pa.dictionary(pa.int8(), pa.string()), pa.large_string(), pa.string_view(), pa.binary()],
)
def test_a_text_is_one_however_its_column_is_coded(make, rows, kind):
    table = pa.table({"text": pa.array(["über", "b", "b"]).cast(kind)})
    assert [row["text"] for row in rows(make("a.parquet", table))] == ["über", "b", "b"]


def test_a_text_that_is_none_is_named_with_what_to_do(make, rows):
    with pytest.raises(DataError, match="line 2.*holds no text.*got int.*another column"):
        rows(make("a.jsonl", [{"text": "a"}, {"text": 5}]))
    with pytest.raises(DataError, match="line 1.*got null.*remove it"):
        rows(make("a.jsonl", [{"text": None}]))
    with pytest.raises(DataError, match="'text' holds no text.*got list"):
        rows(make("a.parquet", pa.table({"text": [["a"]]})))
    with pytest.raises(DataError, match="'text' is not UTF-8"):
        rows(make("a.parquet", pa.table({"text": [b"a", b"\xff"]})))


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_a_text_of_another_encoding_is_refused_by_its_line(make, rows, name):
    good = {"a.txt": "é one\n", "a.jsonl": '{"text": "é one"}\n', "a.csv": "text\né one\n"}[name]
    bad = b'{"text": "M\xfcller"}\n' if name == "a.jsonl" else b"M\xfcller\n"
    path = make(name, good.encode() + bad)
    message = rf"line {good.count(chr(10)) + 1}.*byte 0xfc after 'M'.*iconv"
    with pytest.raises(DataError, match=message):
        rows(path)
