"""Documents sampled from a model."""

from __future__ import annotations

import math

import pytest
import torch

from saeflow.errors import ModelError
from saeflow.models import sample
from saeflow.models.sample import choose, sample_documents
from tiny_models import make_model, make_tokenizer


def documents(n, family="gpt_neox", **settings):
    settings = {"max_tokens": 12, "seed": 3, **settings}
    return list(sample_documents(make_model(family), make_tokenizer(), n, **settings))


def test_a_token_is_chosen_where_the_cumulative_distribution_passes_the_draw():
    logits = torch.tensor([[0.2, 0.5, 0.3]]).log().expand(5, 3)
    draws = torch.tensor([0.0, 0.49, 0.51, 0.79, 0.81], dtype=torch.float64)
    # by falling probability: token 1 up to 0.5, token 2 up to 0.8, token 0 from there
    assert choose(logits, draws, 0).tolist() == [1, 1, 2, 2, 0]


def test_top_k_leaves_out_all_less_likely_tokens():
    logits = torch.tensor([[0.2, 0.5, 0.3]]).log().expand(2, 3)
    draws = torch.tensor([0.62, 0.63], dtype=torch.float64)  # 0.5 / 0.8 = 0.625
    assert choose(logits, draws, 2).tolist() == [1, 2]
    assert choose(logits, torch.tensor([0.999, 0.999]).double(), 1).tolist() == [1, 1]


def test_the_frequencies_of_tokens_are_their_probabilities():
    p = torch.tensor([0.1, 0.6, 0.3])
    draws = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    counts = torch.bincount(choose(p.log().expand(1000, 3), draws, 0), minlength=3)
    assert counts.tolist() == [100, 600, 300]


def test_the_first_token_follows_the_models_own_distribution_at_the_temperature():
    model, n = make_model("gpt_neox"), 600
    logits = model(torch.tensor([[0]])).logits[0, -1]
    firsts = documents(n, max_tokens=1, temperature=0.5)
    top = int(logits.argmax())
    expected = (logits / 0.5).softmax(-1)[top].item()
    share = sum(text == f"w{top}" for text in firsts) / n
    assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / n))


def test_the_seed_decides_the_documents():
    assert documents(5) == documents(5)
    assert documents(5) != documents(5, seed=4)


def test_a_document_does_not_depend_on_how_many_are_sampled_with_it(monkeypatch):
    whole = documents(7)
    monkeypatch.setattr(sample, "BATCH_DOCUMENTS", 2)
    assert documents(7) == whole
    assert documents(3, first=4) == whole[4:]


def test_the_cache_of_keys_and_values_changes_no_document():
    model = make_model("llama")
    [text] = documents(1, family="llama", top_k=1)
    ids = [0]
    for _ in range(12):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == 1:
            break
    words = [f"w{i}" for i in ids[1:] if i > 2]
    assert text.split() == words


def test_a_document_ends_where_the_model_ends_it(monkeypatch):
    steps = iter([[5, 7], [1, 8], [9, 3], [4, 1]])
    monkeypatch.setattr(sample, "choose", lambda *_: torch.tensor(next(steps)))
    assert documents(2) == ["w5", "w7 w8 w3"]


def test_documents_longer_than_the_context_are_refused():
    with pytest.raises(ModelError, match="at most 31"):
        documents(1, max_tokens=32)
    documents(1, max_tokens=31)


def test_a_tokenizer_without_a_token_to_start_from_is_refused():
    tokenizer = make_tokenizer()
    tokenizer.bos_token = tokenizer.eos_token = None
    with pytest.raises(ModelError, match="start"):
        list(sample_documents(make_model("gpt_neox"), tokenizer, 1))
