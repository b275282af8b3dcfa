"""Which SAEs count as having one encoder, and that it works once for all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sae_reference import random_weights
from saeflow.measures.encoders import Encoders
from saeflow.sae.model import SAE, architecture_settings

D_IN, D_SAE = 6, 10


def an_sae(**settings):
    settings = architecture_settings("relu", {"l1": 0.1, **settings})
    return SAE("relu", settings, random_weights(D_IN, D_SAE, seed=0, dtype=torch.float32))


def with_weights(sae, **weights):
    return replace(sae, weights={**sae.weights, **weights})


def test_codes_of_one_encoder_are_computed_once(monkeypatch):
    one = an_sae()
    other = with_weights(one, b_enc=one.b_enc + 1)
    family = [
        one,
        with_weights(one, W_dec=-one.W_dec),
        other,
        with_weights(one, W_dec=2 * one.W_dec),
    ]
    seen, encode = [], SAE.encode_sparse
    monkeypatch.setattr(SAE, "encode_sparse", lambda sae, x: seen.append(sae) or encode(sae, x))
    encoders = Encoders(family)
    x = torch.randn(4, D_IN)
    pairs = list(encoders.pairs(x))
    codes = [own for _, own in pairs]
    assert [id(sae) for sae, _ in pairs] == [id(sae) for sae in family]
    assert encoders.first == [0, 0, 2, 0]
    assert [id(sae) for sae in seen] == [id(one), id(other)]
    assert codes[0] is codes[1] is codes[3]
    for sae, own in zip(family, codes, strict=True):
        torch.testing.assert_close(own.dense(), sae.encode(x), rtol=0, atol=0)


@pytest.mark.parametrize("subtracted", [False, True])
def test_the_decoders_bias_counts_where_the_encoder_subtracts_it(subtracted):
    one = an_sae(subtract_b_dec=subtracted)
    other = with_weights(one, b_dec=one.b_dec + 1)
    assert one.encodes_like(other) is not subtracted
    x = torch.randn(50, D_IN)
    assert torch.equal(one.encode(x), other.encode(x)) is not subtracted


def test_another_rule_or_preparation_is_another_encoder():
    one = an_sae(subtract_b_dec=False)
    threshold = torch.zeros(D_SAE)
    jumprelu = replace(
        one, architecture="jumprelu", weights={**one.weights, "threshold": threshold}
    )
    for other in (
        jumprelu,
        replace(one, settings=replace(one.settings, subtract_b_dec=True)),
        replace(one, metadata={"input_norm": "layer_norm"}),
        with_weights(one, threshold=threshold),
    ):
        assert not one.encodes_like(other)
    assert one.encodes_like(with_weights(one))
