"""Labelled texts in a plan: what they are made from, and what of them is in identities."""

import json
from pathlib import Path

import pytest

from saeflow.errors import ConfigError, SaeflowError, StaleError
from saeflow.plan.find import find_defined
from saeflow.plan.local import Unchanged
from saeflow.plan.passes import describe
from saeflow.plan.result import source
from saeflow.plan.summary import summary
from saeflow.plan.texts import check

from .conftest import plan_of

WORLD = {"generate": {"n_tokens": 1000, "n_prompts": 30}}
REVIEWS = {"generate": "sentiment", "dataset": "world"}


@pytest.fixture
def plan(config):
    """Return a function that plans with these labelled texts."""

    def make(world=WORLD, **labelled):
        config["datasets"]["world"] = world
        config["labelled"] = labelled
        return plan_of(config)

    return make


def write(name, *rows):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


ROW = {"text": "so it is", "label": 1}


def test_local_files_are_followed_by_content_and_name_wherever_they_lie(plan):
    write("in/a.jsonl", ROW)
    first = plan(mine={"path": "in/*.jsonl"}).labelled("mine")
    assert str(first.output) == "results/labelled/mine/labelled.json"
    assert (first.rule, first.place) == ("fetch_labelled", {"labelled": "mine"})
    assert first.arguments == {"path": "in/*.jsonl"}
    Path("in").rename("there")
    assert plan(mine={"path": "there/*"}).labelled("mine").identity == first.identity
    Path("there/a.jsonl").rename("there/b.jsonl")  # another dataset
    renamed = plan(mine={"path": "there/*"}).labelled("mine").identity
    assert renamed != first.identity
    write("there/b.jsonl", {**ROW, "label": 0})
    assert plan(mine={"path": "there/*"}).labelled("mine").identity not in (first, renamed)


@pytest.mark.parametrize("key", ["test_path", "shift_path"])
def test_other_splits_are_followed_and_watched_too(plan, key):
    for name in ("a", "b"):
        write(f"{name}.jsonl", ROW)
    entry = {"path": "a.jsonl", key: "b.jsonl"}
    one = plan(mine=entry).labelled("mine")
    assert one.arguments == entry
    assert one.identity != plan(mine={"path": "a.jsonl"}).labelled("mine").identity
    watched = Unchanged("fetch_labelled", describe(one))
    watched.check()
    write("b.jsonl", ROW, ROW)
    assert plan(mine=entry).labelled("mine").identity != one.identity
    with pytest.raises(StaleError, match=r"b.jsonl: a local file changed while it was read"):
        watched.check()
    with pytest.raises(StaleError, match=r"b.jsonl: a local file changed since"):
        Unchanged("fetch_labelled", describe(one))


@pytest.mark.parametrize(
    "change", [{"examples": 9}, {"seed": 1}, {"template": "{text} "}, {"balance": "post"}]
)
def test_what_makes_other_texts_is_in_the_identity(plan, change):
    write("a.jsonl", ROW)
    made = plan(one={"path": "a.jsonl"}, other={"path": "a.jsonl", **change})
    assert made.labelled("one").identity != made.labelled("other").identity


def test_reviews_depend_on_the_worlds_seed_and_grammar_alone(plan):
    made = plan(mine=REVIEWS).labelled("mine")
    assert made.inputs == {} and not made.arguments
    assert made.settings["world"] == {"seed": 0, "n_prompts": 30}
    more = {"generate": {**WORLD["generate"], "n_tokens": 2000}}
    assert plan(more, mine=REVIEWS).labelled("mine").identity == made.identity
    other = {"generate": {**WORLD["generate"], "seed": 1}}
    assert plan(other, mine=REVIEWS).labelled("mine").identity != made.identity
    write("a.jsonl", ROW)
    read = plan(mine={"path": "a.jsonl"}).labelled("mine")
    modules = [source().files(one.roots) for one in (read, made)]
    assert [any("world" in name for name in files) for files in modules] == [False, True]


def test_it_is_found_by_its_record(plan):
    made = plan(mine=REVIEWS)
    assert find_defined(made, Path("results/labelled/mine/labelled.json")) is made.labelled("mine")
    assert find_defined(made, Path("results/labelled/other/labelled.json")) is None


def test_what_cannot_be_read_is_refused_before_anything_runs(plan):
    with pytest.raises(ConfigError, match=r"labelled > mine > path: there is no such file"):
        plan(mine={"path": "a.jsonl"}).labelled("mine")
    write("in/a.jsonl", ROW)
    write("in/b.jsonl", {"text": "so"})
    write("out/c.jsonl", ROW)
    made = plan(mine={"path": "in"}, far={"path": "in/a*", "shift_path": "out"})
    with pytest.raises(SaeflowError, match=r"labelled > mine: in/b.jsonl > line 1: there is no c"):
        check(made, made.labelled("mine"), ())
    with pytest.raises(ConfigError, match=r"labelled > far > shift_path: none of these files"):
        check(made, made.labelled("far"), ())
    check(made, plan(mine={"path": "in/a.jsonl"}).labelled("mine"), ())


def test_the_summary_for_the_report_has_settings_and_records(plan):
    made = plan(mine=REVIEWS)
    one = made.labelled("mine")
    settings, records = summary(made.config, [one])
    assert settings["labelled"]["mine"]["rule"] == "fetch_labelled"
    assert records["labelled"] == {"mine": [[str(one.output), one.identity]]}
