"""Labelled texts as jobs make them, of files and of the world."""

import csv
import gzip
import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saeflow.errors import DataError
from saeflow.files import hash_tree, read_json
from saeflow.labelled.labelled import read_labelled
from saeflow.labelled.prepare import prepare_labelled
from saeflow.work import bulk_of, hold

DEFAULTS = {
    "text": "text", "label": ["label"], "rule": "auto", "classes": 10, "balance": "none",
    "duplicates": "drop", "examples": None, "seed": 0,
}  # fmt: skip
ROWS = [{"text": f"text {i}, so", "label": i % 2, "at": [f"{i}"]} for i in range(100)]


def prepare(root, settings=None, **paths):
    record = root / "labelled" / "mine" / "labelled.json"
    with hold(record, "p" * 64) as work:
        own = DEFAULTS | {"name": "mine"} | (settings or {})
        prepare_labelled(work, own, {key: str(path) for key, path in paths.items()})
        work.publish()
    return record


def write(path, rows=ROWS):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(rows[0])
            for row in rows:
                writer.writerow("|".join(v) if isinstance(v, list) else v for v in row.values())
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_files_of_every_kind_give_the_same_tasks(tmp_path, kind):
    settings = {"concept": "at", "template": "Is {so} {text} good? "}
    record = prepare(tmp_path, settings, path=write(tmp_path / f"a.{kind}"))
    found = read_labelled(record)
    assert found.texts == ["Is {so} text " + f"{i}, so good? " for i in range(100)]
    for text, (start, end), concept, i in zip(
        found.texts, found.spans, found.concepts, range(100), strict=True
    ):
        assert text[start:end] == f"text {i}, so"
        assert [text[a:b] for a, b in concept] == [str(i)]
    (task,) = found.tasks
    assert (task.name, task.labels.tolist()) == ("mine", [0, 1] * 50)
    assert set(found.splits) == {"train", "test"}
    facts = read_json(record)
    assert facts["n_characters"] == sum(map(len, found.texts))
    assert facts["n_with_concept"] == facts["n_examples"] == facts["n_labels"] == 100
    assert facts["datasets"]["mine"]["n_read"] == 100


def test_it_is_the_same_bytes_again(tmp_path):
    path = write(tmp_path / "a.jsonl")
    one, other = (prepare(tmp_path / name, path=path) for name in "xy")
    assert hash_tree(bulk_of(one)) == hash_tree(bulk_of(other))


def test_each_file_of_several_is_a_dataset_with_its_own_second_distribution(tmp_path):
    half = [row | {"label": "yes" if i % 3 else "no"} for i, row in enumerate(ROWS)]
    write(tmp_path / "in/a.jsonl", half)
    write(tmp_path / "in/b.b.jsonl.gz", [row | {"label": i % 3} for i, row in enumerate(ROWS)])
    write(tmp_path / "in/one.jsonl", [row | {"label": "x"} for row in ROWS])
    far = [{"text": f"far {i}", "label": ("yes", "no", "?")[i % 3]} for i in range(9)]
    write(tmp_path / "out/a_far.csv", far)
    write(tmp_path / "out/none.csv", far)
    record = prepare(tmp_path, path=tmp_path / "in", shift_path=tmp_path / "out/*")
    facts, found = read_json(record), read_labelled(record)
    assert [task.name for task in found.tasks] == ["a", "b.b=0", "b.b=1", "b.b=2"]
    assert facts["left_out"] == {"one": "training texts of one class only: x"}
    assert facts["files_left_out"] == ["none.csv"]
    assert facts["datasets"]["a"]["n_unknown"] == 3
    assert [facts["tasks"]["a"][f"n_{one}"] for one in ("shift", "positive_shift")] == [6, 3]
    assert facts["n_examples"] == 206
    assert found.datasets.tolist() == ["a"] * 106 + ["b.b"] * 100
    for task in found.tasks:
        assert set(found.datasets[task.examples]) == {task.dataset}
        assert len(task.examples) == (106 if task.name == "a" else 100)
    yes = found.tasks[0]
    texts = [found.texts[i] for i in yes.of("shift")[0]]
    assert texts == ["far 0", "far 1", "far 3", "far 4", "far 6", "far 7"]


