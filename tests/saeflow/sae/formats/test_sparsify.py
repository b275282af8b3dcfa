"""sparsify's files, against what its coder computes, in plain formulas."""

from __future__ import annotations

import pytest
import safetensors.torch

from foreign_files import D_IN, D_SAE, assert_computes, inputs, json_file, weights
from sae_top_k import top
from saeflow.errors import ModelError
from saeflow.files import read_json
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.foreign import Place, detect, export, read_foreign


def coder(state, x, k):
    """Return its latents and reconstruction: b_dec is taken off the input."""
    pre = (x - state["b_dec"]) @ state["encoder.weight"].T + state["encoder.bias"]
    f = top(pre, k)
    return f, f @ state["W_dec"] + state["b_dec"]


def written(directory, **cfg):
    w = weights()
    state = {"encoder.weight": w["W_enc"].T.contiguous(), "encoder.bias": w["b_enc"],
             "W_dec": w["W_dec"], "b_dec": w["b_dec"]}  # fmt: skip
    directory.mkdir(exist_ok=True)
    safetensors.torch.save_file(state, directory / "sae.safetensors")
    json_file(directory / "cfg.json", {"activation": "topk", "k": 3, "d_in": D_IN, **cfg})
    return state


@pytest.mark.parametrize(
    ("name", "hook"),
    [("layers.3", "resid_post.3"), ("h.0.mlp", "mlp_out.0"), ("layers.2.attn", "attn_out.2"),
     ("model.layers.5.self_attn", "attn_out.5"), ("embed", None)],
)  # fmt: skip
def test_a_coder_is_read_as_it_computes_at_the_hook_that_its_directory_names(name, hook, tmp_path):
    state = written(tmp_path / name)
    assert detect(Place(tmp_path / name)) == "sparsify"
    sae = read_foreign(tmp_path / name)
    assert sae.metadata.get("hook") == hook
    assert_computes(sae, *coder(state, inputs(), 3))


@pytest.mark.parametrize(
    "cfg", [{"activation": "groupmax"}, {"skip_connection": True}, {"transcode": True}]
)
def test_what_has_no_counterpart_here_is_refused(cfg, tmp_path):
    written(tmp_path, **cfg)
    with pytest.raises(ModelError, match=next(iter(cfg))):
        read_foreign(tmp_path)


@pytest.mark.parametrize("subtract", [True, False])
def test_what_is_written_computes_the_same_in_a_coder(subtract, tmp_path):
    settings = architecture_settings("topk", {"k": 3, "subtract_b_dec": subtract})
    sae = SAE("topk", settings, weights(), {})
    export(sae, tmp_path, "sparsify")
    state = safetensors.torch.load_file(tmp_path / "sae.safetensors")
    cfg = read_json(tmp_path / "cfg.json")
    assert (cfg["k"], cfg["num_latents"], cfg["d_in"]) == (3, D_SAE, D_IN)
    assert not cfg["normalize_decoder"]
    assert_computes(sae, *coder(state, inputs(), cfg["k"]))
