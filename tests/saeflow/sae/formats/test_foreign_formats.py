"""Each format is recognised by its files and computes what its own program does.

The programs that can be installed are asked themselves in tests/interop; here plain formulas say
what the others compute.
"""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch

from foreign_files import (
    D_IN,
    D_SAE,
    assert_computes,
    inputs,
    json_file,
    of_module,
    random,
    save_objects,
    weights,
)
from sae_top_k import top
from saeflow.errors import DamagedError, ModelError
from saeflow.sae.saved.foreign import Place, detect, export, read_foreign
from saeflow.sae.saved.load import load_sae


def relu_of(w, x, *, subtracted=True):
    latents = torch.relu((x - subtracted * w["b_dec"]) @ w["W_enc"] + w["b_enc"])
    return latents, latents @ w["W_dec"] + w["b_dec"]


# -- OpenAI ----------------------------------------------------------------------------------------


def openai_file(path, **more):
    w = weights()
    torch.save(
        {"pre_bias": w["b_dec"], "encoder.weight": w["W_enc"].T, "latent_bias": w["b_enc"],
         "decoder.weight": w["W_dec"].T, "stats_last_nonzero": torch.zeros(D_SAE), **more},
        path,
    )  # fmt: skip
    return w


def test_openai_with_relu(tmp_path):
    w = openai_file(tmp_path / "v1.pt", activation="ReLU", activation_state_dict={})
    assert detect(Place(tmp_path / "v1.pt")) == "openai"
    assert_computes(read_foreign(tmp_path / "v1.pt"), *relu_of(w, inputs()))


def test_openai_with_topk_normalises_each_row_and_undoes_it(tmp_path):
    state = {"k": 3, "postact_fn": "ReLU"}
    w = openai_file(tmp_path / "v5.pt", activation="TopK", activation_state_dict=state)
    x = inputs()
    mean, std = x.mean(1, keepdim=True), (x - x.mean(1, keepdim=True)).std(1, keepdim=True)
    latents = top(((x - mean) / (std + 1e-5) - w["b_dec"]) @ w["W_enc"] + w["b_enc"], 3)
    x_hat = (latents @ w["W_dec"] + w["b_dec"]) * std + mean
    sae = load_sae(tmp_path / "v5.pt")
    assert sae.architecture == "topk" and sae.input_norm == "layer_norm"
    assert_computes(sae, latents, x_hat)


def test_openai_with_tied_weights(tmp_path):
    w = weights()
    torch.save({"pre_bias": w["b_dec"], "encoder.weight": w["W_enc"].T, "latent_bias": w["b_enc"]},
               tmp_path / "t.pt")  # fmt: skip
    assert_computes(
        read_foreign(tmp_path / "t.pt"), *relu_of({**w, "W_dec": w["W_enc"].T}, inputs())
    )


def test_openai_with_latents_below_zero_is_refused(tmp_path):
    state = {"k": 3, "postact_fn": "Identity"}
    openai_file(tmp_path / "v.pt", activation="TopK", activation_state_dict=state)
    with pytest.raises(ModelError, match="Identity"):
        read_foreign(tmp_path / "v.pt")


# -- Neel Nanda, Joseph Bloom ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "hook", "centred"),
    [("mlp_out", "mlp_out.0", True), ("mlp.hook_post", None, False)],
)
def test_neel_nanda(site, hook, centred, tmp_path):
    w, x = weights(), inputs()
    torch.save(w, tmp_path / "25.pt")
    about = {"act_name": f"blocks.0.hook_{site}" if hook else f"blocks.0.{site}", "seq_len": 128,
             "model_name": "gelu-1l"}  # fmt: skip
    json_file(tmp_path / "25_cfg.json", about)
    assert detect(Place(tmp_path / "25.pt")) == "neel_nanda"
    sae = read_foreign(tmp_path / "25.pt")
    assert sae.metadata.get("hook") == hook and sae.metadata["model"] == {"name": "gelu-1l"}
    mean = x.mean(1, keepdim=True) * centred
    latents, x_hat = relu_of(w, x - mean)
    assert_computes(sae, latents, x_hat + mean)


def test_joseph_blooms_first_files(tmp_path):
    w, x = weights(), inputs()
    cfg = of_module("sae_training.config", "LanguageModelSAERunnerConfig", {
        "hook_point": "blocks.8.hook_resid_pre", "hook_point_layer": 8, "context_size": 128,
        "model_name": "gpt2-small", "d_in": D_IN, "d_sae": D_SAE, "dtype": torch.float32,
        "device": torch.device("cpu"), "l1_coefficient": 8e-5,
    })  # fmt: skip
    path = save_objects(tmp_path / "sae.pt", {"cfg": cfg, "state_dict": w}, [cfg])
    assert detect(Place(path)) == "bloom"
    sae = read_foreign(path)
    assert sae.metadata["hook"] == "resid_pre.8" and sae.metadata["context_length"] == 128
    mean = x.mean(1, keepdim=True)
    latents, x_hat = relu_of(w, x - mean)
    assert_computes(sae, latents, x_hat + mean)
    latents, x_hat = relu_of(w, x)
    assert_computes(read_foreign(path, center_input=False), latents, x_hat)


