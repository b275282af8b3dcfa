"""Prompt sets as jobs make them, of files and of the world."""

import csv
import gzip
import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saeflow.errors import ConfigError, DataError
from saeflow.files import read_json
from saeflow.prompts.local import check_head
from saeflow.prompts.prepare import prepare_prompts
from saeflow.prompts.prompt import FILE, Prompt, read_prompts
from saeflow.work import bulk_of, hold
from saeflow.world.dataset import read_prompts as read_world
from tiny_world import make_world

DEFAULTS = {"form": "auto", "n_prompts": None, "window": None}
ROWS = [
    {"text": "Tom saw a cat and called the", "answer": "cat", "candidates": ["cat", "dog"]},
    {"text": "Ann lost her key and found the", "answer": "key", "candidates": ["ant", "key", "x"]},
    {"text": 'Ned ate, and "so", he said, did the', "answer": "ox", "candidates": ["ox", "y"]},
]


def prepare(root, path=None, dataset=None, **settings):
    record = root / "prompts" / "mine" / "prompts.json"
    with hold(record, "p" * 64) as work:
        prepare_prompts(work, DEFAULTS | settings, path and str(path), dataset)
        work.publish()
    return record


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(path, kind):
    if kind == "jsonl":
        path.write_text(jsonl(ROWS))
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress(jsonl(ROWS).encode()))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(ROWS[0])
            writer.writerows([r["text"], r["answer"], "|".join(r["candidates"])] for r in ROWS)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "parquet", "csv"])
def test_files_of_every_kind_give_the_same_prompts(tmp_path, kind):
    record = prepare(tmp_path, write(tmp_path / f"mine.{kind}", kind))
    found = read_prompts(record)
    assert found.prompts == [Prompt(r["text"], r["answer"], r["candidates"]) for r in ROWS]
    assert (found.kind, found.window) == ("choice", 32)
    facts = read_json(record)
    assert facts["n_prompts"] == 3
    assert facts["n_candidates"] == {"min": 2, "max": 3}
    assert facts["chance"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 3)


def test_the_file_has_the_columns_that_others_read(tmp_path):
    path = write(tmp_path / "mine.jsonl", "jsonl")
    table = pq.read_table(bulk_of(prepare(tmp_path, path)) / FILE)
    names = ["prompt", "text", "answer", "candidates", "after", "distractor", "group"]
    assert table.column_names == names
    assert table["prompt"].to_pylist() == [0, 1, 2]
    assert table["after"].to_pylist() == ["", "", ""]
    assert table["distractor"].to_pylist() == [None] * 3


