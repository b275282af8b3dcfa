"""Codes as sparse matrices."""

import numpy as np
import pytest
import torch

from saeflow.errors import ModelError
from saeflow.measures.code_matrix import matrix, require_finite
from saeflow.sae.sparse.codes import Codes

CODES = Codes(
    torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 3, 1], dtype=torch.int32),
    torch.tensor([0, 2, 2, 3], dtype=torch.int32), 5,
)  # fmt: skip


def test_a_matrix_has_the_entries_of_the_codes():
    found = matrix(CODES)
    assert found.shape == (3, 5) and found.nnz == 3
    np.testing.assert_array_equal(found.toarray(), CODES.dense().numpy())


def test_latents_that_are_no_numbers_are_counted():
    require_finite(matrix(CODES).data, "anywhere")
    bad = matrix(CODES.with_values(torch.tensor([1.0, torch.nan, torch.inf])))
    with pytest.raises(ModelError, match="2 of 3") as caught:
        require_finite(bad.data, "on every text")
    assert "on every text" in str(caught.value)
