"""What the Snakefile sets up: the environment of jobs, and what Snakemake looks at.

Jobs find the interpreter, the scripts and the library in their environment and not in their
commands, since a command that names a path of one machine would change when the checkout moves,
and a changed command makes Snakemake rerun its rule.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from saeflow.plan.job import SCRIPTS, SOURCE_ROOT


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


def ignore_sets_of_inputs(workflow: Any) -> None:
    """Have Snakemake leave it to identities which sets of inputs make a job stale.

    A harvest that was divided among jobs has inputs that are not missed later.

    Parameters
    ----------
    workflow
        Snakemake's own, once it plans: while it reads the Snakefile the settings are not there.
    """
    from snakemake.settings.types import RerunTrigger

    workflow.dag_settings.rerun_triggers -= {RerunTrigger.INPUT}