# -- sparse_coding ---------------------------------------------------------------------------------


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True)


def tied(**more):
    return of_module("autoencoders.learned_dict", "TiedSAE", {
        "encoder": random(D_SAE, D_IN, seed=5), "encoder_bias": random(D_SAE, seed=6),
        "n_feats": D_SAE, "activation_size": D_IN, **more,
    })  # fmt: skip


@pytest.mark.parametrize("norm_encoder", [True, False])
@pytest.mark.parametrize("centering", [True, False])
def test_a_tied_sae_of_sparse_coding(norm_encoder, centering, tmp_path):
    rotation = torch.linalg.qr(random(D_IN, D_IN, seed=7)).Q
    scale, shift = random(D_IN, seed=8).abs() + 0.5, random(D_IN, seed=9)
    centre = {"center_trans": shift, "center_rot": rotation, "center_scale": scale}
    one = tied(norm_encoder=norm_encoder, **(centre if centering else {}))
    other = tied(norm_encoder=True)
    content = [(other, {"dict_size": D_SAE, "l1_alpha": 1e-3}), (one, {"l1_alpha": 8e-4})]
    path = save_objects(tmp_path / "learned_dicts.pt", content, [one])
    assert detect(Place(path)) == "sparse_coding"
    x = inputs()
    y = torch.einsum("cu,bu->bc", rotation, x - shift) * scale if centering else x
    E = unit(one.encoder) if norm_encoder else one.encoder
    latents = torch.relu(y @ E.T + one.encoder_bias)
    x_hat = latents @ unit(one.encoder)
    if centering:
        x_hat = torch.einsum("cu,bc->bu", rotation, x_hat / scale) + shift
    assert_computes(read_foreign(path, entry=1, center_input=False), latents, x_hat)
    sae = read_foreign(path, entry=1)
    assert sae.input_norm == "center" and sae.metadata["source"]["l1_alpha"] == 8e-4


def test_an_untied_sae_of_sparse_coding_normalises_its_decoder(tmp_path):
    decoder = random(D_SAE, D_IN, seed=10)
    one = of_module("autoencoders.learned_dict", "UntiedSAE", {
        "encoder": random(D_SAE, D_IN, seed=5), "encoder_bias": random(D_SAE, seed=6),
        "decoder": decoder,
    })  # fmt: skip
    path = save_objects(tmp_path / "one.pt", [(one, {})], [one])
    latents = torch.relu(inputs() @ one.encoder.T + one.encoder_bias)
    assert_computes(read_foreign(path, center_input=False), latents, latents @ unit(decoder))


def test_one_of_several_dictionaries_must_be_chosen(tmp_path):
    ones = [tied(norm_encoder=True), tied(norm_encoder=True)]
    path = save_objects(tmp_path / "d.pt", [(o, {"l1_alpha": i}) for i, o in enumerate(ones)], ones)
    for entry in (None, 2, -1):
        with pytest.raises(ModelError, match="0: {'l1_alpha': 0}; 1: {'l1_alpha': 1}"):
            read_foreign(path, entry=entry)


def test_another_class_and_a_missing_flag_of_sparse_coding_are_refused(tmp_path):
    other = of_module("autoencoders.learned_dict", "ReverseSAE", {
        "encoder": random(D_SAE, D_IN, seed=5), "encoder_bias": random(D_SAE, seed=6)})  # fmt: skip
    path = save_objects(tmp_path / "r.pt", [(other, {})], [other])
    with pytest.raises(ModelError, match="TiedSAE.*ReverseSAE"):
        read_foreign(path)
    without = tied()
    path = save_objects(tmp_path / "w.pt", [(without, {})], [without])
    with pytest.raises(ModelError, match="norm_encoder"):
        read_foreign(path)


# -- universality, Gemma Scope ---------------------------------------------------------------------


