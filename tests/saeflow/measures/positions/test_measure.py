"""SAEs by position, held against one token at a time through plain hooks, and as jobs."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

import asked_by_hand
from measured import measure, measure_hooks, table
from saeflow.files import hash_tree, read_json
from saeflow.measures.positions.measure import positions
from saeflow.measures.positions.places import Truth
from saeflow.measures.positions.seen import Part
from saeflow.metrics.positions import ranges
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from tiny_models import make_model
from tiny_saes import make_sae, make_sequences, publish_sae
from tiny_stores import harvest_hooks, make_tokens, save_model

D, HOOK, LENGTH = 16, "resid_post.1", 12


def an_sae(seed=0, **metadata):
    return make_sae(3 * D, D, seed, b_dec=0.1, hook=HOOK, **metadata)


@pytest.fixture(scope="module")
def model():
    return make_model("gpt_neox")


@pytest.fixture(scope="module")
def part():
    """Sequences with BOS, one with a separator and two documents, one cut short."""
    # document 4 begins behind the separator and goes on in the next sequence
    of = {3: slice(0, 6), 4: slice(6, 24), 8: slice(24, 31), 9: slice(31, 33)}
    tokens = make_sequences([12, 12, 7, 2], separators=[5], documents=of)
    return Part("held_out", tokens, 100 + np.arange(33))


def one_by_one(model, part, sae, ends):
    """Return sums by document, kind and range of positions, one token at a time."""
    tokens, taken, rows = part.tokens, [], defaultdict(lambda: defaultdict(float))
    for start, end in pairwise(tokens.offsets):
        ids, special = tokens.token_ids[start:end], tokens.special[start:end]
        x = asked_by_hand.activations(model, ids, HOOK).float()
        clean = asked_by_hand.log_p(model, ids)
        patched = asked_by_hand.log_p(model, ids, special, HOOK, sae)
        for t in range(len(x)):
            at = (bool(special[t]), int(np.flatnonzero(ends <= t)[-1]))
            taken.append((int(tokens.documents[start + t]), *at, x[t].double().numpy()))
            own = rows[taken[-1][:3]]
            latents = sae.encode(x[t])
            off = (sae(x[t][None])[0] - x[t]).double().numpy()
            own["tokens"] += 1
            own["active"] += int((latents != 0).sum())
            own["activation"] += float(latents.sum())
            own["squared_error"] += float((off**2).sum())
            own["norm"] += np.linalg.norm(taken[-1][3])
            if t + 1 < len(x) and not special[t + 1]:
                scored = rows[(int(tokens.documents[start + t + 1]), *at)]
                scored["predictions"] += 1
                scored["ce_clean"] -= float(clean[t, ids[t + 1]])
                scored["ce_sae"] -= float(patched[t, ids[t + 1]])
    for kind in {key[1:3] for key in rows}:
        same = [row for row in taken if row[1:3] == kind]
        mean = np.mean([x for *_, x in same], axis=0)
        for document, *_, x in same:
            rows[(document, *kind)]["squared_deviation"] += float(((x - mean) ** 2).sum())
    return rows, taken


def truth_of(part, taken):
    """Return what reconstructions are held against, of activations in the order of the tokens."""
    ends, kinds = ranges(LENGTH), defaultdict(list)
    for _, special, place, x in taken:
        kinds[2 * place + special].append(x)
    means = torch.zeros(2 * (len(ends) - 1), D, dtype=torch.float64)
    for kind, rows in kinds.items():
        means[kind] = torch.from_numpy(np.mean(rows, axis=0))
    return Truth(part, ends, means)


@pytest.mark.parametrize("batch_tokens", [24, 4096])
def test_sums_are_those_of_one_token_at_a_time(model, part, batch_tokens):
    sae, ends = an_sae(), ranges(LENGTH)
    expected, taken = one_by_one(model, part, sae, ends)
    patched = PatchedModel(model, Hook.parse(HOOK))
    (found,) = positions(
        patched, [sae], part, truth_of(part, taken), length=LENGTH, batch_tokens=batch_tokens
    )
    frame = pd.DataFrame(found.ranges)
    assert len(frame) == len(expected)
    for row in frame.itertuples():
        own = expected[row.document, row.special, int(np.flatnonzero(ends == row.first)[0])]
        assert row.last == ends[np.flatnonzero(ends == row.first)[0] + 1] - 1
        for name in ("tokens", "active", "activation", "squared_error", "norm", "predictions",
                     "squared_deviation", "ce_clean", "ce_sae"):  # fmt: skip
            assert getattr(row, name) == pytest.approx(own[name], rel=1e-4, abs=1e-4), name
    exact = pd.DataFrame(found.exact)
    for name in ("tokens", "squared_error", "ce_sae"):
        assert exact[name].sum() == pytest.approx(frame[name].sum())
    assert exact.loc[~exact["special"], "tokens"].tolist() == [4, 3, 3, 3, 2, 3, *[2] * 5]
    # the loss of the token after a separator is that of the separator's position
    separator = exact[(exact["position"] == 5) & exact["special"]].iloc[0]
    assert separator["tokens"] == 1 and separator["predictions"] == 1
    # BOS is not replaced and sees nothing that is
    bos = exact[(exact["position"] == 0)].iloc[0]
    assert bos["special"] and bos["ce_sae"] == pytest.approx(bos["ce_clean"], rel=1e-6)


def test_the_context_of_a_training_is_a_border_of_ranges(model, part):
    sae = an_sae(context_length=5)
    _, taken = one_by_one(model, part, sae, ranges(LENGTH))
    patched = PatchedModel(model, Hook.parse(HOOK))
    (found,) = positions(patched, [sae], part, truth_of(part, taken), length=LENGTH)
    assert sorted(set(found.ranges["first"])) == [0, 1, 2, 3, 4, 5, 6, 8]
    assert ranges(LENGTH, 5).tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 12]


LENGTHS = {"train": [12] * 6, "validation": [7], "test": [12, 12, 8, 5]}
TRAINED = {"train": [5] * 3, "validation": [5], "test": [5]}
"""Documents 0 to 2 of the long sequences' training split, in short ones."""


