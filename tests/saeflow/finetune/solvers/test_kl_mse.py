"""Fine-tuning with the model in the loop: its gradient, its pass and its resumption."""

from __future__ import annotations

import pytest
import torch

from sae_reference import assert_close, autograd, random_weights
from sae_stores import content, let_diverge, place, published, stopped, task_of, tune_saes
from saeflow.config.training import Run
from saeflow.finetune.solvers import kl_mse
from saeflow.finetune.sweep import finetune_sweep
from saeflow.models.hooks import Hook, replace
from saeflow.models.load import load_model
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.load import load_sae
from saeflow.sae.saved.save import header_of, save
from saeflow.sae.steps.step import State, Workspace
from saeflow.tokens.sequences import sequences_of
from saeflow.tokens.store import open_tokens
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_tokens, save_model

LENGTHS = {"train": [20] * 24, "validation": [], "test": [20] * 2}
HOOK, D, D_SAE = "resid_post.0", 16, 40
COMMON = {"solver": "kl_mse", "batch_size": 80, "learning_rate": 1e-2, "tokens": 160, "epochs": 8}
METHODS = ("decoder", "encoder", "all")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    model = save_model(make_model("gpt_neox"), root / "model" / "model.json")
    tokens = make_tokens(root / "tokens", LENGTHS)
    activations = harvest_hooks(root / "hooks", [HOOK], model, tokens)[HOOK]

    def parent(work):
        weights = random_weights(D, D_SAE, seed=0, dtype=torch.float32, bias=0.01)
        sae = SAE("relu", architecture_settings("relu", {"l1": 0.1}), weights, {"hook": HOOK})
        save(sae, work.path)
        work.finish(header_of(work.path))

    return {
        "model": model, "tokens": tokens, "activations": activations,
        "parent": published(root, "parent", parent),
    }  # fmt: skip


def job(root, made, method, **settings):
    work = place(root, method)
    return work, {**COMMON, "method": method, **settings}, made["parent"]


def tune(jobs, made):
    tune_saes(
        jobs, made["activations"], model=made["model"], tokens=made["tokens"], checkpoint_s=1e9
    )


@pytest.fixture(scope="module")
def together(made, tmp_path_factory):
    jobs = [job(tmp_path_factory.mktemp("together"), made, method) for method in METHODS]
    tune(jobs, made)
    return {method: work for method, (work, *_) in zip(METHODS, jobs, strict=True)}


def one_batch(made, **run):
    model = load_model(made["model"], "cpu")
    patched = PatchedModel(model, Hook.parse(HOOK))
    sequences = sequences_of(open_tokens(made["tokens"]), "train")
    loader = kl_mse.SequenceLoader(patched, sequences, Run(batch_size=80, **run), 1, None)
    return model, patched, loader


@pytest.mark.parametrize("method", METHODS)
def test_the_gradient_is_that_of_the_whole_model_with_both_terms_alike(made, method, tmp_path):
    """Against autograd through the SAE and the hooked model, the ratio of the terms held."""
    model, patched, loader = one_batch(made)
    batch = next(iter(loader))
    task = task_of(
        place(tmp_path, method), {**COMMON, "method": method},
        parent=made["parent"], activations=made["activations"],
    )  # fmt: skip
    objective = kl_mse.ModelObjective(task, load_sae(made["parent"]), patched)
    weights = objective.initial(batch)
    gradients = {name: torch.full_like(w, 7.0) for name, w in weights.items()}
    state = State(0, torch.zeros(D_SAE, dtype=torch.bool), Workspace())
    terms = objective.step(weights, gradients, batch, state)
    clean = model(batch.input_ids).logits.log_softmax(-1)
    scored = batch.before

    def losses(w):
        own = {name: w.get(name, p) for name, p in objective.parent.weights.items()}
        f = (batch.x @ own["W_enc"] + own["b_enc"]).relu() * w["scale"]
        x_hat = f @ own["W_dec"] + own["b_dec"]
        mse = (x_hat - batch.x).square().mean()

        def exchange(x):
            out = x.clone()
            out[batch.ordinary] = x_hat
            return out

        with replace(model, Hook.parse(HOOK), exchange):
            found = model(batch.input_ids).logits.log_softmax(-1)
        kl = (clean.exp() * (clean - found)).sum(-1)[scored].mean()
        return mse, kl

    def loss(w):
        mse, kl = losses(w)
        return mse + (mse / kl).detach() * kl

    expected, grads = autograd(loss, weights)
    assert terms.loss == pytest.approx(expected, rel=1e-4)
    assert terms.penalty == pytest.approx(expected / 2, rel=1e-4)
    assert_close(gradients, grads, 1e-3)


