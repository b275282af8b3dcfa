import subprocess
import sys

import pytest

from saeflow import locks
from saeflow.errors import BusyError, DamagedError
from saeflow.files import hash_tree, read_json, sha256_file, sha256_text
from saeflow.inventory import INVENTORY, MANIFEST, is_whole
from saeflow.work import bulk_of, hold

IDENTITY = "0123456789abcdef" * 4
OTHER = "f" * 64


@pytest.fixture
def output(tmp_path):
    return tmp_path / "a.json"


def finished(output, identity=IDENTITY, **files):
    """Work that is finished, with files of these contents."""
    with hold(output, identity) as work:
        for name, text in files.items():
            (work.path / name).write_text(text)
        work.finish({"values": [0.1, 1e-9]})
    return work


def test_finished_work_lies_under_its_identity_and_the_record_names_it(tmp_path):
    output = tmp_path / "deep" / "sae.json"
    with hold(output, IDENTITY) as work:
        assert not work.finished
        assert work.path.name == "sae.0123456789abcdef.partial"
        (work.path / "data").write_text("x")
        work.finish({"n": 1})
        assert work.finished
    assert read_json(output) == {
        "n": 1,
        "identity": IDENTITY,
        "bulk": "sae.0123456789abcdef",
        "inventory": sha256_file(bulk_of(output) / INVENTORY),
        "checksum": sha256_text(
            f'{{"bulk":"sae.0123456789abcdef","identity":"{IDENTITY}",'
            f'"inventory":"{sha256_file(bulk_of(output) / INVENTORY)}","n":1}}'
        ),
    }
    assert (bulk_of(output) / "data").read_text() == "x"
    assert sorted(p.name for p in output.parent.iterdir()) == [
        ".sae.json.lock",
        "sae.0123456789abcdef",
        "sae.json",
    ]


def test_what_a_killed_run_left_is_there_for_the_next(output):
    with pytest.raises(RuntimeError), hold(output, IDENTITY) as work:
        (work.path / "checkpoint").write_text("step 3")
        raise RuntimeError
    with hold(output, IDENTITY) as work:
        assert (work.path / "checkpoint").read_text() == "step 3"
        work.restart()
        assert list(work.path.iterdir()) == []


def test_another_identity_never_sees_it(output):
    with hold(output, IDENTITY) as work:
        (work.path / "checkpoint").write_text("step 3")
    with hold(output, OTHER) as work:
        assert list(work.path.iterdir()) == []


def test_a_deleted_record_is_published_again_with_the_same_bytes(output):
    finished(output)
    before = output.read_bytes()
    output.unlink()
    with hold(output, IDENTITY) as work:
        assert work.finished
        work.publish()
    assert output.read_bytes() == before


def test_a_record_without_its_bulk_is_damage(output):
    finished(output)
    (bulk_of(output) / MANIFEST).unlink()
    with pytest.raises(DamagedError, match="missing or unfinished"):
        bulk_of(output)


def test_bulk_that_lost_its_manifest_and_its_record_is_made_anew(output):
    for _ in range(2):
        with hold(output, IDENTITY) as work:
            assert not work.finished
            (work.path / "data").write_text("x")
            work.finish({})
        (work.final / MANIFEST).unlink()
        output.unlink()
    assert (work.final / "data").exists()


@pytest.mark.parametrize("text", [None, "", "{", '{"identity": "x"}'])
def test_a_damaged_manifest_is_put_back_from_the_record_and_a_record_from_it(output, text):
    work = finished(output, data="x")
    before = output.read_bytes()
    for file in (work.final / MANIFEST, output):
        file.unlink() if text is None else file.write_text(text)
        with hold(output, IDENTITY) as work:
            assert work.finished
            work.publish()
        assert output.read_bytes() == (work.final / MANIFEST).read_bytes() == before


def test_a_manifest_is_never_put_back_from_the_record_of_another_identity(output):
    work = finished(output)
    finished(output, OTHER)
    (work.final / MANIFEST).unlink()
    with hold(output, IDENTITY) as work:
        assert not work.finished


