"""The plan's costs by rule, in total and in words. Read `summarise`, then `lines`."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from saeflow.cost.cost import Cost
from saeflow.cost.estimate import Estimator, passes_of, row_table
from saeflow.cost.guess import Guess, total
from saeflow.cost.schedule import Piece, makespan
from saeflow.plan.current import HARVEST
from saeflow.plan.job import Job

SHARED_JOB_S = 0.8
"""Seconds of a job that finds its work done in another's pass, Snakemake's own included."""

_ALL_CORES = ("train_lm", HARVEST, "sample_dataset")
_HALF = (
    "train_sae", "finetune_sae", "measure_reconstruction", "measure_language", "measure_probes",
)  # fmt: skip
_LARGEST = 5


class Row(NamedTuple):
    """One rule of a plan.

    Attributes
    ----------
    rule : str
        Its name.
    n_wanted, n_to_run : int
        Jobs that the configuration has, and those that have to run.
    cost : Cost
        Of those to run; the memory is that of the largest.
    """

    rule: str
    n_wanted: int
    n_to_run: int
    cost: Cost


class Summary(NamedTuple):
    """What a plan costs.

    Attributes
    ----------
    rows : list of Row
        Rules in the order in which they run.
    n_bytes, files : Guess
        To be written, and kept.
    most_bytes : Guess
        On the disk at a time: less than ``n_bytes`` where stores are temporary.
    seconds : Guess
        On this machine, with jobs side by side as cores allow.
    memory : float
        The largest peak of one job, in bytes.
    largest : list of tuple
        (record, bytes) of the largest stores to be written.
    unknown : list of str
        What no figure could be given for, and why.
    notes : list of str
        What was assumed.
    """

    rows: list[Row]
    n_bytes: Guess
    files: Guess
    most_bytes: Guess
    seconds: Guess
    memory: float
    largest: list[tuple[str, float]]
    unknown: list[str]
    notes: list[str]


def summarise(
    wanted: Sequence[Job], to_run: Sequence[Job], estimator: Estimator, cores: int
) -> Summary:
    """Add up the costs of a plan.

    Parameters
    ----------
    wanted, to_run
        Every job of the configuration, and those without their result.
    estimator
        Knows the speeds.
    cores
        Threads that run at a time.
    """
    order = {job: depth for job, depth in _depths(wanted).items()}
    wanted, to_run = (sorted(s, key=lambda j: (order[j], str(j.output))) for s in (wanted, to_run))
    costs = [(jobs, estimator.together(jobs)) for jobs in passes_of(to_run)]
    tables = _row_tables(to_run, estimator)
    rows = []
    for rule in dict.fromkeys(job.rule for job in wanted):
        own = [(jobs, cost) for jobs, cost in costs if jobs[0].rule == rule]
        extra = tables if rule == HARVEST else []
        n_wanted = sum(job.rule == rule for job in wanted)
        rows.append(Row(rule, n_wanted, sum(len(j) for j, _ in own), _joined(own, extra)))
    n_bytes = total([row.cost.n_bytes for row in rows])
    temporary = _temporary_bytes(to_run, estimator)
    return Summary(
        rows,
        Guess(n_bytes.value - temporary, n_bytes.times) if temporary else n_bytes,
        total([row.cost.files for row in rows]),
        n_bytes,
        _wall(to_run, costs, cores),
        max((row.cost.memory for row in rows if row.n_to_run), default=0.0),
        _largest(costs),
        [f"{jobs[0].output.parent}: {cost.unknown}" for jobs, cost in costs if cost.unknown],
        list(estimator.notes),
    )


def _joined(own: Sequence[tuple[Sequence[Job], Cost]], extra: Sequence[Guess]) -> Cost:
    """Return the cost of a rule: the sum of its passes."""
    waits = Guess(sum(SHARED_JOB_S * (len(jobs) - 1) for jobs, _ in own), 2.0)
    costs = [cost for _, cost in own]
    reasons = list(dict.fromkeys(cost.unknown for cost in costs if cost.unknown))
    return Cost(
        total([cost.rows for cost in costs]),
        total([*(cost.n_bytes for cost in costs), *extra]),
        total([cost.files for cost in costs]),
        total([*(cost.seconds for cost in costs), waits]),
        max((cost.memory for cost in costs), default=0.0),
        reasons[0] if reasons else "",
    )


def _depths(wanted: Sequence[Job]) -> dict[Job, int]:
    depths: dict[Job, int] = {}

    def depth(job: Job) -> int:
        if job not in depths:
            depths[job] = 1 + max((depth(other) for other in job.upstream()), default=0)
        return depths[job]

    by_rule: dict[str, int] = {}
    for job in wanted:
        by_rule[job.rule] = max(by_rule.get(job.rule, 0), depth(job))
    return {job: by_rule[job.rule] for job in wanted}


def _row_tables(to_run: Sequence[Job], estimator: Estimator) -> list[Guess]:
    """Return the bytes of the row tables, one for the hooks of each place."""
    places = {job.output.parent: job for job in to_run if job.rule == HARVEST}
    known = [estimator.tokens(job.inputs["tokens"]) for job in places.values()]
    return [row_table(tokens) for tokens in known if tokens.known]


def _temporary_bytes(to_run: Sequence[Job], estimator: Estimator) -> float:
    """Return the bytes of stores to be made that are removed after their last reader."""
    removed = {job.inputs["activations"] for job in to_run if job.rule == "release_activations"}
    made = [job for job in to_run if job in removed]
    return sum(estimator.together([job]).n_bytes.value for job in made)


def _wall(to_run: Sequence[Job], costs: Sequence[tuple[Sequence[Job], Cost]], cores: int) -> Guess:
    """Return the seconds of the whole run, with jobs side by side as cores allow."""
    pieces: dict[Hashable, Piece] = {}
    work: dict[Hashable, float] = {}
    planned = set(to_run)
    for number, (jobs, cost) in enumerate(costs):
        work[number] = cost.seconds.value
        for job in jobs:
            after = tuple(str(other.output) for other in job.upstream() if other in planned)
            threads = threads_of(job.rule, cores)
            pieces[str(job.output)] = Piece(SHARED_JOB_S, threads, after, number)
    times = total([cost.seconds for _, cost in costs]).times
    return Guess(makespan(pieces, cores, work), times)


def threads_of(rule: str, cores: int) -> int:
    """Return the threads that the rules give to a job on ``cores``."""
    if rule in _ALL_CORES:
        return cores
    return max(1, cores // 2) if rule in _HALF or rule == "measure_benchmarks" else 1


def _largest(costs: Sequence[tuple[Sequence[Job], Cost]]) -> list[tuple[str, float]]:
    sizes = [
        (str(job.output), cost.n_bytes.value / len(jobs)) for jobs, cost in costs for job in jobs
    ]
    return sorted(sizes, key=lambda one: -one[1])[:_LARGEST]


def lines(summary: Summary) -> Iterator[str]:
    """Yield the table of rules, aligned."""
    head = ("rule", "jobs", "to run", "rows", "disk", "files", "time", "memory")
    table = [head, *(_cells(row) for row in summary.rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(head))]
    for cells in table:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        yield "  ".join(padded).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    cost = row.cost
    if not row.n_to_run:
        return (row.rule, str(row.n_wanted), "-", "", "", "", "", "")
    if cost.unknown:
        return (row.rule, str(row.n_wanted), str(row.n_to_run), *["?"] * 4, memory(cost.memory))
    return (
        row.rule,
        str(row.n_wanted),
        str(row.n_to_run),
        number(cost.rows) if cost.rows.value else "",
        size(cost.n_bytes),
        number(cost.files),
        duration(cost.seconds),
        memory(cost.memory),
    )


def number(guess: Guess) -> str:
    """Return a count in a person's digits: "1.10 M"."""
    value = guess.value
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if value >= factor:
            text = f"{value / (1e3 if unit == 'k' else factor):.3g} {unit}"
            break
    else:
        text = f"{value:,.0f}"
    return _about(text, guess)


