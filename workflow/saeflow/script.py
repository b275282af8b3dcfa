"""What every script does around its `main`: read the plan, check it, log, report failures.

A script is ``def main(*, tasks)`` and ``if __name__ == "__main__": run(main)``. It gets a
`saeflow.task.Task` for each result of its pass that is not there yet, their places held; a result
is published when it is finished, so that nothing that follows can lose it. Where several jobs share
the work on the same results, ``main`` also gets ``part``: (i, n), i from 1.

A result that cannot be made is noted (`saeflow.failures`), and the job is done all the same, so
that whatever does not need it goes on; the run as a whole then fails. The job itself fails where
trying again may help.
"""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from saeflow import failures, logs, paths
from saeflow.code import Source
from saeflow.device import let_waiting_threads_sleep, machine
from saeflow.errors import SaeflowError, StaleError, explained, may_pass
from saeflow.failures import MISSING, Cause
from saeflow.files import read_json, read_object, sha256_file, write_json
from saeflow.inputs import inputs_of, stores_of
from saeflow.interrupt import Interrupted
from saeflow.inventory import read_record
from saeflow.plan.current import damages
from saeflow.plan.local import HASH, Unchanged
from saeflow.plan.made import remember
from saeflow.provenance import commit, versions
from saeflow.readers import reading
from saeflow.task import Task
from saeflow.work import hold

logger = logging.getLogger("saeflow")

ROOT = Path(__file__).parents[2]
"""The checkout."""

_LAST_LINES = 15
_LOGGED_CHARACTERS = 300
_EXIT_FAILED, _EXIT_STOPPED = 1, 143

Plan = Mapping[str, Any]


class Unmade(NamedTuple):
    """The results that a pass was to make and did not.

    Attributes
    ----------
    failed : dict
        Record -> why.
    left_out : dict
        Record -> the failures of others that it would have needed.
    """

    failed: dict[Path, Exception]
    left_out: dict[Path, tuple[Cause, ...]]


def run(main: Callable[..., None], *, network: bool = False) -> None:
    """Run ``main`` for the plan named on the command line and exit.

    Parameters
    ----------
    main
        The script's function.
    network
        Whether the job may use the network; all others run with the hub's offline switches set.
    """
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    parser.add_argument("plan", help=f"name of a plan in {paths.PLANS}, which Snakemake writes")
    parser.add_argument("receipt", type=Path, help="file to leave when everything is made")
    parser.add_argument("--threads", type=int, default=1, help="threads to compute with")
    parser.add_argument("--log", type=Path, help="file for the log")
    options = parser.parse_args()
    _set_environment(options.threads, network=network)
    try:
        _set_logging(options.log)
    except OSError as error:
        sys.exit(f"error in {explained(error)}")
    logs.report_to(paths.progress_file(options.plan))
    try:
        plan = read_json(paths.plan_file(options.plan))
        unmade = run_pass(main, plan)
        failed = unmade.failed
        done = not any(map(may_pass, failed.values()))
        if done:
            write_json(options.receipt, _receipt(plan, unmade, options.threads))
    except Interrupted:
        logger.warning("stopped on request; the state is saved and the next run resumes")
        sys.exit(_EXIT_STOPPED)
    except Exception as error:
        failed, done = {Path(): error}, False
    finally:
        logs.close_report()
    if failed:
        _report(failed, options.receipt, options.log)
    if not done:
        sys.exit(_EXIT_FAILED)


def run_pass(main: Callable[..., None], plan: Plan) -> Unmade:
    """Make the results of a pass that are not there, and return why others could not be made.

    Parameters
    ----------
    main
        The script's function.
    plan
        As `saeflow.plan.passes.Pass.described` gives it.

    Raises
    ------
    StaleError
        If code or inputs are not those that were planned with.
    Exception
        What ended ``main`` and may be gone at the next try.
    """
    check_code(plan)
    missing = [result for result in plan["results"] if not _is_there(result)]
    logger.info("%s %s: %d results to make", plan["rule"], plan["place"], len(missing))
    unmade = Unmade(_failed_in_parts(plan), {})
    found = {}
    for result in missing:
        record = Path(result["record"])
        if record in unmade.failed:
            continue
        inputs, causes = inputs_of(result)
        if causes and (inputs is None or result["suffix"] is not None):
            unmade.left_out[record] = causes
        else:
            found[record] = inputs, causes
    missing = [result for result in missing if Path(result["record"]) in found]
    if missing:
        with ExitStack() as stack:
            for store in stores_of(missing):
                stack.enter_context(reading(store))
            tasks = [
                _task(plan, result, *found[Path(result["record"])], stack) for result in missing
            ]
            tasks = [task for task in tasks if not task.finished]
            ready = [task for task in tasks if task.error is None]
            if ready:
                _call(main, ready, plan["part"])
            if plan["part"] is None:
                unmade.failed.update(_failures(tasks))
    for result in plan["results"] if plan["part"] is None else ():
        _note(plan["rule"], result, unmade)
    return unmade


def _call(main: Callable[..., None], tasks: Sequence[Task], part: Sequence[int] | None) -> None:
    for task in tasks:
        logger.info("%s: %s", task.output, json.dumps(task.settings)[:_LOGGED_CHARACTERS])
    divided = "part" in inspect.signature(main).parameters
    try:
        main(tasks=tasks, **({"part": part and tuple(part)} if divided else {}))
    except Exception as error:
        if may_pass(error):
            raise
        for task in tasks:  # told once, at the end
            task.error = task.error or error


def _failures(tasks: Iterable[Task]) -> dict[Path, Exception]:
    unmade = {task.output: task.error for task in tasks if not task.finished}
    return {
        output: error
        or SaeflowError(
            "this was not made, and nobody said why",
            where=output,
            remedy="Read the log, run again, and report it.",
        )
        for output, error in unmade.items()
    }


