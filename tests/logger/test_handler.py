"""Snakemake's events in, lines for a person out."""

import io
import logging
import sys
import time

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import MockOutputSettings, TestLogHandlerBase

from saeflow import paths
from saeflow.files import write_json
from saeflow.logs import FOLLOWED, followed
from snakemake_logger_plugin_saeflow import LogHandler
from snakemake_logger_plugin_saeflow import handler as module

A, B = "a" * 16, "b" * 16
STATUS = "RuleException:\nCalledProcessError: Command '{}' returned non-zero exit status {}."


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv(FOLLOWED, "")  # a handler sets it; here only for the test


class TestInterface(TestLogHandlerBase):
    """What every logger plugin has to be able to do."""

    __test__ = True

    def get_log_handler_cls(self):
        return LogHandler

    def get_log_handler_settings(self):
        return None


class Terminal(io.StringIO):
    """Text, with the calls to a terminal left in."""

    def isatty(self):
        return True


class Told:
    """A handler and what it wrote."""

    def __init__(self, root, monkeypatch, *, terminal=False, **settings):
        self.root = root
        self.stream = Terminal() if terminal else io.StringIO()
        monkeypatch.setattr(sys, "stderr", self.stream)
        common = MockOutputSettings()
        for name, value in settings.items():
            setattr(common, name, value)
        self.handler = LogHandler(common_settings=common, settings=None)
        self.event(LogEvent.WORKFLOW_STARTED, cwd=str(root))

    def event(self, event, message="", level=logging.INFO, **facts):
        record = logging.LogRecord("snakemake", level, "x.py", 1, message, (), None)
        if event:
            record.event = event
        record.__dict__.update(facts)
        self.handler.handle(record)

    def say(self, message, level=logging.INFO):
        self.event(None, message, level)

    def expect(self, **jobs):
        self.event(LogEvent.RUN_INFO, "Job stats", stats={**jobs, "total": sum(jobs.values())})

    def begin(self, job, plan, rule="train_saes"):
        self.event(
            LogEvent.JOB_INFO,
            jobid=job,
            rule_name=rule,
            wildcards={"plan": plan},
            output=["receipt"],
            log=[f"{plan}.log"],
        )

    def finish(self, job):
        self.event(LogEvent.JOB_FINISHED, job_id=job)

    def fail(self, job, plan, status=1):
        error = STATUS.format(f"python train.py {plan}", status)
        self.event(LogEvent.ERROR, error, logging.ERROR)
        facts = {"jobid": job, "rule_msg": None, "log": [f"{plan}.log"]}
        self.event(LogEvent.JOB_ERROR, "Error in rule", logging.ERROR, **facts)

    @property
    def lines(self):
        return self.stream.getvalue().splitlines()


@pytest.fixture
def told(passes, clock, monkeypatch):
    passes.saes(A, "resid_post.0", ["topk", "relu"])
    passes.saes(B, "resid_post.1", ["topk"])
    told = Told(passes.root, monkeypatch)
    yield told
    told.handler.close()


def test_a_pass_is_told_when_it_begins_and_when_it_ends(told, clock):
    told.say("Assuming unrestricted shared filesystem usage.")
    told.say("Building DAG of jobs...")
    told.expect(train_saes=2, all=1)
    clock.now += 65
    told.begin(1, A)
    clock.now += 125
    told.finish(1)
    told.event(LogEvent.PROGRESS, done=1, total=3)
    assert told.lines == [
        "2 passes to run",
        "   1:05  train_saes  world-s resid_post.0  begins: 2 SAEs",
        "   3:10  train_saes  world-s resid_post.0  2 SAEs in 2 min 05 s"
        "  1 of 2 passes, about 1 min left",
    ]


def test_progress_is_told_where_it_changed_and_the_whole_each_time(told, clock):
    told.expect(train_saes=2)
    told.begin(1, A)
    told.begin(2, B)
    report = told.root / paths.PROGRESS / f"{A}.json"
    write_json(report, {"desc": "", "done": 1, "total": 4, "unit": "rows", "speed": 0.5})
    clock.now += 3700
    assert list(told.handler._news()) == [
        "1:01:40  train_saes  world-s resid_post.0  25% of 4 rows, 0.5 rows/s, 6 s left",
        "1:01:40  0 of 2 passes",
    ]
    assert len(list(told.handler._news())) == 1


def test_time_passes_without_events(told, monkeypatch):
    monkeypatch.setattr(module, "_LINE_EVERY_S", 0.01)
    told.expect(train_saes=2)
    told.begin(1, A)
    deadline = time.time() + 60
    while len(told.lines) < 4 and time.time() < deadline:
        time.sleep(0.01)
    assert told.lines[-1].strip().startswith("0:00  0 of 2 passes")