def size(guess: Guess) -> str:
    """Return bytes with a unit; "~" marks what is not exact."""
    from saeflow.cli.words import size as in_units

    return _about(in_units(guess.value), guess)


def memory(n_bytes: float) -> str:
    """Return a peak of memory."""
    return f"~{n_bytes / 2**30:.1f} GiB"


def duration(guess: Guess) -> str:
    """Return a time in seconds, minutes or hours."""
    seconds = guess.value
    if seconds < 90:
        text = f"{seconds:.0f} s"
    elif seconds < 5400:
        text = f"{seconds / 60:.1f} min"
    else:
        text = f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"
    return _about(text, guess)


def _about(text: str, guess: Guess) -> str:
    return text if guess.exact else f"~{text}"


def as_dict(summary: Summary) -> dict[str, Any]:
    """Return everything as plain numbers: bytes, seconds, and how many times off they may be."""

    def plain(guess: Guess) -> dict[str, float]:
        return {"value": guess.value, "times": round(guess.times, 3)}

    return {
        "rules": [
            {
                "rule": row.rule,
                "jobs": row.n_wanted,
                "to_run": row.n_to_run,
                "unknown": row.cost.unknown or None,
                "memory_bytes": row.cost.memory,
                **{
                    name: plain(getattr(row.cost, name))
                    for name in ("rows", "n_bytes", "files", "seconds")
                },
            }
            for row in summary.rows
        ],
        "n_bytes": plain(summary.n_bytes),
        "most_bytes": plain(summary.most_bytes),
        "files": plain(summary.files),
        "seconds": plain(summary.seconds),
        "memory_bytes": summary.memory,
        "largest": [{"record": record, "n_bytes": n} for record, n in summary.largest],
        "unknown": summary.unknown,
        "notes": summary.notes,
    }
