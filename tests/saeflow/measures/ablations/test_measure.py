"""Ablations as jobs: from saved SAEs, prompts and answers to tables on disk."""

import numpy as np
import pandas as pd
import pytest

from measured import measure, publish_words, table
from saeflow.errors import DamagedError
from saeflow.files import hash_tree, read_json
from saeflow.prompts.prompt import Prompt, write_prompts
from saeflow.work import bulk_of, hold
from tiny_models import make_model
from tiny_saes import make_sae, publish_sae
from tiny_stores import save_model

D, D_SAE, N = 16, 24, 12
ANSWERS = {"after": False, "published_mode": False}
SETTINGS = {"features": 3, "prompts": 5, "seed": 0}
HOOKS = {"a": "resid_post.1", "b": "resid_post.0", "c": "resid_post.1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    words = [[f"w{i}" for i in rng.integers(3, 61, rng.integers(4, 9))] for _ in range(N)]
    prompts = [Prompt(" ".join(own[:-1]), own[-1]) for own in words]
    with hold(root / "prompts.json", "p" * 64) as work:
        write_prompts(work.path, prompts)
        work.finish({"kind": "last_word", "window": 2, "n_prompts": N})
    shared = {
        "model": save_model(make_model("gpt_neox"), root / "model" / "model.json"),
        "tokenizer": publish_words(root),
        "prompts": root / "prompts.json",
    }
    saes = {
        name: publish_sae(root / name, make_sae(D_SAE, D, seed, hook=hook), {"hook": hook})
        for seed, (name, hook) in enumerate(HOOKS.items())
    }
    answers = measure("answers", root / "answers", saes, ANSWERS, **shared)
    return shared, saes, {name: {"answers": task.output} for name, task in answers.items()}, prompts


def run(made, place, names=tuple(HOOKS), of_each=None):
    shared, saes, answers, _ = made
    chosen = {name: saes[name] for name in names}
    return measure("ablations", place, chosen, SETTINGS, each=of_each or answers, **shared)


def answers_of(made, name):
    directory = bulk_of(made[2][name]["answers"])
    return (pd.read_parquet(directory / f"{table}.parquet") for table in ("documents", "features"))


def test_features_are_those_whose_answers_say_so(made, tmp_path):
    task = run(made, tmp_path, ["a"])["a"]
    answers, active = answers_of(made, "a")
    delta = (answers["log_p_sae"] - answers["log_p_clean"]).to_numpy()
    sums = active.assign(delta=delta[active["prompt"]]).groupby("latent")["delta"].sum()
    chosen = table(task, "features").set_index("latent")
    worst = chosen[chosen["worst"] > 0].sort_values("worst").index
    assert worst.tolist() == sums.sort_values(kind="stable").index[:3].tolist()
    best = chosen[chosen["best"] > 0].sort_values("best").index
    assert best.tolist() == (-sums).sort_values(kind="stable").index[:3].tolist()
    effects = table(task, "effects")
    assert set(effects["latent"]) == set(chosen.index)
    assert effects.groupby(["latent", "where"]).size().max() <= 5
    facts = read_json(task.output)
    assert facts["n_ablated"] == len(effects) / 2 and facts["n_features"] == len(chosen)
    assert facts["n_prompts"] == N


def test_contexts_are_the_ends_of_prompts_with_the_strongest_token_last(made, tmp_path):
    task = run(made, tmp_path, ["a"])["a"]
    found, prompts = table(task, "contexts"), made[3]
    for row in found.itertuples():
        words = prompts[row.prompt].text.split()
        assert row.token.strip() in words[-2:]  # of a window of two
        shown = [*row.before.split(), row.token.strip()]
        assert shown in (words[: len(shown)], words[:-1], words)
        assert row.answer == prompts[row.prompt].answer
    assert found.groupby("latent")["activation"].apply(lambda a: a.is_monotonic_decreasing).all()
    _, active = answers_of(made, "a")
    strongest = active.groupby("latent")["max_activation"].max()
    first = found.drop_duplicates("latent").set_index("latent")["activation"]
    np.testing.assert_allclose(first, strongest[first.index], rtol=1e-5)


def test_together_and_alone_give_the_same_bytes(made, tmp_path):
    together = run(made, tmp_path / "together")
    for name in HOOKS:
        alone = run(made, tmp_path / name, [name])[name]
        assert hash_tree(alone.work.final) == hash_tree(together[name].work.final)


def test_an_sae_whose_answers_are_lost_leaves_the_others_alone(made, tmp_path):
    lost = {**made[2], "a": {"answers": tmp_path / "nowhere" / "answers.json"}}
    tasks = run(made, tmp_path, of_each=lost)
    assert tasks["a"].error is not None
    assert tasks["b"].work.finished and tasks["c"].work.finished
    assert isinstance(tasks["a"].error, (DamagedError, FileNotFoundError))
