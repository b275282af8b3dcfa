"""The last lines of a run: what was done, what failed and why, what a run would do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from saeflow import paths
from saeflow.logs import duration
from snakemake_logger_plugin_saeflow.passes import DONE, FAILED, LEFT_OUT, STOPPED, some
from snakemake_logger_plugin_saeflow.run import Run, passes


def ending(run: Run, *, dry: bool) -> Iterator[str]:
    """Yield the last lines of a run, or of a dry one."""
    if not run.total:
        yield "Nothing to do: everything is there and up to date."
    elif dry:
        yield from _table(run)
    elif len(run.of(DONE)) == run.total:
        yield f"All is done: {passes(run.total)} in {duration(run.elapsed)}."
        yield from (f"The report is {report}." for report in _reports(run))
    else:
        yield from _what_is_left(run)


def _what_is_left(run: Run) -> Iterator[str]:
    counts = [(len(run.of(state)), state) for state in (DONE, FAILED, LEFT_OUT, STOPPED)]
    counts.append((run.total - len(run.passes), "not begun"))
    words = ", ".join(f"{n} {state}" for n, state in counts if n)
    yield f"{passes(run.total)}: {words}, after {duration(run.elapsed)}."
    for one in run.of(FAILED):
        yield ""
        yield f"{one.rule} {run.where(one)} failed:"
        yield from one.failure()
    yield ""
    yield from (f"The report is {report}, of what there is." for report in _reports(run))
    if run.of(FAILED):
        yield "What was made is kept. Mend the cause and run again: only what is missing is made."
    else:
        yield "What was made is kept. Run again to go on."


def _reports(run: Run) -> Iterator[Path]:
    for one in run.of(DONE):
        if one.rule == "build_report":
            yield paths.fill(paths.REPORT, **one.place)


def _table(run: Run) -> Iterator[str]:
    """Yield what a run would make: a line for each pass."""
    order = list(paths.PASSES)
    rows = {
        one: (one.rule, run.where(one), one.what())
        for one in sorted(
            run.passes.values(),
            key=lambda one: (order.index(one.rule) if one.rule in order else -1, run.where(one)),
        )
    }
    yield f"{passes(run.total)} would run:"
    widths = [max(map(len, column)) for column in zip(*rows.values(), strict=True)]
    for one, row in rows.items():
        text = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"  {text}  {some(list(one.names().values()))}"
