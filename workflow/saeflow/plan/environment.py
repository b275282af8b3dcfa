"""The environment of jobs, which the Snakefile sets up.

Jobs find the interpreter, the scripts and the library in their environment and not in their
commands, which then are the same wherever the checkout lies. There too a job on another node
finds how many cores it was planned for. `pass_on_sigterm` lets jobs of Slurm save their state.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from saeflow.errors import ConfigError
from saeflow.plan.result import SCRIPTS, SOURCE_ROOT

_CORES = "SAEFLOW_CORES"
_IN_SLURM, _BEFORE_SRUN = "SLURM_JOB_ID", "slurm-jobstep"


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


def cores(workflow: Any) -> int:
    """Return the cores that the rules share out among them, in a job those of its planning.

    Parameters
    ----------
    workflow
        Snakemake's. In a job of a cluster its cores are all of a node.

    Raises
    ------
    ConfigError
        If jobs run elsewhere and nobody said how many cores one may have.
    """
    given = workflow.resource_settings.cores
    if workflow.is_main_process:
        if given is None and workflow.resource_settings.nodes is not None:
            raise ConfigError(
                "jobs run on other machines, and nobody said how many cores one may have",
                where="cores",
                remedy="Give --cores N, or set cores in the profile: those of the largest job.",
            )
        os.environ[_CORES] = str(given or 1)
    return int(os.environ.get(_CORES) or given or 1)


def pass_on_sigterm() -> None:
    """Pass SIGTERM on to the jobs of this Snakemake, inside a job of Slurm.

    Slurm says so that it will soon kill everything (a limit, `scancel`, Ctrl-C in the Snakemake
    that submitted), but only to the process that it started: a Snakemake, which then waits for its
    jobs to finish. Elsewhere waiting is what SIGTERM asks of Snakemake.

    Notes
    -----
    Call it in the main thread. Whichever handler Snakemake sets still runs. The Snakemake that
    starts ``srun`` is left out: a step whose ``srun`` is told to end is killed at once.
    """
    if _IN_SLURM not in os.environ or _BEFORE_SRUN in sys.argv:
        return
    received, arriving = os.pipe()
    os.set_blocking(arriving, False)
    signal.set_wakeup_fd(arriving, warn_on_full_buffer=False)
    threading.Thread(target=_pass_on, args=(received,), daemon=True).start()


def _pass_on(received: int) -> None:
    while signum := os.read(received, 1):
        if signum[0] == signal.SIGTERM:
            for child in psutil.Process().children():
                with suppress(psutil.Error):  # it ended by itself
                    child.terminate()