def test_the_same_file_gives_the_same_bytes(tmp_path):
    path = write(tmp_path / "mine.jsonl", "jsonl")
    one, other = (bulk_of(prepare(tmp_path / name, path)) / FILE for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_so_many_prompts_are_the_first_ones_and_more_than_there_are_is_an_error(tmp_path):
    path = write(tmp_path / "mine.jsonl", "jsonl")
    path.write_text(path.read_text() + '{"broken": true}\n')  # not one of the first three
    assert len(read_prompts(prepare(tmp_path / "a", path, n_prompts=3)).prompts) == 3
    path = write(tmp_path / "mine.jsonl", "jsonl")
    with pytest.raises(DataError, match=r"fewer prompts than asked for \(expected at least 4; got"):
        prepare(tmp_path / "b", path, n_prompts=4)


def test_the_window_is_that_of_the_kind_or_as_asked_for(tmp_path):
    row = {"sentences": ["a b ."], "question": "so XXXXX it", "answer": "c", "options": ["c", "d"]}
    path = tmp_path / "cloze.jsonl"
    path.write_text(jsonl([row]))
    assert read_prompts(prepare(tmp_path / "a", path)).window == 128
    assert read_prompts(prepare(tmp_path / "b", path, window=5)).window == 5


def test_a_cloze_with_fewer_than_ten_candidates_is_counted_and_said(tmp_path, caplog):
    ten = [f"w{i}" for i in range(10)]
    row = {"sentences": ["a b ."], "question": "so XXXXX it", "answer": "w0", "options": ten}
    path = tmp_path / "cloze.jsonl"
    path.write_text(jsonl([row, row | {"options": [*ten[:4], "w0"]}]))
    with caplog.at_level(logging.WARNING):
        facts = read_json(prepare(tmp_path, path))
    assert facts["n_candidates"] == {"min": 4, "max": 10}
    assert facts["n_with_few_candidates"] == 1
    assert facts["n_repeated_candidates"] == 1
    assert facts["chance"] == pytest.approx((1 / 10 + 1 / 4) / 2)
    assert "1 of 2 questions have fewer than 10 candidates" in caplog.text


def test_bad_rows_and_empty_sets_leave_no_record(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(jsonl([{"text": "a b"}, {"text": "word"}]))
    with pytest.raises(DataError, match=r"mine.jsonl > line 2: the text is a single word"):
        prepare(tmp_path, path)
    path.write_text("\n")
    with pytest.raises(DataError, match="there is no prompt"):
        prepare(tmp_path, path)
    assert not (tmp_path / "prompts/mine/prompts.json").exists()
    path.write_text(jsonl([{"text": "a b"}]))
    assert len(read_prompts(prepare(tmp_path, path)).prompts) == 1


def test_parquet_with_bytes_that_are_not_utf8_is_refused(tmp_path):
    texts = pa.StringArray.from_buffers(
        1, pa.py_buffer(b"\0\0\0\0\3\0\0\0"), pa.py_buffer(b"a \xff")
    )
    pq.write_table(pa.table({"text": texts}), tmp_path / "mine.parquet")
    with pytest.raises(DataError, match=r"mine.parquet: the file is not readable .*0xff"):
        prepare(tmp_path, tmp_path / "mine.parquet")


def test_the_first_rows_are_looked_at_before_anything_runs(tmp_path):
    settings = DEFAULTS | {}
    path = tmp_path / "mine.jsonl"
    path.write_text(jsonl([{"text": "a b"}, {"text": "word"}]))
    with pytest.raises(DataError, match="line 2"):
        check_head(path, settings, where="here")
    check_head(path, settings | {"n_prompts": 1}, where="here")
    with pytest.raises(DataError, match="no column for the text"):
        check_head(path, settings | {"text": "nope"}, where="here")
    (tmp_path / "mine.txt").write_text("a b\n")
    with pytest.raises(ConfigError, match="here: prompts are not read from plain text"):
        check_head(tmp_path / "mine.txt", settings, where="here")
    path.write_text("\n")
    with pytest.raises(DataError, match="there is no prompt"):
        check_head(path, settings, where="here")


def test_finished_work_is_not_done_again(tmp_path):
    path = write(tmp_path / "mine.jsonl", "jsonl")
    first = bulk_of(prepare(tmp_path, path)) / FILE
    time = first.stat().st_mtime_ns
    path.unlink()
    prepare(tmp_path, path)
    assert first.stat().st_mtime_ns == time


def test_what_a_killed_job_left_is_thrown_away(tmp_path, monkeypatch):
    path = write(tmp_path / "mine.jsonl", "jsonl")
    clean = bulk_of(prepare(tmp_path / "clean", path))

    def die(directory, prompts):
        (directory / FILE).write_bytes(b"PAR1 torn")
        (directory / "more").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("saeflow.prompts.prepare.write_prompts", die)
        prepare(tmp_path / "killed", path)
    again = bulk_of(prepare(tmp_path / "killed", path))
    assert (again / FILE).read_bytes() == (clean / FILE).read_bytes()
    assert {p.name for p in again.iterdir()} == {p.name for p in clean.iterdir()}


# -- the world's ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world")).dataset


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("last_word", "last_word"),
        ("cloze", "cloze"),
        ("indirect_object", "choice"),
        ("owner_binding", "choice"),
    ],
)
def test_prompts_of_a_world_are_those_that_its_dataset_has(tmp_path, world, name, kind):
    found = read_prompts(prepare(tmp_path, dataset=world, generate=name, n_prompts=15))
    theirs = read_world(bulk_of(world), name)[:15]
    assert found.kind == kind
    assert [p.text for p in found.prompts] == theirs["text"].tolist()
    assert [p.answer for p in found.prompts] == theirs["target"].tolist()
    assert {p.after for p in found.prompts} == {" ."}
    if kind == "last_word":
        assert {p.candidates for p in found.prompts} == {None}
    else:
        assert [p.candidates for p in found.prompts] == theirs["candidates"].map(list).tolist()


def test_who_gives_is_the_distractor_of_who_gets_it(tmp_path, world):
    found = read_prompts(prepare(tmp_path, dataset=world, generate="indirect_object"))
    assert len(found.prompts) == 20
    for prompt, order in zip(found.prompts, ["ABBA", "BABA"] * 10, strict=True):
        words = prompt.text.split()
        assert prompt.group == order
        assert words.count(prompt.distractor) > words.count(prompt.answer) == 1
        assert {*prompt.candidates} == {prompt.answer, prompt.distractor}
