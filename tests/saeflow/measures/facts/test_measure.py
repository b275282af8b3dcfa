"""Facts of a tiny world, told by latents made for them; nothing is chosen where it is counted."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from measured import measure, table
from saeflow.errors import DataError
from saeflow.files import hash_tree
from saeflow.measures.facts.known import AtHook, Tokens, read
from saeflow.measures.facts.measure import encode, told
from saeflow.metrics.facts import COLUMNS
from saeflow.sae.model import SAE, architecture_settings
from saeflow.tokens.store import open_tokens
from saeflow.world.facts import Facts
from tiny_saes import publish_sae
from tiny_stores import harvest_hooks, make_store, save_model
from tiny_world import make_world

D = 6
HOOK = "resid_post.0"


def relu(W_enc, W_dec=None, b_enc=0.0, **metadata):
    """Return a ReLU SAE with these encoder columns (d, d_sae)."""
    W_enc = torch.as_tensor(W_enc, dtype=torch.float32)
    weights = {
        "W_enc": W_enc,
        "b_enc": torch.full((W_enc.shape[1],), float(b_enc)),
        "W_dec": W_enc.T.clone() if W_dec is None else torch.as_tensor(W_dec, dtype=torch.float32),
        "b_dec": torch.zeros(W_enc.shape[0]),
    }
    return SAE("relu", architecture_settings("relu", {"l1": 0.0}), weights, metadata)


def tokens(holds, x, documents):
    return Tokens(x.astype(np.float32), documents, sparse.csr_array(holds.astype(float)))


def at(choose, count, names=("a", "b")):
    facts = Facts(names, ("role",) * len(names), (), {})
    return AtHook.of(facts, choose, count)


def drawn(seed, n=600):
    """Return two facts, and activations whose first axes tell them, the first one well."""
    rng = np.random.default_rng(seed)
    holds = rng.random((2, n)) < 0.25
    x = rng.normal(size=(n, D))
    x[:, 0] += 6 * holds[0]
    x[:, 1] += 2 * holds[1]
    return holds, x, rng.integers(0, 7, n)


@pytest.fixture(scope="module")
def parts():
    return tokens(*drawn(0)), tokens(*drawn(1))


def test_counts_are_those_of_dense_arrays(parts):
    choose, count = parts
    found = told(relu(np.eye(D)), at(choose, count))
    assert found.facts["latent"] == [0, 1]
    facts, counts = pd.DataFrame(found.facts), pd.DataFrame(found.counts)
    labels = count.holds.toarray() > 0
    for fact, row in facts.iterrows():
        own = counts[counts["fact"] == row["fact"]].set_index("document")
        fired = np.maximum(count.x[:, row["latent"]], 0) > row["threshold"]
        for name, where in {
            "positive": labels[fact],
            "best_fired": fired,
            "best_hits": fired & labels[fact],
            "active_fired": count.x[:, fact] > 0,
        }.items():
            expected = pd.Series(where).groupby(count.document).sum()
            np.testing.assert_array_equal(own[name], expected, err_msg=name)
        # chosen on the other tokens: no threshold has a higher F1 there
        chosen_on = np.maximum(choose.x[:, row["latent"]], 0)
        own_labels = choose.holds.toarray()[fact] > 0
        best = max(
            2 * (own_labels & (chosen_on > t)).sum() / ((chosen_on > t).sum() + own_labels.sum())
            for t in np.append(chosen_on, 0.0)
        )
        assert row["f1_validation"] == pytest.approx(best)
        assert row["n"] == labels[fact].sum() and row["n_validation"] == own_labels.sum()


def test_what_is_chosen_does_not_depend_on_what_is_counted(parts):
    choose, count = parts
    holds, x, documents = drawn(5)
    other = tokens(~holds, -x, documents)
    one, two = (told(relu(np.eye(D)), at(choose, own)).facts for own in (count, other))
    for name in ("latent", "threshold", "f1_validation"):
        assert one[name] == two[name]
    assert [list(a) for a in one["latents"]] == [list(a) for a in two["latents"]]
    assert one["auc"] != two["auc"]


def test_labels_that_go_with_nothing_are_not_told(parts):
    choose, count = parts
    rng = np.random.default_rng(2)
    shuffled = [
        part._replace(holds=part.holds[:, rng.permutation(part.holds.shape[1])]) for part in parts
    ]
    sums = pd.DataFrame(told(relu(np.eye(D)), at(*shuffled)).counts).groupby("fact").sum(True)
    f1 = 2 * sums["best_hits"] / (sums["best_fired"] + sums["positive"])
    share = sums["positive"] / len(count.x)
    assert (f1 <= 2 * share / (1 + share) + 0.05).all()  # what always fires has
    assert (told(relu(np.eye(D)), at(*shuffled)).facts["auc"] < np.full(2, 0.6)).all()


def test_latents_that_stand_in_for_a_silent_one_are_found():
    n = 400
    holds = np.zeros((1, n), dtype=bool)
    holds[0, ::4] = True
    x = 0.01 * np.random.default_rng(0).normal(size=(n, D))
    x[::4, 0] += 3.0
    W_enc, W_dec = np.eye(D), np.eye(D)
    for other in range(1, D):  # five features come on four of the fact's hundred tokens each ...
        x[other * 4 :: 100, other] += 9.0
        W_enc[other, 0] = -1  # ... silence its latent ...
        W_dec[other, 0] = 0.33  # ... and give the fact's direction themselves
    part = tokens(holds, x, np.arange(n) // 50)
    found = told(relu(W_enc, W_dec, b_enc=-0.5), at(part, part, ("a",)))
    sums = pd.DataFrame(found.counts).sum(numeric_only=True)
    # 80 of 100 tokens are told: F1 2 * 80 / (80 + 100); four more would add 0.024, too little
    assert found.facts["f1_validation"] == pytest.approx([160 / 180])
    assert found.facts["latents"][0].tolist() == [0]
    assert (sums["probe_hits"], sums["best_hits"], sums["absorbed"]) == (100, 80, 20)
    assert sorted(found.facts["absorbing"][0]) == sorted([1, 2, 3, 4, 5] * 4)


def test_codes_of_normalised_inputs_give_shares_in_their_own_units():
    x = np.random.default_rng(0).normal(size=(5, D)).astype(np.float32) * 7
    sae = relu(np.eye(D), input_norm="constant_norm")
    found = encode(sae, x, "cpu")
    scale = np.linalg.norm(x, axis=1) / D**0.5
    np.testing.assert_allclose(found.values.toarray(), x.clip(0) / scale[:, None], rtol=1e-5)
    np.testing.assert_allclose(found.shares.toarray(), x.clip(0), rtol=1e-5)
    plain = encode(relu(np.eye(D)), x, "cpu")
    assert plain.values is plain.shares


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A tiny world, activations of a random model on it, and two SAEs that read these."""
    root = tmp_path_factory.mktemp("facts")
    made = make_world(root, n_tokens=12_000)
    vocabulary = open_tokens(made.tokens).record["tokenizer"]
    torch.manual_seed(0)
    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=vocabulary["vocab_size"], hidden_size=16, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=16, max_position_embeddings=64,
            bos_token_id=0, eos_token_id=0,
        )
    ).eval()  # fmt: skip
    record = save_model(model, root / "model" / "model.json", vocabulary["vocabulary_sha256"])
    activations = harvest_hooks(root / "activations", [HOOK], record, made.tokens)[HOOK]
    rng = np.random.default_rng(0)
    saes = {
        name: publish_sae(root / name, relu(rng.normal(size=(16, 24)), hook=HOOK))
        for name in ("one", "two")
    }
    return {"dataset": made.dataset, "activations": activations}, saes


