"""Small random models of each family that saeflow knows."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

SMALL = {"vocab_size": 61, "max_position_embeddings": 32}
LLAMA = {
    **SMALL,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "intermediate_size": 24,
}
NEOX = {
    **SMALL,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
FAMILIES = {
    "gpt2": (
        "gpt2",
        {"vocab_size": 61, "n_positions": 32, "n_embd": 16, "n_layer": 3, "n_head": 2},
    ),
    "gpt_neox": ("gpt_neox", NEOX),
    "gpt_neox_sequential": ("gpt_neox", {**NEOX, "use_parallel_residual": False}),
    "llama": ("llama", LLAMA),
    "gemma2": ("gemma2", {**LLAMA, "sliding_window": 4}),
    "qwen2": ("qwen2", LLAMA),
    "mistral": ("mistral", LLAMA),
    "gpt_neo": (
        "gpt_neo",
        {
            **SMALL,
            "hidden_size": 16,
            "num_layers": 3,
            "num_heads": 2,
            "attention_types": [[["global", "local", "global"], 1]],
        },
    ),
}


def make_model(family: str, seed: int = 0) -> torch.nn.Module:
    """Return a random model in eval mode, with every bias and norm away from its trivial value."""
    torch.manual_seed(seed)
    kind, settings = FAMILIES[family]
    special = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**settings, **special))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval().requires_grad_(False)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of 61 words: three special ones, then w3 to w60."""
    special = ["<bos>", "<eos>", "<pad>"]
    words = [*special, *(f"w{i}" for i in range(3, 61))]
    inner = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    inner.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def same(model: torch.nn.Module, one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two computations of a model gave the same bits.

    GPT-Neo's own attention rounds by where in memory its operands lie, on some processors.
    """
    if type(model).__name__ == "GPTNeoForCausalLM":
        return torch.allclose(one, other, atol=1e-5)
    return torch.equal(one, other)
