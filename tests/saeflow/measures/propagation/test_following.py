"""What errors do in later layers, against models whose answer is known and against slow passes."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from measured import formed
from saeflow.errors import DataError, ModelError
from saeflow.measures.propagation.following import Placed, propagate
from saeflow.metrics.propagation import (
    INDEX,
    QUANTITIES,
    WAYS,
    mean_of_ratios,
    median,
    published,
    ratio_of_means,
)
from saeflow.models.hooks import Hook, capture, replace
from saeflow.sae.sparse.codes import Codes
from saeflow.tokens.sequences import Sequences
from tiny_models import make_model
from tiny_saes import make_sequences

VOCAB = 61


class Shrunk:
    """Gives back factor * x, plus a constant; its latents are the entries above a threshold."""

    d_sae = 16

    def __init__(self, factor, threshold=0.05):
        self.factor, self.threshold = factor, threshold

    def encode_sparse(self, x):
        self.x = x
        active = x > self.threshold
        offsets = torch.cat([torch.zeros(1), active.sum(1).cumsum(0)]).int()
        index = active.nonzero()[:, 1].int()
        return Codes(x[active], index, offsets, x.shape[1])

    def decode(self, codes):
        return self.factor * self.x


@pytest.fixture(scope="module")
def tokens():
    return make_sequences([12, 7, 12, 9, 3], separators=[5], documents={9: slice(5, 12)})


def placed(*saes):
    return [Placed(Hook.parse(hook), name, coder) for hook, name, coder in saes]


def totals(sums):
    return {name: column.sum() for name, column in sums.items()}


def one_pair(model, tokens, first, second, **options):
    """Return what was measured of an SAE after block 0 that one after block 1 reads."""
    saes = placed(("resid_post.0", "a", first), ("resid_post.1", "a", second))
    return propagate(model, saes, {0: [1]}, tokens, **options)[0]


@pytest.fixture(scope="module")
def idle():
    """A model whose blocks add nothing: what stands in the stream stays there."""
    model = make_model("gpt_neox")
    for layer in model.gpt_neox.layers:
        for part in (layer.attention.dense, layer.mlp.dense_4h_to_h):
            part.weight.zero_(), part.bias.zero_()
    return model


def test_in_a_model_that_only_carries_the_stream_all_is_known(idle, tokens):
    found = one_pair(idle, tokens, Shrunk(0.5, 0.2), Shrunk(0.9, 0.2))
    later, sums, bins = found.pairs[0]
    total = totals(sums)
    assert str(later.hook) == "resid_post.1" and total["tokens"] == (~tokens.special).sum()
    x = idle.gpt_neox.embed_in(torch.from_numpy(tokens.token_ids[~tokens.special]))
    clean, arrived = (x > 0.2).sum(1).double(), (0.5 * x > 0.2).sum(1).double()
    known = {"squared_error": (0.25, 0.25), "norm": (0.5, 0.5)}
    compared = clean > 0
    known["l0"] = (
        (arrived.sum() / clean.sum()).item(),
        (arrived[compared] / clean[compared]).mean().item(),
    )
    for quantity, (of_means, of_ratios) in known.items():
        for way in WAYS:
            assert ratio_of_means(total, quantity, way) == pytest.approx(of_means - 1, rel=1e-5)
            assert mean_of_ratios(total, quantity, way) == pytest.approx(of_ratios - 1, rel=1e-5)
    assert total["squared_error"] == pytest.approx(
        0.01 * x.double().square().sum().item(), rel=1e-4
    )
    for number, quantity in enumerate(QUANTITIES):
        assert bins[number, 0].sum() == total[f"{quantity}_compared"]
    places = np.arange(bins.shape[-1])
    assert median(places, bins[0, 0]) == pytest.approx(0.25, rel=0.02)
    assert median(places, bins[2, 1]) == pytest.approx(0.5, rel=0.01)
    losses = [found.documents[f"ce_{name}"] for name in ("full", "direct", "mlp_frozen")]
    np.testing.assert_allclose(losses[1:], [losses[0]] * 2, rtol=1e-6)


@pytest.fixture(scope="module", params=["gpt2", "gpt_neox", "llama"])
def model(request):
    return make_model(request.param)


def slowly(model, tokens, factor, threshold):
    """Return tokens' values after block 1, clean and changed, and losses, a sequence at a time."""
    rows, losses, (first, later) = [], [], map(Hook.parse, ("resid_post.0", "resid_post.1"))
    for start, end in pairwise(tokens.offsets):
        ids = torch.from_numpy(tokens.token_ids[start:end])[None]
        special = torch.from_numpy(tokens.special[start:end])
        changes = (
            lambda x: x,
            lambda x, special=special: torch.where(special[:, None], x, factor * x),
        )
        seen, log_p = [], []
        for change in changes:
            with replace(model, first, change), capture(model, [later]) as found:
                log_p.append(model(ids).logits[0].log_softmax(-1))
            seen.append(found[later])
        clean, changed = log_p
        for t in range(ids.shape[1]):
            if not special[t]:
                document = tokens.documents[start + t]
                values = [
                    [(0.01 * x.square()).sum(), (x > threshold).sum(), x.norm()]
                    for x in (seen[0][0, t].double(), seen[1][0, t].double())
                ]
                rows.append([document, *map(float, values[0] + values[1])])
                if t:
                    target = ids[0, t]
                    losses.append([document, -clean[t - 1, target], -changed[t - 1, target]])
    return np.array(rows), np.array(losses, dtype=float)


