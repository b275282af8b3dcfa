"""Tokenizers: what their hash sees, and what their record says."""

from __future__ import annotations

import pytest

from saeflow.errors import ModelError
from saeflow.files import read_json
from saeflow.models.load import load_tokenizer
from saeflow.tokenizers import publish_tokenizer, tokenizer_from_directory, vocabulary_sha256
from saeflow.work import bulk_of, hold
from tiny_models import make_tokenizer


def publish(tmp_path, source):
    output = tmp_path / "tokenizers" / "mine" / "tokenizer.json"
    with hold(output, "f" * 64) as work:
        publish_tokenizer(work, source)
        work.publish()
    return output


@pytest.fixture
def directory(tmp_path):
    """A saved tokenizer, with something else beside it."""
    make_tokenizer().save_pretrained(tmp_path / "source")
    (tmp_path / "source" / "model.safetensors").write_text("weights")
    return tmp_path / "source"


def test_a_tokenizer_is_copied_with_its_record(tmp_path, directory):
    output = publish(tmp_path, directory)
    facts = read_json(output)
    assert {k: facts[k] for k in ("vocab_size", "bos_id", "eos_id", "pad_id", "special_ids")} == {
        "vocab_size": 61,
        "bos_id": 0,
        "eos_id": 1,
        "pad_id": 2,
        "special_ids": [0, 1, 2],
    }
    assert facts["vocabulary_sha256"] == vocabulary_sha256(make_tokenizer())
    assert not (bulk_of(output) / "model.safetensors").exists()
    assert load_tokenizer(output)("w5 w9")["input_ids"] == [5, 9]


def test_name_path_and_padding_do_not_enter_the_hash(tmp_path):
    one, other = make_tokenizer(), make_tokenizer()
    other.name_or_path = "/elsewhere/another-name"
    other.pad_token = "<eos>"
    other.save_pretrained(tmp_path / "copy")
    assert vocabulary_sha256(one) == vocabulary_sha256(tokenizer_from_directory(tmp_path / "copy"))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.add_tokens(["more"]),
        lambda t: setattr(t, "bos_token", "<eos>"),
        lambda t: setattr(t, "eos_token", "w3"),
        lambda t: t.add_special_tokens({"unk_token": "w3"}),
    ],
)
def test_what_ids_mean_enters_the_hash(change):
    tokenizer = make_tokenizer()
    change(tokenizer)
    assert vocabulary_sha256(tokenizer) != vocabulary_sha256(make_tokenizer())


def test_real_tokenizers_differ(real_data):
    hashes = {
        vocabulary_sha256(tokenizer_from_directory(real_data / path))
        for path in ("tokenizers/gpt2", "tokenizers/pythia", "stories260K")
    }
    assert len(hashes) == 3


def test_a_directory_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no tokenizer"):
        publish(tmp_path, tmp_path)
