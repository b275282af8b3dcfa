"""The environment of jobs, which the Snakefile sets up.

Jobs find the interpreter, the scripts and the library in their environment and not in their
commands, which then are the same wherever the checkout lies.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from saeflow.plan.result import SCRIPTS, SOURCE_ROOT


def export(*, deployed: bool) -> None:
    """Set the variables that the rules' commands use.

    Parameters
    ----------
    deployed
        Whether Snakemake deploys an environment for each job: then that one's Python runs it,
        else the one that runs this.
    """
    os.environ["SAEFLOW_PYTHON"] = "python" if deployed else sys.executable
    os.environ["SAEFLOW_SCRIPTS"] = str(Path(SCRIPTS))
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if str(SOURCE_ROOT) not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(SOURCE_ROOT), *known])