@pytest.mark.parametrize("as_layers", [True, False])
def test_universality(as_layers, tmp_path):
    w = weights()
    encoder, decoder = torch.nn.Parameter(w["W_enc"]), torch.nn.Parameter(w["W_dec"])
    if as_layers:
        encoder, decoder = torch.nn.Linear(D_IN, D_SAE), torch.nn.Linear(D_SAE, D_IN)
        encoder.weight.data, decoder.weight.data = w["W_enc"].T, w["W_dec"].T
    one = of_module("universality.sae", "AnthropicSAE", {
        "encoder": encoder, "decoder": decoder, "encoder_bias": w["b_enc"],
        "shift_bias": w["b_dec"],
    })  # fmt: skip
    path = save_objects(tmp_path / "sae.pt", one, [one])
    assert detect(Place(path)) == "universality"
    assert_computes(read_foreign(path), *relu_of(w, inputs()))


@pytest.mark.parametrize("whole", [True, False])
def test_gemma_scope(whole, tmp_path):
    w = {**weights(), "threshold": random(D_SAE, seed=11).abs()}
    np.savez(tmp_path / "params.npz", **{name: v.numpy() for name, v in w.items()})
    path = tmp_path if whole else tmp_path / "params.npz"
    pre = inputs() @ w["W_enc"] + w["b_enc"]
    latents = pre.relu() * (pre > w["threshold"])
    assert detect(Place(path)) == "gemma_scope"
    assert_computes(read_foreign(path), latents, latents @ w["W_dec"] + w["b_dec"])


def test_arrays_of_python_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "params.npz", W_enc=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DamagedError, match="not readable"):
        read_foreign(tmp_path)
    np.savez(tmp_path / "params.npz", W_enc=np.zeros((2, 3)))
    with pytest.raises(DamagedError, match=r"b_enc is missing.*W_enc \(2, 3\)"):
        read_foreign(tmp_path)


# -- SAELens before 6, and checkpoints -------------------------------------------------------------


def saelens_directory(path, cfg, tensors=None):
    path.mkdir(exist_ok=True)
    json_file(path / "cfg.json", {"d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", **cfg})
    plain = {name: w.contiguous() for name, w in (tensors or weights()).items()}
    safetensors.torch.save_file(plain, path / "sae_weights.safetensors")
    return path


def test_the_reformatted_res_jb_files(tmp_path):
    cfg = {"model_name": "gpt2-small", "hook_point": "blocks.8.hook_resid_pre",
           "hook_point_layer": 8, "context_size": 128, "dataset_path": "Skylion007/openwebtext",
           "use_ghost_grads": True,
           "model_from_pretrained_kwargs": {"center_writing_weights": True}}  # fmt: skip
    tensors = {**weights(), "scaling_factor": torch.ones(D_SAE)}
    sae = read_foreign(saelens_directory(tmp_path / "a", cfg, tensors))
    x = inputs()
    mean = x.mean(1, keepdim=True)
    latents, x_hat = relu_of(weights(), x - mean)
    assert_computes(sae, latents, x_hat + mean)
    assert sae.metadata["hook"] == "resid_pre.8" and sae.metadata["center_input"] is True
    assert set(sae.metadata["source"]) == {"cfg.json", "sae_weights.safetensors"}


@pytest.mark.parametrize("version", ["before 6", "since 6"])
def test_the_name_on_neuronpedia_is_kept(version, tmp_path):
    about = {"hook_name": "blocks.8.hook_resid_pre", "neuronpedia_id": "gpt2-small/8-res-jb"}
    cfg = {"architecture": "standard", "apply_b_dec_to_input": True}
    cfg |= about if version == "before 6" else {"metadata": {**about, "sae_lens_version": "6.1.0"}}
    sae = read_foreign(saelens_directory(tmp_path / "a", cfg), center_input=False)
    assert sae.metadata["neuronpedia_id"] == "gpt2-small/8-res-jb"


def test_a_scaling_factor_multiplies_the_decoder(tmp_path):
    w, factor = weights(), random(D_SAE, seed=30).abs()
    path = saelens_directory(
        tmp_path / "a", {"hook_point": "blocks.1.hook_mlp_out"}, {**w, "scaling_factor": factor}
    )
    latents, _ = relu_of(w, inputs())
    assert_computes(
        read_foreign(path, center_input=False), latents, latents * factor @ w["W_dec"] + w["b_dec"]
    )


def test_a_checkpoint_with_scaled_inputs_is_folded(tmp_path):
    path = saelens_directory(tmp_path / "a", {
        "architecture": "standard", "normalize_activations": "expected_average_only_in",
        "apply_b_dec_to_input": True, "metadata": {"sae_lens_version": "6.1.0"}})  # fmt: skip
    with pytest.raises(ModelError, match="does not give|do not give"):
        read_foreign(path)
    json_file(path / "activation_scaler.json", {"scaling_factor": 0.5})
    latents, x_hat = relu_of(weights(), 0.5 * inputs())
    assert_computes(read_foreign(path), latents, x_hat / 0.5)


