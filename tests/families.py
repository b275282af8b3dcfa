"""A tiny random model of any family of the installed transformers, made by shrinking its config."""

from __future__ import annotations

import re
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

FAMILIES = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)

# Of the first pattern that a key matches, the value. What matches none stays as it is.
_SIZES = (
    (r"(bos|decoder_start|sep|cls)_token_id", 0),
    (r"eos_token_id", 1),
    (r"pad_token_id", 2),
    (r".*_token_(id|index)", 60),
    (r"(.*_)?vocab_size(_.*)?", 61),
    (r"max_position_embeddings|n_positions|max_seq_len|context_length|model_max_length", 64),
    (r"original_max_position_embeddings|max_target_positions|n_ctx", 64),
    (r"num_hidden_layers|n_layers?|(decoder|encoder)_layers|num_(decoder_|encoder_)?layers", 4),
    (r"hidden_size|n_embd|d_model|emb_dim|embedding_size|word_embed_proj_dim", 32),
    (r"(num_attention_heads|n_heads?|num_heads|(decoder|encoder)_attention_heads)", 4),
    (r"num_(decoder|encoder)_attention_heads|attention_heads", 4),
    (r"num_key_value_heads|num_kv_heads|.*num_key_value_heads", 2),
    (r"rotary_dim", 4),
    (r"(global_)?head_dim|attention_head_dim|d_head|d_kv", 8),
    (
        r"(.*_)?intermediate_size(_.*)?|n_inner|ffn_dim|(decoder|encoder)_ffn_dim|ffn_hidden_size",
        48,
    ),
    (r"n_routed_experts|num_(local_|routed_)?experts|moe_num_experts|n_experts", 4),
    (r"num_experts_per_(tok|token)|moe_topk|moe_k|top_k_experts", 2),
    (r"n_group|topk_group|num_expert_groups?|n_groups", 1),
    (r"q_lora_rank|kv_lora_rank|o_lora_rank", 16),
    (r"qk_rope_head_dim", 4),
    (r"qk_nope_head_dim|v_head_dim|qk_head_dim", 8),
    (r"sliding_window|attention_window|window_size|.*_sliding_window", 4),
    (r"(.*_)?(ssm_)?state_size|mamba_d_state", 8),
    (r"(mamba_)?chunk_size", 8),
)

_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_expand": 2, "mamba_n_groups": 1}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_SHARED = {
    "num_kv_shared_layers": 2,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
}
_INDEXER = {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8}
_INDEXER |= {"indexer_budget": 8, "indexer_compress_ratio": 2}
TWEAKS: dict[str, dict[str, Any]] = {
    "bamba": _MAMBA,
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}
    },
    "deepseek_v2": {"num_experts_per_tok": 2, "n_routed_experts": 4},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note": {"text_config": {"num_key_value_heads": 4}},
    "dots3_note_text": {"num_key_value_heads": 4},
    "gemma3n_text": _SHARED,
    "gemma4_unified_assistant": {"text_config": _SHARED},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {**_MAMBA, "layer_types": ["mamba", "attention", "mamba", "attention"]},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "kimi_linear": {"linear_num_heads": 4, "linear_head_dim": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv", "full_attention"]},
    "longcat_flash": {"num_layers": 2, "head_dim": 4},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "ministral": {"head_dim": 8},
    "nemotron": {"num_key_value_heads": 2},
    "qwen4_exp": {"text_config": _INDEXER},
    "qwen4_exp_text": _INDEXER,
    "reformer": {"axial_pos_shape": (8, 8), "axial_pos_embds_dim": (16, 16)},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"]},
}
"""What single families need beyond that."""


def make_family(family: str, seed: int = 0) -> torch.nn.Module:
    """Return a random model in eval mode, with every bias and norm away from its trivial value."""
    config = tiny_config(family)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.float().eval().requires_grad_(False)


def tiny_config(family: str) -> Any:
    """Return a config of the family in which everything is small."""
    cls = CONFIG_MAPPING[family]
    small = _shrunk(cls())
    for key, value in TWEAKS.get(family, {}).items():
        small[key] = {**small.get(key, {}), **value} if key in cls.sub_configs else value
    return cls(**small)


def _shrunk(config: Any) -> dict[str, Any]:
    """Return the small values of a config, and of those inside it."""
    small: dict[str, Any] = {}
    content = config.to_dict()
    for key, value in content.items():
        if key in config.sub_configs:
            inner = getattr(config, key, None)
            if inner is not None:
                small[key] = _shrunk(inner)
        elif isinstance(value, int) and not isinstance(value, bool):
            size = _size(key)
            if size is not None:
                small[key] = size if key.endswith(("_id", "_index")) else min(value, size) or size
        elif key == "is_decoder":
            small[key] = True
        elif key in ("layer_types", "layers_block_type", "mlp_layer_types") and value:
            small[key] = _few(value)
    if "qk_rope_head_dim" in content:
        small = {k: v for k, v in small.items() if k not in ("head_dim", "qk_head_dim")}  # that one
        small["num_key_value_heads"] = 4
    return small


def _size(key: str) -> int | None:
    return next((size for pattern, size in _SIZES if re.fullmatch(pattern, key)), None)


def _few(kinds: list[str], n: int = 4) -> list[str]:
    """Return ``n`` kinds of layers in their order, each that there is among them if possible."""
    first = list(dict.fromkeys(kinds))[:n]
    return (first + kinds)[:n] if len(first) > 1 else kinds[:1] * n
