"""With what a job was done: versions of software, and the commit of the code.

Both go into its receipt, which is no result: they are in no identity, and in no result's bytes.
"""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    *("saeflow", "snakemake", "torch", "transformers", "tokenizers", "datasets", "numpy"),
    *("scipy", "scikit-learn", "zarr", "pandas", "matplotlib"),
)
_DIRTY = "-dirty"
_WAIT_S = 10


def versions() -> dict[str, str]:
    """Return the version of Python and of each package that computes, of those installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit(checkout: Path) -> str:
    """Return the commit of a checkout, and whether it has changes beside; "" where git knows none.

    Parameters
    ----------
    checkout
        The directory of the Snakefile.
    """
    command = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            [*command, f"--dirty={_DIRTY}"], capture_output=True, text=True, timeout=_WAIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    text = done.stdout.strip() if done.returncode == 0 else ""
    changed = text.endswith(_DIRTY)
    return f"{text.removesuffix(_DIRTY)} with uncommitted changes" if changed else text