SETTINGS = {"tokens": 600, "words": 1, "least": 8}


def run(root, world, saes=("one", "two"), **settings):
    inputs, records = world
    chosen = {name: records[name] for name in saes}
    return measure("facts", root, chosen, {**SETTINGS, **settings}, **inputs)


def test_a_job_writes_facts_and_their_sums(world, tmp_path):
    task = run(tmp_path, world)["one"]
    assert task.error is None
    facts, counts = table(task, "facts"), table(task, "counts")
    manifest = task.work.manifest
    assert manifest["n_tokens"] == manifest["n_validation_tokens"] == 600
    assert set(facts["kind"]) == {"lexical", "role", "context"}
    assert len(counts) == len(facts) * manifest["n_documents"]
    assert counts["fact"].drop_duplicates().tolist() == facts["fact"].tolist()
    sums = counts.groupby("fact", sort=False)[list(COLUMNS)].sum()
    assert sums["positive"].tolist() == facts["n"].tolist()
    assert (facts[["n", "n_validation"]] >= SETTINGS["least"]).all(axis=None)
    assert all(n < SETTINGS["least"] or "kind" in name for name, n in manifest["left_out"].items())
    for name in ("best", "active", "union", "probe"):
        assert (sums[f"{name}_hits"] <= sums[[f"{name}_fired", "positive"]].min(axis=1)).all()
    assert (sums["absorbed"] <= sums["probe_hits"]).all()
    assert all(own[0] == best for own, best in zip(facts["latents"], facts["latent"], strict=True))
    # a word can be read from the activations of a model that knows nothing, by a probe
    probed = 2 * sums["probe_hits"] / (sums["probe_fired"] + sums["positive"])
    assert probed["word ."] > 0.9


def test_sums_do_not_depend_on_what_is_measured_beside(world, tmp_path):
    both, alone = run(tmp_path / "both", world), run(tmp_path / "alone", world, ["two"])
    one, other = (hash_tree(tasks["two"].work.final) for tasks in (both, alone))
    assert one == other
    first, second = (table(both[name], "facts")["latent"].tolist() for name in ("one", "two"))
    assert first != second


def test_too_few_tokens_for_any_fact_are_an_error(world, tmp_path):
    task = run(tmp_path, world, ["one"], tokens=12)["one"]
    assert isinstance(task.error, DataError)
    assert "no fact holds of enough tokens" in str(task.error)


def test_splits_without_tokens_are_an_error(tmp_path):
    x = torch.randn(66, D)
    store = make_store(tmp_path, x, {"train": [33], "validation": [], "test": [33]}, hook=HOOK)
    with pytest.raises(DataError, match="the validation split has no token"):
        read(store, tmp_path / "dataset.json", SETTINGS, {})