def test_sums_are_those_of_whole_passes_of_one_sequence_at_a_time(model, tokens):
    found = one_pair(model, tokens, Shrunk(0.6), Shrunk(0.9))
    rows, losses = slowly(model, tokens, 0.6, 0.05)
    _, sums, _ = found.pairs[0]
    for number, quantity in enumerate(QUANTITIES):
        clean, changed = rows[:, 1 + number], rows[:, 4 + number]
        ratio = np.divide(changed, clean, out=np.zeros(len(clean)), where=clean > 0)
        columns = {quantity: clean, f"{quantity}_full": changed, f"{quantity}_full_ratio": ratio}
        columns[f"{quantity}_compared"] = clean > 0
        for name, values in columns.items():
            expected = [values[rows[:, 0] == d].sum() for d in sums["document"]]
            np.testing.assert_allclose(sums[name], expected, rtol=1e-4, err_msg=name)
    assert found.documents["predictions"].sum() == len(losses)
    for name, values in (("ce_clean", losses[:, 1]), ("ce_full", losses[:, 2])):
        expected = [values[losses[:, 0] == d].sum() for d in found.documents["document"]]
        np.testing.assert_allclose(found.documents[name], expected, rtol=1e-4, atol=1e-4)


def test_an_identity_upstream_changes_nothing_by_any_way(model, tokens):
    found = one_pair(model, tokens, Shrunk(1.0), Shrunk(0.9))
    _, sums, bins = found.pairs[0]
    for quantity in QUANTITIES:
        for way in WAYS:
            assert ratio_of_means(totals(sums), quantity, way) == 0
            assert mean_of_ratios(totals(sums), quantity, way) == 0
    assert (bins.argmax(-1) == bins.shape[-1] // 2).all() and (bins > 0).sum() == bins[..., 0].size
    for name in ("full", "direct", "attention_frozen", "mlp_frozen", "patterns_frozen"):
        np.testing.assert_array_equal(found.documents[f"ce_{name}"], found.documents["ce_clean"])
    metrics = formed("propagation", totals(found.documents))
    assert metrics["delta_ce_full"] == 0 and metrics["delta_ce_chain"] != 0


@pytest.mark.parametrize("batch_tokens", [1, 20])
def test_nothing_depends_on_the_batches(model, tokens, batch_tokens):
    whole = one_pair(model, tokens, Shrunk(0.6), Shrunk(0.9))
    found = one_pair(model, tokens, Shrunk(0.6), Shrunk(0.9), batch_tokens=batch_tokens)
    for one, other in ((found.documents, whole.documents), (found.pairs[0][1], whole.pairs[0][1])):
        for name, column in one.items():
            np.testing.assert_allclose(column, other[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_saes_followed_together_give_the_bits_of_each_alone(model, tokens):
    saes = placed(
        ("resid_post.0", "a", Shrunk(0.5)),
        ("resid_post.1", "a", Shrunk(0.9)),
        ("resid_post.0", "b", Shrunk(0.7)),
        ("resid_post.2", "b", Shrunk(0.8)),
    )
    upstream = {0: [1, 3], 2: [1, 3], 1: [3]}
    together = propagate(model, saes, upstream, tokens)
    for own, others in upstream.items():
        alone = propagate(model, saes, {own: others}, tokens)[own]
        for name, column in alone.documents.items():
            np.testing.assert_array_equal(together[own].documents[name], column)
        for one, other in zip(alone.pairs, together[own].pairs, strict=True):
            assert one[0] is other[0] and (one[2] == other[2]).all()
            for name, column in one[1].items():
                np.testing.assert_array_equal(other[1][name], column)


def test_a_chain_is_of_one_recipe(model, tokens):
    """With SAEs of another name alone at later hooks, a chain is the SAE by itself."""
    first, later = Shrunk(0.5), Shrunk(0.9)
    saes = placed(("resid_post.0", "a", first), ("resid_post.1", "b", later))
    documents = propagate(model, saes, {0: [1]}, tokens)[0].documents
    np.testing.assert_array_equal(documents["ce_chain"], documents["ce_full"])
    chain = one_pair(model, tokens, first, later).documents["ce_chain"]
    assert not np.allclose(chain, documents["ce_full"])


def test_the_published_computation_is_over_other_texts_and_other_places(idle):
    """Of two texts of 120 tokens the one is above, at one index, and the other below."""
    ids = np.random.default_rng(0).integers(3, VOCAB, 240)
    model = idle
    offsets = np.array([0, 120, 240])
    tokens = Sequences(ids, np.repeat([0, 1], 120), np.zeros(240, bool), offsets)
    model.config.max_position_embeddings = 128
    _, sums, _ = one_pair(model, tokens, Shrunk(0.5), Shrunk(0.9)).pairs[0]
    even, odd = ({k: v[i] for k, v in sums.items()} for i in (0, 1))
    assert even["at_index"] == odd["at_index"] == 1 and odd["norm_inverted"] == 100
    norms = model.gpt_neox.embed_in(torch.from_numpy(ids)).double().norm(dim=-1).numpy()
    expected = 0.5 * norms[INDEX] * (1 / norms[121:221]).mean() - 1
    assert published(even, odd, "norm") == pytest.approx(expected, rel=1e-5)
    expected = 0.5 * norms[120 + INDEX] * (1 / norms[1:101]).mean() - 1
    assert published(odd, even, "norm") == pytest.approx(expected, rel=1e-5)


class Failing(Shrunk):
    def decode(self, codes):
        raise ModelError("it cannot be decoded")


class Endless(Shrunk):
    def decode(self, codes):
        return super().decode(codes) * float("nan")


def test_an_sae_that_cannot_be_read_fails_with_those_it_would_have_read(model, tokens):
    saes = placed(
        ("resid_post.0", "a", Shrunk(0.5)),
        ("resid_post.1", "a", Failing(0.5)),
        ("resid_post.2", "a", Shrunk(0.9)),
        ("resid_post.0", "b", Shrunk(0.5)),
    )
    found = propagate(model, saes, {0: [1, 2], 1: [2], 3: [2]}, tokens)
    assert isinstance(found[0], ModelError) and isinstance(found[1], ModelError)
    alone = propagate(model, saes, {3: [2]}, tokens)[3]
    np.testing.assert_array_equal(found[3].documents["ce_full"], alone.documents["ce_full"])


def test_predictions_that_are_no_numbers_fail_what_caused_them_alone(model, tokens):
    saes = placed(
        ("resid_post.0", "a", Shrunk(0.5)),
        ("resid_post.1", "b", Endless(0.5)),
        ("resid_post.2", "b", Shrunk(0.9)),
    )
    found = propagate(model, saes, {0: [2], 1: [2]}, tokens)
    assert "no longer finite" in str(found[1]) and not isinstance(found[0], ModelError)


def test_a_split_of_special_tokens_is_an_error(model):
    tokens = Sequences(np.zeros(3, int), np.zeros(3, int), np.ones(3, bool), np.array([0, 3]))
    with pytest.raises(DataError, match="no token to measure on"):
        one_pair(model, tokens, Shrunk(1.0), Shrunk(1.0))
