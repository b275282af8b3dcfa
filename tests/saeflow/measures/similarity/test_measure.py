"""Pairs of SAEs of which it is known how alike they are, from weights and codes to tables."""

import numpy as np
import pandas as pd
import pytest
import torch

from measured import table
from pairs_of_saes import (
    LENGTHS,
    N_ROWS,
    N_TOKENS,
    coded,
    compare,
    of_weights,
    permuted,
    random_sae,
    stores,
)
from saeflow.activations.excerpts import ordinary_rows
from saeflow.activations.reader import open_store
from saeflow.errors import DataError, SaeflowError
from saeflow.files import hash_tree
from saeflow.metrics.registry import MEASURES, METRICS
from saeflow.metrics.similarity import matches
from tiny_stores import make_store

D = 12
QUANTITIES = ("cosine", "encoder", "correlation")


def assert_alike(one, other):
    """Compare tables to the precision of sums that go in another order."""
    pd.testing.assert_frame_equal(one, other, rtol=1e-12, atol=1e-14)


def formed(task, quantity, null="", side="first"):
    """Return the metrics of one direction by name."""
    sums = matches(table(task, side), quantity, null)
    return {m.name: float(m.formula(sums)) for m in MEASURES["similarity"].metrics}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What pairs read of SAEs on the same activations."""
    root = tmp_path_factory.mktemp("made")
    own = random_sae(40, D, 0)
    own.b_enc[3] = -100.0  # dead
    own.W_dec[5], own.W_enc[:, 5] = 2 * own.W_dec[4], own.W_enc[:, 4]  # a duplicate
    own.b_enc[5] = -0.6
    order = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    saes = {
        "own": own,
        "copy": own,
        "permuted": permuted(own, order),
        "other": random_sae(40, D, 1),
        "wide": random_sae(90, D, 3),
        "dead": of_weights(torch.randn(8, D), torch.full((8,), -100.0)),
    }
    return coded(root, saes, stores(root)["one"]) | {"order": order.numpy()}


@pytest.fixture(scope="module")
def tasks(made, tmp_path_factory):
    names = [("own", "copy"), ("own", "permuted"), ("own", "other"), ("other", "own")]
    pairs = {f"{a}-{b}": (made[a], made[b]) for a, b in [*names, ("other", "wide")]}
    pairs |= {"wide-other": (made["wide"], made["other"]), "dead": (made["own"], made["dead"])}
    return compare(tmp_path_factory.mktemp("tasks"), pairs, published_mode=True)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("side", ["first", "second"])
def test_an_sae_against_itself_is_one_by_every_metric(tasks, quantity, side):
    found = formed(tasks["own-copy"], quantity, side=side)
    assert found == pytest.approx(dict.fromkeys(found, 1.0), abs=1e-6)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_against_a_permuted_copy_it_is_one_and_the_permutation_is_found(tasks, made, quantity):
    first = table(tasks["own-permuted"], "first")
    assert formed(tasks["own-permuted"], quantity)["mean_max"] == pytest.approx(1.0, abs=1e-6)
    for match in (first[f"{quantity}_match"], first[f"{quantity}_one_match"]):
        assert made["order"][match].tolist() == first["latent"].tolist()


def test_dead_and_duplicate_latents_are_left_out_and_counted(tasks):
    task = tasks["own-copy"]
    live = [i for i in range(40) if i not in (3, 5)]
    assert table(task, "first")["latent"].tolist() == live
    counts = {"live": 38, "dead": 1, "rare": 0, "duplicate": 1, "width": 40}
    assert task.work.manifest["first"] == task.work.manifest["second"] == counts


@pytest.mark.parametrize("quantity", ("cosine", "encoder"))
def test_an_unrelated_one_is_as_near_as_random_directions(tasks, quantity):
    task = tasks["other-wide"]
    for side in ("first", "second"):
        best = table(task, side)[quantity]
        error = best.std() / np.sqrt(len(best))
        value = formed(task, quantity, side=side)
        for null in ("gaussian", "columns"):
            chance = formed(task, quantity, null, side)
            assert chance["mean_max"] == pytest.approx(value["mean_max"], abs=6 * error)
            assert null == "columns" or chance["one_to_one"] == pytest.approx(
                value["one_to_one"], abs=6 * error
            )
    # more directions to choose from are nearer
    assert formed(task, quantity)["mean_max"] > formed(task, quantity, side="second")["mean_max"]


def test_the_other_control_of_the_post_is_there_in_published_mode_alone(tasks, made, tmp_path):
    assert "cosine_uniform" in table(tasks["own-other"], "first")
    plain = compare(tmp_path, {"pair": (made["own"], made["other"])})["pair"]
    assert "cosine_uniform" not in table(plain, "first")
    assert "encoder_uniform" not in table(tasks["own-other"], "first")


def test_exchanged_saes_exchange_the_sides_and_nothing_else(tasks):
    for one, other in (("own-other", "other-own"), ("other-wide", "wide-other")):
        one, other = tasks[one], tasks[other]
        for side, turned in (("first", "second"), ("second", "first")):
            assert_alike(table(one, side), table(other, turned))
        groups = [table(pair, "groups") for pair in (one, other)]
        groups[1]["side"] = groups[1]["side"].map({"first": "second", "second": "first"})
        order = ["side", "group", "latent"]
        assert_alike(*(own.sort_values(order, ignore_index=True) for own in groups))
        facts, theirs = one.work.manifest, other.work.manifest
        assert (facts["first"], facts["second"]) == (theirs["second"], theirs["first"])


def test_an_sae_without_a_live_latent_fails_alone_and_says_what_it_has(tasks):
    error = tasks["dead"].error
    assert isinstance(error, DataError) and "0 live, 8 dead" in str(error)
    assert all(task.finished for name, task in tasks.items() if name != "dead")


def test_alone_and_together_and_with_more_threads_give_the_same_bytes(tasks, made, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        pair = {"own-other": (made["own"], made["other"])}
        alone = compare(tmp_path, pair, published_mode=True)["own-other"]
    finally:
        torch.set_num_threads(before)
    assert hash_tree(alone.work.final) == hash_tree(tasks["own-other"].work.final)


def test_saes_that_were_read_on_other_tokens_are_refused(made, tmp_path):
    lengths = {**LENGTHS, "test": [41] * 24}
    x = torch.randn(N_ROWS - 41, D)
    elsewhere = make_store(tmp_path / "store", x, lengths)
    other = coded(tmp_path, {"elsewhere": random_sae(9, D, 0)}, elsewhere)["elsewhere"]
    few = coded(tmp_path, {"few": random_sae(9, D, 0)}, made["own"]["activations"], tokens=50)
    tasks = compare(tmp_path, {"elsewhere": (made["own"], other), "few": (made["own"], few["few"])})
    for task in tasks.values():
        assert isinstance(task.error, SaeflowError) and "read on others" in str(task.error)
        assert "one tokenizer" in task.error.remedy
    assert f"{N_TOKENS:,}" in tasks["few"].error.expected and "50" in tasks["few"].error.got


# -- activations ------------------------------------------------------------------------------


def dense_codes(sae, activations, latents):
    """Return some latents on the test tokens, (n_tokens, n) float64."""
    with open_store(activations) as store:
        rows = ordinary_rows(store, "test")
        return (
            sae.encode(store.activations.tensor(torch.from_numpy(rows)))
            .double()
            .numpy()[:, latents]
        )


def test_correlations_are_those_of_dense_codes_with_and_without_the_mean(made, tasks):
    task, store = tasks["other-wide"], made["other"]["activations"]
    tables = [table(task, side) for side in ("first", "second")]
    saes = random_sae(40, D, 1), random_sae(90, D, 3)
    f, g = (dense_codes(sae, store, own["latent"]) for sae, own in zip(saes, tables, strict=True))
    centred = [x - x.mean(axis=0) for x in (f, g)]
    for quantity, (x, y) in (("correlation", centred), ("uncentred", (f, g))):
        x, y = (z / np.linalg.norm(z, axis=0) for z in (x, y))
        every = x.T @ y
        for own, others, values in zip(tables, tables[::-1], (every, every.T), strict=True):
            np.testing.assert_allclose(own[quantity], values.max(axis=1), atol=1e-6)
            match = others["latent"].to_numpy()[values.argmax(axis=1)]
            assert own[f"{quantity}_match"].tolist() == match.tolist()


def test_the_uncentred_one_of_the_post_is_high_by_chance_alone(tasks):
    centred, uncentred = (
        formed(tasks["other-wide"], name, "tokens")["mean_max"]
        for name in ("correlation", "uncentred")
    )
    assert centred < 0.12 < 0.2 < uncentred


def test_correlations_on_unrelated_activations_are_those_on_shuffled_tokens(tmp_path):
    hooks = stores(tmp_path, D, other=torch.randn(N_ROWS, D))
    one = coded(tmp_path, {"one": random_sae(60, D, 0)}, hooks["one"])["one"]
    other = coded(tmp_path, {"other": random_sae(80, D, 1)}, hooks["other"])["other"]
    task = compare(tmp_path, {"pair": (one, other)})["pair"]
    for side in ("first", "second"):
        best = table(task, side)["correlation"]
        value, chance = (formed(task, "correlation", null, side) for null in ("", "tokens"))
        error = best.std() / np.sqrt(len(best))
        assert value["mean_max"] == pytest.approx(chance["mean_max"], abs=6 * error)
        assert value["one_to_one"] == pytest.approx(chance["one_to_one"], abs=6 * error)


def test_sums_by_group_make_up_the_correlations_of_the_matches(tasks):
    task = tasks["other-wide"]
    groups, n_groups = table(task, "groups"), task.work.manifest["n_groups"]
    assert (
        n_groups == 20
        and groups["n"].groupby([groups["side"], groups["latent"]]).sum().eq(N_TOKENS).all()
    )
    for side in ("first", "second"):
        own = table(task, side).set_index("latent")
        total = groups[groups["side"] == side].groupby("latent").sum(numeric_only=True)
        x, y = total["sum"] / N_TOKENS, total["match_sum"] / N_TOKENS
        spread = (total["square"] / N_TOKENS - x**2) * (total["match_square"] / N_TOKENS - y**2)
        found = (total["both"] / N_TOKENS - x * y) / np.sqrt(spread)
        np.testing.assert_allclose(found, own["correlation"], rtol=1e-9)
        np.testing.assert_allclose(total["sum"], own["sum"])


def test_a_copy_spans_the_same_space(tasks):
    facts = tasks["own-permuted"].work.manifest
    for compared in ("cka", "svcca", "rsa"):
        assert facts["spaces"][compared] == pytest.approx(1.0, abs=1e-5)
    assert facts["spaces"]["matched"] == 38 and facts["left_out"] == {}


def test_partners_among_candidates_are_hardly_less_alike(tasks, made, tmp_path):
    pair = {"pair": (made["other"], made["wide"])}
    (task,) = compare(tmp_path, pair, one_to_one=1, candidates=8).values()
    for side in ("first", "second"):
        few, every = table(task, side), table(tasks["other-wide"], side)
        for quantity in QUANTITIES:
            assert few[quantity].tolist() == pytest.approx(every[quantity].tolist(), abs=1e-6)
            partners = few[f"{quantity}_one"], every[f"{quantity}_one"]
            assert partners[0].count() == partners[1].count() == 40
            assert partners[0].mean() == pytest.approx(partners[1].mean(), abs=0.01)
        assert not [name for name in few if name.endswith(("gaussian_one", "tokens_one"))]


def test_an_sae_of_one_latent_is_compared(made, tmp_path):
    (alone,) = coded(tmp_path, {"a": random_sae(1, D, 0)}, made["own"]["activations"]).values()
    (task,) = compare(tmp_path, {"pair": (made["own"], alone)}).values()
    assert task.error is None and len(table(task, "second")) == 1
    assert table(task, "first")["cosine_one"].count() == 1
    assert {"cka", "svcca", "rsa"} <= {*task.work.manifest["left_out"]}


# -- other hooks and models -------------------------------------------------------------------


def rotation(d, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(d, d, generator=generator))[0]


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """An SAE, its copy at a hook whose activations are rotated, and one where they are wider."""
    root = tmp_path_factory.mktemp("turned")
    x = torch.randn(N_ROWS, 60, generator=torch.Generator().manual_seed(1))
    isometry = rotation(80)[:60]
    hooks = stores(root, 60, turned=x @ rotation(60), wide=x @ isometry)
    own = random_sae(30, 60, 0)
    copies = {"turned": rotation(60), "wide": isometry}
    found = coded(root, {"one": own}, hooks["one"])
    for name, matrix in copies.items():
        copy = of_weights(own.W_dec @ matrix, own.b_enc)
        found |= coded(root, {name: copy}, hooks[name])
    return found


@pytest.mark.parametrize("name", ["turned", "wide"])
def test_a_copy_in_a_rotated_space_is_found_once_the_spaces_are_aligned(turned, tmp_path, name):
    pairs = {"pair": (turned["one"], turned[name]), "back": (turned[name], turned["one"])}
    task, back = compare(tmp_path, pairs).values()
    assert formed(task, "aligned")["mean_max"] == pytest.approx(1.0, abs=1e-4)
    assert formed(task, "aligned", "gaussian")["mean_max"] < 0.4
    alignment = task.work.manifest["alignment"]
    assert alignment["tokens"] == 50 * 20 and alignment["explained"] == pytest.approx(1, abs=1e-4)
    assert_alike(table(task, "first"), table(back, "second"))
    spaces = task.work.manifest["spaces"]
    assert spaces["matched"] == 30
    for compared in ("cka", "rsa"):
        assert spaces[compared] == pytest.approx(1.0, abs=1e-3)
        assert spaces[f"{compared}_null"] < 0.9
    assert "svcca" in task.work.manifest["left_out"]  # of 30 rows in 60 dimensions it says nothing
    if name == "wide":
        left_out = task.work.manifest["left_out"]
        assert {"cosine", "encoder"} <= {*left_out} and "60 and of 80" in left_out["cosine"]
        assert "cosine" not in table(task, "first")
    else:
        cosine, chance = (formed(task, "cosine", null)["mean_max"] for null in ("", "gaussian"))
        assert cosine == pytest.approx(chance, abs=0.06)


def test_without_training_tokens_two_hooks_are_not_aligned_and_the_reason_is_told(tmp_path):
    lengths = {"train": [], "validation": [], "test": LENGTHS["test"]}
    hooks = [
        make_store(tmp_path, torch.randn(41 * 25, D), lengths, hook=f"resid_post.{i}")
        for i in range(2)
    ]
    both = [
        coded(tmp_path, {f"at-{i}": random_sae(20, D, i)}, hook)[f"at-{i}"]
        for i, hook in enumerate(hooks)
    ]
    task = compare(tmp_path, {"pair": both})["pair"]
    assert task.finished and task.work.manifest["alignment"] is None
    assert "too few training tokens" in task.work.manifest["left_out"]["aligned"]


def test_a_transcoder_has_no_raw_cosine_with_an_sae_and_one_with_another(tmp_path):
    x = torch.randn(N_ROWS, D, generator=torch.Generator().manual_seed(1))
    hooks = stores(tmp_path, D, target=x @ rotation(D))
    sae = coded(tmp_path, {"sae": random_sae(20, D, 0)}, hooks["one"])["sae"]
    made = [random_sae(20, D, i, target={"hook": "resid_post.1"}) for i in range(2)]
    both = coded(tmp_path, {"a": made[0], "b": made[1]}, hooks["one"])
    a, b = ({**one, "target": hooks["target"]} for one in both.values())
    tasks = compare(tmp_path, {"mixed": (sae, a), "alike": (a, b), "turned": (a, sae)})
    for name in ("mixed", "turned"):
        facts = tasks[name].work.manifest
        assert {*facts["left_out"]} - {"svcca"} == {"cosine"}
        assert facts["alignment"]["explained"] > 0.99
    assert "cosine" not in tasks["alike"].work.manifest["left_out"]
    assert_alike(table(tasks["mixed"], "first"), table(tasks["turned"], "second"))


def test_every_metric_of_the_measure_is_formed_of_a_match():
    assert {METRICS[m.name].per for m in MEASURES["similarity"].metrics} == {"match"}
