"""The shape of a model, from whatever is known of it: its files, its settings, or its fame.

Read `shape_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.errors import SaeflowError
from saeflow.files import read_json
from saeflow.plan.job import Job
from saeflow.plan.jobfile import has_bulk
from saeflow.work import bulk_path

_ALIASES = {
    "d_model": ("hidden_size", "n_embd", "d_model"),
    "n_layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "n_heads": ("num_attention_heads", "n_head", "num_heads"),
    "d_mlp": ("intermediate_size", "n_inner", "ffn_dim"),
    "positions": ("max_position_embeddings", "n_positions"),
}
_GATED = ("llama", "mistral", "gemma", "gemma2", "qwen2", "qwen3")


def _pythia(d_model: int, n_layers: int, n_heads: int, vocab_size: int = 50304) -> dict[str, Any]:
    return {
        "model_type": "gpt_neox",
        "hidden_size": d_model,
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "intermediate_size": 4 * d_model,
        "vocab_size": vocab_size,
        "max_position_embeddings": 2048,
    }


def _gpt2(d_model: int, n_layers: int, n_heads: int) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "n_embd": d_model,
        "n_layer": n_layers,
        "n_head": n_heads,
        "vocab_size": 50257,
        "n_positions": 1024,
    }


PUBLISHED: dict[str, dict[str, Any]] = {
    **{
        f"EleutherAI/pythia-{size}{suffix}": _pythia(*shape)
        for size, shape in {
            "70m": (512, 6, 8),
            "160m": (768, 12, 12),
            "410m": (1024, 24, 16),
            "1b": (2048, 16, 8),
            "1.4b": (2048, 24, 16),
        }.items()
        for suffix in ("", "-deduped")
    },
    "openai-community/gpt2": _gpt2(768, 12, 12),
    "openai-community/gpt2-medium": _gpt2(1024, 24, 16),
    "openai-community/gpt2-large": _gpt2(1280, 36, 20),
    "openai-community/gpt2-xl": _gpt2(1600, 48, 25),
}
"""Shapes that their authors published, for planning before anything is fetched."""


class Shape(NamedTuple):
    """A model's shape.

    Attributes
    ----------
    config : Mapping
        Keys of Hugging Face's configuration, ``model_type`` among them.
    note : str
        Where it is from, if that is not the model itself.
    """

    config: Mapping[str, Any]
    note: str = ""

    def __getattr__(self, name: str) -> int:
        """Return a size under our name, whatever the family calls it."""
        for key in _ALIASES.get(name, (name,)):
            if self.config.get(key) is not None:
                return self.config[key]
        if name == "d_mlp":
            return 4 * self.d_model
        raise AttributeError(name)

    @property
    def block_parameters(self) -> int:
        """Weights in the matrices of one block."""
        n_matrices = 3 if self.config.get("model_type") in _GATED else 2
        return 4 * self.d_model**2 + n_matrices * self.d_model * self.d_mlp

    @property
    def n_parameters(self) -> int:
        """Weights in the matrices of the whole model, embeddings included."""
        tied = self.config.get("tie_word_embeddings", self.config.get("model_type") == "gpt2")
        embeddings = (1 if tied else 2) * self.vocab_size * self.d_model
        return self.n_layers * self.block_parameters + embeddings


def shape_of(job: Job, vocab_size: int | None = None) -> Shape | None:
    """Return the shape of the model that a job makes, or None while it cannot be known.

    Parameters
    ----------
    job
        fetch_model, train_lm or select_checkpoint.
    vocab_size
        Of the tokenizer, for a model that is trained here.
    """
    if job.rule == "select_checkpoint":
        return shape_of(job.inputs["model"], vocab_size)
    if job.rule == "train_lm":
        settings = job.settings
        return Shape(
            {
                "model_type": "gpt_neox",
                "hidden_size": settings["d_model"],
                "num_hidden_layers": settings["n_layers"],
                "num_attention_heads": settings["n_heads"],
                "intermediate_size": 4 * settings["d_model"],
                "vocab_size": vocab_size or 1024,
                "max_position_embeddings": settings.get("context_length") or 2048,
                "tie_word_embeddings": True,
            }
        )
    if has_bulk(job):
        return _from(bulk_path(job.output, job.identity, job.suffix))
    if "path" in job.arguments:
        return _from(Path(job.arguments["path"]))
    name, revision = job.settings["hub"], job.settings["revision"]
    cached = _from(_snapshot(name, revision))
    if cached:
        return cached
    known = PUBLISHED.get(name)
    return known and Shape(known, f"the published shape of {name}, which is not fetched yet")


def _from(directory: Path) -> Shape | None:
    try:
        shape = Shape(read_json(directory / "config.json"))
        _ = shape.d_model, shape.n_layers, shape.vocab_size
    except (SaeflowError, OSError, AttributeError):
        return None
    return shape


def _snapshot(name: str, revision: str) -> Path:
    """Return where the hub's cache has a revision, or would have it."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=name, repo_type="model")
    return Path(HF_HUB_CACHE) / folder / "snapshots" / revision
