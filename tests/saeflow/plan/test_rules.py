import json
from pathlib import Path

import pytest

from saeflow.plan.rules import Rules
from saeflow.work import hold


@pytest.fixture
def registered():
    return {}


@pytest.fixture
def make_rules(registered):
    def make(*jobs):
        return Rules(jobs, registered.__setitem__, lambda path: f"ancient {path}")

    return make


def finish(job):
    with hold(job.output, job.identity, job.suffix) as work:
        work.finish({})
        work.publish()


def finder(*jobs):
    """Return what finds a job by the name in its path."""
    return lambda name: next(job for job in jobs if f"/{name}/" in str(job.output))


def test_jobs_of_one_pass_take_turns(make_job, make_rules, registered):
    a, b = make_job("a"), make_job("b")
    turns = make_rules(a, b).turns("train", finder(a, b))
    assert registered == {name: 1 for name in turns}
    (turn,) = turns.values()
    assert turn({"name": "a"}) == turn({"name": "b"}) == 1


def test_a_job_that_shares_its_pass_with_nobody_needs_no_turn(make_job, make_rules, registered):
    a = make_job("a")
    assert make_rules(a).turns("train", finder(a)) == {}
    assert registered == {}


def test_another_kind_of_pass_has_turns_of_its_own(make_job, make_rules):
    a, b = make_job("a"), make_job("b")
    assert make_rules(a, b).turns("harvest", finder(a, b)) == {}


def test_the_job_file_of_a_job_names_its_companions(make_job, make_rules):
    a, b = make_job("a"), make_job("b")
    path = make_rules(a, b).job(finder(a, b))({"name": "a"})
    assert path == "results/.jobs/saes/a/sae.json"
    content = json.loads(Path(path).read_text())
    assert [one["output"] for one in content["together"]] == [str(b.output)]


def test_a_current_job_has_ancient_inputs_and_a_stale_one_has_not(make_job, make_rules):
    parent = make_job("parent")
    child = make_job("child", inputs={"x": parent})
    finish(parent)
    stale = make_rules(parent, child).records(finder(parent, child))
    assert stale({"name": "child"}) == [str(parent.output)]
    finish(child)
    current = make_rules(parent, child).records(finder(parent, child))
    assert current({"name": "child"}) == [f"ancient {parent.output}"]


def test_a_current_job_between_two_stale_ones_leads_from_one_to_the_other(make_job, make_rules):
    """Else Snakemake would see the lower one in its next call only."""
    first = make_job("first")
    middle = make_job("middle", inputs={"x": first})
    last = make_job("last", inputs={"x": middle})
    finish(middle)
    records = make_rules(first, middle, last).records(finder(first, middle, last))
    assert records({"name": "middle"}) == [str(first.output)]
    finish(last)
    records = make_rules(first, middle, last).records(finder(first, middle, last))
    assert records({"name": "middle"}) == [f"ancient {first.output}"]
