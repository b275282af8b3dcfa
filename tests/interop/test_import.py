"""We load what the peers save, for each of their architectures, with the same codes."""

from __future__ import annotations

import pytest

from foreign_files import LLAMA_SCOPE_NORM, gemma_scope_2, llama_scope
from interop.conftest import D_SAE, assert_same
from saeflow.errors import ModelError
from saeflow.sae.saved.foreign import read_foreign

SIZE = {"d_in": 64, "d_sae": D_SAE, "seed": 0}
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("interop")]

SAELENS = [
    ("standard", "inference", {}),
    ("standard", "inference", {"apply_b_dec_to_input": False}),
    ("standard", "inference", {"normalize_activations": "layer_norm"}),
    ("standard", "inference", {"normalize_activations": "constant_norm_rescale"}),
    ("topk", "inference", {"k": 9, "rescale_acts_by_decoder_norm": True}),
    ("topk", "inference", {"k": 9, "rescale_acts_by_decoder_norm": False}),
    ("jumprelu", "inference", {}),
    ("jumprelu", "inference", {"apply_b_dec_to_input": False}),
    ("gated", "inference", {}),
    ("gated", "inference", {"apply_b_dec_to_input": False}),
    ("standard", "exported", {}),
    ("topk", "exported", {"k": 9}),
    ("batchtopk", "exported", {"k": 9}),
    ("matryoshka_batchtopk", "exported", {"k": 9, "matryoshka_widths": [64, D_SAE]}),
    ("jumprelu", "exported", {}),
    ("gated", "exported", {}),
    ("standard", "checkpoint", {}),
    ("topk", "checkpoint", {"k": 9}),
    ("jumprelu", "checkpoint", {}),
    ("gated", "checkpoint", {}),
]


@pytest.mark.parametrize(("architecture", "how", "options"), SAELENS)
def test_saelens(architecture, how, options, peer, rows, tmp_path):
    asked = {"architecture": architecture, "how": how, "options": options, **SIZE}
    theirs = peer.ask("saelens_make", tmp_path, rows, **asked)
    assert_same(theirs, read_foreign(tmp_path), rows)


@pytest.mark.parametrize("architecture", ["batchtopk", "matryoshka_batchtopk"])
def test_a_batchtopk_checkpoint_of_saelens_is_what_it_would_export(
    architecture, peer, rows, tmp_path
):
    options = {"k": 9}
    if architecture != "batchtopk":
        options["matryoshka_widths"] = [64, D_SAE]
    asked = {"architecture": architecture, "options": options, **SIZE}
    theirs = peer.ask("saelens_make", tmp_path / "a", rows, how="exported", **asked)
    peer.ask("saelens_make", tmp_path / "b", rows, how="checkpoint", **asked)
    assert_same(theirs, read_foreign(tmp_path / "b"), rows)


@pytest.mark.parametrize(
    "cfg",
    [
        {"hook_point": "blocks.2.hook_resid_pre", "model_name": "gpt2-small", "dtype": "float32",
         "device": "cpu", "l1_coefficient": 8e-5, "context_size": 128},
        {"hook_name": "blocks.2.hook_resid_post", "activation_fn_str": "topk", "dtype": "float32",
         "activation_fn_kwargs": {"k": 11}, "normalize_activations": False},
    ],
)  # fmt: skip
def test_saelens_before_version_6(cfg, peer, rows, tmp_path):
    theirs = peer.ask("saelens_legacy", tmp_path, rows, cfg=cfg, **SIZE)
    sae = read_foreign(tmp_path)
    assert_same(theirs, sae, rows)
    assert sae.metadata["hook"] in ("resid_pre.2", "resid_post.2")


@pytest.mark.parametrize(
    ("architecture", "options"),
    [("abstopk", {"k": 9}), ("matching_pursuit", {}), ("transcoder", {"d_out": 64})],
)
def test_what_saelens_has_and_we_have_not_is_refused_by_name(
    architecture, options, peer, rows, tmp_path
):
    asked = {"architecture": architecture, "how": "inference", "options": options, **SIZE}
    if architecture == "transcoder":
        options["apply_b_dec_to_input"] = False
    peer.ask("saelens_make", tmp_path, rows, **asked)
    with pytest.raises(ModelError, match=f"not known.*{architecture}"):
        read_foreign(tmp_path)


DICTIONARIES = (
    "AutoEncoder", "AutoEncoderNew", "AutoEncoderTopK", "BatchTopKSAE", "MatryoshkaBatchTopKSAE",
    "GatedAutoEncoder", "JumpReluAutoEncoder",
)  # fmt: skip


@pytest.mark.parametrize("kind", DICTIONARIES)
def test_dictionary_learning(kind, peer, rows, tmp_path):
    theirs = peer.ask("dictionary_learning_make", tmp_path, rows, kind=kind, k=9, **SIZE)
    sae = read_foreign(tmp_path)
    assert_same(theirs, sae, rows)
    assert sae.metadata["hook"] == "resid_post.2" and sae.metadata["context_length"] == 64


def test_sparsify(peer, rows, tmp_path):
    directory = tmp_path / "layers.2"
    theirs = peer.ask("sparsify_make", directory, rows, options={"k": 9}, **SIZE)
    sae = read_foreign(directory)
    assert_same(theirs, sae, rows)
    assert sae.metadata["hook"] == "resid_post.2"


@pytest.mark.parametrize(
    "options", [{"activation": "groupmax"}, {"skip_connection": True}, {"transcode": True}]
)
def test_what_sparsify_has_and_we_have_not_is_refused_by_name(options, peer, rows, tmp_path):
    options = {"k": 8, **options}
    peer.ask("sparsify_make", tmp_path, rows, options=options, **SIZE)
    with pytest.raises(ModelError, match=next(name for name in options if name != "k")):
        read_foreign(tmp_path)


WIDTHS = {"d_in": SIZE["d_in"], "d_sae": SIZE["d_sae"]}


def test_gemma_scope_2(peer, rows, tmp_path):
    folder = "resid_post_all/layer_2_width_16k_l0_small"
    gemma_scope_2(tmp_path / folder, **WIDTHS)
    theirs = peer.ask("saelens_released", tmp_path, rows, loader="gemma_3", folder=folder)
    sae = read_foreign(tmp_path / folder)
    assert_same(theirs, sae, rows)
    assert sae.metadata["hook"] == "resid_post.2"


def test_llama_scope(peer, rows, tmp_path):
    folder = "Llama3_1-8B-Base-L19R-8x"
    llama_scope(tmp_path / folder, **WIDTHS)
    scale = SIZE["d_in"] ** 0.5 / LLAMA_SCOPE_NORM
    theirs = peer.ask(
        "saelens_released", tmp_path, rows, loader="llama_scope", folder=folder, scale=scale
    )
    assert_same(theirs, read_foreign(tmp_path / folder), rows)
