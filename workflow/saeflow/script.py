"""What every script does around its `main`: read the job file, check it, log, report failure.

A script is ``def main(*, work, settings, ...)`` and ``if __name__ == "__main__": run(main)``.
Its keyword arguments are filled from the job file: inputs and arguments by name, besides
``settings``, ``output``, ``files``, ``identity`` and

records
    All inputs in one dictionary, for a script that reads whatever its study names.
work
    The held work directory (`saeflow.work.Work`); `main` is called only while it is unfinished,
    and its record is published afterwards.
tasks
    A list of `Task`: the job itself, then every companion that is wanted, missing, ready and
    free; for jobs that share a pass.
"""

from __future__ import annotations

import argparse
import errno
import inspect
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.device import let_waiting_threads_sleep
from saeflow.errors import SaeflowError, StaleError
from saeflow.files import write_atomic
from saeflow.identity import code_digests
from saeflow.interrupt import Interrupted
from saeflow.inventory import MANIFEST, is_whole
from saeflow.plan.made import remember
from saeflow.readers import reading
from saeflow.work import RELEASED, Work, bulk_path, hold, released_at, try_hold

logger = logging.getLogger("saeflow")

_LAST_LINES = 15
_EXIT_FAILED, _EXIT_STOPPED = 1, 143


class Task(NamedTuple):
    """One job of several that are done in one pass.

    Attributes
    ----------
    work : Work
        Its held, unfinished work directory.
    settings : dict
        Its settings.
    inputs : dict
        Records of its inputs, by name.
    """

    work: Work
    settings: dict[str, Any]
    inputs: dict[str, Any]


def run(main: Callable[..., None], *, network: bool = False) -> None:
    """Run ``main`` for the job file named on the command line and exit.

    Parameters
    ----------
    main
        The script's function; its parameter names say what it wants.
    network
        Whether the job may use the network; all others run with the hub's offline switches set.
    """
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    parser.add_argument("job", type=Path, help="job file, written by Snakemake under results/.jobs")
    parser.add_argument("--threads", type=int, default=1, help="threads to compute with")
    parser.add_argument("--log", type=Path, help="file for the log")
    options = parser.parse_args()
    _set_environment(options.threads, network=network)
    _set_logging(options.log)
    try:
        _run_job(main, json.loads(options.job.read_bytes()), Path(inspect.getfile(main)))
    except Interrupted:
        logger.warning("stopped on request; the state is saved and the next run resumes")
        sys.exit(_EXIT_STOPPED)
    except Exception as error:
        _report(error, options.job, options.log)
        sys.exit(_EXIT_FAILED)


def _run_job(main: Callable[..., None], job: Mapping[str, Any], script: Path) -> None:
    _check_code(job, script)
    inputs = {name: _checked(value) for name, value in job["inputs"].items()}
    _checked(job.get("after", []))
    available = {
        **inputs,
        **job["arguments"],
        "records": inputs,
        "settings": job["settings"],
        "output": Path(job["output"]),
        "files": [Path(file) for file in job["files"]],
        "identity": job["identity"],
        "together": job["together"],
    }
    wanted = inspect.signature(main).parameters
    logger.info("%s %s: %s", job["rule"], job["output"], json.dumps(job["settings"]))
    with ExitStack() as stack:
        for store in _stores(job, wanted):
            stack.enter_context(reading(store))
        if job.get("released") and _publish_released(job):
            logger.info("its data were removed after their last reader, and nothing needs them")
        elif "work" in wanted or "tasks" in wanted:
            work = stack.enter_context(hold(available["output"], job["identity"], job["suffix"]))
            if not work.finished:
                own = Task(work, job["settings"], inputs)
                extra = {"work": work}
                if "tasks" in wanted:
                    extra["tasks"] = [own, *_companions(job, stack)]
                _call(main, {**available, **extra})
            work.publish()
        else:
            _call(main, available)
    _remember(job)
    logger.info("done: %s", job["output"])


def _stores(job: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Path]:
    """Return the records of stores that the job and its companions read, each once."""
    if "work" not in wanted and "tasks" not in wanted:
        return []
    found = set()
    for one in (job, *job["together"]):
        for value in one["inputs"].values():
            for item in value if isinstance(value, list) else [value]:
                if item["suffix"] == ".zarr":
                    found.add(Path(item["record"]))
    return sorted(found)


