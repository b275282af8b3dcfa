import numpy as np
import pytest
import torch

from saeflow.activations.forward import compute, windows
from saeflow.activations.values import TORCH
from saeflow.errors import ModelError
from saeflow.models.hooks import Hook
from saeflow.models.slices import run_until
from saeflow.tokens.flags import excluded
from saeflow.tokens.store import open_tokens
from tiny_models import make_model
from tiny_stores import make_tokens

LENGTHS = {"train": [30, 5, 17, 32, 2, 9, 21], "validation": [11], "test": [30, 8]}
HOOKS = [Hook("resid_post", 1), Hook("resid_pre", 2), Hook("mlp_out", 0)]


@pytest.fixture(scope="module")
def model():
    return make_model("gpt_neox")


@pytest.fixture
def tokens(tmp_path):
    return open_tokens(make_tokens(tmp_path, LENGTHS))


def computed(model, tokens, batch_tokens, dtype="float32"):
    """The rows of all windows, by hook."""
    dtypes = dict.fromkeys(HOOKS, dtype)
    found = [compute(model, dtypes, tokens, window) for window in windows(tokens, batch_tokens)]
    return {hook: torch.cat([one[hook] for one in found]) for hook in HOOKS}


def test_left_and_right_padded_batches_give_the_same_rows(model, tokens):
    """And none that is kept for training is of an excluded token."""
    kept = ~excluded(tokens.flags)
    assert not np.isin(tokens.token_id[kept], tokens.record["tokenizer"]["special_ids"]).any()
    right = computed(model, tokens, 1_000)
    longest = int(np.diff(tokens.sequence_offsets).max())
    ids = torch.zeros(tokens.n_sequences, longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for index in range(tokens.n_sequences):
        own = torch.from_numpy(tokens.sequence(index).astype(np.int64))
        ids[index, longest - len(own) :], mask[index, longest - len(own) :] = own, 1
    left = run_until(model, ids, mask, HOOKS)
    for hook in HOOKS:
        expected = left[hook][mask.bool()][torch.from_numpy(kept)]
        torch.testing.assert_close(right[hook][kept], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rows_are_rounded_once_to_the_dtype_of_the_store(model, tokens, dtype):
    exact, rounded = (computed(model, tokens, 100, d) for d in ("float32", dtype))
    for hook in HOOKS:
        assert rounded[hook].dtype == TORCH[dtype]
        assert torch.equal(rounded[hook], exact[hook].to(TORCH[dtype]))


def test_windows_do_not_depend_on_how_the_column_is_read(tokens, monkeypatch):
    whole = list(windows(tokens, 64))
    monkeypatch.setattr("saeflow.tokens.store._BLOCK_VALUES", 3)
    monkeypatch.setattr("saeflow.activations.forward._BLOCK_SEQUENCES", 2)
    again = list(windows(open_tokens_anew(tokens), 64))
    assert [(w.start, w.end) for w in again] == [(w.start, w.end) for w in whole]
    for one, other in zip(again, whole, strict=True):
        assert [b.tolist() for b in one.batches] == [b.tolist() for b in other.batches]
    assert (whole[0].start, whole[-1].end) == (0, tokens.n_tokens)


def open_tokens_anew(tokens):
    return type(tokens)(tokens.path / "manifest.json")


TOO_LARGE = ModelError, r"3 sequences of 32 tokens.*Lower activations\.batch"
ANOTHER = "mat1 and mat2 shapes cannot be multiplied"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), TOO_LARGE),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), TOO_LARGE),
        (MemoryError(), TOO_LARGE),
        (RuntimeError(ANOTHER), (RuntimeError, f"^{ANOTHER}")),
    ],
)
def test_a_batch_that_does_not_fit_names_its_size_and_the_remedy_and_no_other_error_does(
    model, tokens, monkeypatch, error, expected
):
    def fail(*_):
        raise error

    monkeypatch.setattr("saeflow.activations.forward.run_until", fail)
    with pytest.raises(expected[0], match=expected[1]):
        compute(model, {HOOKS[0]: "float16"}, tokens, next(windows(tokens, 100)))
