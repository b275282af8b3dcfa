import numpy as np
import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from measured import formed, kept_losses
from saeflow.errors import ModelError
from saeflow.measures import exchange
from saeflow.measures.language import predictions
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.sae.sparse.codes import Codes
from saeflow.tokens.sequences import Sequences

D, VOCAB = 16, 61


class Rescale:
    """Reconstructs x as factor * x; its code says nothing."""

    d_sae = 1

    def __init__(self, factor):
        self.factor = factor

    def encode_sparse(self, x):
        self.x = x
        n = len(x)
        offsets = torch.arange(n + 1, dtype=torch.int32)
        return Codes(torch.ones(n), torch.zeros(n, dtype=torch.int32), offsets, 1)

    def decode(self, codes):
        return self.factor * self.x


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=VOCAB,
        hidden_size=D,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=32,
    )
    model = GPTNeoXForCausalLM(config)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tokens():
    rng = np.random.default_rng(0)
    lengths = [12, 7, 12, 9, 3]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    special = np.zeros(offsets[-1], dtype=bool)
    special[offsets[:-1]] = True  # a BOS
    special[5] = True  # a separator within the first sequence
    documents = np.repeat(np.arange(5), lengths)
    documents[5:12] = 9
    return Sequences(rng.integers(3, VOCAB, offsets[-1]), documents, special, offsets)


def measure_all(model, tokens, coders, hook="resid_post.1", **options):
    """Measure what SAEs give with the running model's activations; the mean is 0.3 everywhere."""
    patched = PatchedModel(model, Hook.parse(hook))
    losses = kept_losses(patched, tokens, torch.full((D,), 0.3), **options)
    return predictions(patched, coders, tokens, losses, **options)


def measure(model, tokens, coder, hook="resid_post.1", **options):
    return measure_all(model, tokens, [coder], hook, **options)[0]


def value(sums, name):
    return formed("language", {key: column.sum() for key, column in sums.items()})[name]


def by_hand(model, tokens, hook, change):
    """Return loss of each scored token and KL, one sequence at a time, through a plain hook."""
    site, block = hook.split(".")
    layer = model.gpt_neox.layers[int(block)]
    module = {"resid_post": layer, "mlp_out": layer.mlp}[site]
    losses, clean_losses, kl, documents = [], [], [], []
    for start, end in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True):
        ids = torch.from_numpy(tokens.token_ids[start:end])[None]
        special = torch.from_numpy(tokens.special[start:end])

        def patch(_module, _args, output, special=special):
            x = output[0] if isinstance(output, tuple) else output
            y = torch.where(special[None, :, None], x, change(x))
            return (y, *output[1:]) if isinstance(output, tuple) else y

        clean = model(ids).logits[0].log_softmax(-1)
        handle = module.register_forward_hook(patch)
        patched = model(ids).logits[0].log_softmax(-1)
        handle.remove()
        for t in range(1, len(ids[0])):
            if not special[t]:
                losses.append(-patched[t - 1, ids[0, t]].item())
                clean_losses.append(-clean[t - 1, ids[0, t]].item())
                p = clean[t - 1].exp()
                kl.append((p * (clean[t - 1] - patched[t - 1])).sum().item())
                documents.append(tokens.documents[start + t])
    return map(np.array, (losses, clean_losses, kl, documents))


@pytest.mark.parametrize("hook", ["resid_post.1", "mlp_out.1", "resid_post.2"])
def test_losses_equal_those_of_a_plain_hook_on_one_sequence_at_a_time(model, tokens, hook):
    sums = measure(model, tokens, Rescale(0.5), hook)
    patched, clean, kl, documents = by_hand(model, tokens, hook, lambda x: 0.5 * x)
    zero, *_ = by_hand(model, tokens, hook, torch.zeros_like)
    mean, *_ = by_hand(model, tokens, hook, lambda x: torch.full_like(x, 0.3))
    assert sums["document"].tolist() == [0, 1, 2, 3, 4, 9]
    columns = {"ce_sae": patched, "ce_clean": clean, "kl": kl, "ce_zero": zero, "ce_mean": mean}
    for name, expected in columns.items():
        per_document = [expected[documents == d].sum() for d in sums["document"]]
        np.testing.assert_allclose(sums[name], per_document, rtol=1e-5, atol=1e-5, err_msg=name)
    assert sums["predictions"].sum() == len(documents)


