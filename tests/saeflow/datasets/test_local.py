"""Documents from local files, what becomes of their other columns, and errors of bad files."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saeflow.datasets import source
from saeflow.datasets.files import find_files
from saeflow.datasets.local import head_of, local_source
from saeflow.datasets.write import write_documents
from saeflow.errors import ConfigError, DataError


@pytest.fixture
def make(tmp_path):
    """Write a file, compressed as its name says, and return its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = content if isinstance(content, bytes) else content.encode()
        if path.suffix == ".gz":
            content = gzip.compress(content)
        if path.suffix == ".zst":
            content = pa.compress(content, "zstd", asbytes=True)
        path.write_bytes(content)
        return path

    return write_file


@pytest.fixture
def written(tmp_path):
    """Return a dataset's rows as they are written, less their number and split, and the record."""

    def write(path, text="text", separator=None):
        files = find_files(path, where="c.yaml > path", separator=separator)
        opened = local_source(files, str(path), text, separator)
        facts = write_documents(tmp_path, opened, {"train": 1.0}, 0)
        table = pq.read_table(tmp_path / "documents.parquet")
        return table.drop(["document", "split"]).to_pylist(), facts

    return write


@pytest.fixture
def rows(written):
    return lambda *arguments, **options: written(*arguments, **options)[0]


def texts(rows):
    return [row["text"] for row in rows]


def lines(*objects):
    return "\n".join(map(json.dumps, objects)) + "\n"


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
    assert rows(make("a.jsonl", lines(*objects) + "\n\n")) == objects


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


