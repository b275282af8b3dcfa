"""The runner around a script's main, run as the process that Snakemake starts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saeflow.files import read_json, write_json
from saeflow.identity import code_digests
from saeflow.work import MANIFEST, bulk_path, hold

ROOT = Path(__file__).parents[2]
IDENTITY = "a1" * 32
OTHER = "b2" * 32

SHARED = """
    for task in tasks:
        (task.work.path / "data").write_text(str(task.work.output))
        task.work.finish({"settings": task.settings, "led_by": str(tasks[0].work.output)})
"""
HEAD = '"""A script."""\nfrom saeflow.script import run\n\n'
FOOT = '\nif __name__ == "__main__":\n    run(main)\n'


class Place:
    """A working directory with one script and the job files that a test asks for."""

    def __init__(self, path):
        self.path = path
        self.script = path / "script.py"

    def write(self, signature, body):
        self.script.write_text(f"{HEAD}def main(*, {signature}):\n    {body.strip()}\n{FOOT}")

    def job(self, name="a", identity=IDENTITY, **parts):
        """Write a job file, as the planner would."""
        content = {
            "rule": "script",
            "output": f"results/{name}.json",
            "identity": identity,
            "suffix": "",
            "settings": {},
            "arguments": {},
            "inputs": {},
            "files": [],
            "modules": [],
            "together": [],
            "code": code_digests(ROOT / "workflow", self.script),
            **parts,
        }
        path = self.path / f"results/.jobs/{name}.json"
        write_json(path, content)
        return content

    def command(self, name="a", *, log=True):
        logs = ["--log", f"results/logs/{name}.log"] if log else []
        return [sys.executable, str(self.script), f"results/.jobs/{name}.json", *logs]

    def run(self, name="a", *, log=True):
        return subprocess.run(
            self.command(name, log=log), cwd=self.path, capture_output=True, text=True
        )

    def log(self, name="a"):
        return (self.path / f"results/logs/{name}.log").read_text()

    def result(self, name="a"):
        return read_json(self.path / f"results/{name}.json")

    def finish(self, name, identity, *, publish=True):
        """Put a finished result in place."""
        with hold(self.path / f"results/{name}.json", identity) as work:
            work.finish({})
            if publish:
                work.publish()


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def companion(name, inputs=None, identity=OTHER, **settings):
    return {
        "output": f"results/{name}.json",
        "identity": identity,
        "suffix": "",
        "settings": settings,
        "arguments": {},
        "inputs": inputs or {},
    }


def named(name, identity, suffix=""):
    return {"record": f"results/{name}.json", "identity": identity, "suffix": suffix}


def test_main_gets_what_it_names_and_its_record_is_published(place):
    place.write(
        "work, settings, identity, path, parent",
        "work.finish({'got': [settings['l1'], identity, path, str(parent)]})",
    )
    place.finish("parent", OTHER)
    place.job(
        settings={"l1": 0.5},
        arguments={"path": "here"},
        inputs={"parent": named("parent", OTHER)},
    )
    assert place.run().returncode == 0
    record = place.result()
    assert record["got"] == [0.5, IDENTITY, "here", "results/parent.json"]
    assert record["identity"] == IDENTITY


def test_lists_of_inputs_come_as_lists_of_records(place):
    place.write("work, saes", "work.finish({'got': [str(path) for path in saes]})")
    place.finish("x", OTHER)
    place.finish("y", OTHER)
    place.job(inputs={"saes": [named("x", OTHER), named("y", OTHER)]})
    assert place.run().returncode == 0
    assert place.result()["got"] == ["results/x.json", "results/y.json"]


def test_finished_work_is_published_again_without_running(place):
    place.write("work", "raise AssertionError('ran')")
    place.job()
    place.finish("a", IDENTITY, publish=False)
    assert place.run().returncode == 0
    assert place.result()["identity"] == IDENTITY


def test_a_job_without_bulk_writes_its_own_outputs(place):
    place.write(
        "output, files, identity",
        "files[0].write_text('x'); output.write_text('{\"identity\": \"%s\"}' % identity)",
    )
    place.job(files=["results/a.csv"], suffix=None)
    assert place.run().returncode == 0
    assert (place.path / "results/a.csv").read_text() == "x"


def test_a_finished_job_leaves_behind_what_it_was_made_from(place):
    place.write("work", "work.finish({})")
    job = place.job(settings={"l1": 0.5})
    assert place.run().returncode == 0
    made = read_json(place.path / f"results/.made/a.{IDENTITY[:16]}.json")
    assert made == {name: job[name] for name in ("rule", "settings", "code", "inputs")}


def test_code_that_changed_since_planning_is_refused_before_anything_runs(place):
    place.write("work", "work.finish({})")
    place.job()
    place.write("work", "work.finish({'other': 1})")
    done = place.run()
    assert done.returncode == 1
    assert "the source code changed since this job was planned" in done.stderr
    assert "script.py" in done.stderr
    assert not (place.path / "results/a.json").exists()


def test_a_comment_added_since_planning_is_no_change(place):
    place.write("work", "work.finish({})")
    place.job()
    place.script.write_text("# a comment\n" + place.script.read_text())
    assert place.run().returncode == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"identity": OTHER}), "made under other settings or code than planned"),
        ("{", "an input is missing or unreadable"),
        ("{}", "an input is missing or unreadable"),
        ("[]", "an input is missing or unreadable"),
        (None, "an input is missing or unreadable"),
    ],
)
def test_an_input_that_is_not_the_planned_one_is_refused(place, text, message):
    place.write("work, parent", "work.finish({})")
    place.job(inputs={"parent": named("parent", IDENTITY)})
    if text is not None:
        (place.path / "results/parent.json").write_text(text)
    done = place.run()
    assert done.returncode == 1
    assert message in done.stderr
    assert "results/parent.json" in done.stderr
    assert not (place.path / "results/a.json").exists()


def test_companions_are_done_in_the_same_pass_and_published_by_themselves(place):
    place.write("tasks", SHARED)
    place.job(settings={"l1": 1}, together=[companion("b", l1=2)])
    place.job("b", OTHER, settings={"l1": 2})
    assert place.run("a").returncode == 0
    assert not (place.path / "results/b.json").exists()
    assert place.run("b").returncode == 0
    assert place.result("b")["settings"] == {"l1": 2}
    assert place.result("b")["led_by"] == "results/a.json"
    assert "in the same pass: results/b.json" in place.log("a")


def test_a_companion_that_is_finished_is_left_alone(place):
    place.write("tasks", SHARED)
    place.job(together=[companion("b")])
    place.finish("b", OTHER)
    before = (place.path / "results/b.json").read_bytes()
    assert place.run().returncode == 0
    assert (place.path / "results/b.json").read_bytes() == before
    assert "in the same pass" not in place.log()


def test_a_companion_that_another_process_works_on_is_left_to_it(place):
    place.write("tasks", SHARED)
    place.job(together=[companion("b")])
    with hold(place.path / "results/b.json", OTHER):
        assert place.run().returncode == 0
    assert not (bulk_path(place.path / "results/b.json", OTHER) / MANIFEST).exists()


@pytest.mark.parametrize(
    "ready", [None, "finished", "published", "of other settings", "without its data"]
)
def test_a_companion_takes_part_only_if_its_inputs_are_ready(place, ready):
    place.write("tasks", SHARED)
    place.job(together=[companion("b", {"parent": named("parent", OTHER)})])
    if ready:
        identity = IDENTITY if ready == "of other settings" else OTHER
        place.finish("parent", identity, publish=ready != "finished")
    if ready == "without its data":
        (bulk_path(place.path / "results/parent.json", OTHER) / MANIFEST).unlink()
    assert place.run().returncode == 0
    done = (bulk_path(place.path / "results/b.json", OTHER) / MANIFEST).exists()
    assert done == (ready in ("finished", "published"))


def test_one_job_that_fails_leaves_its_siblings_data_alone(place):
    place.write(
        "tasks",
        """
    tasks[0].work.finish({}); (tasks[1].work.path / "state").write_text("step 3")
    raise ValueError("made to fail")
