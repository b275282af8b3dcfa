"""What one recipe makes of the settings that all architectures share."""

from __future__ import annotations

import csv

import pytest
import torch

from sae_recipes import plain
from sae_stores import make_activations, place, sparse_data, train_saes
from saeflow import registry
from saeflow.errors import ConfigError
from saeflow.sae.model import ARCHITECTURES, architecture_settings
from saeflow.sae.saved.load import load_sae
from saeflow.sae.steps.initial import directions, generator_of
from saeflow.sae.training.trainee import Trainee

X = sparse_data(66 * 33, 12, 20, mean_l0=3)
NAMES = registry.names(ARCHITECTURES)
AT_ONCE = ("batchtopk", "matryoshka", "topk")


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    return make_activations(tmp_path_factory.mktemp("activations"), x=X)


def trained(root, activations, name, **settings):
    work = place(root, name)
    train_saes([(work, {**plain()[name], **settings})], activations, checkpoint_s=0)
    return work.final


@pytest.mark.parametrize("name", NAMES)
def test_top_k_saes_begin_at_their_full_learning_rate_unless_told_otherwise(
    name, activations, tmp_path
):
    own = {"learning_rate": 0.01, "decay_tokens": 0, "log_tokens": 64, "batch_size": 64}
    rates = {}
    for warmup in (None, 0, 512):
        given = {} if warmup is None else {"warmup_tokens": warmup}
        directory = trained(tmp_path / str(warmup), activations, name, **own, **given)
        rows = csv.DictReader((directory / "log.csv").open())
        rates[warmup] = [float(row["learning_rate"]) for row in rows]
    assert rates[0][0] == pytest.approx(0.01)
    assert rates[512][0] == pytest.approx(0.01 * 64 / 512)
    assert (rates[None] == rates[0]) == (name in AT_ONCE)


@pytest.mark.parametrize("name", NAMES)
def test_no_tokens_leave_first_weights_that_reconstruct_in_the_units_of_the_activations(
    name, activations, tmp_path
):
    plain_, scaled = (
        load_sae(trained(tmp_path / kind, activations, name, tokens=0, scale_input=kind))
        for kind in ("none", "mean_square")
    )
    for sae in (plain_, scaled):
        assert sae.metadata["training"]["tokens"] == 0
    if name in AT_ONCE:
        # least squares in the batch: no longer than what is reconstructed, at either scale
        off = float((X - plain_.b_dec).square().sum())
        for sae in (plain_, scaled):
            codes = sae.encode_sparse(X)
            assert 0.5 * 3 < codes.n_active / len(X) < 1.5 * 3
            assert 0.3 * off < float((sae(X) - sae.b_dec).square().sum()) < 1.1 * off
            assert float((sae(X) - X).square().sum()) < off
        torch.testing.assert_close(scaled.W_enc, plain_.W_enc, rtol=1e-4, atol=1e-5)


def test_bfloat16_products_leave_weights_and_moments_float32_and_are_in_the_header(
    activations, tmp_path, monkeypatch
):
    moments, save = [], Trainee.save

    def seen(self, loader_state):
        moments.extend(self._descent.adam.moments.values())
        save(self, loader_state)

    monkeypatch.setattr(Trainee, "save", seen)
    own = {"scale_input": "unit"}
    low, exact = (
        load_sae(trained(tmp_path / dtype, activations, "relu", matmul_dtype=dtype, **own))
        for dtype in ("bfloat16", "float32")
    )
    assert low.metadata["settings"]["matmul_dtype"] == "bfloat16"
    assert len(moments) and {m.dtype for m in moments} == {torch.float32}
    for name, w in low.weights.items():
        assert w.dtype == torch.float32
        assert not torch.equal(w, exact.weights[name]), name
        torch.testing.assert_close(w, exact.weights[name], rtol=0.1, atol=0.02)


def test_an_unknown_precision_of_products_is_refused(activations, tmp_path):
    with pytest.raises(ConfigError, match="matmul_dtype: .*one of float32, bfloat16; got float16"):
        trained(tmp_path, activations, "relu", matmul_dtype="float16")


@pytest.mark.parametrize("name", AT_ONCE)
def test_an_untrained_transcoder_encodes_as_the_autoencoder_of_its_seed(
    name, activations, tmp_path
):
    y = make_activations(tmp_path / "y", x=0.01 * X + 3, hook="mlp_out.0")
    settings = {**plain()[name], "tokens": 0, "subtract_b_dec": False}
    works = place(tmp_path, "auto"), place(tmp_path, "transcoder")
    train_saes([(works[0], settings)], activations)
    train_saes([(works[1], {**settings, "target": "mlp_out.0"})], activations, target=y)
    auto, transcoder = (load_sae(work.final) for work in works)
    assert torch.equal(transcoder.encode(X), auto.encode(X))
    torch.testing.assert_close(transcoder.W_dec.norm(dim=1), torch.ones(24))


def test_groups_read_from_a_file_are_those_of_the_code():
    default = architecture_settings("matryoshka", {"k": 3})
    read = architecture_settings(
        "matryoshka", {"k": 3, "group_fractions": [1 / 16, 1 / 8, 1 / 4, 9 / 16]}
    )
    assert read == default
    weighted = architecture_settings("matryoshka", {"k": 3, "group_weights": [1, 1, 1, 2]})
    assert weighted != default


def test_saes_of_one_seed_begin_alike_at_one_hook_in_one_form_alone(activations, tmp_path):
    def first_rows(name="topk", **settings):
        own = {"tokens": 0, "expansion": 2, **settings}
        where = tmp_path / f"{name} {settings}"
        rows = load_sae(trained(where, activations, name, **own)).weights["W_dec"]
        return rows[: 2 * X.shape[1]] / rows[: 2 * X.shape[1]].norm(dim=1, keepdim=True)

    one = first_rows()
    assert torch.equal(first_rows(order_seed=1), one)
    assert torch.equal(first_rows(learning_rate=0.1), one)
    for other in (first_rows(seed=1), first_rows(expansion=3), first_rows("batchtopk")):
        assert (one * other).sum(1).mean().abs() < 0.3  # of 24 random pairs in 12 dimensions


def test_saes_of_one_seed_begin_with_other_weights_at_another_hook():
    def drawn(*names):
        return directions(30, 40, generator=generator_of(0, *names), like=torch.zeros(1))

    assert torch.equal(drawn("mlp_out.1", "relu", 30), drawn("mlp_out.1", "relu", 30))
    assert not torch.equal(drawn("mlp_out.1", "relu", 30), drawn("mlp_out.2", "relu", 30))