def test_parquet_keeps_every_column(tmp_path, rows):
    table = pa.table({"text": ["a", "b"], "tags": [["x"], []]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet") == table.to_pylist()


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.ndjson", "a.csv"])
@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
def test_every_kind_of_text_is_read_compressed(make, rows, name, compression):
    content = {
        "a.txt": "one\n\ntwo\n",
        "a.jsonl": lines({"text": "one"}, {"text": "two"}),
        "a.csv": "text\none\ntwo\n",
    }
    path = make(name + compression, content[name.replace("ndjson", "jsonl")])
    assert rows(path) == [{"text": "one"}, {"text": "two"}]


def test_parts_that_were_compressed_one_by_one_and_joined_are_read(make, rows):
    for compress, name in ((gzip.compress, "a.txt.gz"), (zstd, "a.txt.zst")):
        path = make(name, "")
        path.write_bytes(compress(b"one\n\n") + compress(b"two\n"))
        assert texts(rows(path)) == ["one", "two"]


def zstd(content):
    return pa.compress(content, "zstd", asbytes=True)


# -- several files ---------------------------------------------------------------------------------


def test_a_directory_of_shards_is_read_by_name_without_what_lies_beside(make, tmp_path, rows):
    make("d/part-1.jsonl.gz", lines({"text": "c", "n": 1}))
    make("d/part-0.jsonl", lines({"text": "a"}, {"text": "b", "late": "x"}))
    make("d/deep/part-2.ndjson", lines({"text": "d", "n": 0.5}))
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


def test_shards_of_parquet_may_differ_in_columns_and_types(tmp_path, rows):
    tables = [
        pa.table({"text": pa.array(["a"]).dictionary_encode(), "n": [1], "k": [1]}),
        pa.table({"n": [0.5], "text": pa.array(["b"], pa.large_string()), "k": ["x"]}),
    ]
    for i, table in enumerate(tables):
        pq.write_table(table, tmp_path / f"{i}.parquet")
    assert rows(f"{tmp_path}/?.parquet") == [
        {"text": "a", "n": 1.0, "k": "1"},
        {"text": "b", "n": 0.5, "k": '"x"'},
    ]


def test_the_home_directory_is_found(make, tmp_path, rows, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make("mine/a.txt", "one\n")
    assert texts(rows("~/mine/a.txt")) == texts(rows("~/mine/*.txt")) == ["one"]


def test_files_of_several_kinds_are_refused(make, tmp_path, rows):
    make("d/a.jsonl", lines({"text": "a"}))
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


# -- columns that nobody reads ---------------------------------------------------------------------


def test_columns_and_wider_types_that_come_late_are_kept(make, rows, monkeypatch):
    monkeypatch.setattr(source, "BATCH_DOCUMENTS", 2)
    objects = [
        {"text": "a", "n": 1, "deep": {"x": 1}},
        {"text": "b", "n": 2**60 + 1, "deep": {}},
        {"text": "c", "n": 0.5, "deep": {"y": "z"}, "late": "x"},
    ]
    assert rows(make("a.jsonl", lines(*objects))) == [
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
    rows, facts = written(make("a.jsonl", lines(*objects)))
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


def test_what_parquet_cannot_hold_is_kept_as_json_text(tmp_path, written):
    kinds = pa.array(["x", "x"]).dictionary_encode()
    table = pa.table({"text": kinds, "kind": kinds, "n": pa.array([None, None], pa.null())})
    pq.write_table(table, tmp_path / "a.parquet")
    rows, facts = written(tmp_path / "a.parquet")
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
    rows, facts = written(make("a.jsonl", lines(cut, whole)))
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
def test_the_text_may_be_a_field_of_a_column(make, tmp_path, written, monkeypatch, batch):
    monkeypatch.setattr(source, "BATCH_DOCUMENTS", batch)
    objects = [
        {"id": 1, "meta": {"body": {"en": "one"}, "by": "A"}},
        {"id": 2, "meta": {"body": {"en": "two"}, "by": 5}},
    ]
    rows, facts = written(make("a.jsonl", lines(*objects)), "meta.body.en")
    assert rows == [
        {"text": "one", "id": 1, "meta": '{"by": "A"}'},
        {"text": "two", "id": 2, "meta": '{"by": 5}'},
    ]
    pq.write_table(pa.Table.from_pylist(objects[:1]), tmp_path / "a.parquet")
    rows, _ = written(tmp_path / "a.parquet", "meta.body.en")
    assert rows == [{"text": "one", "id": 1, "meta": {"by": "A"}}]


def test_a_column_with_nothing_but_the_text_is_taken_whole(make, tmp_path, rows):
    pq.write_table(pa.table({"meta": [{"body": "a"}]}), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet", "meta.body") == [{"text": "a"}]
    assert rows(make("a.jsonl", lines({"meta": {"body": "a"}})), "meta.body") == [{"text": "a"}]
    dotted = lines({"meta.body": "a", "meta": {"body": "b"}})
    assert rows(make("a.jsonl", dotted), "meta.body") == [{"text": "a", "meta": {"body": "b"}}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"body": "a", "meta": {"id": 1}}\n'),
        ("a.csv", "body,meta.id\na,1\n"),
        ("a.parquet", pa.table({"body": ["a"], "meta": [{"id": 1}]})),
    ],
)
def test_a_missing_column_lists_those_there_are(make, tmp_path, rows, name, content):
    if isinstance(content, str):
        make(name, content)
    else:
        pq.write_table(content, tmp_path / name)
    for text in ("text", "meta.text", "body.text"):
        with pytest.raises(DataError, match=f"no column '{text}'.*one of body, meta.id"):
            rows(tmp_path / name, text)


@pytest.mark.parametrize(
    "kind",
    [pa.dictionary(pa.int8(), pa.string()), pa.large_string(), pa.string_view(), pa.binary()],
)
def test_a_text_is_one_however_its_column_is_coded(tmp_path, rows, kind):
    table = pa.table({"text": pa.array(["über", "b", "b"]).cast(kind)})
    pq.write_table(table, tmp_path / "a.parquet")
    assert texts(rows(tmp_path / "a.parquet")) == ["über", "b", "b"]


def test_a_text_that_is_none_is_named_with_what_to_do(make, tmp_path, rows):
    with pytest.raises(DataError, match="line 2.*holds no text.*got int.*another column"):
        rows(make("a.jsonl", lines({"text": "a"}, {"text": 5})))
    with pytest.raises(DataError, match="line 1.*got null.*remove it"):
        rows(make("a.jsonl", lines({"text": None})))
    pq.write_table(pa.table({"text": [["a"]]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="'text' holds no text.*got list"):
        rows(tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [b"a", b"\xff"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="'text' is not UTF-8"):
        rows(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_a_text_of_another_encoding_is_refused_by_its_line(make, rows, name):
    good = {"a.txt": "é one\n", "a.jsonl": '{"text": "é one"}\n', "a.csv": "text\né one\n"}[name]
    bad = b'{"text": "M\xfcller"}\n' if name == "a.jsonl" else b"M\xfcller\n"
    path = make(name, good.encode() + bad)
    message = rf"line {good.count(chr(10)) + 1}.*byte 0xfc after 'M'.*iconv"
    with pytest.raises(DataError, match=message):
        rows(path)


# -- bad files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.parquet", "a.txt.gz"])
def test_an_empty_file_is_refused(make, rows, name):
    path = make(name, b"")
    path.write_bytes(b"")
    with pytest.raises(DataError, match=rf"{name}.*empty"):
        rows(path)


@pytest.mark.parametrize("name", ["a.txt.gz", "a.jsonl.zst"])
def test_a_compressed_file_that_was_cut_off_is_refused(make, rows, name):
    whole = make(name, lines(*({"text": f"text {i}"} for i in range(5000))))
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
def test_the_head_has_the_first_documents_and_says_whether_they_are_all(make, tmp_path, name):
    some = [f"text {i}" for i in range(5)]
    contents = {
        "a.txt": "\n\n".join(some),
        "a.jsonl.zst": lines({"text": " "}, *({"text": text} for text in some)),
        "a.csv": "\n".join(["text", *some]),
    }
    if name in contents:
        make(name, contents[name])
    else:
        pq.write_table(pa.table({"text": some}), tmp_path / name)
    read = {n: head_of(tmp_path / name, where="here", n_documents=n) for n in (2, 5)}
    files = [tmp_path / name]
    assert read[2] == (some[:2], False, files) and read[5] == (some, True, files)


def test_looking_at_a_head_imports_nothing_that_planning_does_not(make, tmp_path):
    make("a.txt", "one\n"), make("b.jsonl", lines({"text": "a"})), make("c.csv", "text\na\n")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "d.parquet")
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
    path = make("a.jsonl", lines({"text": "a"}) * 3000 + "{torn")
    assert head_of(path, where="here", n_documents=3).texts == ["a"] * 3
    content = "text\n" + "a\n" * 3000 + '"open'
    assert head_of(make("a.csv", content), where="here", n_documents=3).texts == ["a"] * 3
