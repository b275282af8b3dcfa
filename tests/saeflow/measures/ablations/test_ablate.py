import numpy as np
import pandas as pd
import pytest
import torch

from saeflow.errors import ModelError
from saeflow.measures.ablations.ablate import Plan, ablate
from saeflow.measures.answers.lines import Question
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE, architecture_settings
from tiny_models import make_model

D, D_SAE, N = 16, 12, 10
SETTINGS = {"features": 2, "prompts": 4, "seed": 0}


def sae_with(W_enc, b_enc, W_dec, b_dec):
    weights = {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec}
    return SAE("relu", architecture_settings("relu", {"l1": 0.01}), weights)


def random_sae(seed=0):
    g = torch.Generator().manual_seed(seed)
    return sae_with(
        torch.randn(D, D_SAE, generator=g), torch.randn(D_SAE, generator=g),
        0.3 * torch.randn(D_SAE, D, generator=g), 0.1 * torch.randn(D, generator=g),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return make_model("gpt_neox").requires_grad_(False)


@pytest.fixture(scope="module")
def questions():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(N):
        ids = rng.integers(3, 61, rng.integers(4, 9))
        ids[0] = 0
        found.append(Question(ids, np.arange(len(ids)) == 0, (int(rng.integers(3, 61)),)))
    return found


@torch.no_grad()
def answers(patched, sae, questions):
    """Return what the measure of answers gives: by a pass of its own for each prompt."""
    delta, rows = [], []
    for number, question in enumerate(questions):
        ids = torch.from_numpy(question.ids)[None]
        clean = patched.clean(ids)
        x = clean.x.clone()
        x[0, 1:] = sae(clean.x[0, 1:])
        log_p = [
            patched.head(states)[0, -1].log_softmax(-1)[question.answer[0]].item()
            for states in (clean.states, patched.states(x, clean, ids))
        ]
        delta.append(log_p[1] - log_p[0])
        f = sae.encode(clean.x[0, 1:])
        for latent in range(D_SAE):
            own = f[:, latent][f[:, latent] > 0]
            if len(own):
                rows.append((number, latent, len(own), own.max().item(), own.sum().item()))
    names = ["prompt", "latent", "n_active", "max_activation", "sum_activation"]
    return np.array(delta), pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def made(model, questions):
    patched, sae = PatchedModel(model, Hook("resid_post", 1)), random_sae()
    plan = Plan(*answers(patched, sae, questions), D_SAE, SETTINGS)
    return patched, sae, plan, ablate(patched, [sae], questions, [plan])[0]


def test_each_chosen_feature_has_its_prompts_and_each_set_the_same_ones(made):
    _, _, plan, found = made
    assert set(found.effects["latent"]) == set(plan.latents)
    active = plan.scores.set_index("latent")["n_prompts"]
    counts = found.effects.groupby(["latent", "where"]).size()
    for (latent, _), n in counts.items():
        assert n == min(4, active[latent])
    assert set(found.sets["kind"]) == {"worst", "best", "frequent", "random"}
    assert set(found.sets["size"]) == {1, 2}
    on = found.sets.groupby(["kind", "size", "where"])["prompt"].apply(tuple)
    assert on.nunique() == 1 and len(on.iloc[0]) == 4


@torch.no_grad()
def test_an_effect_is_what_a_pass_without_the_feature_gives(made, questions):
    patched, sae, _, found = made
    for row in found.effects.itertuples():
        question = questions[row.prompt]
        ids = torch.from_numpy(question.ids)[None]
        clean = patched.clean(ids)
        f = sae.encode(clean.x[0, 1:])
        part = f[:, row.latent, None] * sae.W_dec[row.latent]
        whole = sae(clean.x[0, 1:]) if row.where == "reconstruction" else clean.x[0, 1:]
        log_p = []
        for value in (whole, whole - part):
            x = clean.x.clone()
            x[0, 1:] = value
            states = patched.states(x, clean, ids)
            log_p.append(patched.head(states)[0, -1].log_softmax(-1)[question.answer[0]].item())
        assert row.effect == pytest.approx(log_p[0] - log_p[1], abs=2e-5)


def test_a_set_of_one_is_its_feature(made):
    _, _, plan, found = made
    (worst,) = plan.sets["worst", 1]
    key = ["prompt", "where"]
    single = found.effects[found.effects["latent"] == worst].set_index(key)["effect"]
    alone = found.sets[(found.sets["kind"] == "worst") & (found.sets["size"] == 1)]
    alone = alone.set_index(key)["effect"]
    both = single.index.intersection(alone.index)
    assert len(both)
    np.testing.assert_allclose(single[both], alone[both], atol=1e-5)


def test_saes_together_give_the_bits_of_each_alone(made, questions):
    patched, sae, plan, found = made
    other = random_sae(5)
    second = Plan(*answers(patched, other, questions), D_SAE, {**SETTINGS, "seed": 3})
    together = ablate(patched, [other, sae], questions, [second, plan])
    pd.testing.assert_frame_equal(together[1].effects, found.effects, check_exact=True)
    pd.testing.assert_frame_equal(together[1].sets, found.sets, check_exact=True)


def test_an_sae_that_makes_no_numbers_fails_alone(made, questions):
    patched, sae, plan, found = made
    broken = random_sae()
    broken.weights["W_dec"][:] = torch.inf
    first, second = ablate(patched, [broken, sae], questions, [plan, plan])
    assert isinstance(first, ModelError) and "finite" in str(first)
    pd.testing.assert_frame_equal(second.effects, found.effects, check_exact=True)


def test_no_feature_that_is_active_leaves_nothing_to_ablate(made, questions):
    patched, sae, plan, _ = made
    none = Plan(np.zeros(N), pd.DataFrame(columns=["prompt", "latent", "n_active", "max_activation",
                "sum_activation"], dtype=float).astype({"prompt": int, "latent": int}), D_SAE,
                SETTINGS)  # fmt: skip
    found = ablate(patched, [sae], questions, [none])[0]
    assert none.prompts == set() and found.effects.empty and found.sets.empty


@torch.no_grad()
def test_a_feature_that_writes_against_the_answer_has_the_worst_effect(model):
    """Latent 3 writes against what the head reads the answers by, on every second prompt."""
    rng = np.random.default_rng(1)
    answer, sign = 40, 5  # token 5 is in the prompts where the planted feature is active
    questions = []
    for number in range(24):
        ids = rng.integers(6, 40, 7)
        ids[0] = 0
        if number % 2:
            ids[-1] = sign
        questions.append(Question(ids, np.arange(7) == 0, (answer,)))
    patched = PatchedModel(model, Hook("resid_post", 2))
    last = {
        n: patched.clean(torch.from_numpy(q.ids)[None]).x[0, -1] for n, q in enumerate(questions)
    }
    on = torch.stack([last[n] for n in last if n % 2]).mean(0)
    off = torch.stack([last[n] for n in last if not n % 2]).mean(0)
    direction = torch.linalg.vector_norm(on - off)
    sae = random_sae(2)
    sae.weights["W_dec"] *= 0.1
    sae.weights["W_enc"][:, 3] = (on - off) / direction
    sae.weights["b_enc"][3] = -((on + off) / 2 @ (on - off)) / direction
    row = model.get_output_embeddings().weight
    sae.weights["W_dec"][3] = -5 * (row[answer] - row.mean(0))
    delta, active = answers(patched, sae, questions)
    plan = Plan(delta, active, D_SAE, {"features": 12, "prompts": 24, "seed": 0})
    found = ablate(patched, [sae], questions, [plan])[0]
    means = found.effects.groupby(["where", "latent"])["effect"].mean()
    for where in ("reconstruction", "activations"):
        assert means[where].idxmin() == 3 and means[where][3] < 3 * means[where].drop(3).min()
