import numpy as np
import pytest
import torch

from saeflow.measures.ablations.feature_facts import (
    Occurrences,
    excess_kurtosis,
    logit_effects,
    mean_final_stream,
)
from saeflow.sae.sparse.codes import extract
from tiny_models import make_model


def codes(rows):
    return extract(torch.tensor(rows), 0.0)


def test_purity_is_the_share_of_the_largest_sum():
    seen = Occurrences(np.array([0, 2, 3]))
    # latents 0 to 3 on three tokens; latent 1 is nobody's business
    seen.add(4, np.array([1, 2, 3]), np.array([7, 8, 7]),
             codes([[1.0, 9.0, 0.0, 0.0], [2.5, 0.0, 1.0, 0.0], [2.0, 0.0, 0.0, 0.0]]))  # fmt: skip
    seen.add(5, np.array([1]), np.array([9]), codes([[0.5, 0.0, 3.0, 0.0]]))
    found = seen.purity()
    assert found.index.tolist() == [0, 2, 3]
    assert found["token"].tolist() == [7, 9, -1]
    np.testing.assert_allclose(found["token_purity"], [3 / 6, 3 / 4, np.nan])
    assert found["seen"].tolist() == [4, 2, 0]
    assert seen.rows[seen.rows["latent"] == 2][
        ["prompt", "place", "activation"]
    ].values.tolist() == [
        [4, 2, 1.0],
        [5, 1, 3.0],
    ]


def test_a_latent_that_never_is_active_has_no_purity():
    seen = Occurrences(np.array([1]))
    seen.add(0, np.array([1]), np.array([3]), codes([[1.0, 0.0]]))
    assert seen.purity()["token_purity"].isna().all()


@torch.no_grad()
@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama"])
def test_logit_effects_are_the_derivative_through_the_final_norm(family):
    model = make_model(family)
    stream = torch.randn(16, generator=torch.Generator().manual_seed(0))
    rows = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    norm = {"gpt2": "transformer.ln_f", "gpt_neox": "gpt_neox.final_layer_norm",
            "llama": "model.norm"}[family]  # fmt: skip
    end = model.double().get_submodule(norm)
    head = model.get_output_embeddings()
    jacobian = torch.autograd.functional.jacobian(lambda x: head(end(x)), stream.double())
    expected = rows.double() @ jacobian.T
    expected -= expected.mean(1, keepdim=True)
    found = logit_effects(model.float(), stream, rows)
    torch.testing.assert_close(found.double(), expected, rtol=2e-3, atol=2e-3)


@torch.no_grad()
def test_a_row_of_zeros_does_nothing():
    effects = logit_effects(
        make_model("gpt2"), torch.ones(16) + torch.arange(16), torch.zeros(1, 16)
    )
    assert (effects == 0).all()


@torch.no_grad()
def test_the_mean_stream_is_that_of_hidden_states_before_the_norm():
    model = make_model("gpt_neox")
    prompts = [torch.tensor([0, 5, 9, 11]), torch.tensor([0, 7])]
    kept = []
    handle = model.gpt_neox.layers[-1].register_forward_hook(
        lambda _m, _a, out: kept.append(out[0] if isinstance(out, tuple) else out)
    )
    for ids in prompts:
        model(ids[None])
    handle.remove()
    expected = (kept[0][0, -1] + kept[1][0, -1]) / 2
    torch.testing.assert_close(mean_final_stream(model, prompts), expected)


def test_kurtosis_is_that_of_the_moments():
    values = np.array([[1.0, -1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 4.0], [2.0, 2.0, 2.0, 2.0]])
    # two points: 1 - 3; (81 + 3) / 4 over ((9 + 3) / 4)^2, less 3
    np.testing.assert_allclose(excess_kurtosis(values), [-2.0, 21 / 9 - 3, np.nan])
