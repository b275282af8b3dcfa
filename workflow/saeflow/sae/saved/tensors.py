"""The tensors of an SAE's files: reading them, and asking whether they can be an SAE's.

Read `read_tensors`, `Tensors` and `require_tensors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from saeflow.errors import DamagedError
from saeflow.finite import require_finite

_WRAPPERS = frozenset(("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""Parts of names that torch.compile and torch's ways to spread a model put in."""


class Tensors(dict[str, Any]):
    """What a file holds by name; to ask for what is not there is an error that lists what is.

    The names that torch's wrappers add are taken off, and thresholds that are stored as logarithms
    become thresholds.
    """

    def __init__(self, content: Mapping[str, Any], where: Path) -> None:
        super().__init__()
        self.where = where
        for name, value in content.items():
            plain = _unwrapped(name)
            if plain in self:
                raise DamagedError(
                    f"two tensors have the name {plain}",
                    where=where,
                    expected="one SAE in a file",
                    got=", ".join(content),
                )
            self[plain] = value
        if "log_threshold" in self and "threshold" not in self:
            self["threshold"] = self.pop("log_threshold").exp()

    def __missing__(self, name: str) -> Any:
        """Raise for a name that is not there."""
        raise DamagedError(
            f"the tensor {name} is missing",
            where=self.where,
            expected=name,
            got=listed(self),
            remedy="Another program or version wrote this file: name its format, or give the"
            " tensors the names that the format has.",
        )


def _unwrapped(name: str) -> str:
    return ".".join(part for part in str(name).split(".") if part not in _WRAPPERS)


def listed(content: Mapping[str, Any]) -> str:
    """Return the names of some content and the shapes of its tensors, for messages."""
    named = (
        f"{name} {tuple(value.shape)}" if isinstance(value, Tensor) else str(name)
        for name, value in content.items()
    )
    return ", ".join(named) or "nothing"


def read_tensors(path: Path, *, remedy: str) -> dict[str, Tensor]:
    """Return the tensors of a file; one that is missing or torn is a `DamagedError`."""
    if not path.is_file():
        raise DamagedError("the weights are missing", where=path, remedy=remedy)
    try:
        # copies: memory of a mapped file is not aligned like memory of torch
        return {name: w.clone() for name, w in safetensors.torch.load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise DamagedError(
            "the weights are not readable", where=path, got=str(error), remedy=remedy
        ) from error


def require_tensors(
    weights: Mapping[str, Tensor],
    vectors: Sequence[str],
    *,
    where: object,
    d_in: int | None = None,
    d_sae: int | None = None,
    d_out: int | None = None,
) -> None:
    """Raise unless weights are an SAE's, of shapes that fit together, and finite: a `DamagedError`.

    ``weights`` are by our names, which are SAELens', ``vectors`` the names of those of shape
    (d_sae,). The widths are those that the file's configuration says; by default those of ``b_dec``
    and of the first of ``vectors``.
    """
    found = Tensors(weights, where)
    d_out = d_out or d_in or found["b_dec"].numel()
    d_in, d_sae = d_in or d_out, d_sae or found[vectors[0]].numel()
    expected = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_out), "b_dec": (d_out,)}
    for name, shape in (expected | dict.fromkeys(vectors, (d_sae,))).items():
        got = tuple(found[name].shape)
        if got != shape:
            transposed = len(got) == 2 and got == shape[::-1]
            raise DamagedError(
                f"the tensor {name} is the transpose of what it should be"
                if transposed
                else f"the tensor {name} does not have the shape that the others and the"
                " configuration ask for",
                where=where,
                expected=shape,
                got=f"{got}, among {listed(weights)}",
                remedy="Transpose it in the file; a guess could read a square one wrongly."
                if transposed
                else "Read the SAE with the format that wrote it, or copy its files again.",
            )
        require_finite(
            found[name], f"the tensor {name}", where=where,
            remedy="Its training diverged or the file is damaged: use an earlier checkpoint, or"
            " fetch it again.",
        )  # fmt: skip