def _publish_released(job: Mapping[str, Any]) -> bool:
    """Publish the record of released bulk; False where it is not released any more."""
    output = Path(job["output"])
    if released_at(output, job["identity"], job["suffix"]) is None:
        return False
    bulk = bulk_path(output, job["identity"], job["suffix"])
    write_atomic(output, (bulk / RELEASED).read_bytes())
    return True


def _remember(job: Mapping[str, Any]) -> None:
    try:
        remember(job)
    except OSError as error:  # the result is there; only `saeflow why` would have less to say
        logger.warning("what this was made from could not be written down: %s", error)


def _call(main: Callable[..., None], available: Mapping[str, Any]) -> None:
    wanted = inspect.signature(main).parameters
    main(**{name: available[name] for name in wanted if name in available})


def _check_code(job: Mapping[str, Any], script: Path) -> None:
    root = Path(__file__).parents[1]
    found = code_digests(root, script, job["modules"])
    if found == job["code"]:
        return
    changed = sorted(
        name for name in {*found, *job["code"]} if found.get(name) != job["code"].get(name)
    )
    raise StaleError(
        "the source code changed since this job was planned",
        where=", ".join(changed),
        remedy="Run snakemake again: it plans with the code as it is now.",
    )


def _checked(value: Any) -> Any:
    """Return the record of an input, or the list of them, after a look at its identity."""
    if isinstance(value, list):
        return [_checked(item) for item in value]
    record = Path(value["record"])
    try:
        found = json.loads(record.read_bytes())["identity"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StaleError(
            "an input is missing or unreadable",
            where=record,
            got=error,
            remedy="Run snakemake again: it makes it anew.",
        ) from error
    if found != value["identity"]:
        raise StaleError(
            "an input was made under other settings or code than planned",
            where=record,
            expected=value["identity"][:16],
            got=found[:16],
            remedy="Run snakemake again; `saeflow why` tells what differs.",
        )
    return record


def _companions(job: Mapping[str, Any], stack: ExitStack) -> list[Task]:
    tasks = []
    for other in job["together"]:
        now = released_at(Path(other["output"]), other["identity"], other["suffix"])
        if now is not None and now != other.get("released_at"):
            continue  # made, read and removed since this was planned
        inputs = {name: _ready(value) for name, value in other["inputs"].items()}
        if any(value is None for value in inputs.values()):
            continue
        held = try_hold(Path(other["output"]), other["identity"], other["suffix"])
        work = stack.enter_context(held)
        if work is not None and not work.finished:
            tasks.append(Task(work, other["settings"], inputs))
    if tasks:
        logger.info("in the same pass: %s", ", ".join(str(t.work.output) for t in tasks))
    return tasks


def _ready(value: Any) -> Any:
    """Return a companion's input once it is finished, published or not; None before that."""
    if isinstance(value, list):
        records = [_ready(item) for item in value]
        return None if None in records else records
    manifest = None
    if value["suffix"] is not None:
        bulk = bulk_path(Path(value["record"]), value["identity"], value["suffix"])
        if not is_whole(bulk):
            return None
        manifest = bulk / MANIFEST
    try:
        return _checked(value)
    except StaleError:
        return manifest


def _set_environment(threads: int, *, network: bool) -> None:
    # Before torch is imported: its thread pools read these once.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    let_waiting_threads_sleep()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["MPLBACKEND"] = "Agg"
    if not network:
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # also those for writing files


def _set_logging(log: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(logging.WARNING if log else logging.INFO)
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(log, mode="w"))
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=handlers,
        force=True,
    )
    logging.captureWarnings(True)


def _report(error: Exception, job: Path, log: Path | None) -> None:
    """Tell the screen in one line, then where the log is and how it ends."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = SaeflowError(
            "the disk is full",
            where=error.filename,
            got=str(error),
            remedy="Free some space (`saeflow clean` lists what nothing needs) and run again;"
            " finished work is kept.",
        )
    text = str(error) if isinstance(error, SaeflowError) else f"{type(error).__name__}: {error}"
    if log is None:
        if not isinstance(error, SaeflowError):
            traceback.print_exception(error)
        logger.error("%s", text)
        return
    file = logging.getLogger().handlers[-1].stream  # type: ignore[attr-defined]
    try:
        last = log.read_text().splitlines()[-_LAST_LINES:]
        file.write("".join(traceback.format_exception(error)) + f"ERROR {text}\n")
        file.flush()
    except OSError:
        last = []  # the disk with the log is the full one
    lines = [f"error in {job}: {text}", f"  log: {log}", *(f"  | {line}" for line in last)]
    sys.stderr.write("\n".join(lines) + "\n")
