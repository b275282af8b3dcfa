"""What stands for a text: rows of tokens pooled, dense and sparse."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from saeflow.errors import DataError
from saeflow.measures.states import POOLINGS, ROWS, STATES, open_states
from saeflow.measures.sums import write_table
from saeflow.work import hold

ROWS_OF = {  # three texts: text 1 has no concept, text 2 no token of the raw text left
    "example": [0, 0, 0, 1, 1, 2],
    "position": [1, 2, 5, 0, 1, 3],
    "last": [0, 0, 1, 0, 1, 1],
    "in_text": [1, 1, 0, 1, 1, 0],
    "in_concept": [0, 1, 0, 0, 0, 0],
}
X = np.array([[1, -2], [3, -4], [9, 9], [0, 5], [0, 7], [4, 4]], dtype=np.float32)
POOLED = {
    "last": [[9, 9], [0, 7], [4, 4]],
    "mean": [[2, -3], [0, 6], [0, 0]],
    "max": [[3, -2], [0, 7], [0, 0]],
    "concept": [[3, -4], [0, 0], [0, 0]],
}


@pytest.fixture
def publish(tmp_path):
    def made(pooling=POOLINGS):
        record = tmp_path / "states.json"
        with hold(record, "0" * 64) as work:
            flags = ("last", "in_text", "in_concept")
            columns = {
                name: np.array(own, bool if name in flags else np.int64)
                for name, own in ROWS_OF.items()
            }
            np.save(work.path / STATES, X)
            write_table(work.path / ROWS, columns)
            work.finish({"n_examples": 3, "pooling": list(pooling)})
        return open_states(record)

    return made


@pytest.mark.parametrize("how", POOLINGS)
def test_states_are_pooled_as_by_hand(publish, how):
    found = publish().pooled(how)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, POOLED[how])


@pytest.mark.parametrize("how", POOLINGS)
def test_sparse_rows_are_pooled_as_dense_ones(publish, how):
    states = publish()
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((6, 50)).astype(np.float32) * (rng.random((6, 50)) < 0.3)
    found = states.pool(csr_matrix(dense), how)
    assert isinstance(found, csr_matrix) and found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), states.pool(dense, how))
    assert found.has_sorted_indices and (found.data != 0).all()
    empty = states.pool(csr_matrix((6, 50), dtype=np.float32), how)
    assert empty.shape == (3, 50) and empty.nnz == 0


def test_a_latent_below_zero_is_no_maximum_where_it_is_off_on_another_token(publish):
    x = csr_matrix(np.array([[-1], [0], [0], [-2], [-3], [0]], dtype=np.float32))
    assert publish().pool(x, "max").toarray().ravel().tolist() == [0, -2, 0]


def test_long_texts_are_pooled_part_by_part(publish, monkeypatch):
    states = publish()
    whole = {how: states.pooled(how) for how in POOLINGS}
    monkeypatch.setattr("saeflow.measures.states._PART_ROWS", 1)
    for how, expected in whole.items():
        np.testing.assert_array_equal(states.pooled(how), expected)


def test_it_is_said_which_texts_have_a_token_to_pool(publish):
    states = publish()
    assert {how: states.has(how).tolist() for how in POOLINGS} == {
        "last": [True, True, True],
        "mean": [True, True, False],
        "max": [True, True, False],
        "concept": [True, False, False],
    }


def test_what_was_not_kept_cannot_be_pooled(publish):
    with pytest.raises(DataError, match="pooling"):
        publish(["last"]).pooled("mean")
