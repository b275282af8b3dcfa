import json

from saeflow import paths
from saeflow.plan.jobfile import describe
from saeflow.plan.made import recall, remember


def test_a_description_is_found_by_record_and_identity(make_job):
    old, new = make_job(l1=1.0), make_job(l1=2.0, inputs={"x": make_job("x"), "y": ()})
    remember(describe(old))
    remember(describe(new))
    assert recall(old.output, old.identity)["settings"] == {"l1": 1.0}
    assert recall(new.output, new.identity)["inputs"]["x"]["identity"] == make_job("x").identity
    assert recall(new.output, make_job("x").identity) is None


def test_a_description_that_does_not_hash_to_its_identity_is_not_believed(make_job):
    job = make_job(l1=1.0)
    remember(describe(job))
    path = paths.made_file(job.output, job.identity)
    for text in ("{", "[]", json.dumps({**json.loads(path.read_text()), "settings": {"l1": 3.0}})):
        path.write_text(text)
        assert recall(job.output, job.identity) is None


def test_a_description_is_written_once(make_job):
    job = make_job(l1=1.0)
    remember(describe(job))
    path = paths.made_file(job.output, job.identity)
    before = path.stat().st_mtime_ns, path.read_bytes()
    remember(describe(job))
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_a_description_has_no_place_and_no_clock(make_job, place):
    remember(describe(make_job(l1=1.0)))
    (text,) = (path.read_text() for path in (place / "results/.made").rglob("*.json"))
    assert str(place) not in text
    assert set(json.loads(text)) == {"rule", "settings", "code", "inputs"}
