"""Datasets sampled from a model."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from saeflow.datasets import sampled
from saeflow.datasets.sampled import sample_dataset
from saeflow.files import read_json
from saeflow.interrupt import Interrupted
from saeflow.models import sample
from saeflow.models.fetch import fetch_model
from saeflow.models.load import load_model
from saeflow.work import bulk_of, hold
from tiny_models import make_model, make_tokenizer

SETTINGS = {
    "sample": {"n_documents": 7, "temperature": 1.0, "top_k": 0, "max_tokens": 6, "seed": 0},
    "splits": {"train": 0.5, "test": 0.5},
    "splits_seed": 0,
}


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A small model; batches of two documents."""
    monkeypatch.setattr(sampled, "BATCH_DOCUMENTS", 2)
    monkeypatch.setattr(sample, "BATCH_DOCUMENTS", 2)
    directory = tmp_path / "local"
    make_model("gpt_neox").save_pretrained(directory)
    make_tokenizer().save_pretrained(directory)
    with hold(tmp_path / "models" / "tiny" / "model.json", "a" * 64) as work:
        fetch_model(work, {}, path=directory)
        work.publish()
    return work.output


def make(record, output):
    with hold(output, "e" * 64) as work:
        sample_dataset(work, SETTINGS, record, record)
        work.publish()
    return (bulk_of(output) / "documents.parquet").read_bytes()


def test_the_documents_are_written_with_their_record(record, tmp_path):
    make(record, tmp_path / "a" / "dataset.json")
    facts = read_json(tmp_path / "a" / "dataset.json")
    bulk = bulk_of(tmp_path / "a" / "dataset.json")
    assert {file.name for file in bulk.iterdir()} == {
        "documents.parquet",
        "files.json",
        "manifest.json",
    }
    assert sum(facts["n_documents"].values()) + facts["n_blank"] == 7
    texts = pq.read_table(bulk / "documents.parquet")["text"].to_pylist()
    assert {word for text in texts for word in text.split()} <= {f"w{i}" for i in range(3, 61)}


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(record, tmp_path, monkeypatch):
    whole = make(record, tmp_path / "a" / "dataset.json")
    loads = []

    class StopAtSecond:
        """Asks to stop after the second batch of a run."""

        def __init__(self):
            self.n = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def check(self):
            self.n += 1
            if self.n == 2:
                raise Interrupted

    monkeypatch.setattr(sampled, "interruptible", StopAtSecond)
    monkeypatch.setattr(sampled, "load_model", lambda r: (loads.append(r), load_model(r))[1])
    output = tmp_path / "b" / "dataset.json"
    with pytest.raises(Interrupted):
        make(record, output)
    partial = next((tmp_path / "b").glob("*.partial"))
    assert len(list((partial / "sampled").iterdir())) == 2
    with pytest.raises(Interrupted):
        make(record, output)
    assert make(record, output) == whole
    assert len(loads) == 2  # the third run only had to write
