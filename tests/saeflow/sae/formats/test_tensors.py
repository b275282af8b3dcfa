"""In every format: the names of wrappers come off, and a tensor that cannot be is named.

What is missing, misshapen or no number is said with the names and shapes that are there.
"""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.torch import save_file

from foreign_files import (
    D_IN,
    D_SAE,
    gemma_scope_2,
    inputs,
    json_file,
    llama_scope,
    of_module,
    random,
    save_objects,
    weights,
)
from saeflow import registry
from saeflow.errors import DamagedError, SaeflowError
from saeflow.sae.saved.foreign import FORMATS, read_foreign
from saeflow.sae.saved.tensors import Tensors


def own():
    return {name: w.contiguous() for name, w in weights().items()}


def linear(**biases):
    w = weights()
    return {"encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"],
            "decoder.weight": w["W_dec"].T.contiguous(), **biases}  # fmt: skip


def saelens(path, change):
    json_file(path / "cfg.json", {"architecture": "standard", "d_in": D_IN, "d_sae": D_SAE,
                                  "apply_b_dec_to_input": True, "metadata": {"x": 1}})  # fmt: skip
    save_file(change(own()), path / "sae_weights.safetensors")
    return path


def dictionary_learning(path, change):
    json_file(path / "config.json", {"trainer": {"dict_class": "AutoEncoder"}})
    torch.save(change(linear(bias=weights()["b_dec"])), path / "ae.pt")
    return path


def sparsify(path, change):
    json_file(path / "cfg.json", {"k": 3, "d_in": D_IN})
    w = weights()
    tensors = {"encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"],
               "W_dec": w["W_dec"], "b_dec": w["b_dec"]}  # fmt: skip
    save_file(change(tensors), path / "sae.safetensors")
    return path


def openai(path, change):
    w = weights()
    tensors = {"pre_bias": w["b_dec"], "encoder.weight": w["W_enc"].T.contiguous(),
               "latent_bias": w["b_enc"], "decoder.weight": w["W_dec"].T.contiguous()}  # fmt: skip
    torch.save(change(tensors), path / "v.pt")
    return path / "v.pt"


def neel_nanda(path, change):
    json_file(path / "1_cfg.json", {})
    torch.save(change(own()), path / "1.pt")
    return path / "1.pt"


def bloom(path, change):
    cfg = of_module("sae_training.config", "Config", {"hook_point": "blocks.1.hook_resid_pre"})
    content = {"cfg": cfg, "state_dict": change(own())}
    return save_objects(path / "b.pt", content, [cfg])


def sparse_coding(path, change):
    w = weights()
    tensors = {"encoder": w["W_enc"].T.contiguous(), "decoder": w["W_dec"],
               "encoder_bias": w["b_enc"]}  # fmt: skip
    one = of_module("autoencoders.learned_dict", "UntiedSAE", change(tensors))
    return save_objects(path / "d.pt", [(one, {"l1": 0.1})], [one])


def universality(path, change):
    w = weights()
    tensors = {"encoder": w["W_enc"], "decoder": w["W_dec"], "encoder_bias": w["b_enc"],
               "shift_bias": w["b_dec"]}  # fmt: skip
    one = of_module("universality.sae", "AnthropicSAE", change(tensors))
    return save_objects(path / "u.pt", one, [one])


def gemma_scope(path, change):
    arrays = change(own() | {"threshold": random(D_SAE, seed=7).abs()})
    np.savez(path / "params.npz", **{name: w.numpy() for name, w in arrays.items()})
    return path


WRITERS = {
    "saelens": saelens, "dictionary_learning": dictionary_learning, "sparsify": sparsify,
    "openai": openai, "neel_nanda": neel_nanda, "bloom": bloom, "sparse_coding": sparse_coding,
    "universality": universality, "gemma_scope": gemma_scope,
    "gemma_scope_2": lambda path, change: gemma_scope_2(path, change),
    "llama_scope": lambda path, change: llama_scope(path, change),
}  # fmt: skip

OBJECTS = {"sparse_coding", "universality"}
"""Those whose files hold objects with attributes; no wrapper gives these other names."""

every_format = pytest.mark.parametrize("name", sorted(WRITERS))


def first(tensors, ndim):
    """Return the name of the encoder's tensor with so many dimensions, or of any."""
    found = [n for n, w in tensors.items() if w.ndim == ndim]
    return next((n for n in found if "enc" in n.lower() and n != "b_dec"), found[0])