def test_test_texts_of_their_own_are_all_of_them(tmp_path, caplog):
    test = [row | {"text": f"new {i}" if i else "text 7, so"} for i, row in enumerate(ROWS[:20])]
    paths = {"path": write(tmp_path / "a.jsonl"), "test_path": write(tmp_path / "b.csv", test)}
    with caplog.at_level(logging.WARNING):
        record = prepare(tmp_path, **paths)
    found, facts = read_labelled(record), read_json(record)
    assert found.splits.tolist() == ["train"] * 99 + ["test"] * 20
    assert "text 7, so" not in found.texts[:99]
    assert facts["datasets"]["mine"]["n_shared"] == 1
    assert "1 training texts are test texts, too: left out" in caplog.text


def test_texts_that_no_task_is_about_are_not_kept(tmp_path):
    rows = [row | {"label": None if i % 5 == 0 else row["label"]} for i, row in enumerate(ROWS)]
    balanced = prepare(tmp_path, {"balance": "post"}, path=write(tmp_path / "a.jsonl", rows))
    found, facts = read_labelled(balanced), read_json(balanced)["datasets"]["mine"]
    (task,) = found.tasks
    assert task.examples.tolist() == list(range(len(found.texts)))
    numbers = [int(text.split()[1].rstrip(",")) for text in found.texts]
    assert task.labels.tolist() == [number % 2 for number in numbers]
    assert facts["n_unlabelled"] == 20
    assert facts["n_train"] + facts["n_test"] + facts["n_balanced_away"] == 80


def test_numbers_that_were_published_are_checked(tmp_path):
    path = write(tmp_path / "a.jsonl")
    record = prepare(tmp_path / "x", path=path)
    n = {f"{name}": read_json(record)[f"n_{name}"] for name in ("train", "test")}
    assert n["train"] + n["test"] == 100
    prepare(tmp_path / "y", {"expect": n}, path=path)
    with pytest.raises(DataError, match=f"not as many.*{n['train'] + 1} train.*got {n['train']}"):
        prepare(tmp_path / "z", {"expect": {"train": n["train"] + 1}}, path=path)


def test_where_no_task_is_left_it_says_why(tmp_path):
    rows = [row | {"label": "x"} for row in ROWS]
    with pytest.raises(DataError, match=r"no task is left.*mine: training texts of one class"):
        prepare(tmp_path, path=write(tmp_path / "a.jsonl", rows))


def test_reviews_of_the_world_are_several_tasks_of_the_same_texts(tmp_path):
    settings = {"generate": "sentiment", "world": {"seed": 0, "n_prompts": 40}}
    found = read_labelled(prepare(tmp_path, settings))
    assert [task.name for task in found.tasks] == [
        "mine.sentiment", "mine.strength", "mine.thing=book", "mine.thing=film",
        "mine.thing=restaurant", "mine.negation",
    ]  # fmt: skip
    assert {len(task.examples) for task in found.tasks} == {240}
    sentiment = found.tasks[0]
    assert sentiment.facts["words"] == {"positive": " good", "negative": " bad"}
    assert sentiment.facts["positive"] == "praise"
    assert all((spans[:, 1] > spans[:, 0]).all() for spans in found.concepts)
    fewer = read_labelled(prepare(tmp_path / "few", {**settings, "examples": 100}))
    assert len(fewer.texts) == 140
    assert np.isin(fewer.texts, found.texts).all()


def test_the_filter_of_the_post_on_real_reviews(tmp_path, real_data):
    """Counted by another program: filter, then the first of each class, as many of both."""
    template = 'Consider if following review is positive or negative:\n"{text}"\nThe review is '
    settings = {
        "longer_than": 250, "shorter_than": 500, "balance": "post", "duplicates": "keep",
        "template": template,
    }  # fmt: skip
    files = {name: real_data / f"benchmarks/imdb_{name}_5k.jsonl" for name in ("train", "test")}
    found = read_labelled(prepare(tmp_path, settings, path=files["train"], test_path=files["test"]))
    for split, file in files.items():
        rows = [json.loads(line) for line in file.read_text().split("\n") if line]
        rows = [row for row in rows if 250 < len(row["text"]) < 500]
        both = [[row for row in rows if row["label"] == label] for label in (0, 1)]
        n = min(map(len, both))
        wanted = {
            (template.replace("{text}", row["text"]), row["label"])
            for one in both
            for row in one[:n]
        }
        examples, labels = found.tasks[0].of(split)
        assert len(examples) == 2 * n
        assert {
            (found.texts[i], label) for i, label in zip(examples, labels, strict=True)
        } == wanted
        assert all(found.texts[i].endswith("The review is ") for i in examples)
