"""Which SAEs count as having one encoder, and that it works once for all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sae_reference import random_weights
from saeflow.errors import ModelError
from saeflow.measures.encoders import Encoders, measure_each_hook
from saeflow.sae.model import SAE, architecture_settings
from saeflow.task import Task

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
    places, codes, reconstructions = zip(*encoders.run(x), strict=True)
    assert places == (0, 1, 2, 3)
    assert encoders.first == [0, 0, 2, 0]
    assert [id(sae) for sae in seen] == [id(one), id(other)]
    assert codes[0] is codes[1] is codes[3]
    for sae, own, x_hat in zip(family, codes, reconstructions, strict=True):
        torch.testing.assert_close(own.dense(), sae.encode(x), rtol=0, atol=0)
        torch.testing.assert_close(x_hat, sae(x), rtol=0, atol=0)
    assert [(place, own.n_active) for place, own in encoders.codes(x)] == [
        (place, codes[place].n_active) for place in (0, 2)
    ]


def test_an_sae_that_fails_is_left_out_and_its_siblings_go_on(monkeypatch):
    one = an_sae()
    broken = with_weights(one, W_dec=2 * one.W_dec)
    other = with_weights(one, b_enc=one.b_enc + 1)
    tried, decode = [], SAE.decode

    def refuse(sae, codes):
        if sae is broken:
            tried.append(sae)
            raise ModelError("it cannot be decoded")
        return decode(sae, codes)

    monkeypatch.setattr(SAE, "decode", refuse)
    encoders = Encoders([one, broken, other])
    for _ in range(2):
        assert [place for place, *_ in encoders.run(torch.randn(4, D_IN))] == [0, 2]
    assert len(tried) == 1
    results = encoders.results(lambda place: place)
    assert results == [0, encoders.errors[1], 2] and "decoded" in str(results[1])


def test_saes_of_an_encoder_that_fails_fail_together(monkeypatch):
    one = an_sae()
    other = with_weights(one, b_enc=one.b_enc + 1)
    encode = SAE.encode_sparse

    def refuse(sae, x):
        if torch.equal(sae.b_enc, one.b_enc):
            raise ModelError("it cannot be encoded")
        return encode(sae, x)

    monkeypatch.setattr(SAE, "encode_sparse", refuse)
    for ways in (("run",), ("codes", "run")):
        encoders = Encoders([one, other, with_weights(one, W_dec=2 * one.W_dec)])
        for way in ways:
            assert [place for place, *_ in getattr(encoders, way)(torch.randn(4, D_IN))] == [1]
        assert set(encoders.errors) == {0, 2}


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
        replace(one, settings=an_sae(subtract_b_dec=True).settings),
        replace(one, metadata={"input_norm": "layer_norm"}),
        with_weights(one, threshold=threshold),
    ):
        assert not one.encodes_like(other)
    assert one.encodes_like(with_weights(one))


def test_hooks_are_measured_one_after_the_other_and_one_that_fails_leaves_others_alone(tmp_path):
    def task(name, activations, **inputs):
        inputs["activations"] = activations
        return Task(tmp_path / name, "", {}, inputs)

    one, like = task("a", "resid_post.0"), task("b", "resid_post.0")
    other, transcoder = task("c", "resid_post.1"), task("d", "resid_post.0", target="mlp_out.0")
    seen = []

    def measure(tasks):
        seen.append(tasks)
        if one in tasks:
            raise ModelError("no such hook")

    measure_each_hook([one, other, like, transcoder], measure)
    assert seen == [[one, like], [other], [transcoder]]
    assert [str(task.error) for task in (one, like)] == ["no such hook."] * 2
    assert other.error is None and transcoder.error is None
