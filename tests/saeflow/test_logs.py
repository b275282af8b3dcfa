"""Progress in words and in a job's report, its speeds, and what it took."""

import json
import logging
import os
import subprocess
import sys

import pytest

from saeflow import logs
from saeflow.logs import Progress, close_report, count_result, duration, report_to, speeds


class Clock:
    """Both clocks of the module `time`, which move when they are told to."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def time(self):
        return 5000.0 + self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(logs, "time", clock)
    monkeypatch.setattr(logs, "_ended", [])
    yield clock
    close_report()


def read(path):
    return json.loads(path.read_text())


def test_a_report_says_what_is_done_how_much_there_is_and_how_fast_it_goes(clock, tmp_path):
    report = tmp_path / ".progress" / "ab.json"
    report_to(report)
    bar = Progress(10, desc="training", unit="rows", done=2)
    clock.now += 2
    bar.update(3)  # three more than the two of an earlier run, in two seconds
    assert read(report) == {
        "desc": "training",
        "done": 5,
        "total": 10,
        "unit": "rows",
        "speed": 1.5,
        "started_s": 5100.0,
        "results_done": 0,
    }


def test_a_report_is_written_at_most_once_a_second(clock, tmp_path):
    report = tmp_path / "ab.json"
    report_to(report)
    bar = Progress(10, desc="training")
    bar.update()
    clock.now += 0.9
    bar.update()
    assert read(report)["done"] == 1
    clock.now += 0.1
    bar.update()
    assert read(report)["done"] == 3


def test_a_report_ends_with_all_that_was_done(clock, tmp_path):
    report = tmp_path / "ab.json"
    report_to(report)
    with Progress(3, desc="training") as bar:
        clock.now += 1.5
        bar.update(2)
        clock.now += 0.1
        bar.update(1)
    assert read(report)["done"] == 3


def test_results_are_counted_with_and_without_progress(clock, tmp_path):
    count_result()  # nobody asked for a report: nothing happens
    report = tmp_path / "ab.json"
    report_to(report)
    count_result()
    assert (read(report)["results_done"], read(report)["total"]) == (1, None)
    count_result()
    clock.now += 1
    Progress(3, desc="drawing").update()
    assert (read(report)["results_done"], read(report)["desc"]) == (2, "drawing")


def test_a_report_that_cannot_be_written_fails_no_job(clock, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    report_to(tmp_path / "file" / "ab.json")
    with Progress(3, desc="training") as bar:
        bar.update(3)
    close_report()


def test_a_count_from_numpy_is_reported_too(clock, tmp_path):
    import numpy as np

    report_to(tmp_path / "ab.json")
    Progress(np.int64(10), desc="training").update(np.int64(4))
    assert (read(tmp_path / "ab.json")["done"], read(tmp_path / "ab.json")["total"]) == (4, 10)


def test_a_closed_report_leaves_no_file_and_gets_none(clock, tmp_path):
    report_to(tmp_path / "ab.json")
    bar = Progress(3, desc="training")
    bar.update()
    close_report()
    clock.now += 5
    bar.update()
    assert list(tmp_path.iterdir()) == []


def test_speeds_are_those_of_every_progress_that_ended(clock):
    with Progress(10, desc="harvest", unit="tokens", done=4) as bar:
        clock.now += 3
        bar.update(6)
    Progress(10, desc="training").update()  # has not ended
    for _ in logs.progress([1, 2], desc="probes", unit="batches"):
        clock.now += 0.5
    assert speeds() == [
        {"desc": "harvest", "unit": "tokens", "done": 6, "seconds": 3.0},
        {"desc": "probes", "unit": "batches", "done": 2, "seconds": 1.0},
    ]


def test_the_log_has_a_line_every_ten_seconds_and_one_at_the_end(clock, caplog):
    caplog.set_level(logging.INFO)
    with Progress(4000, desc="training", unit="tokens", note=lambda: "1.2 GB") as bar:
        for _ in range(4):
            clock.now += 5
            bar.update(1000)
    assert caplog.messages == [
        "training: 2,000 of 4,000 tokens (50%), 200 tokens/s, 1.2 GB, 10 s left",
        "training: 4,000 of 4,000 tokens (100%), 200 tokens/s, 1.2 GB, 0 s left",
        "training: 4,000 tokens in 20 s (200 tokens/s, 1.2 GB)",
    ]


@pytest.mark.parametrize("followed", [False, True])
def test_a_job_that_is_followed_draws_no_bar(clock, monkeypatch, followed):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv(logs.FOLLOWED, "1" if followed else "")
    bar = Progress(3, desc="training")
    assert (bar._bar is None) == followed
    bar.close()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.6, "1 min 00 s"), (250, "4 min 10 s"), (3660, "1 h 01 min")],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds, words):
    assert duration(seconds) == words


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return json.loads(done.stdout)


def test_usage_is_what_was_used():
    before, after = python(
        "import json\n"
        "from saeflow.logs import usage\n"
        "before = usage()\n"
        "block = bytearray(100_000_000)\n"
        "total = sum(range(3_000_000))\n"
        "print(json.dumps([before, usage()]))",
        OMP_NUM_THREADS="3",
    )
    assert after["threads"] == 3
    assert after["seconds"] > before["seconds"] > 0
    assert after["cpu_seconds"] > before["cpu_seconds"]
    assert 95e6 < after["peak_memory_bytes"] - before["peak_memory_bytes"] < 120e6


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_is_not_that_of_the_process_that_started_the_job():
    job = "from saeflow.logs import usage; print(usage()['peak_memory_bytes'])"
    peak = python(
        "import os, sys\n"
        "block = bytearray(400_000_000)\n"
        f"os.execv(sys.executable, [sys.executable, '-c', {job!r}])"
    )
    assert peak < 200_000_000
