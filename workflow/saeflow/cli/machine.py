"""Facts about this machine: versions, device, cores, memory, disk, the hub, Slurm."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path

from saeflow.cli.words import count, size
from saeflow.plan.result import SOURCE_ROOT

LOCK_FILE = SOURCE_ROOT.parent / "requirements.lock"
_SHOWN = (
    "torch",
    "transformers",
    "datasets",
    "huggingface_hub",
    "snakemake",
    "zarr",
    "numcodecs",
    "numpy",
    "pandas",
    "pyarrow",
    "matplotlib",
)
_SLURM = ("sbatch", "squeue", "sacct", "scancel")
_HUB_TIMEOUT_S = 3.0
_TRUE = {"1", "on", "yes", "true"}


def locked_versions() -> dict[str, str]:
    """Return the lock file's versions by name; empty where saeflow lies without its sources."""
    if not LOCK_FILE.is_file():
        return {}
    lines = (line.partition("#")[0].strip() for line in LOCK_FILE.read_text().splitlines())
    pins = (line.split("==") for line in lines if "==" in line)
    return {name: version for name, version in pins}


def installed_version(package: str) -> str | None:
    """Return the version of an installed package without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions() -> list[tuple[str, str]]:
    """Return (package, its version), with the lock file's where that differs."""
    locked = locked_versions()
    rows = []
    for package in _SHOWN:
        found, pinned = installed_version(package), locked.get(package)
        text = found or "missing"
        # "2.13.0+cpu" is the locked 2.13.0, built for another device.
        if pinned and text.partition("+")[0] != pinned:
            text += f"   (requirements.lock has {pinned})"
        rows.append((package, text))
    return rows


def missing_packages() -> list[str]:
    """Return the packages that saeflow needs and that are not installed."""
    return [package for package in _SHOWN if installed_version(package) is None]


def device() -> str:
    """Describe the device that jobs compute on."""
    import torch

    from saeflow.device import pick

    chosen = pick()
    if chosen.type != "cuda":
        seen = _nvidia_gpus()
        if seen and not torch.version.cuda:
            return f"{chosen} ({seen} is here, but this torch was built without CUDA)"
        return f"{chosen} ({seen} is here, but torch does not reach it)" if seen else str(chosen)
    properties = torch.cuda.get_device_properties(chosen)
    n = torch.cuda.device_count()
    return f"{chosen}: {properties.name}, {size(properties.total_memory)}" + (
        f", one of {n}" if n > 1 else ""
    )


def _nvidia_gpus() -> str | None:
    """Return the names of GPUs that the driver knows, whatever torch can do."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ", ".join(done.stdout.split("\n")).strip(", ") if done.returncode == 0 else None


def cores() -> str:
    """Describe the cores that this process may use."""
    usable, present = len(os.sched_getaffinity(0)), os.cpu_count()
    quota = _cgroup("cpu.max").split()
    text = count(usable, "core") + (f" of {present}" if usable != present else "")
    if len(quota) == 2 and quota[0] != "max":
        text += f", limited to the time of {int(quota[0]) / int(quota[1]):g}"
    return text


def memory() -> str:
    """Describe the memory, and what this process may take of it."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _cgroup("memory.max")
    text = size(total)
    if limit.isdigit() and int(limit) < total:
        text += f", limited to {size(int(limit))}"
    return text


def _cgroup(name: str) -> str:
    """Return a limit of this process's control group, or "" where there is none to read."""
    try:
        group = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
        for directory in (Path("/sys/fs/cgroup") / group, Path("/sys/fs/cgroup")):
            if (directory / name).is_file():
                return (directory / name).read_text().strip()
    except OSError:
        pass  # another system, or a hidden /sys: there is no limit to tell of
    return ""


def existing(path: Path) -> Path:
    """Return ``path`` or the nearest directory above it that exists."""
    path = path.absolute()
    return next(p for p in (path, *path.parents) if p.exists())


def free_bytes(path: Path) -> int:
    """Return the free space where ``path`` lies or will lie."""
    return shutil.disk_usage(existing(path)).free


def writing_problem(path: Path) -> str | None:
    """Return why results cannot be written or locked below ``path``; None if they can."""
    directory = existing(path)
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return f"{directory}: {error.strerror}"
    return None


def is_offline() -> bool:
    """Whether the user forbids asking the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE


def hub_answers() -> bool:
    """Ask the Hugging Face hub, for a few seconds at most."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    request = urllib.request.Request(f"{endpoint}/api/models?limit=1", method="GET")
    try:
        with urllib.request.urlopen(request, timeout=_HUB_TIMEOUT_S):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500  # it answers, if only to refuse
    except (OSError, ValueError):
        return False


def slurm() -> str:
    """Say which commands of Slurm are present."""
    found = [command for command in _SLURM if shutil.which(command)]
    if not found:
        return "not here"
    plugin = installed_version("snakemake-executor-plugin-slurm")
    text = ", ".join(found)
    if missing := [command for command in _SLURM if command not in found]:
        text += f" (missing: {', '.join(missing)})"
    return text + (f"; executor plugin {plugin}" if plugin else "; no executor plugin installed")
