"""Documents from local files, and errors of bad ones."""

from __future__ import annotations

import json
import subprocess
import sys

import pyarrow as pa
import pytest

from saeflow.datasets.local import head_of
from saeflow.errors import ConfigError, DataError


def texts(rows):
    return [row["text"] for row in rows]


# -- what is read ----------------------------------------------------------------------------------


def test_blank_lines_separate_the_documents_of_a_text_file(make, rows):
    path = make("a.txt", "\ufefffirst line\nsecond line\r\n\n  \n\nanother\nüber\n")
    assert rows(path) == [{"text": "first line\nsecond line"}, {"text": "another\nüber"}]


def test_a_line_that_is_given_separates_documents_and_blank_lines_stay_in_them(make, rows):
    story = "<|endoftext|>\n\nOne.\n\nTwo.\n\n <|endoftext|>\r\n<|endoftext|>\nThree\n\n\nFour\n"
    expected = ["One.\n\nTwo.", "Three\n\n\nFour"]
    assert texts(rows(make("a.txt", story), separator="<|endoftext|>")) == expected


def test_a_separator_of_a_known_tokenizer_in_a_text_is_counted_and_said(make, written, caplog):
    path = make("a.txt", "One.\n\nTwo.\n<|endoftext|>\nThree.\n\nFour.\n")
    _, facts = written(path)
    assert facts["n_with_special_tokens"] == {"<|endoftext|>": 1}
    assert "'<|endoftext|>' stands in 1 of 3 documents" in caplog.text
    assert "separator: '<|endoftext|>'" in caplog.text
    caplog.clear()
    rows, facts = written(path, separator="<|endoftext|>")
    assert len(rows) == 2 and facts["n_with_special_tokens"] == {} and not caplog.text


def test_json_lines_keep_every_column(make, rows):
    objects = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    content = "\n\n".join(map(json.dumps, objects))
    assert rows(make("a.jsonl", content + "\n\n\n")) == objects


def test_csv_keeps_commas_line_breaks_and_columns(make, rows):
    path = make("a.csv", '\ufeffbody,label\n"one, ""two""\nthree",1\n\nfour,0\n')
    assert rows(path, "body") == [
        {"text": 'one, "two"\nthree', "label": 1},
        {"text": "four", "label": 0},
    ]


def test_line_breaks_in_a_csv_are_those_that_were_written(make, rows):
    path = make("a.csv", b'text,n\r\n"one\r\ntwo\rthree\nfour",1\r\n\r\nfive,2')
    assert rows(path) == [{"text": "one\r\ntwo\rthree\nfour", "n": 1}, {"text": "five", "n": 2}]


def test_a_csv_has_numbers_where_every_value_is_one(make, rows):
    path = make("a.csv", "text,whole,part,yes,word\n007,1,1,true,1\n008,NA,2.5,False,x\n")
    assert rows(path) == [
        {"text": "007", "whole": 1, "part": 1.0, "yes": True, "word": "1"},
        {"text": "008", "whole": None, "part": 2.5, "yes": False, "word": "x"},
    ]


def test_parquet_keeps_every_column(make, rows):
    table = pa.table({"text": ["a", "b"], "tags": [["x"], []]})
    assert rows(make("a.parquet", table)) == table.to_pylist()


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.ndjson", "a.csv"])
@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
def test_every_kind_of_text_is_read_compressed(make, rows, name, compression):
    objects = [{"text": "one"}, {"text": "two"}]
    content = {"a.txt": "one\n\ntwo\n", "a.csv": "text\none\ntwo\n"}.get(name, objects)
    assert rows(make(name + compression, content)) == objects


@pytest.mark.parametrize("name", ["a.txt.gz", "a.txt.zst"])
def test_parts_that_were_compressed_one_by_one_and_joined_are_read(make, rows, name):
    parts = [make(name, part).read_bytes() for part in ("one\n\n", "two\n")]
    path = make(name, "")
    path.write_bytes(b"".join(parts))
    assert texts(rows(path)) == ["one", "two"]


# -- several files ---------------------------------------------------------------------------------


def test_a_directory_of_shards_is_read_by_name_without_what_lies_beside(make, tmp_path, rows):
    make("d/part-1.jsonl.gz", [{"text": "c", "n": 1}])
    make("d/part-0.jsonl", [{"text": "a"}, {"text": "b", "late": "x"}])
    make("d/deep/part-2.ndjson", [{"text": "d", "n": 0.5}])
    for name in ("README.md", ".cache/x.jsonl", "_SUCCESS", ".part-9.jsonl", "stats.json"):
        make(f"d/{name}", "{")
    assert rows(tmp_path / "d") == [
        {"text": "d", "n": 0.5, "late": None},
        {"text": "a", "n": None, "late": None},
        {"text": "b", "n": None, "late": "x"},
        {"text": "c", "n": 1.0, "late": None},
    ]


def test_a_pattern_names_the_files_that_it_matches(make, tmp_path, rows):
    for i in range(12):
        make(f"d/{i:02d}/part.txt.zst", f"text {i}\n")
    make("d/00/notes.txt", "no\n")
    assert texts(rows(f"{tmp_path}/d/0[1-3]/*.zst")) == ["text 1", "text 2", "text 3"]
    assert len(rows(f"{tmp_path}/d/**/part.txt.zst")) == 12