def test_an_identity_in_the_place_of_the_sae_changes_no_bit(model, tokens):
    sums = measure(model, tokens, Rescale(1.0))
    np.testing.assert_array_equal(sums["ce_sae"], sums["ce_clean"])
    assert value(sums, "delta_ce") == 0 and value(sums, "kl") == 0
    assert value(sums, "ce_recovered_zero") == 1 and value(sums, "ce_recovered_mean") == 1


def test_zeros_in_the_place_of_the_sae_recover_nothing(model, tokens):
    assert value(measure(model, tokens, Rescale(0.0)), "ce_recovered_zero") == 0


def test_clean_loss_is_that_of_hugging_face_on_bos_and_text(model):
    ids = np.arange(3, 14)
    special = np.arange(11) == 0
    tokens = Sequences(ids, np.zeros(11, dtype=int), special, np.array([0, 11]))
    expected = model(torch.from_numpy(ids)[None], labels=torch.from_numpy(ids)[None]).loss.item()
    assert value(measure(model, tokens, Rescale(1.0)), "ce_loss") == pytest.approx(expected)


@pytest.mark.parametrize("batch_tokens", [1, 20, 1000])
def test_no_metric_depends_on_the_batches(model, tokens, batch_tokens):
    whole = measure(model, tokens, Rescale(0.7))
    found = measure(model, tokens, Rescale(0.7), batch_tokens=batch_tokens)
    for name in ("ce_loss", "delta_ce", "ce_recovered_zero", "ce_recovered_mean", "kl"):
        assert value(found, name) == pytest.approx(value(whole, name), rel=1e-5), name


def test_saes_measured_together_give_the_bits_of_each_alone(model, tokens):
    together = measure_all(model, tokens, [Rescale(0.5), Rescale(0.9)])
    for factor, sums in zip((0.5, 0.9), together, strict=True):
        alone = measure(model, tokens, Rescale(factor))
        for name, column in alone.items():
            np.testing.assert_array_equal(sums[name], column)


def test_special_rows_are_not_replaced_and_their_tokens_not_scored(model, tokens):
    class Seen(Rescale):
        n = 0

        def encode_sparse(self, x):
            self.n += len(x)
            return super().encode_sparse(x)

    coder = Seen(0.5)
    sums = measure(model, tokens, coder)
    assert coder.n == (~tokens.special).sum()
    assert sums["predictions"].sum() == (~tokens.special).sum()


def test_without_a_bos_the_first_token_is_not_scored(model):
    tokens = Sequences(np.arange(3, 9), np.zeros(6, int), np.zeros(6, bool), np.array([0, 6]))
    assert measure(model, tokens, Rescale(1.0))["predictions"].sum() == 5


def test_logits_are_made_in_pieces(model, tokens, monkeypatch):
    whole = measure(model, tokens, Rescale(0.5))
    monkeypatch.setattr(exchange, "_CPU_CHUNK_ROWS", 3)
    pieces = measure(model, tokens, Rescale(0.5))
    np.testing.assert_allclose(pieces["ce_sae"], whole["ce_sae"], rtol=1e-6)


def test_a_model_that_cannot_be_run_from_a_block_on_is_run_whole(model, tokens, monkeypatch):
    tail = measure(model, tokens, Rescale(0.5))

    def refuse(*_):
        raise ModelError("this model cannot be run from a block on")

    monkeypatch.setattr("saeflow.models.patched.Tail", refuse)
    whole = measure(model, tokens, Rescale(0.5))
    for name, column in tail.items():
        np.testing.assert_array_equal(whole[name], column)


def test_an_sae_that_fails_leaves_the_others_their_bits(model, tokens):
    class Failing(Rescale):
        def decode(self, codes):
            raise ModelError("it cannot be decoded")

    found = measure_all(model, tokens, [Failing(0), Rescale(0.5)])
    assert isinstance(found[0], ModelError)
    for name, column in measure(model, tokens, Rescale(0.5)).items():
        np.testing.assert_array_equal(found[1][name], column)


def test_an_sae_whose_reconstructions_are_not_numbers_fails_alone(model, tokens):
    class Broken(Rescale):
        def decode(self, codes):
            return super().decode(codes).index_fill(0, torch.tensor([2]), torch.nan)

    found = measure_all(model, tokens, [Broken(1.0), Rescale(0.5)])
    assert isinstance(found[0], ModelError) and "not numbers" in str(found[0])
    np.testing.assert_array_equal(
        found[1]["ce_sae"], measure(model, tokens, Rescale(0.5))["ce_sae"]
    )
