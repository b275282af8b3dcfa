"""Loading models and tokenizers from their records, without a network."""

from __future__ import annotations

import json
import math
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils.rnn import pad_sequence

from saeflow.errors import DamagedError, ModelError
from saeflow.models.fetch import fetch_model
from saeflow.models.hooks import Hook
from saeflow.models.load import load_model, load_tokenizer
from saeflow.models.loss import scored_tokens, token_losses
from saeflow.models.slices import Head, final_states
from saeflow.models.tail import Tail
from saeflow.work import bulk_of, hold
from tiny_models import make_model


def weights(record):
    return bulk_of(record) / "model.safetensors"


def test_a_model_comes_back_frozen_in_float32_and_eval_mode(record, ids):
    model = load_model(record, "cpu")
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in model.parameters())
    assert torch.equal(model(ids).logits, make_model("gpt_neox")(ids).logits)


def test_the_device_is_the_one_that_the_environment_names(record, monkeypatch):
    monkeypatch.setenv("SAEFLOW_DEVICE", "meta")
    assert load_model(record).device == torch.device("meta")


def test_weights_stored_in_half_precision_are_computed_with_in_float32(tmp_path, directory):
    model = make_model("gpt_neox").to(torch.bfloat16)
    model.save_pretrained(directory)
    with hold(tmp_path / "half" / "model.json", "c" * 64) as work:
        fetch_model(work, {}, path=directory)
        work.publish()
    assert load_model(work.output, "cpu").dtype == torch.float32


def test_nothing_reads_the_network_after_the_fetch(record, ids, monkeypatch):
    """Trap X52."""

    def refuse(*_, **__):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    model, tokenizer = load_model(record, "cpu"), load_tokenizer(record)
    assert tokenizer("w3 w60")["input_ids"] == [3, 60]
    tail = Tail(model, Hook("resid_post", 1))
    tail.head(tail.states(torch.zeros(1, 2, 16), torch.zeros(1, 2, dtype=torch.long)))


def test_a_truncated_file_of_weights_is_an_error_that_names_the_remedy(record):
    weights(record).write_bytes(weights(record).read_bytes()[:-100])
    for verify in (True, False):
        with pytest.raises(ModelError, match="run the workflow again"):
            load_model(record, "cpu", verify=verify)


def test_other_weights_of_the_same_shape_are_refused(record):
    """Trap X12."""
    make_model("gpt_neox", seed=1).save_pretrained(bulk_of(record))
    with pytest.raises(ModelError, match="not those that the record describes"):
        load_model(record, "cpu")
    load_model(record, "cpu", verify=False)


def test_a_missing_tensor_is_an_error_not_a_random_one(record):
    tensors = load_file(weights(record))
    name = next(n for n in tensors if "layers.1.mlp" in n)
    del tensors[name]
    save_file(tensors, weights(record), metadata={"format": "pt"})
    with pytest.raises(ModelError, match="mlp"):
        load_model(record, "cpu", verify=False)


def test_missing_bulk_is_named(record):
    (bulk_of(record) / "manifest.json").unlink()
    with pytest.raises(DamagedError, match="missing"):
        load_model(record)


def test_a_tokenizer_that_changed_is_refused(record):
    path = bulk_of(record) / "tokenizer.json"
    text = json.loads(path.read_text())
    vocabulary = text["model"]["vocab"]
    vocabulary["w3"], vocabulary["w4"] = vocabulary["w4"], vocabulary["w3"]
    path.write_text(json.dumps(text))
    with pytest.raises(DamagedError, match="tokenizer"):
        load_tokenizer(record)


def test_a_model_without_a_tokenizer_says_so(tmp_path, directory):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (directory / name).unlink()
    with hold(tmp_path / "bare" / "model.json", "c" * 64) as work:
        fetch_model(work, {}, path=directory)
        work.publish()
    with pytest.raises(ModelError, match="no tokenizer"):
        load_tokenizer(work.output)


def test_a_real_model_has_its_known_perplexity_on_real_stories(real_data, tmp_path):
    """4.72 with BOS + story, as `shared/data/README.md` has it: tokens, model and loss agree."""
    with hold(tmp_path / "stories" / "model.json", "c" * 64) as work:
        fetch_model(work, {}, path=real_data / "stories260K")
        work.publish()
    model, tokenizer = load_model(work.output, "cpu"), load_tokenizer(work.output)
    lines = (real_data / "text" / "tinystories_cased.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
    rows = sorted(([tokenizer.bos_token_id, *row][:512] for row in rows), key=len)
    total, n_tokens = 0.0, 0
    for start in range(0, len(rows), 10):
        batch = [torch.tensor(row) for row in rows[start : start + 10]]
        ids = pad_sequence(batch, batch_first=True)
        mask = pad_sequence([torch.ones_like(row) for row in batch], batch_first=True)
        scored = scored_tokens(mask)
        losses = token_losses(Head(model), final_states(model, ids), ids, scored)[scored]
        total, n_tokens = total + losses.double().sum().item(), n_tokens + len(losses)
    assert math.exp(total / n_tokens) == pytest.approx(4.72, abs=0.01)
