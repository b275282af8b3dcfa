"""The one architecture that saeflow trains: a small GPT-NeoX with tied embeddings."""

from __future__ import annotations

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from saeflow.models.training_plan import TrainingPlan


def build_neox(
    plan: TrainingPlan, *, vocab_size: int, context_length: int, bos_id: int, eos_id: int
) -> GPTNeoXForCausalLM:
    """Return a randomly initialised model; the seed decides its weights.

    Notes
    -----
    Tied embeddings and rotation of all head dimensions: both make copying from the context much
    easier to learn for a model this small than Pythia's untied, quarter-rotary form.
    """
    config = GPTNeoXConfig(
        vocab_size=vocab_size,
        hidden_size=plan.d_model,
        num_hidden_layers=plan.n_layers,
        num_attention_heads=plan.n_heads,
        intermediate_size=4 * plan.d_model,
        max_position_embeddings=context_length,
        initializer_range=plan.initializer_range,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 1.0,
        },
        tie_word_embeddings=True,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        use_cache=False,
        bos_token_id=bos_id,
        eos_token_id=eos_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        return GPTNeoXForCausalLM(config)
