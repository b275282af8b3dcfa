"""SAEs by the wished number of active latents: what is tried, what is found, what it trains."""

from __future__ import annotations

import math
import os
import signal

import pytest

from sae_stores import content, make_activations, place, stopped, task_of, train_saes
from saeflow.config.architectures import JumpReLURecipe, ReLURecipe
from saeflow.errors import ConfigError, ModelError
from saeflow.files import read_json
from saeflow.interrupt import Interrupted, Stop
from saeflow.sae.training import target_l0
from saeflow.sae.training.target_l0 import Search, shrunk

COMMON = {"expansion": 4, "batch_size": 256, "learning_rate": 0.01, "seed": 0}
WISHED = {
    "relu": {"architecture": "relu", "target_l0": 6, **COMMON},
    "sum": {"architecture": "relu", "error": "sum", "scale_input": "unit", "target_l0": 6,
            "subtract_b_dec": True, **COMMON},
    "gated": {"architecture": "gated", "target_l0": 6, **COMMON},
    "p_anneal": {"architecture": "p_anneal", "target_l0": 6, **COMMON},
    "jumprelu": {"architecture": "jumprelu", "scale_input": "unit", "bandwidth": 0.05,
                 "init_threshold": 0.05, "target_l0": 6, **COMMON},
}  # fmt: skip


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    return make_activations(tmp_path_factory.mktemp("activations"), n_sequences=1200)


@pytest.fixture(scope="module")
def together(activations, tmp_path_factory):
    root = tmp_path_factory.mktemp("together")
    works = {name: place(root, name) for name in WISHED}
    train_saes([(work, WISHED[name]) for name, work in works.items()], activations)
    return works


@pytest.fixture
def tried(monkeypatch):
    """What is tried, in order."""
    found, train = [], Search._train
    monkeypatch.setattr(
        Search, "_train", lambda self, *what: found.append(what) or train(self, *what)
    )
    return found


def header(work):
    return read_json(work.final / "cfg.json")["metadata"]["saeflow"]


@pytest.mark.parametrize("name", list(WISHED))
def test_the_trained_sae_has_about_the_wished_l0(name, together):
    facts = header(together[name])
    trained, found = facts["training"]["final"]["l0"], facts["training"]["target_l0"]
    assert 6 / 1.25 < trained < 6 * 1.25, found
    assert 6 / 1.1 < found["expected_l0"] < 6 * 1.1
    key = "l0_coef" if name == "jumprelu" else "l1"
    assert facts["architecture_settings"][key] == found[key] > 0
    assert facts["settings"]["target_l0"] == 6 and facts["settings"].get(key) is None
    assert len(found["trials"]) <= 8


@pytest.mark.parametrize("name", ["relu", "jumprelu"])
def test_its_weights_are_those_of_the_recipe_with_the_found_coefficient(
    name, together, activations, tmp_path
):
    found = header(together[name])["training"]["target_l0"]
    key = "l0_coef" if name == "jumprelu" else "l1"
    by_hand = {k: v for k, v in WISHED[name].items() if k != "target_l0"} | {key: found[key]}
    work = place(tmp_path, "by-hand")
    train_saes([(work, by_hand)], activations)
    weights = "sae_weights.safetensors"
    assert content(work)[weights] == content(together[name])[weights]
    assert "target_l0" not in header(work)["training"]


def test_one_of_a_sweep_is_the_one_trained_alone(together, activations, tmp_path):
    work = place(tmp_path, "gated")
    train_saes([(work, WISHED["gated"])], activations)
    assert content(work) == content(together["gated"])


def test_seeds_share_one_coefficient_and_its_search(together, activations, tmp_path, tried):
    works = [place(tmp_path, str(seed)) for seed in (0, 1)]
    jobs = [(work, {**WISHED["relu"], "seed": seed}) for seed, work in enumerate(works)]
    train_saes(jobs, activations)
    found = [header(work)["training"]["target_l0"] for work in works]
    assert found[0] == found[1] and len(tried) == len(set(tried)) == len(found[0]["trials"])
    assert content(works[0]) == content(together["relu"])
    weights = "sae_weights.safetensors"
    assert content(works[1])[weights] != content(works[0])[weights]


def test_other_wishes_share_trials_and_change_nothing(together, activations, tmp_path, tried):
    works = {wish: place(tmp_path, str(wish)) for wish in (12, 6)}
    jobs = [(work, {**WISHED["relu"], "target_l0": wish}) for wish, work in works.items()]
    train_saes(jobs, activations)
    found = {wish: header(work)["training"]["target_l0"]["trials"] for wish, work in works.items()}
    assert found[6][0] == found[12][0]
    assert len(tried) == len(set(tried)) < len(found[6]) + len(found[12])
    assert content(works[6]) == content(together["relu"])


@pytest.mark.parametrize("trials", [1, 3])
def test_killed_while_it_searches_it_goes_on_and_ends_at_the_same_bytes(
    trials, together, activations, tmp_path, tried, monkeypatch
):
    train = Search._train

    def stopping(self, *what):
        if len(tried) == trials:
            os.kill(os.getpid(), signal.SIGTERM)
        return train(self, *what)

    work = place(tmp_path, "relu")
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Search, "_train", stopping)
        train_saes([(work, WISHED["relu"])], activations)
    assert len(read_json(work.path / "target_l0.json")["trials"]) == trials
    tried.clear()
    train_saes([(work, WISHED["relu"])], activations)
    found = header(work)["training"]["target_l0"]
    assert len(tried) == len(found["trials"]) - trials
    assert content(work) == content(together["relu"])


