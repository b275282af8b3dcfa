"""SAEs from elsewhere, brought into our form and checked against where they shall be used.

Their files are read once; afterwards they are SAEs like any other. Read `import_saes`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.errors import ConfigError, ModelError
from saeflow.files import read_json
from saeflow.hub import clear_errors, require_commit, unreachable
from saeflow.sae.model import SAE
from saeflow.sae.saved.files import files_read
from saeflow.sae.saved.fits import FitWarning, check_fits
from saeflow.sae.saved.load import header_at, load_sae
from saeflow.sae.saved.save import header_of, save
from saeflow.sae.training.log import TrainLog
from saeflow.sae.training.sparsity import warn_if_not_sparse
from saeflow.task import Task

_MODEL_FACTS = ("name", "architecture", "weights_sha256", "source")
_NEEDED = "the SAE's files"
# Of an SAE of centred activations, as shares of what chance gives: b_dec began at a mean of theirs
_CENTRED_BIAS, _CENTRED_ROWS = 1e-2, 0.1


def import_saes(tasks: Sequence[Task]) -> None:
    """Read an SAE of any known format for each unfinished task.

    One that is for another width, hook, model or architecture than asked for, or that the hub does
    not give, leaves the others alone. The tasks' settings are ``hook``, ``format``, ``entry``,
    ``center_input``, ``accept``, ``architecture`` (null where anything will do), and ``hub``,
    ``revision`` and ``folder`` or ``file`` where the arguments have no ``path``, its local file or
    directory. Input: ``model``, the record of the model that it belongs to.
    """
    for task in tasks:
        if not task.finished:
            with task.attempt():
                _import(task)


def _import(task: Task) -> None:
    settings, work, path = task.settings, task.work, task.arguments.get("path")
    source = _fetched(settings) if path is None else Path(path)
    facts = read_json(task.inputs["model"])
    sae = _read(source, settings)
    where = path or f"{settings['hub']}/{settings.get('folder') or settings.get('file') or ''}"
    _check(sae, settings, facts, where)
    header = _header(sae, settings, facts)
    ours = SAE(sae.architecture, sae.settings, sae.weights, header)
    TrainLog(work.path, every=1, d_in=header["d_in"]).start()  # nobody trained it here
    save(ours, work.path, evidence_of=source if header_at(source) else None)
    saved = header_of(work.path)
    warn_if_not_sparse(task, saved)
    task.finish(saved)


def _header(sae: SAE, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    own = ("identity", "bulk", "parent")  # of the job that made it
    return {
        **{name: value for name, value in sae.metadata.items() if name not in own},
        "hook": settings["hook"],
        "model": {name: facts[name] for name in _MODEL_FACTS if name in facts},
        "d_in": sae.W_enc.shape[0],
        "d_sae": sae.d_sae,
        "settings": {name: value for name, value in settings.items() if value is not None},
        "imported": {
            "hook": sae.metadata.get("hook") or sae.metadata.get("foreign_hook"),
            "model": sae.metadata.get("model"),
            "accepted": list(settings["accept"]),
        },
    }


def _read(source: Path, settings: Mapping[str, Any]) -> SAE:
    if settings["format"] in ("auto", "saelens") and header_at(source):
        sae = load_sae(source, accept=settings["accept"])
        if settings["center_input"] is not None:
            raise ConfigError(
                "center_input is for files of others; these say it themselves",
                where=source,
                got=settings["center_input"],
                remedy="Remove `center_input` from the SAE's entry.",
            )
        return sae
    options = {} if settings["entry"] is None else {"entry": settings["entry"]}
    foreign = registry.load("sae.saved", "foreign")
    return foreign.read_foreign(
        source, settings["format"], center_input=settings["center_input"], **options
    )


def _check(sae: SAE, settings: Mapping[str, Any], facts: Mapping[str, Any], where: object) -> None:
    accept, wanted = settings["accept"], settings["architecture"]
    if wanted is not None and sae.architecture != wanted:
        raise ModelError(
            "the SAE is of another architecture than the configuration says",
            where=where, expected=wanted, got=sae.architecture,
        )  # fmt: skip
    check_fits(sae, {"d_model": facts["d_model"], "model": facts}, where=where, accept=accept)
    claimed = sae.metadata.get("hook") or sae.metadata.get("foreign_hook")
    if claimed and claimed != settings["hook"] and "hook" not in accept:
        raise ModelError(
            "the SAE is for another hook",
            where=where,
            expected=settings["hook"],
            got=claimed,
            remedy="Correct its path or the study's hooks; where it is meant, accept: [hook].",
        )
    unsaid = sae.metadata.get("center_input") is None
    if unsaid and "center_input" not in accept and looks_centred(sae):
        warnings.warn(
            f"{where}: its weights look as if trained on activations with their mean over d_in"
            " taken off (TransformerLens' processed weights); set center_input: true, or false"
            " to say that it was not",
            FitWarning,
            stacklevel=2,
        )


def looks_centred(sae: SAE) -> bool:
    """Whether an SAE's weights have no part along (1, ..., 1), as those of centred activations.

    Notes
    -----
    The mean over d_in of b_dec, and of decoder rows, relative to their root mean square: about
    d_in^-1/2 by chance.
    """
    bias, rows = sae.b_dec.double(), sae.W_dec.double()
    chance = len(bias) ** -0.5
    size = float(bias.square().mean().sqrt())
    if size == 0:
        return False
    share = float(bias.mean().abs()) / size / chance
    of_rows = float((rows.mean(1).square().sum() / rows.square().mean(1).sum()).sqrt()) / chance
    return share < _CENTRED_BIAS and of_rows < _CENTRED_ROWS


def _fetched(settings: Mapping[str, Any]) -> Path:
    """Return the SAE's files in the hub's cache, fetching those that are missing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    name, revision = settings["hub"], settings["revision"]
    folder, file = settings.get("folder"), settings.get("file")
    require_commit(name, revision, kind="model")
    problem = unreachable(name, revision, kind="model", needed=_NEEDED)
    wanted = [f"{folder}/{one}" if folder else one for one in files_read(settings["format"])]
    if file:
        wanted = [file, file.rpartition(".")[0] + "_cfg.json"]
    try:
        with (
            nullcontext() if problem else clear_errors(name, revision, kind="model", needed=_NEEDED)
        ):
            found = snapshot_download(
                name, revision=revision, allow_patterns=wanted, local_files_only=problem is not None
            )
    except LocalEntryNotFoundError as error:
        raise problem from error
    place = Path(found) / (file or folder or "")
    if not place.exists():
        raise ConfigError(
            "the repository has no such file or folder, or no SAE in it",
            where=f"{name} at {revision[:8]}",
            expected="a path in the repository, as its page on the hub lists them"
            if file
            else f"some of {', '.join(files_read(settings['format']))}",
            got=file or folder,
        )
    return place
