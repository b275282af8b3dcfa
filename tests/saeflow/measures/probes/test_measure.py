"""Probes on activations that hold the next token, and SAEs of which it is known what they keep."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import measured
from measured import table
from saeflow.errors import DataError, SaeflowError
from saeflow.files import hash_tree
from saeflow.measures.probes import measure as probes
from saeflow.measures.probes.linear_probe import fit_probe
from saeflow.measures.probes.measure import ask
from saeflow.measures.probes.next_tokens import asked, questions
from saeflow.sae.sparse.codes import Codes
from saeflow.tokens.store import open_tokens
from tiny_saes import make_sae, publish_sae
from tiny_stores import TOKENIZER, make_store, make_tokens

D, HOOK = 12, "resid_post.1"
LENGTHS = {"train": [40] * 60, "validation": [7], "test": [40, 25, 9, 40, 33] * 4}
SETTINGS = {"classes": 5, "rows": 400}


def activations(tokens, noise=0.6, seed=0):
    """Return rows (n, D): a direction of the next token, off the origin, and noise."""
    rng = np.random.default_rng(7)
    directions = rng.normal(size=(TOKENIZER["vocab_size"], D)) / D**0.25
    after = np.roll(tokens.token_id.astype(np.int64), -1)
    rng = np.random.default_rng(seed)
    x = directions[after] + noise * rng.normal(size=(len(after), D)) + 3.0
    return torch.from_numpy(x).float()


def place(root, lengths=LENGTHS, **hooks):
    """Write tokens and a store for each hook; return the records by hook."""
    tokens = open_tokens(make_tokens(root / "tokens", lengths))
    hooks = hooks or {HOOK: {}}
    return {
        hook: make_store(root, activations(tokens, **options), lengths, hook=hook)
        for hook, options in hooks.items()
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return place(tmp_path_factory.mktemp("store"))[HOOK]


@pytest.fixture(scope="module")
def both(store):
    """Return what is fitted to and what is asked."""
    opened = probes.open_pair(store, None)
    to_fit = questions(*opened, classes=5, rows=400)
    return to_fit, asked(*opened, to_fit.tokens)


class Sized:
    """Gives back activations times a number; the latents are their positive and negative parts."""

    d_sae = 2 * D

    def __init__(self, size):
        self.size = size

    def encode_sparse(self, x):
        dense = torch.cat([x, -x], dim=1).clamp(min=0)
        rows, index = dense.nonzero(as_tuple=True)
        counts = torch.bincount(rows, minlength=len(x))
        offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0)).int()
        return Codes(dense[rows, index], index.int(), offsets, self.d_sae)

    def decode(self, codes):
        dense = codes.dense()
        return self.size * (dense[:, :D] - dense[:, D:])


class Nothing(Sized):
    """Has no active latent and gives back zero."""

    def __init__(self):
        super().__init__(0.0)

    def encode_sparse(self, x):
        return Codes(x.new_zeros(0), torch.zeros(0).int(), torch.zeros(len(x) + 1).int(), D)

    def decode(self, codes):
        return torch.zeros(len(codes), D)


def values(columns):
    found = measured.formed("probes", {name: column.sum() for name, column in columns.items()})
    return {name.removeprefix("probe_"): value for name, value in found.items()}


def test_a_perfect_reconstruction_is_read_like_the_activations(both):
    (sums,) = ask([Sized(1.0)], *both)
    for name in ("correct", "loss"):
        np.testing.assert_array_equal(sums[f"{name}_sae"], sums[name])


def test_a_probe_of_activations_that_hold_the_answer_is_far_from_chance(both):
    (sums,) = ask([Sized(1.0)], *both)
    found = values(sums)
    assert found["accuracy"] > 0.8 > 0.5 > found["accuracy_chance"]
    assert found["loss"] < 0.6 < found["loss_chance"]
    assert found["loss_chance"] == pytest.approx(np.log(5), abs=0.05)
    assert found["loss_codes"] < found["loss_chance"] - 0.2 and found["accuracy_codes"] > 0.6


def test_short_reconstructions_cost_loss_and_longer_ones_give_it_back(both):
    losses = [values(sums)["loss_sae"] for sums in ask([Sized(s) for s in (1, 0.9, 0.5)], *both)]
    assert losses == sorted(losses) and losses[2] > losses[0] + 0.1


def test_the_probe_is_fitted_to_activations_and_never_to_a_reconstruction(both):
    """By an independent way: one probe, fitted here, reads half of each activation."""
    to_fit, test = both
    probe = fit_probe(np.asarray(to_fit.activations[to_fit.rows]), to_fit.labels)
    halves = 0.5 * np.asarray(test.activations[test.rows])
    log_p = probe.log_probabilities(halves)
    found = values(ask([Sized(0.5)], *both)[0])
    assert found["loss_sae"] == pytest.approx(-log_p[range(len(log_p)), test.labels].mean())
    assert found["accuracy_sae"] == np.mean(log_p.argmax(1) == test.labels)


def test_chance_is_the_most_frequent_token_of_the_rows_that_were_fitted_to(both):
    to_fit, test = both
    found = values(ask([Sized(1.0)], *both)[0])
    shares = np.bincount(to_fit.labels) / len(to_fit.labels)
    assert found["accuracy_chance"] == np.mean(test.labels == shares.argmax())
    assert found["loss_chance"] == pytest.approx(-np.log(shares)[test.labels].mean())


def test_without_a_latent_its_probe_knows_frequencies_alone(both):
    (sums,) = ask([Nothing()], *both)
    found = values(sums)
    assert found["loss_codes"] == pytest.approx(found["loss_chance"], abs=1e-3)
    assert found["accuracy_codes"] == found["accuracy_chance"]


def test_latents_of_one_encoder_are_fitted_once(both, monkeypatch):
    """Decoder-side fine-tuning changes what is read in reconstructions, not in latents."""
    fits = []
    monkeypatch.setattr(probes, "fit_probe", lambda *a: fits.append(a) or fit_probe(*a))
    saes = [an_sae(seed) for seed in (0, 1)]
    saes.insert(1, replace(saes[0], weights={**saes[0].weights, "W_dec": 2 * saes[0].W_dec}))
    together = ask(saes, *both)
    assert len(fits) == 1 + 2  # of the activations, and of each encoder's latents
    first, second, third = together
    np.testing.assert_array_equal(first["loss_codes"], second["loss_codes"])
    assert (first["loss_sae"] != second["loss_sae"]).any()
    assert (first["loss_codes"] != third["loss_codes"]).any()
    for sae, sums in zip(saes, together, strict=True):
        for name, column in ask([sae], *both)[0].items():
            np.testing.assert_array_equal(sums[name], column)


def test_sums_are_kept_per_document(both):
    (sums,) = ask([Sized(1.0)], *both)
    _, test = both
    ids, counts = np.unique(test.documents, return_counts=True)
    assert sums["document"].tolist() == ids.tolist() and len(ids) > 15
    assert sums["tokens"].tolist() == counts.tolist()
    assert (sums["correct"] <= counts).all() and (sums["loss"] > 0).all()


an_sae = partial(make_sae, 3 * D, D, hook=HOOK)


@pytest.fixture(scope="module")
def saes(tmp_path_factory):
    root = tmp_path_factory.mktemp("saes")
    return [publish_sae(root / f"sae-{seed}", an_sae(seed)) for seed in (0, 1)]


def run(root, saes, record, **stores):
    """Measure SAEs together; return their tasks."""
    named = {sae.parent.name: sae for sae in saes}
    tasks = measured.measure("probes", root, named, SETTINGS, activations=record, **stores)
    return list(tasks.values())


def test_a_result_has_sums_per_document_and_says_what_was_asked(store, saes, tmp_path):
    task, other = run(tmp_path, saes, store)
    documents, record = table(task), task.work.manifest
    assert record["n_tokens"] == documents["tokens"].sum()
    assert record["n_documents"] == len(documents)
    assert len(record["classes"]) == 5 and record["n_fitted"] <= 400
    found, others = (measured.values(one) for one in (task, other))
    assert found["probe_loss"] == others["probe_loss"]
    assert found["probe_loss_sae"] != others["probe_loss_sae"]


def test_together_and_alone_give_the_same_bytes(store, saes, tmp_path):
    for sae, task in zip(saes, run(tmp_path / "together", saes, store), strict=True):
        (alone,) = run(tmp_path / "alone", [sae], store)
        assert hash_tree(alone.work.final) == hash_tree(task.work.final)


def test_an_sae_with_latents_that_are_no_numbers_fails_alone(store, saes, tmp_path):
    diverged = an_sae(2)
    diverged.weights["b_enc"][0] = torch.inf
    bad, good = run(tmp_path, [publish_sae(tmp_path / "diverged", diverged), saes[0]], store)
    assert isinstance(bad.error, SaeflowError) and not bad.finished
    (alone,) = run(tmp_path / "alone", saes[:1], store)
    assert hash_tree(good.work.final) == hash_tree(alone.work.final)


def test_a_place_without_a_training_split_takes_the_rows_of_another(store, saes, tmp_path):
    lengths = {"train": [], "validation": [], "test": LENGTHS["test"]}
    elsewhere = place(tmp_path / "elsewhere", lengths)[HOOK]
    with pytest.raises(DataError, match="no two tokens") as caught:
        run(tmp_path / "refused", saes[:1], elsewhere)
    assert "probes: null" in str(caught.value)
    (away,) = run(tmp_path / "on", saes[:1], elsewhere, fitted=store)
    (home,) = run(tmp_path / "home", saes[:1], store)
    assert away.work.manifest["classes"] == home.work.manifest["classes"]
    assert away.work.manifest["n_fitted"] == home.work.manifest["n_fitted"] > 0
    assert measured.values(away)["probe_accuracy"] > 0.8


def test_a_transcoder_is_asked_about_what_it_predicts(tmp_path, saes):
    """One of two hooks holds the next token, the other noise alone, either way round."""
    stores = place(tmp_path, **{HOOK: {}, "mlp_out.1": {"noise": 1e3, "seed": 1}})
    telling, noise = stores[HOOK], stores["mlp_out.1"]
    accuracy, codes = {}, {}
    for name, read, target in (
        ("plain", telling, None), ("into noise", telling, noise), ("from noise", noise, telling),
    ):  # fmt: skip
        (task,) = run(tmp_path / name, saes[:1], read, target=target)
        found = measured.values(task)
        accuracy[name], codes[name] = found["probe_accuracy"], found["probe_loss_codes"]
    assert accuracy["plain"] == accuracy["from noise"] > 0.8 > 0.4 > accuracy["into noise"]
    assert codes["plain"] == codes["into noise"] < codes["from noise"]  # of what it reads
