import errno
import fcntl
import json
import subprocess
import sys

import pytest

from saeflow.errors import BusyError, LockError
from saeflow.locks import lock_path, locked, try_lock
from saeflow.readers import reading, try_lock_unread

HOLDS = """
import sys
from pathlib import Path
from saeflow.locks import locked
with locked(Path(sys.argv[1]), shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Return a function that has another process hold the lock of a record."""
    started = []

    def start(kind):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(tmp_path / "deep" / "a.json"), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return tmp_path / "deep" / "a.json", process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_lock_is_had_by_one_process_and_ends_with_it(holder):
    record, process = holder("alone")
    with try_lock(record) as free:
        assert not free
    for shared in (False, True):
        with pytest.raises(BusyError, match=r"a\.json"), locked(record, wait_s=0, shared=shared):
            pass
    process.kill()
    process.wait()
    with try_lock(record) as free:
        assert free


def test_a_shared_lock_is_had_by_many_and_by_nobody_alone(holder):
    record, _ = holder("shared")
    with locked(record, wait_s=0, shared=True):
        pass
    with try_lock(record) as free:
        assert not free
    with pytest.raises(BusyError), locked(record, wait_s=0):
        pass


def test_a_lock_leaves_its_hidden_file_and_nothing_else(tmp_path):
    with locked(tmp_path / "a.json"):
        inode = lock_path(tmp_path / "a.json").stat().st_ino
    with try_lock(tmp_path / "a.json"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == [".a.json.lock"]
    assert lock_path(tmp_path / "a.json").stat().st_ino == inode


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_a_lock_that_another_process_has_is_held_whatever_the_system_calls_it(
    tmp_path, monkeypatch, number
):
    monkeypatch.setattr(fcntl, "lockf", raising(number))
    with try_lock(tmp_path / "a.json") as free:
        assert not free
    with pytest.raises(BusyError), locked(tmp_path / "a.json", wait_s=0):
        pass


@pytest.mark.parametrize(
    "number",
    [errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOLCK, errno.EIO, errno.EBADF],
)
@pytest.mark.parametrize("take", [locked, try_lock, reading, try_lock_unread])
def test_a_file_system_without_locks_is_an_error_at_once(tmp_path, monkeypatch, number, take):
    monkeypatch.setattr(fcntl, "lockf", raising(number))
    with (
        pytest.raises(LockError, match=r"a\.json.*lock: .*Lustre") as found,
        take(tmp_path / "a.json"),
    ):
        pass
    assert found.value.got


def raising(number):
    def lockf(*arguments):
        raise OSError(number, "made to fail")

    return lockf


WAITS = """
import logging, sys
from pathlib import Path
from saeflow import logs
from saeflow.locks import locked
logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
logs.report_to(Path(sys.argv[2]))
with locked(Path(sys.argv[1])):
    print("has it", flush=True)
    sys.stdin.read()
"""


def test_a_wait_for_a_lock_is_told_and_reported_until_it_ends(holder, tmp_path):
    record, first = holder("alone")
    report = tmp_path / "report.json"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", WAITS, str(record), str(report)]
    with subprocess.Popen(command, **pipes) as second:
        words = f"waits: another process is making {record}"
        assert second.stdout.readline() == f"{words}\n"
        assert json.loads(report.read_bytes())["waiting"] == words
        first.kill()
        assert second.stdout.readline() == "has it\n"
        assert json.loads(report.read_bytes())["waiting"] == ""
        second.stdin.close()
