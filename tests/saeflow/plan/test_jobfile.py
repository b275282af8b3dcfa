import json
import os
import time

from saeflow import paths
from saeflow.plan.jobfile import has_bulk, is_current, recorded_identity, write_job_file
from saeflow.plan.made import recall
from saeflow.work import hold


def finish(job, *, publish=True):
    with hold(job.output, job.identity, job.suffix) as work:
        if not work.finished:
            work.finish({"n": 1})
        if publish:
            work.publish()


def job_file(job, companions=()):
    path = write_job_file(job, current=is_current(job), companions=companions)
    return json.loads(path.read_text()), path.stat().st_mtime


def test_a_job_is_current_once_its_bulk_and_record_are_there_under_its_identity(make_job):
    job = make_job(l1=1.0)
    assert not is_current(job)
    finish(job)
    assert is_current(job)
    assert not is_current(make_job(l1=2.0))


def test_a_deleted_record_is_published_again_with_the_same_bytes(make_job):
    job = make_job(l1=1.0)
    finish(job)
    before = job.output.read_bytes()
    job.output.unlink()
    assert is_current(job)
    assert job.output.read_bytes() == before


def test_a_record_of_other_settings_is_not_overwritten_by_planning(make_job):
    earlier, now = make_job(l1=1.0), make_job(l1=2.0)
    finish(now)
    finish(earlier)
    assert has_bulk(now)
    assert not is_current(now)
    assert recorded_identity(now.output) == earlier.identity


def test_without_its_bulk_a_record_is_not_current(make_job):
    job = make_job(l1=1.0)
    finish(job)
    (manifest,) = job.output.parent.glob("sae.*/manifest.json")
    manifest.unlink()
    assert not is_current(job)


def test_with_a_file_of_its_bulk_cut_short_a_record_is_not_current(make_job):
    job = make_job(l1=1.0)
    with hold(job.output, job.identity, job.suffix) as work:
        (work.path / "weights").write_text("weights")
        work.finish({})
        work.publish()
    assert is_current(job) and has_bulk(job)
    (work.final / "weights").write_text("weight")
    assert not is_current(job) and not has_bulk(job)


def test_a_job_without_bulk_is_current_with_its_files_only(make_job, place):
    figure = place / "figure.png"
    job = make_job(rule="plot_suppression", suffix=None, files=(figure,))
    job.output.parent.mkdir(parents=True)
    job.output.write_text(json.dumps({"identity": job.identity}))
    assert not is_current(job)
    figure.touch()
    assert is_current(job)


def test_an_unreadable_record_has_no_identity(tmp_path):
    path = tmp_path / "sae.json"
    assert recorded_identity(path) is None
    for text in ("", "{", "[]", "{}", "3"):
        path.write_text(text)
        assert recorded_identity(path) is None


def test_the_job_file_of_a_current_job_is_older_than_anything(make_job):
    job = make_job(l1=1.0)
    finish(job)
    content, mtime = job_file(job)
    assert mtime == 0
    assert "stale" not in content


def test_the_job_file_of_a_stale_job_is_newer_than_its_outputs(make_job):
    earlier, job = make_job(l1=1.0), make_job(l1=2.0)
    finish(earlier)
    ahead = time.time() + 3600
    os.utime(earlier.output, (ahead, ahead))
    content, mtime = job_file(job)
    assert mtime > ahead
    assert content["stale"]["found"] == earlier.identity


def test_the_job_file_of_a_stale_job_is_never_the_one_that_snakemake_saw(make_job):
    job = make_job(l1=1.0)
    assert job_file(job)[0] != job_file(job)[0]


def test_a_job_file_says_what_the_job_needs(make_job):
    parent, many = make_job("parent"), make_job("many")
    job = make_job("child", l1=1.0, inputs={"parent": parent, "all": (many,)})
    content, _ = job_file(job)
    assert content["identity"] == job.identity
    assert content["output"] == "results/saes/child/sae.json"
    assert content["settings"] == {"l1": 1.0}
    assert content["code"] == job.code
    named = {"record": str(parent.output), "identity": parent.identity, "suffix": ""}
    assert content["inputs"]["parent"] == named
    assert [one["identity"] for one in content["inputs"]["all"]] == [many.identity]


def test_companions_are_the_others_that_are_not_finished(make_job):
    jobs = [make_job(name, l1=1.0) for name in ("a", "b", "c")]
    finish(jobs[1], publish=False)
    content, _ = job_file(jobs[0], jobs)
    assert [one["output"] for one in content["together"]] == ["results/saes/c/sae.json"]


def test_a_current_job_has_no_companions(make_job):
    jobs = [make_job(name, l1=1.0) for name in ("a", "b")]
    finish(jobs[0])
    assert job_file(jobs[0], jobs)[0]["together"] == []


def test_what_a_current_job_was_made_from_is_known_however_it_came_here(make_job):
    """Also when the results were copied, or made in the pass of another job."""
    job = make_job(l1=1.0)
    job_file(job)
    assert recall(job.output, job.identity) is None, "not made yet"
    finish(job)
    job_file(job)
    assert recall(job.output, job.identity)["settings"] == {"l1": 1.0}


def test_a_job_file_lies_beside_no_result(make_job):
    job = make_job()
    assert paths.job_file(job.output).parts[:2] == ("results", ".jobs")
