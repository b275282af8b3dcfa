import numpy as np
import torch

from saeflow.measures.sums import DocumentSums, LatentSums, row_values
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
    values = row_values(x, x_hat, signed_codes(), torch.tensor([1.5, 3.0]).double())
    assert values.active.tolist() == [2, 1]
    assert values.activation.tolist() == [3, -1]
    assert values.squared_error.tolist() == [0, 1]
    assert values.squared_deviation.tolist() == [3.25, 3.25]
    assert values.squared_norm.tolist() == [25, 4]
    assert values.squared_norm_hat.tolist() == [25, 1]
    assert values.inner.tolist() == [25, 2]
    assert values.norm_ratio.tolist() == [1, 0.5]
    assert values.cosine.tolist() == [1, 1]
    assert values.directed.tolist() == [1, 1]


def test_a_zero_vector_has_no_direction_and_counts_in_no_ratio():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    x_hat = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    values = row_values(x, x_hat, signed_codes(), torch.zeros(2).double())
    assert values.directed.tolist() == [0, 1]
    assert values.norm_ratio.tolist() == [0, 0]
    assert values.cosine.tolist() == [0, 0]


def test_an_entry_of_zero_is_not_an_active_latent():
    codes = Codes(
        values=torch.tensor([0.0, 2.0]),
        index=torch.tensor([0, 1], dtype=torch.int32),
        offsets=torch.tensor([0, 2], dtype=torch.int32),
        d_sae=2,
    )
    x = torch.ones(1, 2)
    assert row_values(x, x, codes, torch.zeros(2).double()).active.tolist() == [1]
    sums = LatentSums(2)
    sums.add(codes)
    assert sums.fired.tolist() == [0, 1]


def test_sums_per_latent_count_signed_activations():
    sums = LatentSums(3)
    sums.add(signed_codes())
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
        results.append(sums.columns["v"])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    expected = [values[documents == d].sum() for d in np.unique(documents)]
    np.testing.assert_allclose(results[0], expected)