def test_every_sequence_is_given_once_an_epoch_and_the_order_goes_on(made):
    _, _, loader = one_batch(made)
    batches = [batch.input_ids for batch in loader]
    assert [len(ids) for ids in batches] == [4] * 6
    tokens = open_tokens(made["tokens"]).read("token_id", 0, 24 * 20).reshape(24, 20)
    given = sorted(tuple(row) for ids in batches for row in ids.tolist())
    assert given == sorted(tuple(row) for row in tokens.tolist())
    _, patched, other = one_batch(made)
    first = iter(other)
    for _ in range(2):
        next(first)
    again = kl_mse.SequenceLoader(patched, other._sequences, Run(batch_size=80), 1, other.state())
    assert all(torch.equal(a, b.input_ids) for a, b in zip(batches[2:], again, strict=True))


def divergence(made, sae):
    model, _, loader = one_batch(made)
    total = 0.0
    for batch in loader:
        clean = model(batch.input_ids).logits.log_softmax(-1)

        def exchange(x, batch=batch):
            out = x.clone()
            out[batch.ordinary] = sae(batch.x)
            return out

        with torch.no_grad(), replace(model, Hook.parse(HOOK), exchange):
            found = model(batch.input_ids).logits.log_softmax(-1)
        total += float((clean.exp() * (clean - found)).sum(-1)[batch.before].sum())
    return total


def test_the_divergence_falls(made, together):
    before = divergence(made, load_sae(made["parent"]))
    for method in METHODS:
        assert divergence(made, load_sae(together[method].final)) < 0.9 * before, method


def test_alone_it_is_the_same_as_with_others(made, together, tmp_path):
    own = job(tmp_path, made, "all")
    tune([own], made)
    assert content(own[0]) == content(together["all"])


def test_interrupted_it_goes_on_to_the_same_bytes(made, together, tmp_path):
    jobs = [job(tmp_path, made, method) for method in METHODS]
    with stopped(1):
        tune(jobs, made)
    tune(jobs, made)
    for method, (work, *_) in zip(METHODS, jobs, strict=True):
        assert content(work) == content(together[method])


def test_one_that_fails_leaves_the_others_alone(made, together, tmp_path, monkeypatch):
    """The baseline cannot start, and a rate that is far too large diverges."""
    let_diverge(monkeypatch)
    jobs = {name: job(tmp_path, made, name) for name in ("baseline", "all", "decoder")}
    jobs["diverging"] = job(tmp_path / "b", made, "all", learning_rate=1)
    sources = {name: made[name] for name in ("activations", "model", "tokens")}
    tasks = {
        name: task_of(work, settings, parent=parent, **sources)
        for name, (work, settings, parent) in jobs.items()
    }
    finetune_sweep(list(tasks.values()))
    assert "loss of its own" in str(tasks["baseline"].error)
    assert "diverged" in str(tasks["diverging"].error)
    assert not tasks["baseline"].finished and not tasks["diverging"].finished
    for name in ("all", "decoder"):
        assert tasks[name].error is None
        assert content(tasks[name].work) == content(together[name])