def test_killed_while_it_trains_it_does_not_search_again(
    together, activations, tmp_path, monkeypatch
):
    work = place(tmp_path, "relu")
    with stopped(20):
        train_saes([(work, WISHED["relu"])], activations)
    monkeypatch.setattr(Search, "_train", None)
    train_saes([(work, WISHED["relu"])], activations)
    assert content(work) == content(together["relu"])


# -- the search by itself --------------------------------------------------------------------------


class Curve(Search):
    """A search in which L0 follows a law, without any training."""

    def __init__(self, l0, tmp_path, wished, batch_size=1024):
        self.l0, self.asked = l0, []
        run = ReLURecipe.read(
            {"architecture": "relu", "target_l0": wished, "batch_size": batch_size}, where="test"
        )
        named = type("Objective", (), {"name": "toy", "d_sae": 256})
        super().__init__(run, lambda _: named, None, 100, tmp_path, Stop())

    def _first(self):
        return next(iter(self._by_coefficient()), 0.01)

    def _train(self, batch_size, value):
        self.asked.append((batch_size, value))
        return self.l0(batch_size, value)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("wished", [2, 30, 120])
def test_it_finds_where_a_power_law_with_noise_has_the_wished_l0(power, wished, tmp_path):
    """L0 = (0.3 / c)^power exp(2 / sqrt n): whole batches of 1024 have exp(1/16) of it."""

    def l0(n, c):
        return min((0.3 / c) ** power * math.exp(2 * n**-0.5), 250.0)

    found = Curve(l0, tmp_path, wished).find()
    truth = (0.3 / found.value) ** power * math.exp(1 / 16)
    assert truth == pytest.approx(wished, rel=0.06)
    assert found.l0 == pytest.approx(truth, rel=1e-6)  # the noise is of the very form
    assert found.value == float(f"{found.value:.4g}")


def test_trials_have_a_32nd_of_the_rows_and_one_an_8th(tmp_path):
    search = Curve(lambda n, c: 1 / c, tmp_path, 50)
    search.find()
    sizes = [size for size, _ in search.asked]
    assert set(sizes) == {32, 128} and sizes.count(128) == 1


def test_small_batches_stay_as_they_are(tmp_path):
    search = Curve(lambda n, c: 1 / c, tmp_path, 50, batch_size=16)
    assert search.find().l0 == pytest.approx(50, rel=0.05)
    assert {size for size, _ in search.asked} == {16}


def test_an_l0_out_of_reach_is_refused_with_what_was_tried(tmp_path):
    with pytest.raises(ModelError, match=r"toy > target_l0.*expected 100.*got 40.*at .*set l1"):
        Curve(lambda n, c: min(40.0, 1 / c), tmp_path, 100).find()


def test_an_l0_of_every_latent_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="below 256"):
        Curve(lambda n, c: 1 / c, tmp_path, 256).find()


def test_what_is_counted_in_tokens_shrinks_with_the_batches():
    run = ReLURecipe.read(
        {"architecture": "relu", "l1": 0.1, "batch_size": 1024, "tokens": 64_000,
         "warmup_tokens": 3200, "decay_tokens": 0, "l1_warmup_tokens": None,
         "dead_tokens": 16, "resample_tokens": 6400}, where="test",
    )  # fmt: skip
    small = shrunk(run, 32)
    assert (small.batch_size, small.tokens, small.warmup_tokens) == (32, 2000, 100)
    assert (small.decay_tokens, small.l1_warmup_tokens) == (0, None)
    assert (small.dead_tokens, small.resample_tokens) == (1, 200)
    assert (small.l1, small.learning_rate, small.expansion) == (0.1, 0.002, 4.0)


def test_a_jump_relu_with_both_keeps_the_wish_in_its_loss(activations, tmp_path, monkeypatch):
    monkeypatch.setattr(target_l0, "find", None)  # nothing is searched
    settings = {**WISHED["jumprelu"], "l0_coef": 0.1, "tokens": 1024}
    assert JumpReLURecipe.read(
        {k: v for k, v in settings.items() if k != "seed"}, where="test"
    ).wished_l0 is None  # fmt: skip
    work = place(tmp_path, "both")
    train_saes([(work, settings)], activations)
    assert header(work)["architecture_settings"]["target_l0"] == 6


def test_one_that_cannot_be_found_leaves_the_others_alone(activations, tmp_path):
    from saeflow.sae.training.sweep import train_sweep

    good = {k: v for k, v in WISHED["relu"].items() if k != "target_l0"}
    good |= {"l1": 0.1, "tokens": 1024}
    bad = {**WISHED["relu"], "target_l0": 48}
    tasks = [
        task_of(place(tmp_path, name), settings, activations=activations)
        for name, settings in (("bad", bad), ("good", good))
    ]
    train_sweep(tasks)
    assert "below 48" in str(tasks[0].error) and tasks[1].finished
