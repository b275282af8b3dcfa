"""What a config.json says, held against the models that transformers builds from it."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from saeflow.files import read_json
from saeflow.hooks import PARALLEL_SITES, SITES, Hook
from saeflow.models.facts import ModelFacts, config_facts, read_facts, record_facts
from saeflow.work import bulk_of

# The keys of each family, as its authors' own files have them, and how its blocks are reached.
FILES = {
    "gpt2": ({"n_layer": 3, "n_embd": 16, "n_head": 2, "n_positions": 32}, "transformer.h"),
    "gpt_neo": (
        {
            **{"num_layers": 3, "hidden_size": 16, "num_heads": 2, "max_position_embeddings": 32},
            "attention_types": [[["global"], 3]],
        },
        "transformer.h",
    ),
    "bloom": ({"n_layer": 3, "n_embed": 16, "n_head": 2}, "transformer.h"),
    "mpt": ({"n_layers": 3, "d_model": 16, "n_heads": 2, "max_seq_len": 32}, "transformer.blocks"),
    "xglm": (
        {
            **{"num_layers": 3, "d_model": 16, "attention_heads": 2, "ffn_dim": 8},
            "max_position_embeddings": 32,
        },
        "model.layers",
    ),
    "bart": (
        {
            **{"decoder_layers": 3, "encoder_layers": 5, "num_hidden_layers": 5, "d_model": 16},
            **{"max_position_embeddings": 32, "decoder_attention_heads": 2},
        },
        "model.decoder.layers",
    ),
    "gemma3": (
        {
            "text_config": {
                **{"model_type": "gemma3_text", "num_hidden_layers": 3, "hidden_size": 16},
                **{"max_position_embeddings": 32, "vocab_size": 61, "num_attention_heads": 2},
                **{"num_key_value_heads": 1, "head_dim": 8, "intermediate_size": 8},
            },
            "vision_config": {"num_hidden_layers": 2, "hidden_size": 24},
        },
        "model.language_model.layers",
    ),
}
WITHOUT_LIMIT = ("bloom",)


@pytest.mark.parametrize("family", FILES)
def test_the_sizes_are_those_of_the_model_whatever_the_family_calls_them(family):
    content, blocks = FILES[family]
    if "text_config" not in content:
        content = {**content, "vocab_size": 61}
    facts = config_facts({"model_type": family, **content})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[family](**content))
    assert facts.n_layers == len(model.get_submodule(blocks)) == 3
    assert facts.d_model == model.get_input_embeddings().embedding_dim == 16
    assert facts.vocab_size == model.get_input_embeddings().num_embeddings == 61
    assert facts.max_positions == (None if family in WITHOUT_LIMIT else 32)


def test_what_a_file_does_not_say_is_not_guessed():
    facts = config_facts({"text_config": {"model_type": "gemma3_text", "hidden_size": 16}})
    assert facts == ModelFacts("gemma3_text", d_model=16)
    assert facts.lack(Hook("resid_mid", 99)) is None


@pytest.mark.parametrize(
    ("content", "parallel"),
    [
        ({"model_type": "gpt_neox"}, True),
        ({"model_type": "gpt_neox", "use_parallel_residual": False}, False),
        ({"model_type": "gptj"}, True),
        ({"model_type": "falcon", "parallel_attn": False}, False),
        ({"model_type": "falcon", "parallel_attn": False, "new_decoder_architecture": True}, True),
        ({"model_type": "stablelm"}, False),
        ({"model_type": "llama"}, False),
    ],
)
def test_only_blocks_with_a_middle_have_the_site(content, parallel):
    assert config_facts(content).sites == (PARALLEL_SITES if parallel else SITES)


def test_positions_that_padding_takes_are_not_counted():
    # fairseq's positions begin at pad_token_id + 1: 514 of them are 512 for text.
    roberta = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert config_facts(roberta).max_positions == 512
    assert config_facts({**roberta, "pad_token_id": 0}).max_positions == 513
    alibi = {"model_type": "falcon", "max_position_embeddings": 2048, "alibi": True}
    assert config_facts(alibi).max_positions is None


def test_a_hook_that_cannot_be_is_named_with_the_reason(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gptj", "n_layer": 5}))
    facts = read_facts(tmp_path)
    assert facts.lack(Hook("resid_post", 4)) is None
    assert facts.lack(Hook("resid_post", 5)) == "it has blocks 0 to 4"
    assert "no resid_mid" in facts.lack(Hook("resid_mid", 1))


@pytest.mark.parametrize("content", [None, "no JSON", "[1]"])
def test_a_directory_without_a_readable_config_has_no_facts(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert read_facts(tmp_path) is None


def test_of_a_model_that_was_fetched_the_sites_that_were_tried_are_known(tmp_path, record):
    facts = read_facts(bulk_of(record))
    assert facts.blocks == read_json(record)["sites"]
    assert facts.hooks()[:5] == [
        *(Hook(site, 0) for site in ("resid_pre", "attn_out", "mlp_out", "resid_post")),
        Hook("resid_pre", 1),
    ]
    assert facts.lack(Hook("mlp_out", 2)) is None
    assert facts.lack(Hook("resid_mid", 2)) == (
        "its blocks have no resid_mid (the attention and the MLP read the same stream), only"
        " resid_pre, attn_out, mlp_out, resid_post"
    )


def test_a_site_of_some_blocks_is_known_block_by_block():
    tried = {"n_layers": 3, "d_model": 8, "sites": {"resid_post": [0, 1, 2], "attn_out": [0, 2]}}
    facts = record_facts({**tried, "not_offered": {"attn_out": "why"}}, ModelFacts("hybrid"))
    assert list(map(str, facts.hooks())) == [
        *("attn_out.0", "resid_post.0", "resid_post.1", "attn_out.2", "resid_post.2"),
    ]
    assert facts.lack(Hook("attn_out", 1)) == "only its blocks 0, 2 have attn_out (why)"