""",
    )
    place.job(together=[companion("b")])
    assert place.run().returncode == 1
    assert (bulk_path(place.path / "results/a.json", IDENTITY) / MANIFEST).exists()
    (state,) = (place.path / "results").glob("b.*.partial/state")
    assert state.read_text() == "step 3"


def test_a_failure_tells_the_screen_the_log_and_its_last_lines(place):
    place.write(
        "work",
        """
    import logging
    for step in range(40):
        logging.getLogger("x").info("step %d", step)
    raise RuntimeError("made to fail")
""",
    )
    place.job()
    done = place.run()
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0] == "error in results/.jobs/a.json: RuntimeError: made to fail"
    assert lines[1] == "  log: results/logs/a.log"
    assert lines[-1].endswith("step 39")
    assert 5 < len(lines) < 30
    assert "Traceback" not in done.stderr
    assert "Traceback" in place.log()
    assert place.log().rstrip().endswith("RuntimeError: made to fail")


def test_an_error_made_for_people_comes_as_one_line(place):
    place.write(
        "work",
        """
    from saeflow.errors import DataError
    raise DataError("too few tokens", where="results/tokens.json", expected=10, got=3)
""",
    )
    place.job()
    first = place.run().stderr.splitlines()[0]
    assert first == (
        "error in results/.jobs/a.json: results/tokens.json: too few tokens (expected 10; got 3)."
    )
    assert "Traceback" not in place.run(log=False).stderr


def test_a_full_disk_is_said_plainly_and_nothing_is_published(place):
    place.write(
        "work",
        """
    import errno
    raise OSError(errno.ENOSPC, "No space left on device", "results/a.partial/x")
