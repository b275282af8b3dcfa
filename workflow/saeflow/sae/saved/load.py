"""Reading SAEs: the directories that `save.py` writes; those of others go to `foreign.py`.

Reading an SAE includes a look at whether it still does what it did when it was saved, see
`evidence.py`; whether it fits a model and activations is asked by `fits.py`. Read `load_sae`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.errors import DamagedError, ModelError
from saeflow.files import read_json
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved import evidence
from saeflow.sae.saved.save import CONFIG_NAME, FORMAT, WEIGHTS_NAME
from saeflow.sae.saved.tensors import read_tensors, require_tensors
from saeflow.work import MANIFEST, bulk_of

_REMEDY = "Delete the directory and run the workflow again."


def load_sae(path: Path | str, *, accept: Collection[str] = ()) -> SAE:
    """Read an SAE from the record of a job (sae.json), from a directory or from a foreign file.

    A directory is one that we or SAELens wrote, the ``.partial`` one of an SAE in training (its
    newest whole checkpoint is read), or any that `saeflow.sae.formats` knows. With "evidence" in
    ``accept``, one is read that does not do on its stored rows what it did.

    Raises
    ------
    DamagedError
        If a file is missing or torn, or the tensors do not fit the header or are not finite.
    ModelError
        If the header names no architecture or one that is not known, or the SAE is not what it
        was when it was saved.
    """
    directory = directory_of(Path(path))
    if not (directory / CONFIG_NAME).is_file():
        checkpoints = registry.load("sae.training", "checkpoint")
        if checkpoints.exists(directory):  # an SAE that is still in training
            cfg, weights = checkpoints.read_sae(directory)
            header = cfg["metadata"]["saeflow"]
            settings = architecture_settings(
                header["architecture"], header["architecture_settings"]
            )
            return SAE(header["architecture"], settings, weights, header)
    header = header_at(directory)
    if header is None:
        # by name: what reads our own files shall not depend on the readers of others'
        return registry.load("sae.saved", "foreign").read_foreign(directory)
    return _load(directory, header, accept)


def directory_of(path: Path) -> Path:
    """Return where the files of an SAE lie, given its record, or the file or directory itself."""
    if path.suffix != ".json":
        return path
    # a manifest lies in the bulk itself: finished, not yet published
    return path.parent if path.name == MANIFEST else bulk_of(path)


def header_at(directory: Path) -> dict[str, Any] | None:
    """Return our header of the SAE in a directory, None if it is not one that we wrote."""
    file = Path(directory) / CONFIG_NAME
    if not file.is_file():
        if (Path(directory) / WEIGHTS_NAME).is_file():
            raise DamagedError(
                "the SAE's configuration is missing", where=file, remedy="Copy or fetch it again."
            )
        return None
    return read_json(file).get("metadata", {}).get("saeflow")


def _load(directory: Path, header: dict[str, Any], accept: Collection[str]) -> SAE:
    cfg = read_json(directory / CONFIG_NAME)
    if "architecture" not in header or cfg.get("architecture") is None:
        raise ModelError(
            "the file does not say which architecture the SAE has",
            where=directory / CONFIG_NAME,
            expected="architecture",
            got="none",
            remedy="Add the key, if you know it; it is never assumed.",
        )
    if header.get("format", 1) > FORMAT:
        raise ModelError(
            "a later version of saeflow wrote this SAE",
            where=directory / CONFIG_NAME,
            expected=f"format {FORMAT} or earlier",
            got=header["format"],
            remedy="Update saeflow.",
        )
    settings = architecture_settings(header["architecture"], header["architecture_settings"])
    weights = read_tensors(directory / WEIGHTS_NAME, remedy=_REMEDY)
    sae = SAE(header["architecture"], settings, weights, header)
    if cfg["architecture"] != sae.rule.SAELENS:
        raise DamagedError(
            "cfg.json contradicts itself about the architecture",
            where=directory / CONFIG_NAME,
            expected=sae.rule.SAELENS,
            got=cfg["architecture"],
        )
    require_tensors(
        weights,
        sae.rule.VECTORS,
        where=directory / WEIGHTS_NAME,
        **{name: cfg[name] for name in ("d_in", "d_sae", "d_out") if name in cfg},
    )
    facts = header.get("evidence")
    if facts is not None and "evidence" not in accept:
        found = read_tensors(directory / evidence.FILE, remedy=_REMEDY)
        evidence.verify(sae, facts, found, where=directory)
    return sae