@pytest.mark.parametrize("subtracted", [True, False])
def test_a_checkpoint_with_whitened_inputs_is_folded(subtracted, tmp_path):
    path = saelens_directory(tmp_path / "a", {
        "architecture": "standard", "normalize_activations": "covariance_whitening",
        "apply_b_dec_to_input": subtracted, "metadata": {"sae_lens_version": "6.1.0"}})  # fmt: skip
    mean, matrix = random(D_IN, seed=40), random(D_IN, D_IN, seed=41)
    inverse = torch.linalg.inv(matrix.double()).float().contiguous()
    maps = {"mean": mean, "whitening_matrix": matrix, "unwhitening_matrix": inverse}
    safetensors.torch.save_file(maps, path / "activation_whitening.safetensors")
    latents, x_hat = relu_of(weights(), (inputs() - mean) @ matrix, subtracted=subtracted)
    sae = read_foreign(path)
    torch.testing.assert_close(sae.encode(inputs()), latents, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(sae(inputs()), x_hat @ inverse + mean, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("inputs_are", ["scaled", "whitened"])
def test_a_checkpoint_that_selects_by_latent_times_norm_keeps_its_threshold(inputs_are, tmp_path):
    kinds = {"scaled": "expected_average_only_in", "whitened": "covariance_whitening"}
    w, threshold = weights(), 4.0
    path = saelens_directory(tmp_path / "a", {
        "architecture": "batchtopk", "normalize_activations": kinds[inputs_are], "k": 3,
        "rescale_acts_by_decoder_norm": True, "apply_b_dec_to_input": True,
        "metadata": {"sae_lens_version": "6.1.0"}},
        {**w, "topk_threshold": torch.tensor(threshold)})  # fmt: skip
    mean, matrix = torch.zeros(D_IN), 0.5 * torch.eye(D_IN)
    if inputs_are == "scaled":
        json_file(path / "activation_scaler.json", {"scaling_factor": 0.5})
    else:
        mean, matrix = random(D_IN, seed=40), random(D_IN, D_IN, seed=41)
    inverse = torch.linalg.inv(matrix.double()).float().contiguous()
    maps = {"mean": mean, "whitening_matrix": matrix, "unwhitening_matrix": inverse}
    if inputs_are == "whitened":
        safetensors.torch.save_file(maps, path / "activation_whitening.safetensors")
    f, _ = relu_of(w, (inputs() - mean) @ matrix)
    f = f * (f * w["W_dec"].norm(dim=1) > threshold)
    sae = read_foreign(path)
    assert torch.equal(sae.encode(inputs()) > 0, f > 0) and bool((f > 0).any())
    x_hat = (f @ w["W_dec"] + w["b_dec"]) @ inverse + mean
    torch.testing.assert_close(sae(inputs()), x_hat, rtol=1e-3, atol=1e-3)


def test_a_bare_directory_of_saelens_without_an_architecture_is_refused(tmp_path):
    with pytest.raises(ModelError, match="which architecture"):
        read_foreign(saelens_directory(tmp_path / "a", {}))


def test_an_unknown_function_before_version_6_is_refused(tmp_path):
    cfg = {"hook_point": "blocks.1.hook_mlp_out", "activation_fn_str": "tanh-relu"}
    with pytest.raises(ModelError, match="tanh-relu"):
        read_foreign(saelens_directory(tmp_path / "a", cfg))


# -- what all share --------------------------------------------------------------------------------


def test_a_dictionary_of_an_unknown_class_is_refused(tmp_path):
    torch.save(weights(), tmp_path / "ae.pt")
    json_file(tmp_path / "config.json", {"trainer": {"dict_class": "MyDict"}})
    assert detect(Place(tmp_path)) == "dictionary_learning"
    with pytest.raises(ModelError, match="AutoEncoderTopK.*MyDict"):
        read_foreign(tmp_path)


def test_a_format_that_is_only_read_cannot_be_written(tmp_path):
    sae = read_foreign(saelens_directory(tmp_path / "a", {"hook_point": "blocks.1.hook_mlp_out"}))
    with pytest.raises(ModelError, match="read here, not written"):
        export(sae, tmp_path / "b", "openai")


@pytest.mark.parametrize("name", ["dictionary_learning", "sparsify"])
def test_formats_without_prepared_inputs_refuse_them(name, tmp_path):
    state = {"k": 3, "postact_fn": "ReLU"}
    openai_file(tmp_path / "v5.pt", activation="TopK", activation_state_dict=state)
    with pytest.raises(ModelError, match="row by row"):
        export(read_foreign(tmp_path / "v5.pt"), tmp_path / "out", name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        read_foreign(tmp_path / "nothing")
