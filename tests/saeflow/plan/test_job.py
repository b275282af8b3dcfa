from pathlib import Path

from saeflow.plan.job import Job, forget_code


def test_the_identity_follows_settings_code_and_inputs(make_job, place):
    base = make_job(l1=1.0)
    assert make_job(l1=1.0).identity == base.identity
    assert make_job(l1=2.0).identity != base.identity
    assert make_job(l1=1.0, inputs={"x": make_job("other")}).identity != base.identity
    (place / "scripts/train_sae.py").write_text("RULE = 2\n")
    # all jobs of a plan have the code as it was when the plan began
    assert make_job(l1=1.0).identity == base.identity
    forget_code()
    assert make_job(l1=1.0).identity != base.identity


def test_a_change_far_upstream_reaches_the_identity(make_job):
    def chain(seed):
        first = make_job("a", seed=seed)
        return make_job("c", inputs={"many": (make_job("b", inputs={"one": first}),)})

    assert chain(0).identity == chain(0).identity
    assert chain(0).identity != chain(1).identity


def test_where_a_job_writes_and_how_it_runs_are_no_part_of_it(make_job):
    one, other = make_job("one", l1=1.0), make_job("other", l1=1.0)
    elsewhere = Job("train_sae", Path("x/y.json"), {"l1": 1.0}, arguments={"path": "/a"}, suffix="")
    assert one.identity == other.identity == elsewhere.identity


def test_upstream_gives_single_inputs_and_lists(make_job):
    a, b, c = make_job("a"), make_job("b"), make_job("c")
    assert set(make_job("d", inputs={"one": a, "many": (b, c)}).upstream()) == {a, b, c}
