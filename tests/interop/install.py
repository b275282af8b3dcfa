"""Install the peers, other SAE libraries, in an environment of their own: ``.peers`` here.

Their dependencies contradict ours and are large, so nothing else uses them; the tests ask that
environment's Python. Takes minutes and some gigabytes; a second call does nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
TARGET = HERE.parents[1] / ".peers"


def main(arguments: list[str] | None = None) -> int:
    """Make the environment, unless it is whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET, help="where to; .peers by default")
    target = parser.parse_args(arguments).target
    wanted = (HERE / "requirements.txt").read_text()
    installed = target / "installed.txt"
    if installed.is_file() and installed.read_text() == wanted:
        return 0
    venv.EnvBuilder(with_pip=True, clear=True).create(target)
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    # torch alone first: the resolver then keeps the one that is there
    torch = next(line for line in wanted.splitlines() if line.startswith("torch=="))
    for what in ([torch], ["-r", str(HERE / "requirements.txt")]):
        code = subprocess.run([*pip, *what]).returncode
        if code:
            return code
    # Something requires torchvision, nothing here uses it, and transformers fails to import where
    # it was built for another torch, as beside a CPU-only one.
    subprocess.run([*pip[:3], "uninstall", "--yes", "--quiet", "torchvision"], check=True)
    installed.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
