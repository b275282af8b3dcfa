"""Which jobs count as done, in particular those whose data were removed after their last reader."""

import json
import os

import pytest

from saeflow.plan.current import HARVEST, RELEASE, Current
from saeflow.plan.job import Job
from saeflow.plan.jobfile import is_released, write_job_file
from saeflow.work import MANIFEST, RELEASED, bulk_path, hold


@pytest.fixture
def make(make_job, place):
    """Return functions that make a store, its readers and the job that removes it."""
    (place / "scripts" / f"{RELEASE}.py").write_text("RULE = 1\n")

    def store(name="store"):
        return make_job(name, rule=HARVEST, suffix=".zarr")

    def reader(name, store, **settings):
        return make_job(name, inputs={"activations": store}, **settings)

    def remover(store, *readers):
        output = store.output.with_name("sae.released.json")
        return Job(RELEASE, output, {}, {"activations": store}, after=readers)

    return store, reader, remover


def finish(job):
    if job.suffix is None:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        job.output.write_text(json.dumps({"identity": job.identity}))
        return
    with hold(job.output, job.identity, job.suffix) as work:
        work.finish({})
        work.publish()


def remove_data(job):
    bulk = bulk_path(job.output, job.identity, job.suffix)
    (bulk / MANIFEST).replace(bulk / RELEASED)


def test_a_removed_store_is_current_while_its_readers_are(make):
    store, reader, _ = make
    activations = store()
    sae = reader("a", activations)
    for job in (activations, sae):
        finish(job)
    remove_data(activations)
    assert is_released(activations)
    assert Current([activations, sae])(activations)


def test_a_removed_store_is_needed_again_by_a_reader_without_its_result(make):
    store, reader, _ = make
    activations = store()
    done, missing = reader("a", activations), reader("b", activations)
    for job in (activations, done):
        finish(job)
    remove_data(activations)
    current = Current([activations, done, missing])
    assert not current(activations)
    assert current.needing(activations) == [missing]


def test_a_reader_that_only_waits_to_be_published_needs_no_data(make):
    store, reader, _ = make
    activations = store()
    before, now = reader("a", activations, l1=1.0), reader("a", activations, l1=2.0)
    for job in (activations, now, before):  # the record is that of other settings
        finish(job)
    remove_data(activations)
    current = Current([activations, now])
    assert not current(now)
    assert current(activations)


def test_a_reader_that_nothing_wants_does_not_count(make):
    store, reader, _ = make
    activations = store()
    reader("b", activations)
    finish(activations)
    remove_data(activations)
    assert Current([activations])(activations)


def test_a_store_under_another_identity_is_stale_whoever_reads_it(make, make_job):
    _, reader, _ = make
    old = make_job("store", rule=HARVEST, suffix=".zarr", dtype="float16")
    new = make_job("store", rule=HARVEST, suffix=".zarr", dtype="float32")
    finish(old)
    remove_data(old)
    assert not Current([new, reader("a", new)])(new)


def test_removing_is_done_once_the_store_is_gone_and_not_wanted_back(make):
    store, reader, remover = make
    activations = store()
    sae = reader("a", activations)
    removal = remover(activations, sae)
    wanted = [activations, sae, removal]
    for job in wanted:
        finish(job)
    assert not Current(wanted)(removal), "the store is there, whatever the record says"
    remove_data(activations)
    assert Current(wanted)(removal)
    another = reader("b", activations)
    assert not Current([*wanted, another])(removal), "it will be there again"


def test_the_record_of_a_removed_store_is_published_again(make):
    store, *_ = make
    activations = store()
    finish(activations)
    published = activations.output.read_bytes()
    remove_data(activations)
    activations.output.unlink()
    assert Current([activations])(activations)
    assert activations.output.read_bytes() == published


def test_the_readers_of_a_store_are_not_in_the_identity_of_its_removal(make):
    store, reader, remover = make
    activations = store()
    one, two = reader("a", activations), reader("b", activations)
    assert remover(activations, one).identity == remover(activations, one, two).identity
    assert {one, two, activations} == set(remover(activations, one, two).upstream())


def test_a_job_file_says_which_companions_had_been_removed_when_it_was_planned(make):
    store, *_ = make
    one, two = store("one"), store("two")
    finish(two)
    remove_data(two)
    path = write_job_file(one, current=False, companions=[one, two])
    (companion,) = json.loads(path.read_bytes())["together"]
    bulk = bulk_path(two.output, two.identity, ".zarr")
    assert companion["released_at"] == (bulk / RELEASED).stat().st_mtime_ns
    os.utime(bulk / RELEASED, ns=(0, 5))
    path = write_job_file(one, current=False, companions=[one, two])
    assert json.loads(path.read_bytes())["together"][0]["released_at"] == 5


def test_a_current_job_that_runs_all_the_same_computes_nothing(make):
    store, *_ = make
    activations = store()
    finish(activations)
    assert "released" not in json.loads(write_job_file(activations, current=True).read_bytes())
    remove_data(activations)
    assert json.loads(write_job_file(activations, current=True).read_bytes())["released"] is True
