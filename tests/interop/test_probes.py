"""Our probes and those of sae-probes: the same states, SAE, training sets and grid of penalties.

Its own settings are ours with ``standardise: false``. What is left of difference:

- Its solver (lbfgs, float32, 1,000 steps, tolerance 1e-4) stops before the minimum of weakly
  penalised problems, ours goes on. AUCs differ in the fourth digit there, or the third; of eight
  examples, which a plane separates whatever they are, by 0.01.
- It ranks latents once, on the whole training set, and looks at folds of it; ours are ranked in
  each fold anew. Its validation AUC is the higher one, its choice of penalty may be another.
- Of two or three examples, which cannot be divided, it calls the AUC on the training set the
  validation AUC; ours is not a number.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from interop.test_export import make
from saeflow.probing.fitted import Training
from saeflow.probing.folds import folds_of
from saeflow.probing.latents import k_sparse, ranking
from saeflow.probing.logistic import logistic
from saeflow.probing.scores import auc
from saeflow.sae.saved.save import save

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("interop")]

DATASET, HOOK, MODEL, SEED = "96_spam_is", "blocks.2.hook_resid_post", "stories260K", 42
KS, SIZES = [1, 4, 16, 64], [3, 8, 40, 200]
PENALTIES = np.logspace(5, -5, 10).tolist()  # in the order in which it tries them
NORMAL = 1024


class Compared(NamedTuple):
    """The same work: what ours reads, and what sae-probes found."""

    states: np.ndarray
    codes: np.ndarray
    labels: np.ndarray
    sets: dict
    theirs: dict

    def training(self, size, x):
        """Return a training set, and the rows and labels that are tested."""
        train, test = self.sets[size]
        positive = self.labels[train]
        folds = folds_of(positive, seed=SEED)
        return Training(x[train], positive, folds, {}), x[test], self.labels[test]


@pytest.fixture(scope="module")
def compared(peer, real_data, tmp_path_factory):
    """States of stories260K at the last tokens of texts of sae-probes, and a random SAE."""
    place = tmp_path_factory.mktemp("probes")
    peer.let("probes_sets", place, dataset=DATASET, sizes=SIZES, seed=SEED)
    found = json.loads((place / "sets.json").read_text())
    x = last_states(real_data / MODEL, found["texts"])
    kept = place / f"model_activations_{MODEL}"
    kept.mkdir()
    torch.save(x, kept / f"{DATASET}_{HOOK}.pt")
    sae = make("topk", True)
    save(sae, place / "sae", x[:100])
    peer.let(
        "probes_run", place, sae=str(place / "sae"), model=MODEL, hook=HOOK, dataset=DATASET,
        ks=KS, sizes=SIZES, seed=SEED,
    )  # fmt: skip
    theirs = {}
    for file in place.glob("*/*_setting/*.json"):
        for one in json.loads(file.read_text()):
            size = one.get("num_train", NORMAL) or NORMAL
            theirs["normal" not in file.parent.name, one.get("k", "states"), size] = one
    sets = {int(size): parts for size, parts in found["sets"].items()}
    codes = sae.encode_sparse(x).dense().numpy()
    return Compared(x.numpy(), codes, np.array(found["labels"]) == 1, sets, theirs)


def last_states(directory, texts):
    """Return the output of block 2 at the last token of each text, (n, 64)."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory).eval()
    found = []
    model.model.layers[2].register_forward_hook(
        lambda _module, _inputs, out: found.append(
            (out[0] if isinstance(out, tuple) else out)[0, -1]
        )
    )
    with torch.no_grad():
        for text in texts:
            ids = tokenizer(text, return_tensors="pt")["input_ids"][:, -256:]
            model(input_ids=ids)
    return torch.stack(found).reshape(len(texts), -1)


@pytest.mark.parametrize("size", [NORMAL, *SIZES])
def test_states_are_classified_alike(compared, size):
    given, x, y = compared.training(size, compared.states)
    (ours,) = logistic(given, penalties=PENALTIES, standardise=False)
    theirs = compared.theirs[size != NORMAL, "states", size]
    assert float(auc(ours.score(x), y)) == pytest.approx(theirs["test_auc"], abs=near(size))
    if given.folds:
        assert ours.validation_auc == pytest.approx(theirs["val_auc"], abs=0.005)
    else:
        assert np.isnan(ours.validation_auc)


@pytest.mark.parametrize("size", [NORMAL, *SIZES])
@pytest.mark.parametrize("k", KS)
def test_latents_are_the_same_and_classify_alike(compared, size, k):
    theirs = compared.theirs[size != NORMAL, k, size]
    given, x, y = compared.training(size, compared.codes)
    chosen = ranking(csr_matrix(given.x), given.positive, k)
    # where fewer differ than are wanted, it fills up with others
    assert set(chosen) == set(theirs["indices"][: len(chosen)])
    columns = given._replace(x=given.x[:, chosen])
    (ours,) = logistic(columns, penalties=PENALTIES, standardise=False)
    found = float(auc(ours.score(x[:, chosen]), y))
    assert found == pytest.approx(theirs["test_auc"], abs=near(size))
    if given.folds:
        assert ours.validation_auc == pytest.approx(theirs["val_auc"], abs=0.005)


@pytest.mark.parametrize("size", [NORMAL, *SIZES])
def test_ranked_within_folds_probes_are_as_good_and_their_validation_no_better(compared, size):
    given, x, y = compared.training(size, csr_matrix(compared.codes))
    for ours in k_sparse(given, ks=KS, penalties=PENALTIES, standardise=False):
        theirs = compared.theirs[size != NORMAL, ours.k, size]
        found = float(auc(ours.score(x), y))
        assert found == pytest.approx(theirs["test_auc"], abs=max(near(size), 0.003))
        if given.folds:
            assert ours.validation_auc <= theirs["val_auc"] + 0.005


def near(size):
    """Return how close AUCs are: hardly any digit is open but of a handful of examples."""
    return 0.015 if size < 12 else 0.003
