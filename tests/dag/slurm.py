"""A stand-in for Slurm: its commands, which write down what is asked and run each job right here.

As with the real one, SIGTERM reaches what ``srun`` started and none of its children.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr")
LAUNCHER = """
import asyncio, sys
import snakemake_executor_plugin_slurm as plugin
from snakemake.cli import main

async def sleep(self):
    await asyncio.sleep(0.2)

plugin.Executor.sleep = sleep  # its own is 12 s for the shortest job
sys.argv[0] = "snakemake"
main()
"""


class Slurm:
    """The commands in a directory, which a run has on its path.

    Attributes
    ----------
    path : Path
        The directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        for name in COMMANDS:
            call = f'exec {shlex.quote(sys.executable)} {shlex.quote(__file__)} {name} "$@"'
            (path / name).write_text(f"#!/bin/sh\n{call}\n")
            (path / name).chmod(0o755)

    def asked(self, command: str) -> list[list[str]]:
        """Return the arguments of each call of a command."""
        file = self.path / f"{command}.asked"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def sbatch(here: Path, arguments: list[str]) -> None:
    job = str(len((here / "sbatch.asked").read_text().splitlines()))
    given = dict(zip(arguments, arguments[1:], strict=False))
    (wrapped,) = (one.removeprefix("--wrap=") for one in arguments if one.startswith("--wrap="))
    with Path(given["--output"].replace("%j", job)).open("w") as log:
        subprocess.Popen(
            ["/bin/sh", "-c", f"{wrapped}\necho $? > {shlex.quote(str(here / job))}.over"],
            cwd=given["-D"],
            env={**os.environ, "SLURM_JOB_ID": job},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    print(job)


def srun(here: Path, arguments: list[str]) -> None:
    while arguments[0].startswith("-"):
        arguments.pop(0)
    (here / f"{os.environ['SLURM_JOB_ID']}.task").write_text(str(os.getpid()))
    os.execvp(arguments[0], arguments)


def squeue(here: Path, arguments: list[str]) -> None:
    for job in range(1, 1 + len((here / "sbatch.asked").read_text().splitlines())):
        over = here / f"{job}.over"
        status = over.read_text().strip() if over.exists() else ""
        print(job, {"": "RUNNING", "0": "COMPLETED"}.get(status, "FAILED"), sep="|")


def scancel(here: Path, arguments: list[str]) -> None:
    for job in arguments:
        os.kill(int((here / f"{job}.task").read_text()), signal.SIGTERM)


def scontrol(here: Path, arguments: list[str]) -> None:
    print("MaxArraySize = 1001\nMinJobAge = 300 sec")


def sinfo(here: Path, arguments: list[str]) -> None:
    print("PARTITION\nmain*")


def sacct(here: Path, arguments: list[str]) -> None:
    sys.exit("Slurm accounting storage is disabled")


def sacctmgr(here: Path, arguments: list[str]) -> None:
    print("myaccount")


if __name__ == "__main__":
    name, *given = sys.argv[1:]
    place = next(Path(one) for one in os.environ["PATH"].split(":") if (Path(one) / name).exists())
    with (place / f"{name}.asked").open("a") as file:
        file.write(json.dumps(given) + "\n")
    globals()[name](place, given)