def test_every_format_is_tried():
    assert sorted(WRITERS) == sorted(registry.names(FORMATS))


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - OBJECTS))
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_the_names_of_wrappers_come_off(name, prefix, tmp_path):
    for part in ("plain", "wrapped"):
        (tmp_path / part).mkdir()
    plain = read_foreign(WRITERS[name](tmp_path / "plain", dict), name)

    def wrap(tensors):
        return {prefix + key: w for key, w in tensors.items()}

    wrapped = read_foreign(WRITERS[name](tmp_path / "wrapped", wrap), name)
    assert torch.equal(plain(inputs()), wrapped(inputs()))


@every_format
def test_a_missing_tensor_is_named_with_those_that_are_there(name, tmp_path):
    gone, kept = [], {}

    def drop(tensors):
        gone.append(first(tensors, 2))
        kept.update({key: w for key, w in tensors.items() if key != gone[0]})
        return dict(kept)

    with pytest.raises(DamagedError) as caught:
        read_foreign(WRITERS[name](tmp_path, drop), name)
    text = str(caught.value).lower()
    assert f"{gone[0].lower()} is missing" in text
    # all of the others, by the file's names or SAELens'; each has a shape of its own
    assert all(str(tuple(w.shape)) in text for w in kept.values())


@every_format
def test_a_transposed_encoder_is_an_error_where_it_is_read(name, tmp_path):
    def transpose(tensors):
        key = first(tensors, 2)
        return tensors | {key: tensors[key].T.contiguous()}

    if name == "universality":  # it tells the orientation by the shape
        sae = read_foreign(WRITERS[name](tmp_path, transpose), name)
        assert sae.W_enc.shape == (D_IN, D_SAE)
        return
    with pytest.raises(DamagedError, match=r"transpose of what it should be|does not have the"):
        read_foreign(WRITERS[name](tmp_path, transpose), name)


@every_format
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused_with_its_place(name, value, tmp_path):
    def spoil(tensors):
        key = first(tensors, 1)
        changed = tensors[key].clone()
        changed[3] = value
        return tensors | {key: changed}

    with pytest.raises(DamagedError, match=rf"b_\w+ is not a number.*{value} at \[3\]; 1 of "):
        read_foreign(WRITERS[name](tmp_path, spoil), name)


def test_a_logarithm_of_thresholds_is_read_as_thresholds(tmp_path):
    log = random(D_SAE, seed=5)
    json_file(tmp_path / "cfg.json", {"architecture": "jumprelu", "d_in": D_IN, "d_sae": D_SAE,
                                      "apply_b_dec_to_input": False,
                                      "metadata": {"x": 1}})  # fmt: skip
    save_file(own() | {"log_threshold": log}, tmp_path / "sae_weights.safetensors")
    sae = read_foreign(tmp_path)
    w = weights()
    z = inputs() @ w["W_enc"] + w["b_enc"]
    torch.testing.assert_close(sae.encode(inputs()), z * (z > log.exp()))


def test_what_the_configuration_says_of_the_widths_holds(tmp_path):
    saelens(tmp_path, dict)
    json_file(tmp_path / "cfg.json", {"architecture": "standard", "d_in": D_IN, "d_sae": 24,
                                      "metadata": {"x": 1}})  # fmt: skip
    with pytest.raises(DamagedError, match=r"expected \(8, 24\); got \(8, 20\)"):
        read_foreign(tmp_path)


def test_a_file_of_no_known_format_is_described(tmp_path):
    torch.save({"encoder": torch.zeros(3, 4), "about": "x"}, tmp_path / "x.pt")
    with pytest.raises(SaeflowError, match=r"encoder \(3, 4\), about"):
        read_foreign(tmp_path / "x.pt")


def test_two_names_that_become_one_are_refused(tmp_path):
    with pytest.raises(DamagedError, match="two tensors have the name b"):
        Tensors({"module.b": torch.zeros(1), "b": torch.zeros(1)}, tmp_path)


def test_large_numbers_are_numbers(tmp_path):
    tensors = safetensors.torch.load_file(saelens(tmp_path, dict) / "sae_weights.safetensors")
    tensors["b_enc"] = torch.full_like(tensors["b_enc"], 3e38)  # their sum is infinite
    save_file(tensors, tmp_path / "sae_weights.safetensors")
    assert float(read_foreign(tmp_path).b_enc[0]) == pytest.approx(3e38)
