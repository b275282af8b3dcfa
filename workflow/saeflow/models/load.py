"""A model or tokenizer from its record: local files only, checked, ready to run.

Attention runs through PyTorch's ``scaled_dot_product_attention`` (sdpa), not Hugging Face's eager
code. Its forward pass gives the same bits for the same shapes, threads and kernel, and the kernel
depends on whether a mask is given; saeflow never gives one unless text is left-padded
(`saeflow.models.slices.forward_arguments`), so harvest and tail run the same kernel. It needs
memory linear in the context, and measured 1.3 (context 128) to 3 times (512) eager's speed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from saeflow import device as devices
from saeflow.errors import DamagedError, ModelError, first_line
from saeflow.files import read_json
from saeflow.models.record import read_config, weight_files, weights_sha256
from saeflow.work import MANIFEST, bulk_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

# Hashing costs about a second per gigabyte: below this it is always done.
_ALWAYS_VERIFIED_BYTES = 1 << 28


def load_model(
    record: Path, device: torch.device | str | None = None, *, verify: bool | None = None
) -> PreTrainedModel:
    """Load a model for inference: float32, eval mode, frozen.

    Files that are damaged, or weights that are not those of the record, are a `ModelError`.

    Parameters
    ----------
    record
        The model's ``model.json``.
    device
        Where to put it; `saeflow.device.pick` by default.
    verify
        Whether to compare the weights' hash with the record's. None: if they are small.
    """
    facts, directory = read_json(record), bulk_of(record)
    if verify is None:
        n_bytes = sum(file.stat().st_size for file in weight_files(directory))
        verify = n_bytes <= _ALWAYS_VERIFIED_BYTES
    if verify and weights_sha256(directory) != facts["weights_sha256"]:
        raise ModelError(
            "the weights are not those that the record describes",
            where=directory,
            expected=f"sha256 {facts['weights_sha256']}",
            remedy="Delete this directory and run the workflow again.",
        )
    model = load_directory(directory, trust_remote_code=facts.get("trust_remote_code", False))
    return model.to(device if device is not None else devices.pick())


def load_model_once(record: Path, device: torch.device | str | None = None) -> PreTrainedModel:
    """Load a model as `load_model` does, unless this process did so last; it is frozen.

    For readers of live activations, which need the model beside whoever else does.
    """
    device = torch.device(device) if device is not None else devices.pick()
    return _loaded(bulk_of(record).resolve() / MANIFEST, device)


@lru_cache(maxsize=1)
def _loaded(manifest: Path, device: torch.device) -> PreTrainedModel:
    return load_model(manifest, device)


def load_directory(directory: Path, *, trust_remote_code: bool = False) -> PreTrainedModel:
    """Load a model from a Hugging Face directory on the CPU: float32, eval mode, frozen."""
    config = read_config(directory, trust_remote_code)
    try:
        with _quiet():
            model, info = _from_pretrained(directory, config, trust_remote_code)
    except Exception as error:  # whatever the many readers raise, the files are the reason
        raise ModelError(
            "the model cannot be loaded",
            where=directory,
            got=f"{type(error).__name__}: {first_line(error)}",
            remedy=_remedy(config),
        ) from error
    _check_loaded(directory, info)
    return model.eval().requires_grad_(False)


def _from_pretrained(directory: Path, config: Any, trust_remote_code: bool) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {
        "config": config,
        "local_files_only": True,
        "trust_remote_code": trust_remote_code,
        "dtype": torch.float32,
        "output_loading_info": True,
    }
    try:
        return AutoModelForCausalLM.from_pretrained(
            directory, attn_implementation="sdpa", **options
        )
    except ValueError as error:
        if "scaled_dot_product_attention" not in str(error):
            raise
    logger.info("%s has no sdpa attention: using eager", type(config).__name__)
    return AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager", **options)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' bar of loaded tensors out of the logs."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _remedy(config: Any) -> str:
    """Return what to do about a model that cannot be loaded."""
    if getattr(config, "quantization_config", None):
        return (
            "It is quantised, which needs packages and hardware of its own: name the unquantised"
            " model in its place."
        )
    return (
        "If a file was damaged, delete this directory and run the workflow again; else name another"
        " copy or revision of the model."
    )


def _check_loaded(directory: Path, info: dict[str, Any]) -> None:
    """Refuse weights that transformers would make up at random, with no more than a warning."""
    for problem in ("missing_keys", "mismatched_keys"):
        if info[problem]:
            raise ModelError(
                f"the weights do not fit the architecture ({problem.replace('_', ' ')})",
                where=directory,
                got=", ".join(sorted(map(str, info[problem]))[:5]),
                remedy="Take the config.json and the weights of one model; of a quantised or partly"
                " saved one, the whole in its place.",
            )


def load_tokenizer(record: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a ``tokenizer.json`` record, or the one that a model brought.

    One that is damaged, or not the one that the record describes, is an error.
    """
    from saeflow.tokenizers import tokenizer_from_directory, vocabulary_sha256

    facts = read_json(record)
    expected = facts["tokenizer" if "weights_sha256" in facts else "vocabulary_sha256"]
    if expected is None:
        raise ModelError(
            "this model brings no tokenizer",
            where=record,
            remedy="Name one of `tokenizers` in the model's entry: `tokenizer: NAME`.",
        )
    directory = bulk_of(record)
    tokenizer = tokenizer_from_directory(directory)
    if vocabulary_sha256(tokenizer) != expected:
        raise DamagedError(
            "the tokenizer is not the one that the record describes",
            where=directory,
            expected=f"vocabulary {expected}",
            remedy="Delete this directory and run the workflow again.",
        )
    return tokenizer
