"""Families that build their blocks in other ways than GPT-2, GPT-NeoX and Llama."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from families import make_family, tiny_config
from saeflow.errors import ModelError
from saeflow.models.fetch import fetch_model
from saeflow.models.hooks import Hook, available_hooks, block_modules, capture
from saeflow.models.slices import Head, final_states, run_until
from saeflow.models.trial import try_model
from saeflow.work import hold
from tried_families import families_page, try_family

ROOT = Path(__file__).parents[3]
ALL = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
PARALLEL = ("resid_pre", "attn_out", "mlp_out", "resid_post")
SITES = {
    "glm4": ALL,  # norms after both parts
    "granite": ALL,  # multiplies both
    "minicpm3": ALL,  # the same, by another name
    "olmo2": ALL,  # norms after, and none before
    "gemma3": ALL,  # in a model of text and images
    "olmoe": ALL,  # experts
    "mixtral": ALL,
    "qwen2_moe": ALL,
    "deepseek_v3": ALL,
    "granitemoe": ALL,  # experts under another name
    "bloom": ALL,  # returns the parts with the stream added
    "opt": ALL,  # an MLP that is no module, on (batch * seq, d)
    "lfm2": ALL,  # convolutions and attention
    "jamba": ALL,  # state spaces and attention, experts and none
    "falcon": PARALLEL,  # writes one part into the other
    "cohere": PARALLEL,
    "falcon_h1": ("resid_pre", "resid_mid", "mlp_out", "resid_post"),  # two mixers
    "granitemoeshared": ("resid_pre", "attn_out", "resid_mid", "resid_post"),  # two MLPs
    "mamba": ("resid_pre", "attn_out", "resid_post"),
    "openai-gpt": ("resid_pre", "resid_post"),  # norms the stream itself
    "zaya": ("resid_pre", "resid_post"),  # scales it by learned numbers
}


@pytest.mark.parametrize("family", SITES)
def test_a_family_has_the_sites_that_add_up_and_can_be_measured_at_each(family):
    found = try_family(family)
    assert found.problem == ""
    assert found.sites == dict.fromkeys(SITES[family], "all")


def test_the_blocks_of_a_hybrid_differ():
    # Nemotron-H: a block is a state space, an attention or an MLP.
    model = make_family("nemotron_h")
    kinds = [type(block.mixer).__name__ for block in block_modules(model)]
    sites = {str(hook) for hook in available_hooks(model)} - {
        f"resid_{end}.{block}" for end in ("pre", "post") for block in range(len(kinds))
    }
    assert sites == {
        f"{'mlp' if kind.endswith(('MLP', 'MoE')) else 'attn'}_out.{block}"
        for block, kind in enumerate(kinds)
    }
    assert len(set(kinds)) > 1


@torch.no_grad()
def test_what_glm4_adds_is_the_part_after_its_norm():
    model, ids = make_family("glm4"), torch.tensor([[3, 9, 4, 7]])
    block, kept = block_modules(model)[1], {}
    block.self_attn.register_forward_hook(lambda *a: kept.update(attention=a[-1][0]))
    block.mlp.register_forward_hook(lambda *a: kept.update(mlp=a[-1]))
    got = run_until(model, ids, None, [Hook("attn_out", 1), Hook("mlp_out", 1)])
    assert torch.equal(got[Hook("attn_out", 1)], block.post_self_attn_layernorm(kept["attention"]))
    assert torch.equal(got[Hook("mlp_out", 1)], block.post_mlp_layernorm(kept["mlp"]))
    assert not torch.allclose(got[Hook("mlp_out", 1)], kept["mlp"], rtol=0.5)


@torch.no_grad()
def test_what_granite_adds_is_multiplied():
    config = tiny_config("granite")
    config.residual_multiplier = 0.22
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).float().eval()
    ids, kept, block = torch.tensor([[3, 9, 4, 7]]), {}, block_modules(model)[2]
    block.mlp.register_forward_hook(lambda *a: kept.update(mlp=a[-1]))
    hooks = [Hook("mlp_out", 2), Hook("resid_mid", 2), Hook("resid_post", 2)]
    mlp, middle, after = (run_until(model, ids, None, hooks)[hook] for hook in hooks)
    assert torch.equal(mlp, kept["mlp"] * 0.22)
    assert torch.equal(after, middle + mlp)


@torch.no_grad()
def test_what_is_written_into_later_is_captured_as_it_was():
    # Falcon adds the attention's output into the tensor that its MLP returned.
    model, ids = make_family("falcon"), torch.tensor([[3, 9, 4, 7]])
    kept, block = {}, block_modules(model)[1]
    block.mlp.register_forward_hook(lambda *a: kept.update(mlp=a[-1].clone()))
    with capture(model, [Hook("mlp_out", 1)]) as found:
        final_states(model, ids)
    assert torch.equal(found[Hook("mlp_out", 1)], kept["mlp"])


@pytest.mark.parametrize("family", ["olmoe", "mixtral", "qwen3_moe", "deepseek_v3", "gpt_oss"])
def test_the_head_of_a_model_with_experts_is_its_own_though_routers_are_asked_for(family):
    model, ids = make_family(family), torch.tensor([[3, 9, 4, 7]])
    model.config.output_router_logits = True
    assert torch.equal(Head(model)(final_states(model, ids)), model(ids).logits)


def _later_tokens_matter():
    config = tiny_config("bert")
    config.is_decoder = False
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_later_tokens_matter, "not a causal model.*is_decoder: true"),
        (lambda: make_family("xlnet"), r"no residual stream.*transformer\.layer"),
        (lambda: make_family("hrm_text"), "no residual stream"),
        (lambda: make_family("cpmant"), "no residual stream"),
    ],
)
def test_what_cannot_be_worked_with_is_refused_with_one_message(make, message):
    with pytest.raises(ModelError, match=message):
        try_model(make())


def test_a_refused_model_ends_its_fetch(tmp_path):
    _later_tokens_matter().save_pretrained(tmp_path / "bert")
    with hold(tmp_path / "models" / "bert" / "model.json", "c" * 64) as work:
        with pytest.raises(ModelError, match="not a causal model"):
            fetch_model(work, {}, path=tmp_path / "bert")
        assert not work.finished


@pytest.mark.slow
def test_the_page_of_families_is_what_the_installed_transformers_gives():
    assert (ROOT / "docs" / "families.md").read_text() == families_page(), (
        "run `python docs/generate.py --families`"
    )
