"""Tests of the word-level tokenizer."""

from pathlib import Path

import pandas as pd
import pytest

from saeflow.errors import DataError
from saeflow.files import read_json
from saeflow.tokenizers import tokenizer_from_directory, vocabulary_sha256
from saeflow.work import bulk_of, hold
from saeflow.world.dataset import write_dataset
from saeflow.world.tokenizer import train_tokenizer, word_tokenizer


def test_frequent_words_have_low_ids_and_equals_are_ordered():
    tokenizer = word_tokenizer(["b a b", "c b"], where=Path("here"))
    assert tokenizer.get_vocab() == {"<eos>": 0, "<unk>": 1, "b": 2, "a": 3, "c": 4}
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == 0


def test_an_unknown_word_becomes_unk():
    tokenizer = word_tokenizer(["a b"], where=Path("here"))
    assert tokenizer("a z", add_special_tokens=False)["input_ids"] == [2, 1]


def test_without_words_there_is_a_clear_error():
    with pytest.raises(DataError, match="no words"):
        word_tokenizer([" "], where=Path("here"))


def test_a_trained_tokenizer_restores_all_text_exactly(tmp_path):
    dataset = tmp_path / "dataset.json"
    with hold(dataset, "d" * 64) as work:
        write_dataset(
            work,
            {
                "generate": {"seed": 0, "n_tokens": 60_000, "n_prompts": 20},
                "splits": {"train": 0.9, "validation": 0.0, "test": 0.1},
                "splits_seed": 0,
            },
        )
        work.publish()
    record = tmp_path / "tokenizer.json"
    with hold(record, "t" * 64) as work:
        train_tokenizer(work, dataset)
        work.publish()
    tokenizer = tokenizer_from_directory(bulk_of(record))
    facts = read_json(record)
    assert facts["vocab_size"] == len(tokenizer)
    assert facts["vocabulary_sha256"] == vocabulary_sha256(tokenizer)
    documents = pd.read_parquet(bulk_of(dataset) / "documents.parquet")
    # a word that stands in another split alone is unknown to it
    for text in documents[documents["split"] == "train"]["text"]:
        ids = tokenizer(text)["input_ids"]
        assert len(ids) == len(text.split(" "))
        assert tokenizer.decode(ids) == text
