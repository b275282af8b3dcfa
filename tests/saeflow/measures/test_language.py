import numpy as np
import pytest
import torch

import asked_by_hand
from measured import formed, kept_losses
from saeflow.errors import ModelError
from saeflow.measures import exchange
from saeflow.measures.language import predictions
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.tokens.sequences import Sequences
from tiny_models import make_model
from tiny_saes import Failing, Rescale, make_sequences

D = 16
TOKENS = make_sequences([12, 7, 12, 9, 3], separators=[5], documents={9: slice(5, 12)})


@pytest.fixture(scope="module")
def model():
    return make_model("gpt_neox")


def measure_all(model, coders, hook="resid_post.1", tokens=TOKENS, **options):
    """Measure what SAEs give with the running model's activations; the mean is 0.3 everywhere."""
    patched = PatchedModel(model, Hook.parse(hook))
    losses = kept_losses(patched, tokens, torch.full((D,), 0.3), **options)
    return predictions(patched, coders, tokens, losses, **options)


def measure(model, coder, *args, **options):
    return measure_all(model, [coder], *args, **options)[0]


def value(sums, name):
    return formed("language", {key: column.sum() for key, column in sums.items()})[name]


@pytest.mark.parametrize("hook", ["resid_post.1", "mlp_out.1", "resid_post.2"])
def test_losses_equal_those_of_a_plain_hook_on_one_sequence_at_a_time(model, hook):
    sums = measure(model, Rescale(0.5), hook)
    by_hand = [
        asked_by_hand.losses(model, TOKENS, hook, change)
        for change in (
            lambda _, x: 0.5 * x,
            lambda _, x: torch.zeros_like(x),
            lambda _, x: torch.full_like(x, 0.3),
        )
    ]
    (patched, clean, kl, documents), (zero, *_), (mean, *_) = by_hand
    assert sums["document"].tolist() == [0, 1, 2, 3, 4, 9]
    columns = {"ce_sae": patched, "ce_clean": clean, "kl": kl, "ce_zero": zero, "ce_mean": mean}
    for name, expected in columns.items():
        per_document = [expected[documents == d].sum() for d in sums["document"]]
        np.testing.assert_allclose(sums[name], per_document, rtol=1e-5, atol=1e-5, err_msg=name)
    assert sums["predictions"].sum() == len(documents)


def test_an_identity_in_the_place_of_the_sae_changes_no_bit(model):
    sums = measure(model, Rescale())
    np.testing.assert_array_equal(sums["ce_sae"], sums["ce_clean"])
    assert value(sums, "delta_ce") == 0 and value(sums, "kl") == 0
    assert value(sums, "ce_recovered_zero") == 1 and value(sums, "ce_recovered_mean") == 1


def test_zeros_in_the_place_of_the_sae_recover_nothing(model):
    assert value(measure(model, Rescale(0.0)), "ce_recovered_zero") == 0


def test_clean_loss_is_that_of_hugging_face_on_bos_and_text(model):
    tokens = make_sequences([11])
    ids = torch.from_numpy(tokens.token_ids)[None]
    expected = model(ids, labels=ids).loss.item()
    sums = measure(model, Rescale(), tokens=tokens)
    assert value(sums, "ce_loss") == pytest.approx(expected)


@pytest.mark.parametrize("batch_tokens", [1, 20, 1000])
def test_no_metric_depends_on_the_batches(model, batch_tokens):
    whole = measure(model, Rescale(0.7))
    found = measure(model, Rescale(0.7), batch_tokens=batch_tokens)
    for name in ("ce_loss", "delta_ce", "ce_recovered_zero", "ce_recovered_mean", "kl"):
        assert value(found, name) == pytest.approx(value(whole, name), rel=1e-5), name


def test_special_rows_are_not_replaced_and_their_tokens_not_scored(model):
    class Seen(Rescale):
        n = 0

        def encode_sparse(self, x):
            self.n += len(x)
            return super().encode_sparse(x)

    coder = Seen(0.5)
    sums = measure(model, coder)
    assert coder.n == sums["predictions"].sum() == (~TOKENS.special).sum()


def test_without_a_bos_the_first_token_is_not_scored(model):
    tokens = Sequences(np.arange(3, 9), np.zeros(6, int), np.zeros(6, bool), np.array([0, 6]))
    assert measure(model, Rescale(), tokens=tokens)["predictions"].sum() == 5


def test_logits_are_made_in_pieces(model, monkeypatch):
    whole = measure(model, Rescale(0.5))
    monkeypatch.setattr(exchange, "_CPU_CHUNK_ROWS", 3)
    pieces = measure(model, Rescale(0.5))
    np.testing.assert_allclose(pieces["ce_sae"], whole["ce_sae"], rtol=1e-6)


def test_a_model_that_cannot_be_run_from_a_block_on_is_run_whole(model, monkeypatch):
    tail = measure(model, Rescale(0.5))

    def refuse(*_):
        raise ModelError("this model cannot be run from a block on")

    monkeypatch.setattr("saeflow.models.patched.Tail", refuse)
    whole = measure(model, Rescale(0.5))
    for name, column in tail.items():
        np.testing.assert_array_equal(whole[name], column)


class Broken(Rescale):
    """Gives NaN for one token."""

    def decode(self, codes):
        return super().decode(codes).index_fill(0, torch.tensor([2]), torch.nan)


@pytest.mark.parametrize(
    ("first", "error"),
    [(Rescale(0.9), None), (Failing(), "cannot be decoded"), (Broken(), "not numbers")],
)
def test_an_sae_has_the_bits_that_it_has_alone_and_one_that_fails_fails_alone(model, first, error):
    found, fails = measure_all(model, [first, Rescale(0.5)]), error is not None
    assert [isinstance(own, ModelError) for own in found] == [fails, False]
    assert not fails or error in str(found[0])
    for coder, sums in [(first, found[0]), (Rescale(0.5), found[1])][fails:]:
        for name, column in measure(model, coder).items():
            np.testing.assert_array_equal(sums[name], column)