def test_a_file_that_was_written_to_is_not_kept_by_what_redoes_the_rest(output):
    work = finished(output, kept="kept", altered="altered")
    (work.final / "altered").write_text("deretla")
    with hold(output, IDENTITY) as work:
        assert not work.finished
        work.reopen()
        assert [p.name for p in work.path.iterdir() if p.name != INVENTORY] == ["kept"]


@pytest.mark.parametrize("harm", ["delete", "cut", "empty", "inventory"])
def test_finished_work_that_lost_something_is_not_finished(output, harm, caplog):
    with hold(output, IDENTITY) as work:
        (work.path / "deep").mkdir()
        (work.path / "deep" / "data").write_text("xyz")
        work.finish({})
    data = work.final / "deep" / "data"
    lost = {
        "delete": (data, data.unlink),
        "cut": (data, lambda: data.write_text("xy")),
        "empty": (data, lambda: data.write_text("")),
        "inventory": (work.final / INVENTORY, lambda: (work.final / INVENTORY).write_text("{}")),
    }
    file, do = lost[harm]
    do()
    with hold(output, IDENTITY) as work:
        assert not work.finished
        assert f"{file}: " in caplog.text
        assert list(work.path.iterdir()) == []
        (work.path / "data").write_text("anew")
        work.finish({})
    assert sorted(p.name for p in work.final.iterdir()) == ["data", INVENTORY, MANIFEST]


def test_work_that_needs_other_bulk_is_not_finished_without_it(tmp_path):
    rows = finished(tmp_path / "rows.json", OTHER, data="xyz")
    with hold(tmp_path / "a.json", IDENTITY) as work:
        work.finish({}, needs=[rows.final.name])
    assert is_whole(work.final)
    (rows.final / "data").unlink()
    assert not is_whole(work.final)
    with hold(tmp_path / "a.json", IDENTITY) as work:
        assert not work.finished


def test_reopened_work_keeps_what_is_whole_and_its_readers_files(output):
    work = finished(output, kept="kept", lost="lost")
    before = hash_tree(work.final)
    (work.final / "lost").unlink()
    with (work.final / "kept").open() as reader, hold(output, IDENTITY) as work:
        work.reopen()
        assert (work.path / "kept").exists()
        assert not work.final.exists()
        assert reader.read() == "kept"
        work.reopen()  # a second time: nothing left to take
        (work.path / "lost").write_text("lost")
        work.finish({"values": [0.1, 1e-9]})
    assert hash_tree(work.final) == before


def test_work_in_progress_is_never_replaced_by_older_damaged_work(output):
    work = finished(output, data="old")
    (work.final / MANIFEST).unlink()
    with hold(output, IDENTITY) as work:
        (work.path / "data").write_text("new")
        work.reopen()
        assert (work.path / "data").read_text() == "new"


HOLDS = """
import sys
from pathlib import Path
from saeflow.work import hold
with hold(Path(sys.argv[1]), sys.argv[2], shared=sys.argv[3] == "True") as work:
    print("held", flush=True)
    sys.stdin.read()
    work.finish({"by": "other"})
"""


def holder(output, *, shared=False):
    """Start a process that holds a place until it is told to finish the work."""
    command = [sys.executable, "-c", HOLDS, str(output), IDENTITY, str(shared)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_waiting_process_finds_the_work_done(tmp_path, monkeypatch):
    output, waited = tmp_path / "a.json", []
    process = holder(output)

    def sleep(seconds):
        waited.append(seconds)
        process.communicate()  # now that this one waits, the other one finishes

    monkeypatch.setattr(locks.time, "sleep", sleep)
    with hold(output, IDENTITY) as work:
        assert len(waited) == 1
        assert work.finished
        assert work.manifest["by"] == "other"


def test_those_who_share_a_place_hold_it_together_and_keep_others_out(output):
    with holder(output, shared=True) as other:
        with hold(output, IDENTITY, shared=True, wait_s=0) as work:
            assert not work.finished
        with pytest.raises(BusyError, match=r"a\.json"), hold(output, IDENTITY, wait_s=0):
            pass
        other.kill()
    with hold(output, IDENTITY, wait_s=0) as work:  # the lock died with its process
        assert not work.finished
