"""The shape of a model, from whatever is known of it: its files, its settings, or its fame.

Read `shape_of`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from saeflow.cost.guess import UnknownError
from saeflow.files import read_json
from saeflow.hub import snapshot
from saeflow.models.facts import read_facts, text_part
from saeflow.plan.current import has_bulk
from saeflow.plan.result import Result
from saeflow.work import bulk_path

OPERATIONS_PER_S = 4e10
"""Of the assumed core, in products of matrices."""

_GATED = ("llama", "mistral", "gemma", "gemma2", "gemma3_text", "qwen2", "qwen3")


class Shape(NamedTuple):
    """A model's shape.

    Attributes
    ----------
    family : str
        Hugging Face's ``model_type``.
    d_model, n_layers, d_mlp, vocab_size : int
        Widths, blocks and words.
    tied : bool
        Whether one matrix serves both ends.
    note : str
        Where it is from, if that is not the model itself.
    """

    family: str
    d_model: int
    n_layers: int
    d_mlp: int
    vocab_size: int
    tied: bool = False
    note: str = ""

    @property
    def block_parameters(self) -> int:
        """Weights in the matrices of one block."""
        n_matrices = 3 if self.family in _GATED else 2
        return 4 * self.d_model**2 + n_matrices * self.d_model * self.d_mlp

    @property
    def n_parameters(self) -> int:
        """Weights in the matrices of the whole model, embeddings included."""
        embeddings = (1 if self.tied else 2) * self.vocab_size * self.d_model
        return self.n_layers * self.block_parameters + embeddings


_PYTHIA = {"70m": (512, 6), "160m": (768, 12), "410m": (1024, 24)}
_PYTHIA |= {"1b": (2048, 16), "1.4b": (2048, 24)}
_GPT2 = {"": (768, 12), "-medium": (1024, 24), "-large": (1280, 36), "-xl": (1600, 48)}

PUBLISHED = {
    **{
        f"EleutherAI/pythia-{size}{suffix}": Shape("gpt_neox", d, n, 4 * d, 50304)
        for size, (d, n) in _PYTHIA.items()
        for suffix in ("", "-deduped")
    },
    **{
        f"openai-community/gpt2{size}": Shape("gpt2", d, n, 4 * d, 50257, tied=True)
        for size, (d, n) in _GPT2.items()
    },
}
"""Shapes that their authors published, for planning before anything is fetched."""


def shape_of(model: Result, vocab_size: int | None = None) -> Shape:
    """Return the shape of a model.

    Parameters
    ----------
    model
        Of fetch_model, train_lm, select_checkpoint or shuffle_model.
    vocab_size
        Of the tokenizer, for a model that is trained here.

    Raises
    ------
    UnknownError
        While it cannot be known.
    """
    settings = model.settings
    if model.rule in ("select_checkpoint", "shuffle_model"):
        return shape_of(model.inputs["model"], vocab_size)
    if model.rule == "train_lm":
        d, n = settings["d_model"], settings["n_layers"]
        return Shape("gpt_neox", d, n, 4 * d, vocab_size or 1024, tied=True)
    if shape := _read(directory_of(model)):
        return shape
    name = model.arguments.get("path") or settings["hub"]
    if name not in PUBLISHED:
        raise UnknownError(f"the shape of {name} is not known before it is fetched")
    return PUBLISHED[name]._replace(note=f"the published shape of {name}, which is not fetched yet")


def directory_of(model: Result) -> Path:
    """Return where the files of a fetched model lie: its own, local ones, or the hub's cache."""
    if has_bulk(model):
        return bulk_path(model.output, model.identity, model.suffix)
    if "path" in model.arguments:
        return Path(model.arguments["path"])
    return snapshot(model.settings["hub"], model.settings["revision"], kind="model")


def _read(directory: Path) -> Shape | None:
    facts = read_facts(directory)
    if facts is None or None in (facts.d_model, facts.n_layers, facts.vocab_size):
        return None
    config = text_part(read_json(directory / "config.json"))
    widths = (config.get(name) for name in ("intermediate_size", "n_inner", "ffn_dim"))
    d_mlp = next((w for w in widths if isinstance(w, int)), 4 * facts.d_model)
    tied = config.get("tie_word_embeddings", facts.family == "gpt2")
    return Shape(facts.family, facts.d_model, facts.n_layers, d_mlp, facts.vocab_size, tied)