@pytest.fixture(scope="module")
def made(tmp_path_factory, model):
    root = tmp_path_factory.mktemp("made")
    record = save_model(model, root / "model" / "model.json")
    tokens = make_tokens(root / "tokens", LENGTHS)
    trained = make_tokens(root / "trained", TRAINED)
    activations = harvest_hooks(root / "hooks", [HOOK], record, tokens)[HOOK]
    clean = measure_hooks(root, {HOOK: activations}, model=record, tokens=tokens)[HOOK]
    own = {
        "short": {"tokens": read_json(trained)["identity"], "training": {"tokens": 6}},
        "long": {"tokens": read_json(tokens)["identity"], "training": {"tokens": 1000}},
        "foreign": {"imported": {}},
    }
    lengths = {"short": 5, "long": 12}
    saes = {
        name: publish_sae(root / name, an_sae(seed, context_length=lengths.get(name), **facts))
        for seed, (name, facts) in enumerate(own.items())
    }
    inputs = {"activations": activations, "model": record, "tokens": tokens, "clean": clean.output}
    return {"saes": saes, "inputs": inputs, "own": {"short": trained, "long": tokens}}


def run(made, place, names=("short", "long", "foreign"), **settings):
    settings = {"tokens": None, "seen": True, **settings}
    return measure(
        "positions", place, {name: made["saes"][name] for name in names}, settings,
        each={name: {"trained_on": made["own"].get(name)} for name in names}, **made["inputs"],
    )  # fmt: skip


def test_seen_documents_are_those_of_each_saes_own_training(made, tmp_path):
    tasks = run(made, tmp_path)
    assert all(task.error is None for task in tasks.values())
    found = {name: table(task, "positions") for name, task in tasks.items()}
    seen = {name: set(t.loc[t["part"] == "seen", "document"]) for name, t in found.items()}
    # 37 tokens are wanted, as many as the test split has: four sequences, or all three
    assert seen == {"short": {0, 1, 2}, "long": {0, 1, 2, 3}, "foreign": set()}
    facts = {name: task.work.manifest for name, task in tasks.items()}
    assert facts["short"]["why_unseen"] == facts["long"]["why_unseen"] == ""
    assert facts["foreign"]["why_unseen"] == "it was trained elsewhere"
    assert facts["short"]["trained_share"] == 6 / 12 and facts["long"]["trained_share"] == 1
    assert facts["short"]["training_context"] == 5 and facts["short"]["context_length"] == 12
    assert facts["short"]["n_tokens"] == 33 and facts["short"]["n_documents_seen"] == 3
    unseen = run(made, tmp_path / "unseen", ["short"], seen=False)["short"]
    assert set(table(unseen, "positions")["part"]) == {"held_out"}
    assert unseen.work.manifest["why_unseen"] == "not asked for"


def test_losses_of_both_parts_are_those_of_the_model(made, tmp_path):
    task = run(made, tmp_path, ["long"])["long"]
    language = measure(
        "language", tmp_path / "language", {"long": made["saes"]["long"]}, **made["inputs"]
    )["long"]
    found = table(task, "positions")
    held_out = found[found["part"] == "held_out"].groupby("document").sum(numeric_only=True)
    expected = table(language).set_index("document")
    for name in ("predictions", "ce_clean", "ce_sae"):
        np.testing.assert_allclose(held_out[name], expected[name], rtol=1e-5)
    reconstruction = measure(
        "reconstruction", tmp_path / "reconstruction", {"long": made["saes"]["long"]},
        activations=made["inputs"]["activations"],
    )["long"]  # fmt: skip
    ordinary = found[(found["part"] == "held_out") & ~found["special"]]
    for name in ("tokens", "active", "activation", "squared_error", "squared_norm"):
        total = table(reconstruction)[name].sum()
        np.testing.assert_allclose(ordinary[name].sum(), total, rtol=1e-5)
    assert ordinary["squared_deviation"].sum() < table(reconstruction)["squared_deviation"].sum()


def test_documents_have_sums_on_both_sides_of_the_context(made, tmp_path):
    tasks = run(made, tmp_path)
    short = table(tasks["short"])
    assert short["within_tokens"].tolist() == [4, 4, 4, 4]  # BOS left out
    assert short["beyond_tokens"].tolist() == [7, 7, 3, 0]
    # the last token of a sequence predicts nothing, and BOS is no ordinary token
    assert short["within_predictions"].tolist() == [4, 4, 4, 3]
    assert short["beyond_predictions"].tolist() == [6, 6, 2, 0]
    assert not table(tasks["long"])["beyond_tokens"].any()
    foreign = table(tasks["foreign"])
    assert not foreign.drop(columns="document").to_numpy().any()  # its context is not known


def test_together_and_alone_give_the_same_bytes(made, tmp_path):
    together = run(made, tmp_path / "together")
    for name, task in together.items():
        alone = run(made, tmp_path / "alone", [name])[name]
        assert hash_tree(alone.work.final) == hash_tree(task.work.final), name
