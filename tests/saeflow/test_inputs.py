"""What results are made from: whether it is there, as planned, and what its failure costs."""

import json

import pytest

from saeflow.files import write_json
from saeflow.inventory import with_checksum
from saeflow.plan.local import HASH, hash_of, local_files
from script_place import IDENTITY, OTHER, PLAN, RECEIPT, Place, named, result


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


OF_ANOTHER = json.dumps(with_checksum({"identity": OTHER}))


@pytest.mark.parametrize(
    "text", [OF_ANOTHER, "{", "{}", json.dumps({"identity": OTHER}), "[]", None]
)
def test_an_input_that_is_not_the_planned_one_is_refused(place, text):
    place.write("tasks[0].work.finish({})")
    place.plan(result(inputs={"parent": named("parent", IDENTITY)}))
    if text is not None:
        (place.path / "results/parent.json").write_text(text)
    done = place.run()
    assert done.returncode == 1
    other = "made under other settings or code than planned"
    assert (other if text == OF_ANOTHER else "an input is missing or unreadable") in done.stderr
    assert "results/parent.json" in done.stderr
    assert not (place.path / "results/a.json").exists()
    assert not place.is_done()


def test_local_files_are_those_of_the_plan_or_their_result_fails_alone(place, monkeypatch):
    place.write(
        """
    from pathlib import Path
    for task in tasks:
        with task.attempt():
            file = Path(task.arguments["path"])
            (task.work.path / "copy").write_text(file.read_text())
            if file.name == "meanwhile" and not Path("once").exists():
                Path("once").touch()
                file.write_text("other")
            task.work.finish({})
"""
    )
    monkeypatch.chdir(place.path)
    results = []
    for i, name in enumerate(("same", "since", "meanwhile")):
        (place.path / name).write_text(name)
        settings = {"format": "auto"}
        settings[HASH] = hash_of(local_files("train_saes", name, settings, where=name))
        results.append(result(name, f"{i}" * 64, settings=settings, arguments={"path": name}))
    place.plan(*results)
    (place.path / "since").write_text("other")
    done = place.run()
    assert done.returncode == 1
    assert "since: a local file changed since this job was planned" in done.stderr
    assert "meanwhile: a local file changed while it was read" in done.stderr
    assert place.record("same")["identity"] == "0" * 64
    for name in ("since", "meanwhile"):
        assert not (place.path / f"results/{name}.json").exists()
        (place.path / name).write_text(name)  # the old file is put back
    assert place.run().returncode == 0 and place.is_done()
    for name in ("since", "meanwhile"):
        bulk = place.path / "results" / place.record(name)["bulk"]
        assert (bulk / "copy").read_text() == name


COPIES = """
    for task in tasks:
        if task.files:
            task.files[0].write_text(str(len(task.inputs["saes"])))
        task.finish({})
"""


def failed(place, name, why="it diverged"):
    """Leave what a pass leaves of a result that fails."""
    place.write(f"from saeflow.errors import DataError; tasks[0].fail(DataError('{why}'))")
    place.plan(result(name))
    assert place.run().returncode == 0


def test_what_needs_a_result_that_failed_is_left_out_with_its_cause(place):
    failed(place, "x")
    place.write(COPIES)
    alone = result("b", OTHER)
    place.plan(result(inputs={"parent": named("x", IDENTITY)}), alone)
    done = place.run()
    assert done.returncode == 0
    assert place.record("b")["identity"] == OTHER
    assert place.receipt()["failed"] == {}
    assert place.receipt()["left_out"] == {"results/a.json": [["results/x.json", "it diverged."]]}
    # and what needs that in turn
    place.plan(result("c", inputs={"parent": named("a", IDENTITY)}))
    assert place.run().returncode == 0
    assert place.receipt()["left_out"] == {"results/c.json": [["results/x.json", "it diverged."]]}


def test_of_a_list_the_rest_is_taken_and_the_record_says_what_lacks(place):
    place.finish("x", OTHER)
    failed(place, "y")
    place.write(COPIES)
    saes = [named("x", OTHER), named("y", IDENTITY)]
    table = result(inputs={"saes": saes}, files=["results/a.csv"], suffix=None)
    place.plan(table)
    assert place.run().returncode == 0
    assert (place.path / "results/a.csv").read_text() == "1"
    assert place.record()["missing"] == [["results/y.json", "it diverged."]]
    # what is made of that lacks it, too
    page = {"saes": [named("a", IDENTITY)]}
    place.plan(result("b", OTHER, inputs=page, files=["results/b.html"], suffix=None))
    assert place.run().returncode == 0
    assert place.record("b")["missing"] == place.record()["missing"]
    # and when it comes, both are made anew
    place.finish("y")
    place.plan(table)
    assert place.run().returncode == 0
    assert (place.path / "results/a.csv").read_text() == "2"
    assert "missing" not in place.record()


def test_what_reads_many_records_reads_those_it_was_planned_with(place):
    """Another configuration publishes a result of the same name while a table is being made."""
    place.finish("x", OTHER)
    place.write(
        """
    from saeflow.files import read_json, write_json
    (path,) = tasks[0].inputs["saes"]
    write_json("results/x.json", {"identity": "another"})
    tasks[0].files[0].write_text(read_json(path)["identity"])
    tasks[0].finish({})
"""
    )
    inputs = {"saes": [named("x", OTHER)]}
    place.plan(result(inputs=inputs, files=["results/a.csv"], suffix=None))
    assert place.run().returncode == 0
    assert (place.path / "results/a.csv").read_text() == OTHER


OF_A_LIST = {"inputs": {"saes": [named("y", IDENTITY)], "none": []}, "suffix": None}
AFTER = {"after": [named("y", IDENTITY)]}


@pytest.mark.parametrize("needs", [{**OF_A_LIST, "files": ["results/a.csv"]}, AFTER])
def test_without_anything_of_a_list_or_what_comes_before_nothing_is_made(place, needs):
    """A store is not removed while a reader that failed may be tried again."""
    failed(place, "y")
    place.write("raise AssertionError('ran')")
    place.plan(result(**needs))
    assert place.run().returncode == 0
    assert {*place.receipt()["left_out"]} == {"results/a.json"}


def test_the_note_of_a_failure_goes_when_the_result_comes(place):
    failed(place, "a")
    notes = list(place.path.glob("results/.failed/*.json"))
    assert [note.name for note in notes] == [f"a.{IDENTITY[:16]}.json"]
    place.write(COPIES)
    assert place.run().returncode == 0
    assert not notes[0].exists()


def test_what_a_part_could_not_make_is_not_tried_again(place):
    failed(place, "b")
    part = place.path / "part.json"
    part.write_bytes((place.path / RECEIPT).read_bytes())
    place.write("(task,) = tasks; task.finish({'made': str(task.output)})")
    write_json(
        place.path / f"results/.plans/{PLAN}.json",
        {**place.plan(result(), result("b")), "parts": ["part.json"]},
    )
    assert place.run().returncode == 0
    assert place.record()["made"] == "results/a.json"
    assert place.receipt()["failed"] == {"results/b.json": "it diverged."}
