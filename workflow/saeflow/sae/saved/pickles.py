"""Reading pickled files of others without running anything that they bring.

A pickle is a program: it names functions and calls them. Here it may name only what rebuilds
tensors; classes of SAE libraries become `Holder`s, which keep attributes and do nothing; any
other name is refused before it is looked up. Read `load`.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch._utils

from saeflow.errors import DamagedError, ModelError


class Holder:
    """An object of a class that is not here: its attributes, and no behaviour.

    ``kind`` is the class's name, with its module.
    """

    kind = "unknown"

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.__dict__.update(keywords)
        if arguments:
            self.__dict__["arguments"] = arguments

    def __setstate__(self, state: Any) -> None:
        """Keep the attributes that the pickle gives."""
        if isinstance(state, tuple) and len(state) == 2:  # with __slots__
            state = {**(state[0] or {}), **(state[1] or {})}
        self.__dict__.update(state if isinstance(state, dict) else {"state": state})

    def attributes(self) -> dict[str, Any]:
        """Return what the object held; a torch module's parameters and parts among it."""
        own = dict(self.__dict__)
        for group in ("_parameters", "_buffers", "_modules"):
            own.update(own.pop(group, None) or {})
        return own


# The roots of the modules whose classes are replaced by holders: libraries that pickled SAEs.
HELD = (
    "autoencoders", "sae_training", "sae_lens", "sae", "model", "models", "train", "utils",
    "activation_dataset", "universality", "transformer_lens", "torch.nn.modules", "__main__",
)  # fmt: skip

_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch", "Tensor"): torch.Tensor,
    ("torch", "device"): torch.device,
    ("torch.nn.parameter", "Parameter"): torch.nn.Parameter,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}
_DTYPES = {str(d): d for d in vars(torch).values() if isinstance(d, torch.dtype)}


class _Unpickler(pickle.Unpickler):
    """Looks up only the names above."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module == "torch" and f"torch.{name}" in _DTYPES:
            return _DTYPES[f"torch.{name}"]
        if module == "torch" and name.endswith("Storage") and name.isidentifier():
            return getattr(torch, name)
        if any(module == root or module.startswith(f"{root}.") for root in HELD):
            return type(name, (Holder,), {"kind": f"{module}.{name}"})
        raise ModelError(
            "this pickled file asks for a name that no SAE needs; nothing of it was run",
            expected="tensors, and classes of " + ", ".join(HELD),
            got=f"{module}.{name}",
            remedy="Do not open it elsewhere unless you trust whoever made it.",
        )


def _load(file: Any, **options: Any) -> Any:
    return _Unpickler(file, **options).load()


_PICKLE = SimpleNamespace(
    __name__="saeflow.sae.saved.pickles",
    Unpickler=_Unpickler,
    load=_load,
    UnpicklingError=ValueError,
)


def load(path: Path) -> Any:
    """Return the content of a file that `torch.save` wrote, tensors on the CPU.

    torch's own restricted reader comes first; what it refuses, because there are classes in it, is
    read with `Holder`s in place of the objects.

    Raises
    ------
    ModelError
        If the file asks for anything else.
    DamagedError
        If it is not readable.
    """
    path = Path(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError):
        pass  # it has classes, or is damaged: the second reader tells which
    try:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_PICKLE)
    except ModelError as error:
        error.where = path
        raise
    except Exception as error:  # whatever a damaged program of pickle's makes torch run into
        raise DamagedError(
            "the file is not readable",
            where=path,
            expected="a file that torch.save wrote",
            got=f"{type(error).__name__}: {error}",
        ) from error
