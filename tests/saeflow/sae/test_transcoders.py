"""SAEs of one hook that give the activations of another: every architecture, every option."""

from __future__ import annotations

import csv

import pytest
import torch

from sae_recipes import plain, recipes
from sae_reference import assert_close, run_step
from sae_stores import (
    SEQUENCE,
    content,
    make_activations,
    place,
    sparse_data,
    task_of,
    train_saes,
)
from saeflow import registry
from saeflow.activations.reader import open_store
from saeflow.errors import ConfigError, StoreError
from saeflow.measures.reconstruction import evaluated, reconstruct
from saeflow.metrics.reconstruction import fvu, mse
from saeflow.sae.model import ARCHITECTURES
from saeflow.sae.saved.load import load_sae
from saeflow.sae.training import sweep
from saeflow.sae.training.sweep import train_sweep

HOOKS = ("resid_post.0", "mlp_out.0")
RECIPES = {
    name: {**recipe, "target": HOOKS[1], "subtract_b_dec": False}
    for name, recipe in recipes().items()
}


@pytest.fixture(scope="module")
def data():
    x = sparse_data(66 * SEQUENCE, 12, 20, mean_l0=3)
    g = torch.Generator().manual_seed(9)
    y = torch.relu(x @ torch.randn(12, 12, generator=g)) @ torch.randn(12, 12, generator=g) + 7
    return x, y


@pytest.fixture(scope="module")
def stores(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("stores")
    pairs = zip(data, HOOKS, strict=True)
    return [make_activations(root, x=values, hook=hook) for values, hook in pairs]


@pytest.fixture(scope="module")
def together(tmp_path_factory, stores):
    root = tmp_path_factory.mktemp("together")
    works = {name: place(root, name) for name in RECIPES}
    pairs = [(works[name], RECIPES[name]) for name in RECIPES]
    train_saes(pairs, stores[0], target=stores[1])
    return works


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_transcoder_explains_its_target_and_is_the_one_trained_alone(
    name, together, stores, tmp_path
):
    work = place(tmp_path, name)
    train_saes([(work, RECIPES[name])], stores[0], target=stores[1])
    assert content(work) == content(together[name])
    rows = list(csv.DictReader((work.final / "log.csv").open()))
    if not name.endswith("+"):
        assert float(rows[-1]["fvu"]) < 0.97 * float(rows[0]["fvu"])
    sae = load_sae(work.final)
    assert sae.metadata["target"]["hook"] == HOOKS[1]
    if sae.settings.unit_norm_decoder:
        torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(sae.d_sae))


def test_one_pass_trains_for_several_targets_and_none(together, stores, tmp_path, monkeypatch):
    """Stores that do not pair up stop those of that target and no others."""
    unpaired = make_activations(tmp_path / "other", n_sequences=65)
    targets = {"unpaired": unpaired, "itself": stores[0], "topk": stores[1], "relu": stores[1]}
    tasks = [
        task_of(place(tmp_path, name), RECIPES.get(name, RECIPES["relu"]),
                activations=stores[0], target=target)
        for name, target in targets.items()
    ]  # fmt: skip
    own = {k: v for k, v in RECIPES["relu"].items() if k != "target"}
    tasks.append(task_of(place(tmp_path, "auto"), own, activations=stores[0]))
    opened = []
    monkeypatch.setattr(
        sweep, "open_store", lambda record: opened.append(record) or open_store(record)
    )
    train_sweep(tasks)
    assert isinstance(tasks[0].error, StoreError) and "do not pair up" in str(tasks[0].error)
    assert not tasks[0].finished and all(task.finished for task in tasks[1:])
    assert opened.count(stores[1]) == 1 and opened.count(stores[0]) == 5
    for task, name in zip(tasks[2:4], ("topk", "relu"), strict=True):
        assert content(task.work) == content(together[name])
    for task in (tasks[1], tasks[4]):
        alone = place(tmp_path / "alone", task.output.parent.name)
        train_saes([(alone, task.settings)], stores[0], task.inputs.get("target"))
        assert content(task.work) == content(alone)


def test_what_is_logged_is_the_error_against_the_target(together, data):
    x, y = data
    kept = torch.arange(64 * SEQUENCE) % SEQUENCE > 0
    x, y = x[: 64 * SEQUENCE][kept], y[: 64 * SEQUENCE][kept]
    sae = load_sae(together["topk"].final)
    error = (sae(x) - y).double().square().sum() / (y - y.mean(0)).double().square().sum()
    rows = list(csv.DictReader((together["topk"].final / "log.csv").open()))
    assert float(error) == pytest.approx(float(rows[-1]["fvu"]), rel=0.2)
    assert float((sae(x) - x).square().sum()) > 3 * float((sae(x) - y).square().sum())


