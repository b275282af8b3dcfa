"""The pass that translators are fitted in."""

import numpy as np
import torch

from labelled_by_hand import labelled
from saeflow.measures.lenses.training import chosen_texts, fit_translators
from saeflow.measures.lenses.translators import Moments, fit_translator
from saeflow.measures.text_tokens import tokenize_labelled
from saeflow.models.hooks import Hook, capture
from tiny_models import make_model, make_tokenizer

RNG = np.random.default_rng(0)
TEXTS = [" ".join(f"w{i}" for i in RNG.integers(3, 61, n)) for n in RNG.integers(1, 12, 23)]
TEXTS[4] += " <eos> w5"


def test_translators_are_fitted_to_the_ordinary_tokens_of_each_text_alone():
    model, hooks = make_model("gpt_neox"), [Hook("resid_post", 0), Hook("mlp_out", 1)]
    tokens = tokenize_labelled(make_tokenizer(), labelled(TEXTS), max_positions=32, bos=True)
    found = fit_translators(model, hooks, tokens, batch_tokens=50)
    last = Hook("resid_post", 2)
    for hook in hooks:
        sums = [Moments(16, 16) for _ in range(2)]
        for number, text in enumerate(TEXTS):
            ids = torch.tensor([make_tokenizer()(f"<bos> {text}")["input_ids"]])
            ordinary = ids[0] > 2
            with capture(model, [hook, last]) as taken:
                model(ids)
            of = sums[number % 5 == 4]
            of.add(taken[hook][0, ordinary], taken[last][0, ordinary])
        assert sum(own.n for own in sums) == int(tokens.ordinary.sum())
        expected = fit_translator(*sums, in_stream=hook.site == "resid_post")
        assert found[hook].ridge == expected.ridge
        torch.testing.assert_close(found[hook].matrix, expected.matrix, atol=1e-3, rtol=1e-3)
        assert abs(found[hook].left_over - expected.left_over) < 1e-4


def test_texts_are_taken_until_they_are_enough():
    lengths = np.array([5, 1, 9, 4, 7])
    few, more, all_ = (chosen_texts(lengths, most, 0) for most in (6, 12, 10_000))
    for texts, most in ((few, 6), (more, 12)):
        assert lengths[texts].sum() >= most > lengths[texts[:-1]].sum()
        assert texts.tolist() == all_[: len(texts)].tolist()
    assert sorted(all_) == [0, 1, 2, 3, 4]
    assert all_.tolist() != chosen_texts(lengths, 10_000, 1).tolist()
