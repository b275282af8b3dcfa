"""The runner around a script's main, run as the process that Snakemake starts."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from saeflow import script as script_module
from saeflow.code import Source
from saeflow.errors import StaleError
from saeflow.files import read_json, sha256_file
from saeflow.work import bulk_path, hold
from script_place import IDENTITY, OTHER, RECEIPT, Place, named, result

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_main_gets_a_task_for_each_result_and_the_pass_leaves_a_receipt(place):
    place.write(
        """
    for task in tasks:
        got = [task.settings["l1"], task.identity, task.arguments, str(task.inputs["parent"])]
        task.work.finish({"got": got})
"""
    )
    place.finish("parent", OTHER)
    inputs = {"parent": named("parent", OTHER)}
    place.plan(
        result(settings={"l1": 0.5}, arguments={"path": "here"}, inputs=inputs),
        result("b", OTHER, settings={"l1": 1}, inputs=inputs),
    )
    done = place.run()
    assert done.returncode == 0, done.stderr
    assert place.record()["got"] == [0.5, IDENTITY, {"path": "here"}, "results/parent.json"]
    assert place.record("b")["got"][0] == 1
    receipt = read_json(place.path / RECEIPT)
    assert receipt["results"] == [
        {"record": "results/a.json", "identity": IDENTITY},
        {"record": "results/b.json", "identity": OTHER},
    ]
    assert receipt["usage"]["threads"] == 1


def test_lists_of_inputs_come_as_lists_of_records(place):
    place.write("tasks[0].work.finish({'got': [str(path) for path in tasks[0].inputs['saes']]})")
    place.finish("x", OTHER)
    place.finish("y", OTHER)
    place.plan(result(inputs={"saes": [named("x", OTHER), named("y", OTHER)]}))
    assert place.run().returncode == 0
    assert place.record()["got"] == ["results/x.json", "results/y.json"]


def test_what_is_finished_is_published_again_without_running(place):
    place.write("raise AssertionError('ran')")
    place.plan()
    place.finish("a")
    (place.path / "results/a.json").unlink()
    assert place.run().returncode == 0
    assert place.record()["identity"] == IDENTITY
    assert place.is_done()


def test_only_what_is_missing_is_made(place):
    place.write("(task,) = tasks; task.work.finish({'made': str(task.output)})")
    place.finish("b", OTHER)
    before = (place.path / "results/b.json").read_bytes()
    place.plan(result(), result("b", OTHER))
    assert place.run().returncode == 0
    assert place.record()["made"] == "results/a.json"
    assert (place.path / "results/b.json").read_bytes() == before


def test_a_result_of_files_is_finished_with_their_hashes_and_made_again_where_one_is_cut(place):
    place.write("tasks[0].files[0].write_text('xyz'); tasks[0].finish({'n': 1})")
    place.plan(result(files=["results/a.csv"], suffix=None))
    assert place.run().returncode == 0
    assert place.record()["files"]["a.csv"]["bytes"] == 3
    (place.path / "results/a.csv").write_text("x")
    assert place.run().returncode == 0
    assert (place.path / "results/a.csv").read_text() == "xyz"


def test_a_finished_result_leaves_behind_what_it_was_made_from(place):
    place.write("tasks[0].work.finish({})")
    one = result(settings={"l1": 0.5})
    place.plan(one)
    assert place.run().returncode == 0
    made = read_json(place.path / f"results/.made/a.{IDENTITY[:16]}.json")
    assert made == {
        "rule": "train_saes", "settings": {"l1": 0.5}, "code": "c0de", "inputs": {},
    }  # fmt: skip


def test_one_result_that_fails_leaves_the_others_published_and_is_named(place):
    place.write(
        """
    from saeflow.errors import DataError
    first, second, third = tasks
    first.work.finish({})
    second.fail(DataError("it diverged", where="results/b.json"))
    third.work.finish({})