def _failed_in_parts(plan: Plan) -> dict[Path, Exception]:
    """Return what jobs before this one, which did parts of its work, could not make."""
    found: dict[Path, Exception] = {}
    for receipt in plan.get("parts", ()):
        for record, text in read_object(Path(receipt)).get("failed", {}).items():
            found[Path(record)] = SaeflowError(text)
    return found


def _note(rule: str, result: Mapping[str, Any], unmade: Unmade) -> None:
    """Write down why a result is not there or, if it is, from what it was made."""
    record, identity = Path(result["record"]), result["identity"]
    if error := unmade.failed.get(record):
        failures.note(record, identity, [Cause(str(record), _text(error))])
    elif causes := unmade.left_out.get(record):
        failures.note(record, identity, causes)
        logger.info("%s is left out: %s", record, "; ".join(failures.told(causes)))
    else:
        failures.forget(record, identity)
        _remember(rule, result)


def check_code(plan: Plan) -> None:
    """Raise a `StaleError` if the code that a plan was made with has changed since.

    The bytes of the files are compared first; where they differ, what they define.
    """
    sources = plan["sources"]
    changed = [name for name, digest in sources.items() if _digest(ROOT / name) != digest]
    if not changed:
        return
    source = Source(ROOT / "workflow", ROOT / "scripts", Path(paths.CACHE))
    for result in plan["results"]:
        if source.digest(result["roots"]) != result["code"]:
            raise StaleError(
                "the source code changed since this job was planned",
                where=", ".join(changed),
                remedy="Run snakemake again: it plans with the code as it is now.",
            )


def _digest(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None


def _is_there(result: Mapping[str, Any]) -> bool:
    record, identity, suffix = Path(result["record"]), result["identity"], result["suffix"]
    files, found = [Path(file) for file in result["files"]], read_record(record)
    if found.get("identity") != identity or MISSING in found or (suffix is None and not files):
        return False
    return next(damages(record, identity, suffix, files), None) is None


def _task(
    plan: Plan,
    result: Mapping[str, Any],
    inputs: Mapping[str, Any],
    missing: tuple[Cause, ...],
    stack: ExitStack,
) -> Task:
    """Return a result's task, its place held; one that is finished there is published.

    One whose local files are not those that it was planned with has failed already.
    """
    output, identity = Path(result["record"]), result["identity"]
    work = None
    if result["suffix"] is not None:
        shared = plan["part"] is not None
        work = stack.enter_context(hold(output, identity, result["suffix"], shared=shared))
        if work.finished:
            work.publish()
    task = Task(
        output=output,
        identity=identity,
        settings=result["settings"],
        inputs=inputs,
        arguments=result["arguments"],
        files=tuple(Path(file) for file in result["files"]),
        work=work,
        missing=missing,
    )
    if work is not None and not work.finished and HASH in task.settings:
        with task.attempt():
            work.check = Unchanged(plan["rule"], result).check
    return task


def _remember(rule: str, result: Mapping[str, Any]) -> None:
    try:
        remember(rule, result)
    except OSError as error:  # the result is there; only `saeflow why` would have less to say
        logger.warning("what this was made from could not be written down: %s", error)


def _receipt(plan: Plan, unmade: Unmade, threads: int) -> dict[str, Any]:
    """Return what a finished pass leaves: what it covers, what of it failed, how fast it was."""
    return {
        "rule": plan["rule"],
        "place": plan["place"],
        "part": plan["part"],
        "results": [{key: one[key] for key in ("record", "identity")} for one in plan["results"]],
        "failed": {str(record): _text(error) for record, error in unmade.failed.items()},
        "left_out": {
            str(record): [list(cause) for cause in causes]
            for record, causes in unmade.left_out.items()
        },
        "work": plan["work"],
        "machine": machine(),
        "versions": versions(),
        "commit": commit(ROOT),
        "speeds": logs.speeds(),
        "usage": {**logs.usage(), "threads": threads},
    }


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
    if log and logs.followed():  # who follows the run shows the log's warnings
        handlers.clear()
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


def _report(failed: Mapping[Path, Exception], receipt: Path, log: Path | None) -> None:
    """Tell the screen each failure in a line, then where the log is and how it ends.

    One that several results share is told once.
    """
    texts = {}
    for output, error in failed.items():
        text = _text(error)
        alone = sum(other is error for other in failed.values()) == 1
        told = text if not alone or output == Path() or str(output) in text else f"{output}: {text}"
        texts[told] = error
    if log is None:
        for text, error in texts.items():
            if not isinstance(error, SaeflowError):
                traceback.print_exception(error)
            logger.error("%s", text)
        return
    file = logging.getLogger().handlers[-1].stream  # type: ignore[attr-defined]
    try:
        last = log.read_text().splitlines()[-_LAST_LINES:]
        for text, error in texts.items():
            if not isinstance(error, SaeflowError):
                file.write("".join(traceback.format_exception(error)))
            file.write(f"ERROR {text}\n")
        file.flush()
    except OSError:
        last = []  # the disk with the log is the full one
    if logs.followed():
        return
    rule = receipt.relative_to(paths.RECEIPTS).parent if paths.RECEIPTS in str(receipt) else receipt
    lines = [*(f"error in {rule}: {text}" for text in texts), f"  log: {log}"]
    sys.stderr.write("\n".join([*lines, *(f"  | {line}" for line in last)]) + "\n")


def _text(error: Exception) -> str:
    """Return the message of an error, with the kind of one that nobody foresaw."""
    error = explained(error)
    return str(error) if isinstance(error, SaeflowError) else f"{type(error).__name__}: {error}"