""",
    )
    place.job()
    done = place.run()
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "saeflow clean" in done.stderr
    assert not (place.path / "results/a.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_is_full_while_writing_is_said_plainly(place):
    place.write(
        "work",
        """
    with open("/dev/full", "w") as file:
        file.write("x")
""",
    )
    place.job()
    assert "the disk is full" in place.run().stderr


def test_sigterm_lets_the_job_save_and_ends_with_143(place):
    place.write(
        "work",
        """
    import time
    from saeflow.interrupt import interruptible
    with interruptible() as stop:
        (work.path / "started").touch()
        while True:
            time.sleep(0.01)
            if stop.requested:
                (work.path / "state").write_text("saved")
                stop.check()
""",
    )
    place.job()
    process = subprocess.Popen(place.command(), cwd=place.path, stderr=subprocess.PIPE, text=True)
    partial = bulk_path(place.path / "results/a.json", IDENTITY)
    partial = partial.with_name(f"{partial.name}.partial")
    deadline = time.monotonic() + 20
    while not (partial / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "the next run resumes" in stderr
    assert (partial / "state").read_text() == "saved"
    assert not (place.path / "results/a.json").exists()


def test_jobs_are_offline_and_have_their_threads_before_any_import(place):
    place.write(
        "work",
        """
    import os
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "OMP_NUM_THREADS")
    work.finish({name: os.environ.get(name) for name in names})
""",
    )
    place.job()
    command = [*place.command(), "--threads", "3"]
    subprocess.run(command, cwd=place.path, check=True, env={**os.environ, "HF_HUB_OFFLINE": "0"})
    record = place.result()
    assert record["HF_HUB_OFFLINE"] == record["HF_DATASETS_OFFLINE"] == "1"
    assert record["OMP_NUM_THREADS"] == "3"


def test_nothing_of_the_time_or_the_machine_is_in_what_a_job_writes(place):
    place.write("work", "work.finish({})")
    place.job()
    assert place.run().returncode == 0
    first = {p: p.read_bytes() for p in place.path.glob("results/**/*.json")}
    for path in [*place.path.glob("results/a*"), *place.path.glob("results/.made/*")]:
        if path.is_file():
            path.unlink()
    assert place.run().returncode == 0
    assert {p: p.read_bytes() for p in place.path.glob("results/**/*.json")} == first
