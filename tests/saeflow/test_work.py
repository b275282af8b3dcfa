import subprocess
import sys
import textwrap
import time

import pytest

from saeflow.errors import BusyError, DamagedError
from saeflow.files import read_json
from saeflow.work import MANIFEST, bulk_of, hold, try_hold

IDENTITY = "0123456789abcdef" * 4
OTHER = "f" * 64


def test_finished_work_lies_under_its_identity_and_the_record_names_it(tmp_path):
    output = tmp_path / "deep" / "sae.json"
    with hold(output, IDENTITY) as work:
        assert not work.finished
        assert work.path.name == "sae.0123456789abcdef.partial"
        (work.path / "data").write_text("x")
        work.finish({"n": 1})
        assert work.finished
        assert not output.exists()
        work.publish()
    assert read_json(output) == {"n": 1, "identity": IDENTITY, "bulk": "sae.0123456789abcdef"}
    assert (bulk_of(output) / "data").read_text() == "x"
    assert sorted(p.name for p in output.parent.iterdir()) == [
        ".sae.json.lock",
        "sae.0123456789abcdef",
        "sae.json",
    ]


def test_what_a_killed_run_left_is_there_for_the_next(tmp_path):
    output = tmp_path / "a.json"
    with pytest.raises(RuntimeError), hold(output, IDENTITY) as work:
        (work.path / "checkpoint").write_text("step 3")
        raise RuntimeError
    with hold(output, IDENTITY) as work:
        assert (work.path / "checkpoint").read_text() == "step 3"
        work.restart()
        assert list(work.path.iterdir()) == []


def test_another_identity_never_sees_it(tmp_path):
    output = tmp_path / "a.json"
    with hold(output, IDENTITY) as work:
        (work.path / "checkpoint").write_text("step 3")
    with hold(output, OTHER) as work:
        assert list(work.path.iterdir()) == []


def test_a_deleted_record_is_published_again_with_the_same_bytes(tmp_path):
    output = tmp_path / "a.json"
    with hold(output, IDENTITY) as work:
        work.finish({"values": [0.1, 1e-9]})
        work.publish()
    before = output.read_bytes()
    output.unlink()
    with hold(output, IDENTITY) as work:
        assert work.finished
        work.publish()
    assert output.read_bytes() == before


def test_a_record_without_its_bulk_is_damage(tmp_path):
    output = tmp_path / "a.json"
    with hold(output, IDENTITY) as work:
        work.finish({})
        work.publish()
    (bulk_of(output) / MANIFEST).unlink()
    with pytest.raises(DamagedError, match="missing or unfinished"):
        bulk_of(output)


def test_bulk_that_lost_its_manifest_is_made_anew(tmp_path):
    output = tmp_path / "a.json"
    for _ in range(2):
        with hold(output, IDENTITY) as work:
            assert not work.finished
            (work.path / "data").write_text("x")
            work.finish({})
        (work.final / MANIFEST).unlink()
    assert (work.final / "data").exists()


def _holder(output, seconds):
    code = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from saeflow.work import hold
        with hold(Path({str(output)!r}), {IDENTITY!r}) as work:
            print("held", flush=True)
            time.sleep({seconds})
            if not work.finished:
                work.finish({{"by": "other"}})
    """)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_two_processes_never_hold_one_place(tmp_path):
    output = tmp_path / "a.json"
    process = _holder(output, 60)
    try:
        with try_hold(output, IDENTITY) as work:
            assert work is None
        with pytest.raises(BusyError, match=r"a\.json"), hold(output, IDENTITY, wait_s=0):
            pass
    finally:
        process.kill()
        process.wait()
    with try_hold(output, IDENTITY) as work:  # the lock died with its process
        assert work is not None


def test_a_waiting_process_finds_the_work_done(tmp_path):
    output = tmp_path / "a.json"
    process = _holder(output, 1)
    start = time.monotonic()
    with hold(output, IDENTITY) as work:
        assert time.monotonic() - start > 0.4
        assert work.finished
        assert work.manifest["by"] == "other"
    process.wait()


def test_the_lock_file_is_never_removed(tmp_path):
    # a process that waits on a removed file would hold a lock that nobody else sees
    output = tmp_path / "a.json"
    with hold(output, IDENTITY) as work:
        inode = (tmp_path / ".a.json.lock").stat().st_ino
        work.finish({})
        work.publish()
    with hold(output, IDENTITY):
        assert (tmp_path / ".a.json.lock").stat().st_ino == inode
