"""Whether an SAE belongs to the activations and the model that it is used on.

An SAE at another layer, or of another model of the same width, computes something all the same,
and its numbers look like those of a bad SAE. Read `check_fits`; `load_fitting` is what jobs call.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch

from saeflow.activations.fingerprint import Fingerprint
from saeflow.activations.reader import open_store
from saeflow.errors import ConfigError, ModelError
from saeflow.files import read_json
from saeflow.sae.model import SAE
from saeflow.sae.saved import evidence
from saeflow.sae.saved.load import directory_of, load_sae

ACCEPTABLE = ("model", "hook", "activations", "center_input", "evidence")
"""What a caller may say that it knows and wants, in ``accept``."""


class FitWarning(UserWarning):
    """An SAE may be used where it does not belong."""


def load_fitting(
    sae: Path, activations: Path, *, joined: Sequence[Path] = (), accept: Collection[str] = ()
) -> SAE:
    """Read an SAE and hold it against the records of the activations it is used on.

    ``sae`` is its record or directory, ``activations`` results/activations/.../{hook}.json,
    ``joined`` the same of the further hooks of a crosscoder, ``accept`` as of `check_fits`.
    """
    found = load_sae(sae, accept=accept)
    record = read_json(activations)
    if "joined" in found.metadata or joined:
        _check_joined(found, [record, *map(read_json, joined)], sae)
        return found
    check_fits(found, record, where=sae, accept=accept)
    if "activations" not in accept:
        _compare_statistics(found, Path(sae), activations)
    return found


def check_fits(
    sae: SAE, record: Mapping[str, Any], *, where: object, accept: Collection[str] = ()
) -> None:
    """Raise or warn where an SAE says that it belongs elsewhere.

    The ``record`` is that of activations: ``d_model``, ``hook`` and ``model`` (name,
    weights_sha256), or what of them is known. What either does not say is not checked, nor what
    ``accept`` names of `ACCEPTABLE`: "model", another model or checkpoint on purpose; "hook",
    another place in the model; "center_input", an SAE for processed weights on raw ones.

    Raises
    ------
    ModelError
        If the width, the model's weights or their preparation are others. A hook that is another
        one is a `FitWarning`.
    """
    if unknown := sorted(set(accept) - set(ACCEPTABLE)):
        raise ConfigError(
            "this cannot be accepted", expected=" | ".join(ACCEPTABLE), got=", ".join(unknown)
        )
    if "d_model" in record:
        sae.require_width(record["d_model"], where=where)
    if "model" not in accept:
        _check_model(sae, record.get("model") or {}, where)
    if "center_input" not in accept:
        _check_centring(sae, where)
    trained, used = sae.metadata.get("hook"), record.get("hook")
    if "hook" not in accept and trained and used and trained != used:
        _warn(where, f"it was trained at {trained} and is used at {used}", "hook")


def _check_joined(sae: SAE, records: Sequence[Mapping[str, Any]], where: object) -> None:
    """Raise a `ModelError` unless a crosscoder is given the hooks that it was trained at."""

    def named(of: Mapping[str, Any], width: int) -> str:
        model = of.get("model") or {}
        weights = (model.get("weights_sha256") or "")[:16]
        return f"{of['hook']} of {model.get('name')} with weights {weights}, width {width}"

    own = sae.metadata.get("joined", [sae.metadata])
    columns = [one.get("columns", (0, sae.d_in)) for one in own]
    expected = [named(one, end - start) for one, (start, end) in zip(own, columns, strict=True)]
    got = [named(record, record["d_model"]) for record in records]
    if got != expected:
        raise ModelError(
            "the crosscoder was trained at other hooks",
            where=where,
            expected="; ".join(expected),
            got="; ".join(got),
            remedy="Use activations of the models and hooks that it was trained at.",
        )


def require_plain_input(sae: SAE, *, where: object) -> None:
    """Raise unless an SAE reads activations as they are; fine-tuning fits no other."""
    if sae.input_norm != "none":
        raise ModelError(
            "an SAE that prepares its inputs row by row cannot be fine-tuned here",
            where=where,
            expected="input_norm: none",
            got=sae.input_norm,
        )


def _check_model(sae: SAE, model: Mapping[str, Any], where: object) -> None:
    own = sae.metadata.get("model") or {}
    trained, used = own.get("weights_sha256"), model.get("weights_sha256")
    if trained and used and trained != used:
        raise ModelError(
            "the SAE was trained on a model with other weights",
            where=where,
            expected=f"{own.get('name')} with weights {trained[:16]}",
            got=f"{model.get('name')} with weights {used[:16]}",
            remedy="Use the model and the revision that it was trained on."
            " Where another one is meant, accept 'model'.",
        )


def _check_centring(sae: SAE, where: object) -> None:
    if sae.metadata.get("center_input") and sae.input_norm == "none":
        raise ModelError(
            "the SAE needs activations of processed weights, and these are the model's own",
            where=where,
            expected="activations with their mean over d_in taken off",
            got="activations as the model makes them",
            remedy="Read it with center_input: true; it then takes the mean off by itself."
            " To use it as it is, accept 'center_input'.",
        )


def _compare_statistics(sae: SAE, where: Path, activations: Path) -> None:
    """Warn where the activations are unlike those that the SAE's evidence was taken from."""
    facts = sae.metadata.get("evidence")
    if facts is None:
        return
    std = safetensors.torch.load_file(directory_of(where) / evidence.FILE)["std"].numpy()
    with open_store(activations) as store:
        found = Fingerprint.of(store)
    own = Fingerprint(std, facts["n_rows"])
    if not own.alike(found):
        _warn(
            where,
            "the activations are spread unlike those in training, as if of another place in the"
            f" model or of texts of another kind (distance {own.distance(found):.2g}, at"
            f" most {own.limit(found):.2g})",
            "activations",
        )


def _warn(where: object, what: str, name: str) -> None:
    warnings.warn(
        f"{where}: {what}; its numbers there may mean nothing (accept '{name}' to say that it is"
        " meant)",
        FitWarning,
        stacklevel=4,
    )
