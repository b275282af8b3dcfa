"""Codes as a job keeps them, against dense ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from measured import measure
from saeflow.errors import DataError, ModelError
from saeflow.files import hash_tree, read_json
from saeflow.measures.codes import STATUSES, open_codes
from saeflow.measures.codes.measure import keep_codes
from saeflow.measures.reconstruction import Evaluated
from saeflow.sae.model import SAE, architecture_settings
from tiny_saes import publish_sae
from tiny_stores import make_store

D_IN, D_SAE = 6, 20
LENGTHS = {"train": [40, 10], "validation": [7], "test": [33, 12, 1, 20, 41]}
SETTINGS = {"tokens": 60, "least": 3, "duplicate": 0.99}
N_TEST = 107 - 5  # without BOS


def random_sae(seed=0, **metadata):
    generator = torch.Generator().manual_seed(seed)
    W_dec = torch.randn(D_SAE, D_IN, generator=generator)
    W_dec[5] = 2 * W_dec[3]
    b_enc = torch.full((D_SAE,), -0.5)
    b_enc[7], b_enc[8] = -100.0, -2.5
    weights = {"W_enc": W_dec.T.clone(), "b_enc": b_enc, "W_dec": W_dec}
    weights["b_dec"] = torch.full((D_IN,), 0.1)
    return SAE("relu", architecture_settings("relu", {"l1": 0.0}), weights, metadata)


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    n = sum(sum(split) for split in LENGTHS.values())
    x = torch.randn(n, D_IN, generator=torch.Generator().manual_seed(1))
    return make_store(tmp_path_factory.mktemp("store"), x, LENGTHS), x


def saved(root, **saes):
    return {name: publish_sae(root / name, sae) for name, sae in saes.items()}


def run(root, activations, saes, **settings):
    records = saved(root / "saes", **saes)
    return measure("codes", root, records, {**SETTINGS, **settings}, activations=activations[0])


def test_codes_and_sums_are_those_of_dense_ones(activations, tmp_path):
    sae = random_sae()
    task = run(tmp_path, activations, {"one": sae})["one"]
    codes = open_codes(task.output)
    first = 57
    rows = first + np.concatenate([np.arange(1, 33), 33 + np.arange(1, 12), 46 + np.arange(1, 18)])
    np.testing.assert_array_equal(codes.rows, rows)
    x = activations[1][rows]
    dense = sae.encode(x).double().numpy()
    np.testing.assert_allclose(codes.matrix().toarray(), dense, atol=1e-6)
    assert codes.documents.to_dict("list") == {
        "document": [3, 4, 6],
        "n_tokens": [32, 11, 17],
        "active": [int((dense[a:b] > 0).sum()) for a, b in [(0, 32), (32, 43), (43, 60)]],
    }
    latents = codes.latents
    active = (dense > 0).sum(0)
    assert latents["latent"].tolist() == list(range(D_SAE))
    assert latents["active"].tolist() == active.tolist()
    np.testing.assert_allclose(latents["sum"], dense.sum(0), rtol=1e-6)
    np.testing.assert_allclose(latents["square"], (dense**2).sum(0), rtol=1e-6)
    np.testing.assert_allclose(latents["max"], dense.max(0), rtol=1e-6)
    W_dec = sae.W_dec.double().numpy()
    np.testing.assert_allclose(latents["norm"], np.linalg.norm(W_dec, axis=1))
    decoded = dense @ W_dec
    np.testing.assert_allclose(
        latents["carried"], (dense * (decoded @ W_dec.T)).sum(0), rtol=1e-5, atol=1e-4
    )
    assert latents["carried"].sum() == pytest.approx((decoded**2).sum(), rel=1e-6)
    facts = read_json(task.output)
    assert (facts["n_tokens"], facts["n_documents"], facts["asked"]) == (60, 3, 60)
    assert (facts["d_in"], facts["d_sae"]) == (D_IN, D_SAE)
    assert facts["tokens"] == read_json(activations[0])["tokens"]
    assert codes.index.dtype == np.uint16 and codes.values.dtype == np.float32


def test_what_latents_are_adds_up_to_the_width(activations, tmp_path):
    codes = open_codes(run(tmp_path, activations, {"one": random_sae()}, least=9)["one"].output)
    status, counts = codes.latents["status"], codes.facts["counts"]
    assert counts == {name: (status == name).sum() for name in STATUSES}
    assert sum(counts.values()) == D_SAE and all(counts.values())
    assert status[7] == "dead" and status[8] == "rare"
    assert {status[3], status[5]} == {"live", "duplicate"}
    assert codes.latents["twin"][5 if status[5] == "duplicate" else 3] in (3, 5)
    np.testing.assert_array_equal(codes.live, np.flatnonzero(status == "live"))


def test_fewer_tokens_than_asked_are_all_taken_and_said(activations, tmp_path, caplog):
    task = run(tmp_path, activations, {"one": random_sae()}, tokens=500)["one"]
    facts = read_json(task.output)
    assert (facts["n_tokens"], facts["asked"], facts["n_documents"]) == (N_TEST, 500, 4)
    assert f"{N_TEST} tokens of the test split are all that there are of the 500" in caplog.text


def test_bytes_do_not_depend_on_what_is_measured_beside_nor_on_threads(activations, tmp_path):
    sae = random_sae()
    tuned = replace(sae, weights={**sae.weights, "W_dec": 2 * sae.W_dec})
    several = {"one": sae, "tuned": tuned, "other": random_sae(2)}
    both = run(tmp_path / "both", activations, several)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        alone = run(tmp_path / "alone", activations, {"tuned": tuned})
    finally:
        torch.set_num_threads(threads)
    assert hash_tree(both["tuned"].work.final) == hash_tree(alone["tuned"].work.final)
    one, tuned, other = (open_codes(both[name].output) for name in several)
    np.testing.assert_array_equal(one.values, tuned.values)
    np.testing.assert_allclose(tuned.latents["carried"], 4 * one.latents["carried"])
    assert len(other.values) != len(one.values)


def test_batches_change_nothing(activations, tmp_path):
    x = activations[1].numpy()
    tokens = Evaluated(x, np.arange(1, 120), np.arange(1, 120) // 11)
    found = []
    for n in (7, 500):
        (tmp_path / str(n)).mkdir()
        (kept,) = keep_codes([random_sae()], [tmp_path / str(n)], tokens, batch_rows=n)
        arrays = {p.name: np.load(p) for p in (tmp_path / str(n)).iterdir()}
        found.append({**kept.documents, **kept.latents, **arrays})
    for name, one in found[0].items():
        np.testing.assert_allclose(one, found[1][name], rtol=1e-5, err_msg=name)


def test_documents_stand_in_the_order_of_the_tokens(tmp_path, activations):
    documents = np.repeat([9, 2, 5], [3, 4, 2])
    (kept,) = keep_codes(
        [random_sae()], [tmp_path], Evaluated(activations[1].numpy(), np.arange(9), documents)
    )
    assert kept.documents["document"].tolist() == [9, 2, 5]
    assert kept.documents["n_tokens"].tolist() == [3, 4, 2]


def test_what_is_carried_is_in_the_units_of_the_inputs(activations, tmp_path):
    sae = random_sae(input_norm="layer_norm")
    task = run(tmp_path, activations, {"one": sae})["one"]
    codes = open_codes(task.output)
    x = activations[1][np.array(codes.rows)]
    bias = x.mean(1, keepdim=True) + x.std(1, keepdim=True) * sae.b_dec
    squared = (sae(x) - bias).double().square().sum()
    assert codes.latents["carried"].sum() == pytest.approx(float(squared), rel=1e-5)
    np.testing.assert_allclose(codes.matrix().toarray(), sae.encode(x), atol=1e-6)


def test_a_transcoder_is_encoded_like_any_other(activations, tmp_path):
    plain = measure("codes", tmp_path, saved(tmp_path, one=random_sae()), SETTINGS,
                    activations=activations[0])["one"]  # fmt: skip
    transcoder = measure("codes", tmp_path / "t", saved(tmp_path / "t", one=random_sae()), SETTINGS,
                         activations=activations[0], target=activations[0])["one"]  # fmt: skip
    assert hash_tree(plain.work.final) == hash_tree(transcoder.work.final)


def test_an_sae_that_gives_no_numbers_fails_alone(activations, tmp_path):
    broken = random_sae(2)
    broken.weights["W_enc"][:, 3] = 3e38  # a product overflows
    tasks = run(tmp_path, activations, {"broken": broken, "one": random_sae()})
    assert isinstance(tasks["broken"].error, ModelError) and tasks["one"].finished
    assert "not finite numbers" in str(tasks["broken"].error)


def test_a_split_without_tokens_is_an_error(tmp_path):
    lengths = {"train": [33], "validation": [], "test": []}
    store = make_store(tmp_path, torch.randn(33, D_IN), lengths)
    task = run(tmp_path, (store, None), {"one": random_sae()})["one"]
    assert isinstance(task.error, DataError)