def test_shards_of_parquet_may_differ_in_columns_and_types(make, tmp_path, rows):
    tables = [
        pa.table({"text": pa.array(["a"]).dictionary_encode(), "n": [1], "k": [1]}),
        pa.table({"n": [0.5], "text": pa.array(["b"], pa.large_string()), "k": ["x"]}),
    ]
    for i, table in enumerate(tables):
        make(f"{i}.parquet", table)
    assert rows(f"{tmp_path}/?.parquet") == [
        {"text": "a", "n": 1.0, "k": "1"},
        {"text": "b", "n": 0.5, "k": '"x"'},
    ]


def test_the_home_directory_is_found(make, tmp_path, rows, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make("mine/a.txt", "one\n")
    assert texts(rows("~/mine/a.txt")) == texts(rows("~/mine/*.txt")) == ["one"]


def test_files_of_several_kinds_are_refused(make, tmp_path, rows):
    make("d/a.jsonl", [{"text": "a"}])
    make("d/license.txt", "free\n")
    with pytest.raises(ConfigError, match=r"several kinds.*a.jsonl, license.txt.*/d/\*.jsonl"):
        rows(tmp_path / "d")


def test_what_is_not_there_or_not_read_is_said_with_what_is(make, tmp_path, rows):
    for path, message in {
        make("a.docx", "x"): r"c.yaml > path: files of this kind are not read.*\.ndjson.*\.zst",
        make("a.parquet.gz", "x"): "not read",
        tmp_path / "none.txt": "no such file or directory",
        make("d/README.md", "x").parent: "no file in this directory.*with README.md",
        tmp_path / "*.jsonl": "pattern matches no file.*matches nothing",
    }.items():
        with pytest.raises(ConfigError, match=message):
            rows(path)
    with pytest.raises(DataError, match="a .txt has no columns.*Remove `text`"):
        rows(make("a.txt", "One.\n"), text="story")
    with pytest.raises(ConfigError, match="only documents in a text file.*Remove `separator`"):
        rows(make("a.jsonl", "{}"), separator="---")


# -- bad files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.parquet", "a.txt.gz"])
def test_an_empty_file_is_refused(make, rows, name):
    path = make(name, b"")
    path.write_bytes(b"")
    with pytest.raises(DataError, match=rf"{name}.*empty"):
        rows(path)


@pytest.mark.parametrize("name", ["a.txt.gz", "a.jsonl.zst"])
def test_a_compressed_file_that_was_cut_off_is_refused(make, rows, name):
    whole = make(name, [{"text": f"text {i}"} for i in range(5000)])
    content = whole.read_bytes()
    for damaged in (content[: len(content) // 2], b"not compressed", content[:5]):
        whole.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{name}: the file is not readable as.*again"):
            rows(whole)


def test_a_line_that_is_not_json_is_named(make, rows):
    with pytest.raises(DataError, match="line 2.*not JSON"):
        rows(make("a.jsonl", '{"text": "a"}\n{"text": \n'))
    with pytest.raises(DataError, match="line 1.*not a JSON object"):
        rows(make("a.jsonl", '["a"]\n'))


def test_a_malformed_table_is_a_clear_error(make, rows):
    with pytest.raises(DataError, match="line 3: the file is not readable CSV.*1 fields of 2"):
        rows(make("a.csv", "text,label\none,1\ntwo\n"))
    with pytest.raises(DataError, match="line 2: the file is not readable CSV"):
        rows(make("a.csv", 'text,label\n"one,1\n'))
    with pytest.raises(DataError, match="not readable Parquet"):
        rows(make("a.parquet", b"not a table"))


# -- the head --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl.zst", "a.csv", "a.parquet"])
def test_the_head_has_the_first_documents_and_says_whether_they_are_all(make, name):
    some = [f"text {i}" for i in range(5)]
    contents = {
        "a.txt": "\n\n".join(some),
        "a.jsonl.zst": [{"text": " "}, *({"text": text} for text in some)],
        "a.csv": "\n".join(["text", *some]),
    }
    path = make(name, contents.get(name, pa.table({"text": some})))
    read = {n: head_of(path, where="here", n_documents=n) for n in (2, 5)}
    assert read[2] == (some[:2], False, [path]) and read[5] == (some, True, [path])


def test_looking_at_a_head_imports_nothing_that_planning_does_not(make, tmp_path):
    make("a.txt", "one\n"), make("b.jsonl", [{"text": "a"}]), make("c.csv", "text\na\n")
    make("d.parquet", pa.table({"text": ["a"]}))
    code = f"""
import sys
from saeflow.datasets.local import head_of
for name in ("a.txt", "b.jsonl", "c.csv", "d.parquet"):
    assert len(head_of("{tmp_path}/" + name, where="here").texts) == 1
    assert not {{"torch", "pandas", "transformers"}} & set(sys.modules), name
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_head_does_not_read_on(make):
    path = make("a.jsonl", '{"text": "a"}\n' * 3000 + "{torn")
    assert head_of(path, where="here", n_documents=3).texts == ["a"] * 3
    content = "text\n" + "a\n" * 3000 + '"open'
    assert head_of(make("a.csv", content), where="here", n_documents=3).texts == ["a"] * 3
