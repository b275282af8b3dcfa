"""dictionary_learning's files, against what each of its classes computes, in plain formulas."""

from __future__ import annotations

import pytest
import torch

from foreign_files import D_SAE, assert_computes, inputs, json_file, random, weights
from sae_top_k import top
from saeflow.errors import DamagedError
from saeflow.files import read_json
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.foreign import Place, detect, export, read_foreign

THRESHOLD = 1.5


def linear(w):
    return {"encoder.weight": w["W_enc"].T, "decoder.weight": w["W_dec"].T}


def auto_encoder(state, x):
    """Its rows get norm 1 when it loads, and the latents are as much larger."""
    norm = state["decoder.weight"].norm(dim=0)
    f = torch.relu((x - state["bias"]) @ state["encoder.weight"].T + state["encoder.bias"])
    return f * norm, f @ state["decoder.weight"].T + state["bias"]


def auto_encoder_new(state, x):
    f = torch.relu(x @ state["encoder.weight"].T + state["encoder.bias"])
    return f, f @ state["decoder.weight"].T + state["decoder.bias"]


def auto_encoder_top_k(state, x):
    pre = (x - state["b_dec"]) @ state["encoder.weight"].T + state["encoder.bias"]
    f = top(pre, int(state["k"]))
    return f, f @ state["decoder.weight"].T + state["b_dec"]


def batch_top_k(state, x):
    f = torch.relu((x - state["b_dec"]) @ state["encoder.weight"].T + state["encoder.bias"])
    f = f * (f > state["threshold"])
    return f, f @ state["decoder.weight"].T + state["b_dec"]


def matryoshka(state, x):
    f = torch.relu((x - state["b_dec"]) @ state["W_enc"] + state["b_enc"])
    f = f * (f > state["threshold"])
    return f, f @ state["W_dec"] + state["b_dec"]


def jump_relu(state, x):
    pre = x @ state["W_enc"] + state["b_enc"]
    f = torch.relu(pre * (pre > state["threshold"]))
    return f, f @ state["W_dec"] + state["b_dec"]


def gated(state, x):
    z = (x - state["decoder_bias"]) @ state["encoder.weight"].T
    f = torch.relu(state["r_mag"].exp() * z + state["mag_bias"]) * (z + state["gate_bias"] > 0)
    return f, f @ state["decoder.weight"].T + state["decoder_bias"]


COMPUTES = {
    "AutoEncoder": auto_encoder, "AutoEncoderNew": auto_encoder_new,
    "AutoEncoderTopK": auto_encoder_top_k, "BatchTopKSAE": batch_top_k,
    "MatryoshkaBatchTopKSAE": matryoshka, "JumpReluAutoEncoder": jump_relu,
    "GatedAutoEncoder": gated,
}  # fmt: skip


def state_of(kind):
    w = weights()
    number = {"k": torch.tensor(3), "threshold": torch.tensor(THRESHOLD)}
    return {
        "AutoEncoder": {**linear(w), "encoder.bias": w["b_enc"], "bias": w["b_dec"]},
        "AutoEncoderNew": {**linear(w), "encoder.bias": w["b_enc"], "decoder.bias": w["b_dec"]},
        "AutoEncoderTopK": {**linear(w), "encoder.bias": w["b_enc"], "b_dec": w["b_dec"], **number},
        "BatchTopKSAE": {**linear(w), "encoder.bias": w["b_enc"], "b_dec": w["b_dec"], **number},
        "MatryoshkaBatchTopKSAE": {**w, **number, "group_sizes": torch.tensor([5, 15])},
        "JumpReluAutoEncoder": {**w, "threshold": random(D_SAE, seed=7).abs()},
        "GatedAutoEncoder": {
            **linear(w), "decoder_bias": w["b_dec"], "gate_bias": w["b_enc"],
            "mag_bias": random(D_SAE, seed=8), "r_mag": 0.3 * random(D_SAE, seed=9),
        },
    }[kind]  # fmt: skip


@pytest.mark.parametrize("kind", list(COMPUTES))
def test_each_class_is_read_as_it_computes(kind, tmp_path):
    state = state_of(kind)
    torch.save(state, tmp_path / "ae.pt")
    about = {"dict_class": kind, "submodule_name": "resid_post_layer_3", "lm_name": "toy"}
    json_file(tmp_path / "config.json", {"trainer": about, "buffer": {"ctx_len": 64}})
    assert detect(Place(tmp_path)) == "dictionary_learning"
    sae = read_foreign(tmp_path)
    assert_computes(sae, *COMPUTES[kind](state, inputs()))
    assert sae.metadata["hook"] == "resid_post.3" and sae.metadata["context_length"] == 64


def test_a_batch_top_k_without_its_threshold_is_refused(tmp_path):
    state = state_of("BatchTopKSAE")
    del state["threshold"]
    torch.save(state, tmp_path / "ae.pt")
    json_file(tmp_path / "config.json", {"trainer": {"dict_class": "BatchTopKSAE"}})
    with pytest.raises(DamagedError, match="threshold"):
        read_foreign(tmp_path)


def ours(name, unit, **own):
    w = weights()
    if unit:
        w["W_dec"] = w["W_dec"] / w["W_dec"].norm(dim=1, keepdim=True)
    if name == "jumprelu":
        w["threshold"] = random(D_SAE, seed=7).abs()
    if name == "gated":
        w |= {"b_gate": w.pop("b_enc"), "b_mag": random(D_SAE, seed=8)}
        w["r_mag"] = 0.3 * random(D_SAE, seed=9)
    return SAE(name, architecture_settings(name, own), w, {"hook": "resid_post.2"})


@pytest.mark.parametrize("subtract", [True, False])
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize(
    ("name", "own"),
    [("relu", {"l1": 0.1}), ("topk", {"k": 3}), ("jumprelu", {"l0_coef": 0.1}),
     ("gated", {"l1": 0.1})],
)  # fmt: skip
def test_what_is_written_computes_the_same_in_its_class(name, own, unit, subtract, tmp_path):
    sae = ours(name, unit, subtract_b_dec=subtract, **own)
    export(sae, tmp_path, "dictionary_learning")
    trainer = read_json(tmp_path / "config.json")["trainer"]
    state = torch.load(tmp_path / "ae.pt", weights_only=True)
    assert trainer["submodule_name"] == "resid_post_layer_2" and trainer["layer"] == 2
    assert_computes(sae, *COMPUTES[trainer["dict_class"]](state, inputs()))
    if name == "relu":  # the class that scales rows gets none that it would scale
        assert (trainer["dict_class"] == "AutoEncoder") == (unit and subtract)
