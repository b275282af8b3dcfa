"""Which results are there, in particular stores that were removed after their last reader."""

import json

import pytest

from saeflow.plan.current import HARVEST, RELEASE, Current, is_released
from saeflow.plan.result import Result
from saeflow.work import bulk_path

from .conftest import finish, remove_data


@pytest.fixture
def stored(make):
    """Return functions that make a store, its readers and what removes it."""

    def store(name="store"):
        return make(name, rule=HARVEST)

    def reader(name, store, **settings):
        return make(name, inputs={"activations": store}, **settings)

    def remover(store, *readers):
        output = store.output.with_name("store.released.json")
        return Result(RELEASE, {}, output, {}, {"activations": store}, after=readers)

    return store, reader, remover


def test_a_result_is_there_with_its_record_its_identity_and_every_file_of_its_bulk(make):
    one = make(l1=1.0)
    assert not Current([one])(one)
    finish(one)
    assert Current([one])(one)
    other = make(l1=2.0)
    assert not Current([other])(other), "of other settings"
    bulk = bulk_path(one.output, one.identity)
    (bulk / "manifest.json").unlink()
    assert not Current([one])(one)


def test_a_result_of_files_is_there_while_each_has_its_size(make, place):
    from pathlib import Path

    one = make(files=(Path("results/a.csv"), Path("results/b.png")))
    finish(one)
    assert Current([one])(one)
    Path("results/b.png").write_text("")
    assert not Current([one])(one)
    finish(one)
    Path("results/a.csv").unlink()
    assert not Current([one])(one)


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"identity": 3})])
def test_a_record_that_cannot_be_read_is_none(make, text):
    one = make()
    finish(one)
    one.output.write_text(text)
    assert not Current([one])(one)


def test_a_removed_store_is_current_while_its_readers_are(stored):
    store, reader, _ = stored
    activations = store()
    sae = reader("a", activations)
    for one in (activations, sae):
        finish(one)
    remove_data(activations)
    assert is_released(activations)
    assert Current([activations, sae])(activations)


def test_a_removed_store_is_needed_again_by_a_reader_without_its_result(stored):
    store, reader, _ = stored
    activations = store()
    done, missing = reader("a", activations), reader("b", activations)
    for one in (activations, done):
        finish(one)
    remove_data(activations)
    current = Current([activations, done, missing])
    assert not current(activations)
    assert current.needing(activations) == [missing]


def test_a_reader_that_only_waits_to_be_published_needs_no_data(stored):
    store, reader, _ = stored
    activations = store()
    before, now = reader("a", activations, l1=1.0), reader("a", activations, l1=2.0)
    for one in (activations, now, before):  # the record is that of other settings
        finish(one)
    remove_data(activations)
    current = Current([activations, now])
    assert not current(now)
    assert current(activations)


def test_a_reader_that_nothing_wants_does_not_count(stored):
    store, reader, _ = stored
    activations = store()
    reader("b", activations)
    finish(activations)
    remove_data(activations)
    assert Current([activations])(activations)


def test_a_store_under_another_identity_is_stale_whoever_reads_it(stored, make):
    _, reader, _ = stored
    old = make("store", rule=HARVEST, dtype="float16")
    new = make("store", rule=HARVEST, dtype="float32")
    finish(old)
    remove_data(old)
    assert not Current([new, reader("a", new)])(new)


def test_removing_is_done_once_the_store_is_gone_and_not_wanted_back(stored):
    store, reader, remover = stored
    activations = store()
    sae = reader("a", activations)
    removal = remover(activations, sae)
    wanted = [activations, sae, removal]
    for one in wanted:
        finish(one)
    assert not Current(wanted)(removal), "the store is there, whatever the record says"
    remove_data(activations)
    assert Current(wanted)(removal)
    another = reader("b", activations)
    assert not Current([*wanted, another])(removal), "it will be there again"


def test_the_readers_of_a_store_are_not_in_the_identity_of_its_removal(stored):
    store, reader, remover = stored
    activations = store()
    first, two = reader("a", activations), reader("b", activations)
    assert remover(activations, first).identity == remover(activations, first, two).identity
    assert {first, two, activations} == set(remover(activations, first, two).upstream())