def test_what_a_killed_job_left_is_no_progress(told):
    report = told.root / paths.PROGRESS / f"{A}.json"
    write_json(report, {"desc": "", "done": 1, "total": 4, "unit": "rows", "speed": 0.5})
    told.expect(train_saes=2)
    told.begin(1, A)
    assert not report.exists()


def test_a_failure_is_told_in_a_line_and_explained_at_the_end(told, clock):
    told.expect(train_saes=2)
    told.begin(1, A)
    saes = "results/saes/world-s/world/sae-256/resid_post.0"
    write_json(told.root / saes / "topk/seed-0/sae.json", {"identity": "made"})
    log = f"10:00:00 ERROR {saes}/relu/seed-0/sae.json: the loss is not finite.\n"
    (told.root / f"{A}.log").write_text(log)
    clock.now += 9
    told.fail(1, A)
    told.say("Exiting because a job execution failed. Look above", logging.ERROR)
    told.event(LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.")
    told.handler.close()
    assert told.lines[2:] == [
        "   0:09  train_saes  world-s resid_post.0  FAILED after 9 s, 1 of 2 SAEs not made",
        "",
        "2 passes: 1 failed, 1 not begun, after 9 s.",
        "",
        "train_saes world-s resid_post.0 failed:",
        "  relu  the loss is not finite.",
        f"  log: {A}.log",
        "",
        "What was made is kept. Mend the cause and run again: only what is missing is made.",
    ]


def test_a_pass_that_is_tried_again_has_not_failed(told):
    told.expect(train_saes=1)
    told.begin(1, A)
    told.fail(1, A)
    told.say("Trying to restart job 1.")
    told.begin(1, A)
    told.finish(1)
    told.handler.close()
    assert told.lines[-1] == "All is done: 1 pass in 0 s."


def test_jobs_that_share_an_allocation_fail_together(told):
    told.expect(train_saes=2)
    told.begin(1, A)
    told.begin(2, B)
    told.finish(2)
    jobs = [{"jobid": job, "rule_name": "train_saes", "output": [], "log": []} for job in (1, 2)]
    facts = {"groupid": "g", "aux_logs": ["slurm.log"], "job_error_info": jobs}
    told.event(LogEvent.GROUP_ERROR, "Error in group g", logging.ERROR, **facts)
    told.handler.close()
    assert "2 passes: 1 done, 1 failed, after 0 s." in told.lines
    assert "  log: slurm.log" in told.lines


@pytest.mark.parametrize("status", [143, 130])
def test_a_job_that_was_asked_to_stop_has_not_failed(told, status):
    told.expect(train_saes=2)
    told.begin(1, A)
    told.fail(1, A, status)
    told.handler.close()
    assert told.lines[-4:] == [
        "",
        "2 passes: 1 stopped, 1 not begun, after 0 s.",
        "",
        "What was made is kept. Run again to go on.",
    ]


def test_an_interrupt_is_told_once_and_stops_what_runs(told):
    told.expect(train_saes=2)
    told.begin(1, A)
    told.say("Terminating processes on user request, this might take some time.")
    told.fail(1, A)
    told.handler.close()
    assert "Stopping: what runs now saves its state first." in told.lines
    assert "2 passes: 1 stopped, 1 not begun, after 0 s." in told.lines


def test_a_request_to_end_lets_jobs_finish(told):
    told.expect(train_saes=2)
    told.begin(1, A)
    for _ in range(3):
        told.say("Will exit after finishing currently running jobs (scheduler).")
    told.finish(1)
    told.handler.close()
    assert told.lines.count("Stopping as soon as what runs now is done.") == 1
    assert "2 passes: 1 done, 1 not begun, after 0 s." in told.lines


def test_what_jobs_warn_of_is_told_once(told):
    told.expect(train_saes=2)
    for job, plan in ((1, A), (2, B)):
        told.begin(job, plan)
        words = "".join(f"10:00:00 WARNING something {i}\n" for i in range(job * 2))
        (told.root / f"{plan}.log").write_text("10:00:00 INFO begin\n" + words)
        told.finish(job)
    warnings = [line.strip() for line in told.lines if "warning" in line]
    assert warnings == [f"warning: something {i}" for i in range(4)]


def test_many_warnings_are_told_in_few_lines(told):
    told.expect(train_saes=2)
    told.begin(1, A)
    (told.root / f"{A}.log").write_text("".join(f"10:00:00 WARNING {i}\n" for i in range(9)))
    told.finish(1)
    assert told.lines[-1].strip() == f"and 6 warnings more: {A}.log"
    assert len(told.lines) == 3 + 4


def test_nothing_to_do_is_one_line(told):
    told.say("Nothing to be done (all requested files are present and up to date).")
    told.handler.close()
    told.handler.close()
    assert told.lines == ["Nothing to do: everything is there and up to date."]


def test_a_run_of_targets_alone_has_nothing_to_do(told):
    told.expect(all=1)
    told.event(LogEvent.JOB_INFO, jobid=0, rule_name="all", wildcards={}, output=[], log=[])
    told.finish(0)
    told.handler.close()
    assert told.lines == ["Nothing to do: everything is there and up to date."]


def test_errors_before_the_run_are_told_and_nothing_else(told):
    told.event(LogEvent.ERROR, "MissingInputException in rule x", logging.ERROR)
    told.say("a warning", logging.WARNING)
    told.handler.close()
    assert told.lines == ["MissingInputException in rule x", "a warning"]


def test_jobs_of_other_workflows_are_told_by_their_rule(told):
    told.expect(bwa_map=1, all=1)
    facts = {"rule_name": "bwa_map", "wildcards": {"sample": "A"}, "output": ["a.bam"], "log": []}
    told.event(LogEvent.JOB_INFO, jobid=1, **facts)
    told.finish(1)
    told.handler.close()
    assert told.lines[0].split() == "0:00 bwa_map A begins: a job without a plan".split()
    assert told.lines[-1] == "All is done: 1 pass in 0 s."


def test_silence_is_kept_where_it_is_asked_for(passes, clock, monkeypatch):
    from snakemake.settings.enums import Quietness

    passes.saes(A, "resid_post.0", ["topk"])
    told = Told(passes.root, monkeypatch, quiet={Quietness.ALL})
    told.expect(train_saes=1)
    told.begin(1, A)
    told.handler.close()
    assert told.lines == []
    assert not followed()


def test_jobs_know_that_they_are_followed_but_for_a_dry_run(passes, monkeypatch):
    Told(passes.root, monkeypatch, dryrun=True)
    assert not followed()
    Told(passes.root, monkeypatch)
    assert followed()


def test_an_event_that_is_not_understood_does_not_end_the_log(told, capsys):
    told.event(LogEvent.RUN_INFO)  # without its facts
    told.say("Nothing to be done")
    told.handler.close()
    assert told.lines[-1].startswith("Nothing to do")


def test_on_a_terminal_running_passes_are_shown_in_place(passes, clock, monkeypatch):
    passes.saes(A, "resid_post.0", ["topk", "relu"])
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(module, "_LIVE_EVERY_S", 3600)
    told = Told(passes.root, monkeypatch, terminal=True)
    told.expect(train_saes=1)
    told.begin(1, A)
    shown = "         train_saes  world-s resid_post.0  2 SAEs, 0 s\n   0:00  0 of 1 pass\n"
    assert told.stream.getvalue() == "1 pass to run\n" + shown
    clock.now += 5
    report = told.root / paths.PROGRESS / f"{A}.json"
    write_json(report, {"desc": "", "done": 1, "total": 4, "unit": "rows", "speed": 0.5})
    told.handler._refresh()
    again = told.stream.getvalue().split(shown)[1]
    assert again == (
        "\r\x1b[2A\x1b[J"
        "         train_saes  world-s resid_post.0  25% of 4 rows, 0\n"  # as wide as it is
        "   0:05  0 of 1 pass, less than a minute left\n"
    )
    told.finish(1)
    told.handler.close()
    assert told.stream.getvalue().endswith(
        "\r\x1b[2A\x1b[J   0:05  train_saes  world-s resid_post.0  2 SAEs in 5 s\n"
        "   0:05  1 of 1 pass\n"
        "\r\x1b[1A\x1b[J\nAll is done: 1 pass in 5 s.\n"
    )


def test_a_dumb_terminal_gets_lines_that_stay(passes, clock, monkeypatch):
    passes.saes(A, "resid_post.0", ["topk"])
    monkeypatch.setenv("TERM", "dumb")
    told = Told(passes.root, monkeypatch, terminal=True)
    told.expect(train_saes=1)
    told.begin(1, A)
    assert "\x1b" not in told.stream.getvalue()
    assert told.lines[-1].endswith("begins: 1 SAE")


def test_a_reader_who_left_stops_nothing(told):
    told.stream.close()
    told.expect(train_saes=1)
    told.begin(1, A)
    told.finish(1)
    told.handler.close()