"""
    )
    place.plan(result(), result("b", OTHER), result("c", OTHER))
    done = place.run()
    assert done.returncode == 0, "what needs none of it goes on"
    assert done.stderr.splitlines()[0].endswith("results/b.json: it diverged.")
    assert place.record()["identity"] == IDENTITY
    assert place.record("c")["identity"] == OTHER
    assert not (place.path / "results/b.json").exists()
    assert place.receipt()["failed"] == {"results/b.json": "results/b.json: it diverged."}


FAILS = "from saeflow.errors import {0}; raise {0}('made to fail')"


@pytest.mark.parametrize(
    "error", ["DataError", "ModelError", "ConfigError", "StoreError", "DamagedError"]
)
def test_an_error_of_a_whole_pass_is_that_of_each_result_and_told_once(place, error):
    place.write(FAILS.format(error))
    place.plan(result(), result("b", OTHER))
    done = place.run()
    assert done.returncode == 0
    assert done.stderr.count("made to fail") == 1
    assert set(place.receipt()["failed"].values()) == {"made to fail."}


@pytest.mark.parametrize(
    "body",
    [
        *(FAILS.format(f"{name}Error") for name in ("DiskFull", "Busy", "Network", "Stale")),
        "raise OSError('made to fail')",
        "raise MemoryError('made to fail')",
        "import torch; raise torch.OutOfMemoryError('made to fail')",
        "from saeflow.errors import NetworkError; tasks[0].fail(NetworkError('made to fail'))",
    ],
)
def test_where_trying_again_may_help_the_job_fails(place, body):
    place.write(body)
    place.plan()
    done = place.run()
    assert done.returncode == 1
    assert "made to fail" in done.stderr
    assert not place.is_done()


def test_what_was_finished_before_a_crash_is_published_and_the_rest_keeps_its_state(place):
    place.write(
        """
    tasks[0].work.finish({}); (tasks[1].work.path / "state").write_text("step 3")
    raise ValueError("made to fail")
"""
    )
    place.plan(result(), result("b", OTHER))
    place.run()
    assert {*place.receipt()["failed"]} == {"results/b.json"}
    assert place.record()["identity"] == IDENTITY
    (state,) = (place.path / "results").glob("b.*.partial/state")
    assert state.read_text() == "step 3"


def test_a_result_that_main_forgot_is_a_failure(place):
    place.write("pass")
    place.plan()
    done = place.run()
    assert "results/a.json: this was not made" in done.stderr
    assert "nobody said why" in place.receipt()["failed"]["results/a.json"]


def test_a_part_of_the_work_shares_its_place_and_finishes_nothing(place):
    place.write("(tasks[0].work.path / f'shard-{part[0]}').write_text('x')", "tasks, part=None")
    place.plan(part=[1, 2])
    with hold(place.path / "results/a.json", IDENTITY, shared=True):
        assert place.run().returncode == 0
    assert place.is_done()
    assert not (place.path / "results/a.json").exists()
    (shard,) = (place.path / "results").glob("a.*.partial/shard-1")
    assert shard.exists()


def test_a_failure_tells_the_screen_the_log_and_its_last_lines(place):
    place.write(
        """
    import logging
    for step in range(40):
        logging.getLogger("x").info("step %d", step)
    raise RuntimeError("made to fail")
"""
    )
    place.plan()
    done = place.run()
    lines = done.stderr.splitlines()
    assert lines[0] == "error in train_saes/hook: results/a.json: RuntimeError: made to fail"
    assert lines[1] == "  log: results/logs/a.log"
    assert lines[-1].endswith("step 39")
    assert 5 < len(lines) < 30
    assert "Traceback" not in done.stderr
    assert "Traceback" in place.log()
    assert place.log().rstrip().endswith("RuntimeError: made to fail")


def test_an_error_made_for_people_comes_as_one_line(place):
    place.write(
        """
    from saeflow.errors import DataError
    raise DataError("too few tokens", where="results/tokens.json", expected=10, got=3)
"""
    )
    place.plan()
    first = place.run().stderr.splitlines()[0]
    assert first == (
        "error in train_saes/hook: results/a.json: results/tokens.json: too few tokens"
        " (expected 10; got 3)."
    )
    assert "Traceback" not in place.run(log=False).stderr


def test_a_full_disk_is_said_plainly_and_nothing_is_published(place):
    place.write(
        """
    import errno
    raise OSError(errno.ENOSPC, "No space left on device", "results/a.partial/x")
