import numpy as np
import pandas as pd
import torch

from saeflow.measures import sums as module
from saeflow.measures.sums import DocumentSums, Entries, LatentSums, Targets, write_table
from saeflow.sae.sparse.codes import Codes


def signed_codes():
    """Return (1, 0, 2), (0, 0, -1): a negative activation, as a PCA's code has."""
    return Codes(
        values=torch.tensor([1.0, 2.0, -1.0]),
        index=torch.tensor([0, 2, 2], dtype=torch.int32),
        offsets=torch.tensor([0, 2, 3], dtype=torch.int32),
        d_sae=3,
    )


def test_values_of_two_tokens_are_those_computed_by_hand():
    x = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    x_hat = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    targets = Targets(x, torch.tensor([1.5, 3.0]).double())
    of_codes = Entries.of(signed_codes()).sums
    values = {**targets.sums, **targets.compare(x_hat), **of_codes}
    assert {name: column.tolist() for name, column in values.items()} == {
        "tokens": [1, 1],
        "active": [2, 1],
        "activation": [3, -1],
        "squared_error": [0, 1],
        "squared_deviation": [3.25, 3.25],
        "squared_norm": [25, 4],
        "squared_norm_hat": [25, 1],
        "inner": [25, 2],
        "norm_ratio": [1, 0.5],
        "cosine": [1, 1],
        "directed": [1, 1],
    }


def test_a_zero_vector_has_no_direction_and_counts_in_no_ratio():
    targets = Targets(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.zeros(2).double())
    values = targets.compare(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert targets.sums["directed"].tolist() == [0, 1]
    assert values["norm_ratio"].tolist() == [0, 0]
    assert values["cosine"].tolist() == [0, 0]


def test_values_do_not_depend_on_the_parts_that_fit_a_cache(monkeypatch):
    g = torch.Generator().manual_seed(0)
    x, x_hat = torch.randn(2, 50, 6, generator=g)
    whole = Targets(x, x.double().mean(0)).compare(x_hat)
    monkeypatch.setattr(module, "_PART_BYTES", 7 * 8 * 6)
    parts = Targets(x, x.double().mean(0))
    for name, column in parts.compare(x_hat).items():
        np.testing.assert_array_equal(column, whole[name])


def test_an_entry_of_zero_is_not_an_active_latent():
    codes = Codes(
        values=torch.tensor([0.0, 2.0]),
        index=torch.tensor([0, 1], dtype=torch.int32),
        offsets=torch.tensor([0, 2], dtype=torch.int32),
        d_sae=2,
    )
    entries = Entries.of(codes)
    assert entries.sums["active"].tolist() == [1]
    sums = LatentSums(2)
    sums.add(entries)
    assert sums.fired.tolist() == [0, 1]


def test_sums_per_latent_count_signed_activations():
    sums = LatentSums(3)
    sums.add(Entries.of(signed_codes()))
    columns = sums.columns()
    assert columns["fired"].tolist() == [1, 0, 2]
    assert columns["activation_sum"].tolist() == [1, 0, 1]
    assert columns["activation_squared_sum"].tolist() == [1, 0, 5]
    assert columns["activation_max"].tolist() == [1, 0, 2]


def test_document_sums_do_not_depend_on_the_batches():
    rng = np.random.default_rng(0)
    documents, values = rng.integers(5, size=50) * 3, rng.normal(size=50)
    results = []
    for step in (1, 7, 50):
        sums = DocumentSums(documents)
        for start in range(0, 50, step):
            part = slice(start, start + step)
            sums.add(documents[part], {"v": values[part]})
        results.append(sums.columns()["v"])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    expected = [values[documents == d].sum() for d in np.unique(documents)]
    np.testing.assert_allclose(results[0], expected)


def test_saes_share_what_is_the_same_for_all_and_keep_their_own():
    documents = np.array([7, 7, 3])
    sums = DocumentSums(documents)
    sums.add(documents, {"tokens": np.ones(3)})
    for sae in (0, 1):
        sums.add(documents, {"error": (1 + sae) * np.arange(3.0)}, of=sae)
    assert {name: column.tolist() for name, column in sums.columns(1).items()} == {
        "document": [3, 7], "tokens": [1, 2], "error": [4, 2],
    }  # fmt: skip
    assert sums.columns(0)["error"].tolist() == [2, 1]
    assert list(sums.columns()) == ["document", "tokens"]


def test_the_bytes_of_a_table_depend_on_its_content_alone(tmp_path):
    columns = {"a": np.arange(3), "b": np.array(["x", "yy", "z"])}
    for name in ("one", "other"):
        write_table(tmp_path / name, columns)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    found = pd.read_parquet(tmp_path / "one")
    assert found.to_dict("list") == {"a": [0, 1, 2], "b": ["x", "yy", "z"]}
