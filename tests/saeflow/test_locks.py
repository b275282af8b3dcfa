import subprocess
import sys

import pytest

from saeflow.errors import BusyError
from saeflow.locks import lock_path, locked, try_lock

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
