import pytest
import torch

from saeflow.errors import ModelError
from saeflow.models.hooks import Hook, replace
from saeflow.models.patterns import FrozenPatterns
from tiny_models import make_model


def shift(x):
    return x + torch.linspace(-1, 1, x.shape[-1])


def test_patterns_that_a_pass_has_itself_change_no_bit(model, ids):
    patterns = FrozenPatterns(model)
    with patterns.keep():
        expected = model(ids).logits
    with patterns.freeze():
        assert torch.equal(model(ids).logits, expected)
    assert torch.equal(model(ids).logits, expected)


def weights_by_hand(model, family, ids):
    """Return the attention weights of the last block as Hugging Face's own code computes them."""
    eager = make_model(family)
    eager.set_attn_implementation("eager")
    return eager(ids, output_attentions=True).attentions[-1]


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama"])
def test_frozen_attention_is_clean_weights_times_changed_values(family, ids):
    """The last block's attention, from Hugging Face's weights and the values that arrive."""
    model, seen = make_model(family), {}
    weights = weights_by_hand(model, family, ids)
    patterns = FrozenPatterns(model)
    with patterns.keep():
        model(ids)

    from transformers import AttentionInterface

    own = AttentionInterface()["sdpa"]

    def watched(module, query, key, value, *mask, **rest):
        out = own(module, query, key, value, *mask, **rest)
        seen["value"], seen["out"] = value, out[0]
        return out

    AttentionInterface.register("sdpa", watched)
    try:
        with patterns.freeze(), replace(model, Hook("resid_post", 1), shift):
            model(ids)
    finally:
        AttentionInterface.register("sdpa", own)
    value = seen["value"]
    value = value.repeat_interleave(weights.shape[1] // value.shape[1], dim=1)
    by_hand = torch.einsum("bhqk,bhkd->bqhd", weights, value)
    torch.testing.assert_close(seen["out"].reshape(by_hand.shape), by_hand, atol=1e-5, rtol=1e-5)


def test_after_an_error_the_model_has_its_own_attention(model, ids):
    patterns = FrozenPatterns(model)
    expected = model(ids).logits
    with pytest.raises(RuntimeError), patterns.keep():
        raise RuntimeError
    assert torch.equal(model(ids).logits, expected)


def test_attention_of_its_own_is_refused():
    with pytest.raises(ModelError, match="patterns of this model cannot be frozen"):
        FrozenPatterns(make_model("gpt_neo"))


def test_one_attention_for_two_blocks_is_refused(monkeypatch):
    model = make_model("llama")
    model.model.layers[1].self_attn = model.model.layers[0].self_attn
    with pytest.raises(ModelError):
        FrozenPatterns(model)
