import json

from saeflow import paths
from saeflow.plan.made import keep_code, recall
from saeflow.plan.made import remember as remember_result
from saeflow.plan.passes import describe


def remember(described):
    remember_result("train_saes", described)


def test_a_description_is_found_by_record_and_identity(make):
    old, new = make(l1=1.0), make(l1=2.0, inputs={"x": make("x"), "y": ()})
    remember(describe(old))
    remember(describe(new))
    assert recall(old.output, old.identity)["settings"] == {"l1": 1.0}
    assert recall(new.output, new.identity)["inputs"]["x"]["identity"] == make("x").identity
    assert recall(new.output, make("x").identity) is None


def test_a_description_that_does_not_hash_to_its_identity_is_not_believed(make):
    one = make(l1=1.0)
    remember(describe(one))
    path = paths.made_file(one.output, one.identity)
    for text in ("{", "[]", json.dumps({**json.loads(path.read_text()), "settings": {"l1": 3.0}})):
        path.write_text(text)
        assert recall(one.output, one.identity) is None


def test_a_description_is_written_once(make):
    one = make(l1=1.0)
    remember(describe(one))
    path = paths.made_file(one.output, one.identity)
    before = path.stat().st_mtime_ns, path.read_bytes()
    remember(describe(one))
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_a_description_has_no_place_and_no_clock(make, place):
    remember(describe(make(l1=1.0)))
    (text,) = (path.read_text() for path in (place / "results/.made").rglob("*.json"))
    assert str(place) not in text
    assert set(json.loads(text)) == {"rule", "settings", "code", "inputs"}


def test_the_definitions_behind_a_digest_of_code_are_kept_once(make):
    one = make(l1=1.0)
    remember(describe(one))
    assert recall(one.output, one.identity)["code"] == {}
    keep_code(one.code, {"saeflow.a:f": "1"})
    keep_code(one.code, {"saeflow.a:f": "2"})
    assert recall(one.output, one.identity)["code"] == {"saeflow.a:f": "1"}
