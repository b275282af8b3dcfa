"""Snakemake's events as lines that a person can follow."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from logging import LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from saeflow.cli.words import count
from saeflow.failures import SUMMARY
from saeflow.logs import FOLLOWED, duration
from snakemake_logger_plugin_saeflow.ending import ending
from snakemake_logger_plugin_saeflow.passes import (
    FAILED,
    LEFT_OUT,
    RUNNING,
    STOPPED,
    Pass,
    read_plan,
)
from snakemake_logger_plugin_saeflow.run import Run, passes
from snakemake_logger_plugin_saeflow.screen import Screen

_LIVE_EVERY_S, _LINE_EVERY_S = 1.0, 30.0
_NOTHING = "Nothing to be done"
_INTERRUPTED, _TERMINATED = "Terminating processes on user request", "Will exit after finishing"
_OBVIOUS = ("Assuming unrestricted", "Exiting because a job execution failed")
_TAKES_LONG = "Creating conda environment"
_AT_LEAST_ONE = "At least one job did not complete successfully"
_MOST_ROWS, _MOST_WARNINGS = 8, 3
_WIDEST_PLACE = 44


class LogHandler(LogHandlerBase):
    """Prints what begins, what is done, how far the whole is, and at the end what failed.

    Snakemake's own messages are left to its log file, but for warnings and errors.
    """

    def __post_init__(self) -> None:
        """Begin with nothing known."""
        self._screen = Screen(sys.stdout if self.common_settings.stdout else sys.stderr)
        self._run: Run | None = None
        self._stopping, self._closed = "", False
        self._warned: set[str] = set()
        self._told: dict[Pass, str] = {}
        self._over = threading.Event()
        self._ticking: threading.Thread | None = None
        self._silent = any(one.name == "ALL" for one in self.common_settings.quiet or ())
        if not (self.common_settings.dryrun or self._silent):
            os.environ[FOLLOWED] = "1"  # jobs need not say themselves what is told here

    # This writes what Snakemake's own handler would write, and chooses by itself what that is.
    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        """Tell what one of Snakemake's events means to the reader, if anything."""
        if self._silent or record.levelno < logging.INFO:
            return
        try:
            self._tell(record)
        except Exception:  # an error here would end all logging of the run
            self.handleError(record)

    def close(self) -> None:
        """Tell how the run ended."""
        self._over.set()
        if not self._closed and not self._silent:
            self._closed = True
            with self.lock:
                if self._run and self._run.planned:
                    for one in self._run.of(RUNNING):
                        one.end(STOPPED)
                    dry = self.common_settings.dryrun
                    gap = [""] if self._run.passes and not dry else []
                    self._screen.write(*gap, *ending(self._run, dry=dry))
        super().close()

    def _tell(self, record: Any) -> None:
        match getattr(record, "event", None):
            case LogEvent.WORKFLOW_STARTED:
                self._run = Run(Path(getattr(record, "cwd", ".")))
            case LogEvent.RUN_INFO if self._run:
                self._plan(record.stats)
            case LogEvent.JOB_INFO if self._run and record.output:
                self._start(record)
            case LogEvent.JOB_FINISHED:
                self._finish(record.job_id)
            case LogEvent.JOB_ERROR:
                self._fail(record.jobid, record.rule_msg or record.getMessage(), record.log)
            case LogEvent.GROUP_ERROR:
                for one in record.job_error_info:
                    logs = [*one["log"], *record.aux_logs]
                    self._fail(one["jobid"], record.getMessage(), logs)
            case LogEvent.ERROR:
                self._error(record.getMessage())
            case None:
                self._message(record.getMessage(), record.levelno)

    def _plan(self, stats: dict[str, int]) -> None:
        self._run.expect(stats)
        if not self.common_settings.dryrun and self._run.total:
            log = _log_file(self._run.root)
            self._write(
                f"{passes(self._run.total)} to run" + (log and f"; Snakemake's own log: {log}")
            )

    def _start(self, record: Any) -> None:
        plan = record.wildcards.get("plan", "")
        known = read_plan(self._run.root, plan) if plan else {}
        if not known:
            place = {name: str(one) for name, one in record.wildcards.items() if name != "plan"}
            known = {"rule": record.rule_name, "place": place}
        one = Pass(self._run.root, plan=plan, logs=list(record.log), **known)
        self._run.passes[record.jobid] = one
        if self.common_settings.dryrun:
            return
        one.forget_report()
        if not self._screen.live:
            self._screen.write(self._line(one, f"begins: {one.what() or 'a job without a plan'}"))
        if self._ticking is None:
            self._ticking = threading.Thread(target=self._tick, daemon=True)
            self._ticking.start()
        self._refresh()

    def _finish(self, job: int) -> None:
        one = self._run and self._run.passes.get(job)
        if one:
            one.settle()
            self._write(self._line(one, self._outcome(one)), *self._warnings(one))

    def _outcome(self, one: Pass) -> str:
        """Return what became of a pass whose job is done."""
        if one.state == FAILED:
            return _failed(one)
        if one.state == LEFT_OUT:
            return "left out: what it needs failed"
        text = f"{one.what() or 'done'} in {duration(one.elapsed)}"
        if one.n_left_out:
            text += f", {one.n_left_out} left out"
        # on a terminal a line of its own says so all the time
        return text if self._screen.live else f"{text:<20}  {self._run.so_far()}"

    def _fail(self, job: int, message: str, logs: list[str]) -> None:
        one = self._run and self._run.passes.get(job)
        if one is None:
            self._write(message)
        elif one.state == RUNNING:
            one.error = one.error or message
            one.logs = list(logs)
            one.end(STOPPED if self._stopping == "now" or one.was_stopped else FAILED)
            text = f"stopped after {duration(one.elapsed)}"
            if one.state == FAILED:
                text = _failed(one)
            self._write(self._line(one, text))

    def _error(self, text: str) -> None:
        """Keep an error that belongs to a pass for the end; tell any other at once."""
        begun = self._run.passes.values() if self._run else ()
        whose = next((one for one in begun if one.plan and one.plan in text), None)
        if whose:
            whose.error = text
        elif _AT_LEAST_ONE not in text and SUMMARY not in text:  # the last lines say more
            self._write(text)

    def _message(self, text: str, level: int) -> None:
        if text.startswith(_INTERRUPTED):
            self._stopping = "now"
            self._write("Stopping: what runs now saves its state first.")
        elif text.startswith(_TERMINATED):
            if not self._stopping:  # Snakemake says it after each job that ends
                self._write("Stopping as soon as what runs now is done.")
            self._stopping = self._stopping or "later"
        elif text.startswith(_NOTHING) and self._run:
            self._run.expect({})
        elif text.startswith(_OBVIOUS):
            return
        elif level >= logging.WARNING or self._run is None or text.startswith(_TAKES_LONG):
            self._write(text)

    def _warnings(self, one: Pass) -> Iterator[str]:
        """Yield what a pass warned of and no other before it."""
        new = list(
            dict.fromkeys(text for text in one.logged("WARNING") if text not in self._warned)
        )
        self._warned.update(new)
        yield from (f"         warning: {text}" for text in new[:_MOST_WARNINGS])
        if len(new) > _MOST_WARNINGS:
            yield f"         and {count(len(new) - _MOST_WARNINGS, 'warning')} more: {one.logs[0]}"

    def _line(self, one: Pass, text: str, *, clock: bool = True) -> str:
        run = self._run
        width = min(run.widest, _WIDEST_PLACE)
        line = f"{one.rule:<{run.rule_width}}  {run.where(one):<{width}}  {text}"
        return self._at_this_time(line) if clock else f"{'':9}{line}"

    def _at_this_time(self, text: str) -> str:
        minutes, seconds = divmod(int(self._run.elapsed), 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
        return f"{clock:>7}  {text}"

    def _write(self, *lines: str) -> None:
        self._screen.write(*lines)
        self._refresh()

    def _refresh(self) -> None:
        """Show what runs now, where lines can change in place."""
        if self._screen.live and self._run and self._run.passes and not self._closed:
            running = self._run.of(RUNNING)
            lines = [
                self._line(
                    one, one.doing() or f"{one.what()}, {duration(one.elapsed)}", clock=False
                )
                for one in running[:_MOST_ROWS]
            ]
            if len(running) > _MOST_ROWS:
                lines.append(f"{'':9}and {len(running) - _MOST_ROWS} more")
            self._screen.show([*lines, self._at_this_time(self._run.so_far())])

    def _tick(self) -> None:
        while not self._over.wait(_LIVE_EVERY_S if self._screen.live else _LINE_EVERY_S):
            with self.lock:
                self._refresh()
                if not self._screen.live and self._run.of(RUNNING):
                    self._screen.write(*self._news())

    def _news(self) -> Iterator[str]:
        """Yield where the passes are that run, those whose words have changed, and the whole."""
        for one in self._run.of(RUNNING)[:_MOST_ROWS]:
            text = one.doing()
            if text and self._told.get(one) != text:
                self._told[one] = text
                yield self._line(one, text)
        yield self._at_this_time(self._run.so_far())


def _failed(one: Pass) -> str:
    text = f"FAILED after {duration(one.elapsed)}"
    missing = len(one.missing())
    return f"{text}, {missing} of {one.what()} not made" if missing else text


def _log_file(root: Path) -> str:
    """Return where Snakemake logs to; empty where it does not."""
    for handler in logging.getLogger("snakemake.logging").handlers:
        if isinstance(handler, logging.FileHandler):
            file = Path(handler.baseFilename)
            return str(file.relative_to(root) if file.is_relative_to(root) else file)
    return ""
