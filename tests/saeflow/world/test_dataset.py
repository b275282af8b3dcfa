"""Tests of the dataset on disk."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from saeflow.datasets.split import splits_of
from saeflow.errors import DamagedError
from saeflow.files import hash_tree, read_json
from saeflow.work import bulk_of, hold
from saeflow.world.corpus import generate_documents
from saeflow.world.dataset import TRUTH, read_prompts, write_dataset
from saeflow.world.document import ROLES
from saeflow.world.prompts import PROMPT_SETS

SETTINGS = {
    "generate": {"seed": 5, "n_tokens": 8000, "n_prompts": 20},
    "splits": {"train": 0.6, "validation": 0.2, "test": 0.2},
    "splits_seed": 1,
}


def make(root):
    record = root / "world" / "dataset.json"
    with hold(record, "d" * 64) as work:
        write_dataset(work, SETTINGS)
        work.publish()
    return record


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return make(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def table(record):
    return pd.read_parquet(bulk_of(record) / "documents.parquet")


def test_two_runs_write_the_same_bytes(record, tmp_path):
    assert hash_tree(bulk_of(make(tmp_path))) == hash_tree(bulk_of(record))


def test_the_table_holds_what_was_generated(table):
    documents = list(generate_documents(5, 8000))
    assert table["text"].tolist() == [document.text for document in documents]
    assert table["document"].tolist() == list(range(len(documents)))
    for name in TRUTH:
        assert [list(row) for row in table[name]] == [getattr(d, name) for d in documents]
    for name in ("kind", "topic", "label"):
        assert table[name].tolist() == [getattr(d, name) for d in documents]


def test_truth_has_one_value_per_word(table):
    for row in table.itertuples():
        n_words = len(row.text.split())
        assert all(len(getattr(row, name)) == n_words for name in TRUTH)


def test_splits_follow_the_text(table):
    expected = splits_of(table["text"], SETTINGS["splits"], 1)
    assert table["split"].tolist() == expected


def test_the_record_counts_by_split(record, table):
    facts = read_json(record)
    assert facts["roles"] == list(ROLES)
    assert facts["columns"] == pq.read_schema(bulk_of(record) / "documents.parquet").names
    for split, rows in table.groupby("split"):
        assert facts["n_documents"][split] == len(rows)
        assert facts["n_characters"][split] == sum(map(len, rows["text"]))
        assert facts["n_words"][split] == sum(len(text.split()) for text in rows["text"])


def test_every_prompt_set_is_there(record):
    for name in PROMPT_SETS:
        prompts = read_prompts(bulk_of(record), name)
        assert (prompts["part"] == "test").sum() == 20


@pytest.mark.parametrize(
    ("name", "column", "value", "said"),
    [
        ("sentiment", "label", None, "0 or 1; got nan"),
        ("sentiment", "label", 2, "0 or 1; got 2"),
        ("sentiment", "text", None, "a text; got nan"),
        ("cloze", "target", None, "a word; got nan"),
        ("cloze", "candidates", ["none", "of", "them"], "the target among them"),
    ],
)
def test_a_prompt_that_cannot_be_scored_is_named(record, name, column, value, said, tmp_path):
    prompts = read_prompts(bulk_of(record), name)
    prompts[column] = [value if i == 3 else one for i, one in enumerate(prompts[column])]
    (tmp_path / "prompts").mkdir()
    prompts.to_parquet(tmp_path / "prompts" / f"{name}.parquet")
    with pytest.raises(DamagedError, match=rf"{name}.parquet, row 3, column {column}.*{said}"):
        read_prompts(tmp_path, name)


def test_the_size_of_blocks_changes_no_row(record, table, tmp_path, monkeypatch):
    from saeflow.world import dataset

    monkeypatch.setattr(dataset, "_BLOCK_DOCUMENTS", 7)
    other = make(tmp_path)
    found = pd.read_parquet(bulk_of(other) / "documents.parquet")
    pd.testing.assert_frame_equal(found, table)
    # the files themselves may be divided otherwise
    facts = [{**read_json(path), "inventory": "", "checksum": ""} for path in (other, record)]
    assert facts[0] == facts[1]
