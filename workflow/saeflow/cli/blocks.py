"""What would keep a configuration from running on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.cli import machine
from saeflow.cli.words import size
from saeflow.files import read_json
from saeflow.plan.job import Job
from saeflow.plan.jobfile import has_bulk
from saeflow.plan.plan import Plan
from saeflow.work import MANIFEST, bulk_path

_DTYPE_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
_ROW_BYTES = 15  # token_id, document, document_position: 4 each; position 2; flags 1
_WEIGHT_BYTES = 4
_WIDTH_KEYS = ("hidden_size", "n_embd", "d_model")


class Need(NamedTuple):
    """A rough estimate of the disk that is still needed.

    Attributes
    ----------
    n_bytes : int
        For everything of known size.
    unknown : tuple of Path
        Records whose size cannot be told before something else is there.
    """

    n_bytes: int
    unknown: tuple[Path, ...]


def missing_paths(config: Mapping[str, Any], file: Path) -> Iterator[str]:
    """Yield a line for every local path of the configuration that is not there."""
    for section in ("models", "datasets"):
        for name, entry in config[section].items():
            if "path" in entry and not Path(entry["path"]).exists():
                yield f"{file} > {section} > {name} > path: there is no {entry['path']}"


def unfetched(plan: Plan, wanted: Mapping[Path, Job]) -> Iterator[str]:
    """Yield a line for every wanted source on the hub that is not on this machine."""
    for section, find, kind in (
        ("models", plan.model, "model"),
        ("datasets", plan.dataset, "dataset"),
    ):
        for name, entry in plan.config[section].items():
            if "hub" not in entry:
                continue
            job = find(name)
            if job.output in wanted and not has_bulk(job) and not _cached(entry, kind):
                yield f"{section} > {name}: {entry['hub']} is not fetched yet"


def _cached(entry: Mapping[str, Any], kind: str) -> bool:
    """Whether the hub's cache has this revision."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=entry["hub"], repo_type=kind)
    snapshot = Path(HF_HUB_CACHE) / folder / "snapshots" / entry["revision"]
    return snapshot.is_dir() and any(snapshot.iterdir())


def disk_need(wanted: Mapping[Path, Job]) -> Need:
    """Estimate what the activations, tokens and SAEs that are not there yet will take."""
    total, unknown = 0, []
    for job in wanted.values():
        estimate = _ESTIMATES.get(job.rule)
        if estimate is None or has_bulk(job):
            continue
        n_bytes = estimate(job)
        if n_bytes is None:
            unknown.append(job.output)
        else:
            total += n_bytes
    return Need(total, tuple(sorted(unknown)))


def disk_problem(need: Need, free: int) -> str | None:
    """Return why the disk will not do; None if it will, as far as one can tell."""
    if need.n_bytes <= free:
        return None
    return (
        f"the disk: about {size(need.n_bytes)} are needed, {size(free)} are free."
        " `saeflow clean` lists what nothing needs"
    )


def _tokens_bytes(job: Job) -> int | None:
    n_tokens = _n_tokens(job)
    return None if n_tokens is None else n_tokens * _ROW_BYTES


def _activations_bytes(job: Job) -> int | None:
    n_tokens, width = _n_tokens(job.inputs["tokens"]), _width(job.inputs["model"])
    if n_tokens is None or width is None:
        return None
    return n_tokens * (width * _DTYPE_BYTES[job.settings["dtype"]] + _ROW_BYTES)


def _sae_bytes(job: Job) -> int | None:
    width = _width(job.inputs["activations"].inputs["model"])
    recipe = job.inputs["parent"].settings if "parent" in job.inputs else job.settings
    if width is None:
        return None
    return round(2 * width * recipe["expansion"] * width * _WEIGHT_BYTES)


_ESTIMATES = {
    "tokenize_dataset": _tokens_bytes,
    "harvest_activations": _activations_bytes,
    "train_sae": _sae_bytes,
    "finetune_sae": _sae_bytes,
}


def _n_tokens(job: Job) -> int | None:
    """Return the tokens of a token store: counted, or what the configuration lets expect."""
    if manifest := _manifest(job):
        return sum(manifest["n_tokens"].values())
    limits = list(job.settings["tokens"].values())
    if None not in limits:
        return sum(limits)
    return job.inputs["dataset"].settings.get("generate", {}).get("n_tokens")


def _width(job: Job) -> int | None:
    """Return a model's width: recorded, configured, or read from its directory."""
    if manifest := _manifest(job):
        return manifest["d_model"]
    if job.rule == "select_checkpoint":
        return _width(job.inputs["model"])
    if "d_model" in job.settings:
        return job.settings["d_model"]
    if "path" in job.arguments:
        config = read_json(Path(job.arguments["path"]) / "config.json")
        return next((config[key] for key in _WIDTH_KEYS if key in config), None)
    return None


def _manifest(job: Job) -> dict[str, Any] | None:
    return (
        read_json(bulk_path(job.output, job.identity, job.suffix) / MANIFEST)
        if has_bulk(job)
        else None
    )


def blocks(plan: Plan, wanted: Mapping[Path, Job], results: Path, *, hub: bool) -> Iterator[str]:
    """Yield what keeps a sound configuration from running here, a line each.

    Parameters
    ----------
    plan, wanted
        The plan and its jobs by record.
    results
        Where the results lie.
    hub
        Whether the hub answers.
    """
    if not hub:
        for line in unfetched(plan, wanted):
            yield f"{line}, and the hub does not answer"
    if problem := machine.writing_problem(results):
        yield f"results cannot be written to {problem}"
    if problem := disk_problem(disk_need(wanted), machine.free_bytes(results)):
        yield problem
