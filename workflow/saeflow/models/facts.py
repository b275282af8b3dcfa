"""What is known of a model without loading it: from its config.json, or from its record.

Families name the same things differently, and models of text and images keep the language model's
sizes in a part of their own. What a file does not say is None, never a guess. Imports no torch.
Read `config_facts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from saeflow.files import read_object
from saeflow.hooks import PARALLEL_SITES, SITES, Hook
from saeflow.inventory import MANIFEST

_TEXT_PARTS = ("text_config", "decoder")
# Families with an encoder beside the decoder give the encoder's size under the common name.
_N_LAYERS = ("decoder_layers", "num_decoder_layers", "num_hidden_layers")
_N_LAYERS += ("n_layer", "n_layers", "num_layers")
_D_MODEL = ("hidden_size", "n_embd", "d_model", "n_embed", "emb_dim")
_MAX_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions")
_MAX_POSITIONS += ("model_max_length", "context_length")
# Their first positions are those of padding: so many fewer are left for text.
_COUNT_FROM_PADDING = ("camembert", "data2vec-text", "roberta", "roberta-prelayernorm")
_COUNT_FROM_PADDING += ("xlm-roberta", "xlm-roberta-xl", "xmod")
# Attention and MLP read the same stream: always, or as the key says (and without it by default).
_ALWAYS_PARALLEL = ("codegen", "gptj", "phi")
_ALWAYS_PARALLEL += ("cohere", "cohere2", "cohere2_moe", "cohere_compass_text")
_PARALLEL_KEYS = {
    "falcon": ("parallel_attn", True),
    "gpt_neox": ("use_parallel_residual", True),
    "stablelm": ("use_parallel_residual", False),
}


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model; None is what the file does not say.

    Attributes
    ----------
    family : str
        Hugging Face's ``model_type``.
    n_layers, d_model, vocab_size : int or None
        Blocks, width of the residual stream, words.
    max_positions : int or None
        Tokens that a sequence may have; None also where nothing limits it.
    sites : tuple of str
        Sites that blocks may have. Before a model is fetched that is all but those which its
        family cannot have; the fetch tries each (`saeflow.models.trial`).
    blocks : mapping or None
        Site -> blocks that have it, once the model was tried.
    reasons : mapping
        Site -> why some block lacks it, once the model was tried.
    """

    family: str
    n_layers: int | None = None
    d_model: int | None = None
    vocab_size: int | None = None
    max_positions: int | None = None
    sites: tuple[str, ...] = SITES
    blocks: Mapping[str, Sequence[int]] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)

    def hooks(self) -> list[Hook]:
        """Return every hook of a model whose blocks are known, block by block."""
        return [
            Hook(site, block)
            for block in range(self.n_layers or 0)
            for site in self.sites
            if self.blocks is None or block in self.blocks[site]
        ]

    def lack(self, hook: Hook) -> str | None:
        """Return why the model cannot have a hook, in a few words; None if it has, or may have."""
        if self.n_layers is not None and hook.block >= self.n_layers:
            return f"it has blocks 0 to {self.n_layers - 1}"
        if hook.site not in self.sites:
            why = f" ({self.reasons[hook.site]})" if hook.site in self.reasons else ""
            return f"its blocks have no {hook.site}{why}, only {', '.join(self.sites)}"
        if self.blocks is not None and hook.block not in self.blocks[hook.site]:
            having = ", ".join(map(str, self.blocks[hook.site]))
            return f"only its blocks {having} have {hook.site} ({self.reasons[hook.site]})"
        return None


def read_facts(directory: Path) -> ModelFacts | None:
    """Return what is known of a Hugging Face directory; None if it has no config.json to read.

    Of a copy that saeflow fetched, that is what the fetch found.
    """
    config, tried = (read_object(Path(directory) / name) for name in ("config.json", MANIFEST))
    return record_facts(tried, config_facts(config)) if config else None


def record_facts(record: Mapping[str, Any], facts: ModelFacts) -> ModelFacts:
    """Return the facts of a model's config.json, corrected by what its ``model.json`` says."""
    if "sites" not in record:
        return facts
    return replace(
        facts,
        n_layers=record["n_layers"],
        d_model=record["d_model"],
        sites=tuple(site for site in SITES if site in record["sites"]),
        blocks=record["sites"],
        reasons=record["not_offered"],
    )


def config_facts(config: Mapping[str, Any]) -> ModelFacts:
    """Return what the content of a config.json says of the language model in it."""
    text = text_part(config)
    family = str(text.get("model_type") or config.get("model_type") or "")
    return ModelFacts(
        family,
        n_layers=_size(text, _N_LAYERS) or len(text.get("layers_block_type") or ()) or None,
        d_model=_size(text, _D_MODEL),
        vocab_size=_size(text, ("vocab_size",)),
        max_positions=_max_positions(family, text),
        sites=PARALLEL_SITES if _is_parallel(family, text) else SITES,
    )


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a config.json that describes the language model: mostly all of it."""
    parts = (config.get(name) for name in _TEXT_PARTS)
    return next((part for part in parts if isinstance(part, Mapping) and part), config)


def _size(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    values = (config.get(name) for name in names)
    return next((v for v in values if isinstance(v, int) and v > 0), None)


def _max_positions(family: str, config: Mapping[str, Any]) -> int | None:
    if family == "falcon" and config.get("alibi"):
        return None  # distances, not positions: the number in its config limits nothing
    found = _size(config, _MAX_POSITIONS)
    if found is not None and family in _COUNT_FROM_PADDING:
        padding = config.get("pad_token_id")
        return found - 1 - (1 if padding is None else padding)
    return found


def _is_parallel(family: str, config: Mapping[str, Any]) -> bool:
    if family in _PARALLEL_KEYS:
        key, default = _PARALLEL_KEYS[family]
        always = bool(config.get("new_decoder_architecture"))  # Falcon's, which ignores the key
        return always or bool(config.get(key, default))
    return family in _ALWAYS_PARALLEL