"""
    )
    place.plan()
    done = place.run()
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "saeflow clean" in done.stderr
    assert not (place.path / "results/a.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_is_full_while_writing_is_said_plainly(place):
    place.write(
        """
    with open("/dev/full", "w") as file:
        file.write("x")
"""
    )
    place.plan()
    assert "the disk is full" in place.run().stderr


def test_sigterm_lets_the_job_save_and_ends_with_143(place):
    place.write(
        """
    import time
    from saeflow.interrupt import interruptible
    with interruptible() as stop:
        (tasks[0].work.path / "started").touch()
        while True:
            time.sleep(0.01)
            if stop.requested:
                (tasks[0].work.path / "state").write_text("saved")
                stop.check()
"""
    )
    place.plan()
    process = subprocess.Popen(place.command(), cwd=place.path, stderr=subprocess.PIPE, text=True)
    partial = bulk_path(place.path / "results/a.json", IDENTITY)
    partial = partial.with_name(f"{partial.name}.partial")
    while not (partial / "started").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 143
    assert "the next run resumes" in stderr
    assert (partial / "state").read_text() == "saved"
    assert not (place.path / "results/a.json").exists()


def test_jobs_are_offline_and_have_their_threads_before_any_import(place):
    place.write(
        """
    import os
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "OMP_NUM_THREADS")
    tasks[0].work.finish({name: os.environ.get(name) for name in names})
"""
    )
    place.plan()
    command = [*place.command(), "--threads", "3"]
    subprocess.run(command, cwd=place.path, check=True, env={**os.environ, "HF_HUB_OFFLINE": "0"})
    record = place.record()
    assert record["HF_HUB_OFFLINE"] == record["HF_DATASETS_OFFLINE"] == "1"
    assert record["OMP_NUM_THREADS"] == "3"


def test_nothing_of_the_time_or_the_machine_is_in_a_result(place):
    place.write("tasks[0].work.finish({})")
    place.plan()
    assert place.run().returncode == 0

    def found():
        return {p: p.read_bytes() for p in place.path.glob("results/a*/*")} | {
            p: p.read_bytes() for p in place.path.glob("results/**/a.*json")
        }

    first = found()
    assert len(first) > 2
    for path in first:
        path.unlink()
    assert place.run().returncode == 0
    assert found() == first


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one script and one module, and the plan of a result that they make."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(script_module, "ROOT", tmp_path)
    package = tmp_path / "workflow/saeflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "lib.py").write_text("def f():\n    return 1\n\ndef unused():\n    return 2\n")
    (tmp_path / "scripts").mkdir()
    text = "def main(*, tasks):\n    from saeflow.lib import f\n    f()\n"
    (tmp_path / "scripts/make.py").write_text(text)
    roots = ["scripts/make.py:main"]
    source = Source(tmp_path / "workflow", tmp_path / "scripts")
    plan = {
        "rule": "make", "sources": source.files(roots),
        "results": [result(code=source.digest(roots), roots=roots)],
    }  # fmt: skip
    assert {name for name in plan["sources"]} >= {"scripts/make.py", "workflow/saeflow/lib.py"}
    assert plan["sources"]["scripts/make.py"] == sha256_file(tmp_path / "scripts/make.py")
    return package / "lib.py", plan


def test_code_that_changed_since_planning_is_refused(checkout):
    module, plan = checkout
    script_module.check_code(plan)
    module.write_text(module.read_text().replace("return 1", "return 3"))
    with pytest.raises(StaleError, match="lib.py: the source code changed since this job was"):
        script_module.check_code(plan)


@pytest.mark.parametrize("edit", [("return 2", "return 4"), ("def f", "# a comment\ndef f")])
def test_other_definitions_and_comments_may_change_after_planning(checkout, edit):
    module, plan = checkout
    module.write_text(module.read_text().replace(*edit))
    script_module.check_code(plan)