@pytest.mark.parametrize("architecture", registry.names(ARCHITECTURES))
def test_a_step_with_another_target_has_the_gradients_of_that_target(architecture):
    """A shift of the target is a shift of b_dec, which only it can see."""
    rule = registry.load(ARCHITECTURES, architecture)
    own = plain()[architecture]
    settings = rule.Settings(
        **{k: own[k] for k in own if k in ("k", "l1", "l0_coef")}, subtract_b_dec=False
    )
    g = torch.Generator().manual_seed(5)
    x = torch.randn(40, 6, generator=g, dtype=torch.float64)
    weights = rule.initial(settings, 20, x, g)
    shift = torch.randn(6, generator=g, dtype=torch.float64)
    moved = {**weights, "b_dec": weights["b_dec"] + shift}
    copies = [{n: w.clone() for n, w in ws.items()} for ws in (weights, moved)]
    terms, gradients = run_step(rule, copies[0], settings, x)
    other, found = run_step(rule, copies[1], settings, x, target=x + shift)
    assert other.loss == pytest.approx(terms.loss) and other.error == pytest.approx(terms.error)
    assert_close(found, gradients, 1e-9)


@pytest.mark.parametrize("architecture", registry.names(ARCHITECTURES))
def test_dimensions_of_the_target_that_are_always_zero_change_nothing(architecture):
    rule = registry.load(ARCHITECTURES, architecture)
    own = plain()[architecture]
    sums = {"error": "sum"} if architecture == "relu" else {}
    given = {k: own[k] for k in own if k in ("k", "l1", "l0_coef")}
    settings = rule.Settings(**given, **sums, subtract_b_dec=False)
    g = torch.Generator().manual_seed(5)
    x = torch.randn(40, 6, generator=g, dtype=torch.float64)
    weights = rule.initial(settings, 20, x, g)
    wider = {n: w.clone() for n, w in weights.items()}
    wider |= {n: torch.nn.functional.pad(weights[n], (0, 3)) for n in ("W_dec", "b_dec")}
    padded = torch.nn.functional.pad(x, (0, 3))
    terms, gradients = run_step(rule, weights, settings, x)
    other, found = run_step(rule, wider, settings, x, target=padded)
    assert other.loss == pytest.approx(terms.loss) and other.error == pytest.approx(terms.error)
    for name in ("W_dec", "b_dec"):
        assert not found[name][..., 6:].any()
        found[name] = found[name][..., :6]
    assert_close(found, gradients, 1e-9)


def test_the_mean_of_the_error_is_that_over_the_dimensions_of_the_target():
    rule = registry.load(ARCHITECTURES, "relu")
    settings = rule.Settings(l1=0.0)
    g = torch.Generator().manual_seed(5)
    x, y = (torch.randn(40, d, generator=g, dtype=torch.float64) for d in (6, 9))
    weights = {**rule.initial(settings, 20, x, g)}
    weights |= {"W_dec": torch.zeros(20, 9).double(), "b_dec": torch.zeros(9).double()}
    terms, _ = run_step(rule, weights, settings, x, target=y)
    assert terms.loss == pytest.approx(float(y.square().mean()))


def test_a_scaled_transcoder_starts_at_the_asked_centre_and_logs_the_error_of_the_target(
    stores, data, tmp_path
):
    still = {"learning_rate": 1e-12, "scale_input": "unit", "center": "zero", "log_tokens": 10**6}
    work = place(tmp_path, "a")
    train_saes([(work, {**RECIPES["relu"], **still})], stores[0], target=stores[1])
    sae, (row,) = load_sae(work.final), csv.DictReader((work.final / "log.csv").open())
    assert float(sae.b_dec.abs().max()) < 1e-6
    kept = torch.arange(64 * SEQUENCE) % SEQUENCE > 0
    x, y = (values[: 64 * SEQUENCE][kept] for values in data)
    assert float(row["mse"]) == pytest.approx(float((sae(x) - y).square().mean()), rel=1e-3)


def test_the_reconstruction_is_measured_against_the_target(together, stores, data):
    sae = load_sae(together["relu"].final)
    tokens = evaluated(stores[0], stores[1])
    (result,) = reconstruct([sae], tokens)
    x, y = (values[tokens.rows] for values in data)
    error = (sae(x).double() - y.double()).square()
    variance = (y.double() - y.double().mean(0)).square().sum()
    assert fvu(result.sums) == pytest.approx(float(error.sum() / variance), rel=1e-6)
    assert mse(result.sums) == pytest.approx(float(error.mean()), rel=1e-6)


def test_subtracting_a_bias_of_the_target_from_the_input_is_refused(stores, tmp_path):
    recipe = {**RECIPES["topk"], "subtract_b_dec": True}
    with pytest.raises(ConfigError, match="space of its target"):
        train_saes([(place(tmp_path, "a"), recipe)], stores[0], target=stores[1])
