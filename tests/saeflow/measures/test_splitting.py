"""Who comes from whom in a wider SAE, and where they are active, counted the slow way."""

import numpy as np
import pandas as pd
import pytest
import torch

from measured import measure
from pairs_of_saes import coded, of_weights, permuted, random_sae, stores
from saeflow.measures.codes import open_codes
from saeflow.metrics.splitting import LEAST, NARROW, WIDE
from saeflow.sae.saved.load import load_sae
from saeflow.work import bulk_of

NAMES = ("latent", "active", "main", "n_children", "kept", "absorbed", "children_active")


def split(root, pairs):
    """Measure pairs in one pass; return their tables, of the narrower SAE and the wider."""
    each = {
        name: {"codes": first["codes"], **{f"other_{key}": second[key] for key in ("sae", "codes")}}
        for name, (first, second) in pairs.items()
    }
    saes = {name: first["sae"] for name, (first, _) in pairs.items()}
    return {
        name: tuple(pd.read_parquet(bulk_of(task.output) / file) for file in (NARROW, WIDE))
        for name, task in measure("splitting", root, saes, each=each).items()
    }


def children_of(sae, seed):
    """Return a wider SAE with two latents near each one of another, some of them rarely active."""
    generator = torch.Generator().manual_seed(seed)
    noise = 0.25 * torch.randn(2, *sae.W_dec.shape, generator=generator)
    rows = torch.cat([sae.W_dec + noise[0], sae.W_dec + noise[1]])
    own = torch.linspace(-0.2, -1.5, len(rows))
    return of_weights(rows, own[torch.randperm(len(rows), generator=generator)])


@pytest.fixture
def saes(tmp_path):
    narrow = random_sae(10, 12, 0)
    found = {"narrow": narrow, "wide": children_of(narrow, 1), "other": random_sae(30, 12, 2)}
    return coded(tmp_path, found, stores(tmp_path)["one"])


def slowly(narrow, wide):
    """Count all by dense matrices of what is active, one latent after the other."""
    codes = [open_codes(one["codes"]) for one in (narrow, wide)]
    own, other = (one.matrix(one.live).toarray() > 0 for one in codes)
    rows = []
    for one, stored in zip((narrow, wide), codes, strict=True):
        W_dec = load_sae(one["sae"]).W_dec.numpy().astype(np.float64)[stored.live]
        rows.append(W_dec / np.linalg.norm(W_dec, axis=1, keepdims=True))
    cosines = rows[0] @ rows[1].T
    parent = np.where(cosines.max(axis=0) >= LEAST, cosines.argmax(axis=0), -1)
    result = []
    for i, latent in enumerate(codes[0].live):
        main = cosines[i].argmax() if cosines[i].max() >= LEAST else -1
        children = [c for c in np.flatnonzero(parent == i) if c != main]
        with_main = other[:, main] if main >= 0 else np.zeros(len(other), bool)
        with_child = other[:, children].any(axis=1)
        result.append(
            (
                latent, own[:, i].sum(), codes[1].live[main] if main >= 0 else -1, len(children),
                (own[:, i] & with_main).sum(), (own[:, i] & ~with_main & with_child).sum(),
                with_child.sum(),
            )
        )  # fmt: skip
    together = [
        (own[:, parent[c]] & other[:, c]).sum() if parent[c] >= 0 else 0 for c in range(len(parent))
    ]
    named = np.where(parent >= 0, codes[0].live[parent], -1)
    return pd.DataFrame(result, columns=list(NAMES)), named, np.array(together)


@pytest.mark.parametrize("other", ["wide", "other"])
@pytest.mark.parametrize("turned", [False, True])
def test_counts_are_those_of_dense_matrices(tmp_path, saes, other, turned):
    pair = (saes["narrow"], saes[other])
    found = split(tmp_path, {"pair": pair[::-1] if turned else pair})["pair"]
    expected, parent, together = slowly(*pair)
    pd.testing.assert_frame_equal(found[0][list(NAMES)], expected, check_dtype=False)
    assert found[1]["parent"].tolist() == parent.tolist()
    assert found[1]["together"].tolist() == together.tolist()
    assert (found[0]["kept"] + found[0]["absorbed"] <= found[0]["active"]).all()


def test_there_is_something_to_count(tmp_path, saes):
    narrow, wide = split(tmp_path, {"pair": (saes["narrow"], saes["wide"])})["pair"]
    assert narrow["kept"].sum() > 0 and narrow["absorbed"].sum() > 0
    assert (narrow["n_children"] > 0).any() and (wide["parent"] >= 0).all()


def test_in_part_after_part_of_the_tokens_counts_are_the_same(tmp_path, saes, monkeypatch):
    pairs = {"pair": (saes["narrow"], saes["wide"])}
    whole = split(tmp_path / "whole", pairs)["pair"]
    monkeypatch.setattr("saeflow.measures.codes.by_latent.MOST_ENTRIES", 50)
    parts = split(tmp_path / "parts", pairs)["pair"]
    for one, other in zip(whole, parts, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_what_goes_on_unchanged_is_kept_and_has_no_children(tmp_path):
    sae = random_sae(10, 12, 0)
    more = random_sae(5, 12, 7, threshold=50.0)  # never active: not compared
    rows = torch.cat([permuted(sae, torch.arange(9, -1, -1)).W_dec, more.W_dec])
    bias = torch.cat([torch.full((10,), -0.5), torch.full((5,), -50.0)])
    found = {"narrow": sae, "wide": of_weights(rows, bias)}
    saes = coded(tmp_path, found, stores(tmp_path)["one"])
    narrow, wide = split(tmp_path, {"pair": (saes["narrow"], saes["wide"])})["pair"]
    assert narrow["main"].tolist() == (9 - narrow["latent"]).tolist()
    assert narrow["kept"].tolist() == narrow["active"].tolist()
    assert (narrow["n_children"] == 0).all() and (narrow["absorbed"] == 0).all()
    assert wide["together"].tolist() == wide["active"].tolist()
