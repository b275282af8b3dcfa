"""Prompt sets in a plan: what they are made from, and what of them is in identities."""

import gzip
import json
from pathlib import Path

import pytest

from saeflow.errors import ConfigError, SaeflowError
from saeflow.plan.find import find_defined
from saeflow.plan.passes import describe
from saeflow.plan.result import source
from saeflow.plan.summary import summary
from saeflow.plan.texts import check
from saeflow.studies.reconstruction.rows import on_prompts

from .conftest import plan_of

WORLD = {"generate": {"n_tokens": 1000, "n_prompts": 30}}


@pytest.fixture
def plan(config):
    """Return a function that plans with these prompt sets."""

    def make(**prompts):
        config["datasets"]["world"] = WORLD
        config["prompts"] = prompts
        return plan_of(config)

    return make


def write(name, *texts):
    content = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def test_a_local_set_is_followed_by_content_wherever_it_lies(plan):
    write("a.jsonl", "one two")
    first = plan(mine={"path": "a.jsonl"}).prompts("mine")
    assert str(first.output) == "results/prompts/mine/prompts.json"
    assert (first.rule, first.place) == ("fetch_prompts", {"prompts": "mine"})
    assert first.arguments == {"path": "a.jsonl"}
    assert "path" not in first.settings
    Path("b.jsonl").write_bytes(Path("a.jsonl").read_bytes())
    assert plan(mine={"path": "b.jsonl"}).prompts("mine").identity == first.identity
    write("a.jsonl", "one three")
    assert plan(mine={"path": "a.jsonl"}).prompts("mine").identity != first.identity


@pytest.mark.parametrize("change", [{"n_prompts": 1}, {"window": 8}, {"form": "last_word"}])
def test_what_makes_other_prompts_is_in_the_identity(plan, change):
    write("a.jsonl", "one two")
    one, other = ({"path": "a.jsonl", **more} for more in ({}, change))
    made = plan(one=one, other=other)
    assert made.prompts("one").identity != made.prompts("other").identity


def test_those_of_a_world_read_its_dataset_and_english_ones_nothing(plan):
    made = plan(cloze={"generate": "cloze", "dataset": "world"}, ioi={"generate": "ioi"})
    cloze, ioi = made.prompts("cloze"), made.prompts("ioi")
    assert dict(cloze.inputs) == {"dataset": made.dataset("world")}
    assert cloze.settings == {"generate": "cloze", "n_prompts": None, "window": None}
    assert not ioi.inputs
    modules = [{n.partition(":")[0] for n in source().closure(o.roots)} for o in (cloze, ioi)]
    assert "saeflow.prompts.ioi" not in modules[0]
    assert "saeflow.world.dataset" not in modules[1]
    assert describe(ioi)["noun"] == "prompt set"


def test_a_set_is_found_by_its_record(plan):
    made = plan(ioi={"generate": "ioi"})
    assert find_defined(made, Path("results/prompts/ioi/prompts.json")) is made.prompts("ioi")
    assert find_defined(made, Path("results/prompts/other/prompts.json")) is None


def test_every_sae_of_a_study_is_asked_every_set(plan):
    config = plan(a={"generate": "ioi"}, b={"generate": "ioi", "seed": 1}).config
    section = config["studies"]["suppression"] | {"prompts": ["b", "a"]}
    rows = list(on_prompts(config, section))
    assert [row["prompts"] for row in rows] == ["b"] * 4 + ["a"] * 4
    assert {(row["sae"], row["hook"]) for row in rows} == {
        (sae, hook) for sae in ("relu", "topk") for hook in ("resid_post.1", "resid_post.2")
    }


def test_bad_files_are_refused_before_anything_runs(plan):
    with pytest.raises(ConfigError, match=r"prompts > mine > path: there is no such file"):
        plan(mine={"path": "a.jsonl"}).prompts("mine")
    write("a.jsonl.gz", "one two", "word")
    made = plan(mine={"path": "a.jsonl.gz"})
    with pytest.raises(SaeflowError) as refused:
        check(made, made.prompts("mine"), ())
    text = "config.yaml > prompts > mine: a.jsonl.gz > line 2: the text is a single word"
    assert str(refused.value).startswith(text)
    made = plan(mine={"path": "texts.txt"})
    with pytest.raises(ConfigError, match="prompts > mine > path: prompts are not read from plain"):
        check(made, made.prompts("mine"), ())


def test_what_was_run_names_the_prompt_sets_and_not_where_they_lie(plan):
    write("a.jsonl", "one two")
    made = plan(mine={"path": "a.jsonl"}, who={"generate": "owner_binding", "dataset": "world"})
    sets = [made.prompts(name) for name in ("mine", "who")]
    settings, records = summary(made.config, sets)
    assert settings["prompts"]["who"]["from_dataset"] == "world"
    assert "a.jsonl" not in json.dumps(settings)
    assert records["prompts"] == {
        one.place["prompts"]: [[str(one.output), one.identity]] for one in sets
    }
