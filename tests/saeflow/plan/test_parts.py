import copy
import json
from pathlib import Path

import pytest

from dag.tree import CONFIG
from saeflow.config.checks import resolve
from saeflow.errors import ConfigError
from saeflow.plan.current import HARVEST, Current
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.plan.rules import Rules
from saeflow.work import hold

PLACE = {"model": "small", "dataset": "texts", "packing": "ctx-64"}


@pytest.fixture
def make_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")

    def make(jobs, *, hooks=("resid_post.1", "resid_post.2"), **activations):
        config = copy.deepcopy(CONFIG)
        config |= {"harvest": {"jobs": jobs}, "activations": activations}
        config["studies"]["suppression"]["hooks"] = list(hooks)
        return Outputs(Plan(resolve(config)))

    return make


def stores(outputs):
    found = [job for job in outputs.wanted() if job.rule == HARVEST]
    return sorted(found, key=lambda job: job.output)


def test_one_job_has_no_parts(make_outputs):
    outputs = make_outputs(1)
    assert [outputs.parts.of(store) for store in stores(outputs)] == [(), ()]


def test_the_stores_of_a_pass_share_their_parts(make_outputs):
    outputs = make_outputs(3)
    first, second = stores(outputs)
    parts = outputs.parts.of(first)
    assert outputs.parts.of(second) == parts
    assert [str(part.output.relative_to(first.output.parent)) for part in parts] == [
        f"parts/{i}-of-3.json" for i in (1, 2, 3)
    ]
    assert parts[0].settings["stores"] == {
        "resid_post.1": first.identity,
        "resid_post.2": second.identity,
    }
    assert outputs.parts.find(**PLACE, part="2", of="3") is parts[1]


def test_the_number_of_jobs_is_in_no_identity_of_a_result(make_outputs):
    one, four = (
        {job.output: job.identity for job in make_outputs(jobs).wanted()} for jobs in (1, 4)
    )
    assert one == four


@pytest.mark.parametrize("wrong", [{"part": "4"}, {"part": "0"}, {"of": "2"}, {"model": "other"}])
def test_a_part_that_nothing_wants_is_refused(make_outputs, wrong):
    with pytest.raises(ConfigError, match=r"harvest > jobs.*a part of 3"):
        make_outputs(3).parts.find(**{**PLACE, "part": "1", "of": "3", **wrong})


def test_live_activations_have_no_parts(make_outputs):
    outputs = make_outputs(3, live=True)
    assert [outputs.parts.of(store) for store in stores(outputs)] == [(), ()]


def receipt(part, shards, stores):
    content = {"identity": part.identity, "shards": shards, "stores": stores}
    part.output.parent.mkdir(parents=True, exist_ok=True)
    part.output.write_text(json.dumps(content))


def test_a_receipt_counts_while_its_shards_are_there(make_outputs):
    outputs = make_outputs(2)
    first, second = stores(outputs)
    part = outputs.parts.of(first)[0]
    assert not Current(outputs.wanted())(part)
    receipt(part, [0, 2], part.settings["stores"])
    assert not Current(outputs.wanted())(part)
    for store in (first, second):
        with hold(store.output, store.identity, store.suffix) as work:
            (work.path / "_commit").mkdir()
            for shard in (0, 1):
                (work.path / "_commit" / f"00000{shard}.json").touch()
    assert Current(outputs.wanted())(part)
    with hold(second.output, second.identity, second.suffix) as work:
        (work.path / "_commit" / "000001.json").unlink()
        assert not Current(outputs.wanted())(part)
        work.finish({})
    assert Current(outputs.wanted())(part)  # what is finished need not be looked into


def test_a_hook_more_makes_the_parts_stale(make_outputs):
    outputs = make_outputs(2)
    part = outputs.parts.of(stores(outputs)[0])[0]
    receipt(part, [0, 0], part.settings["stores"])
    assert Current(outputs.wanted())(part)
    more = make_outputs(2, hooks=["resid_post.1", "resid_post.2", "resid_post.3"])
    assert not Current(more.wanted())(more.parts.of(stores(more)[0])[0])


def test_a_stale_store_waits_for_its_parts_and_a_current_one_does_without(make_outputs):
    outputs = make_outputs(2)
    store = stores(outputs)[0]
    wildcards = {**PLACE, "hook": store.settings["hook"]}

    def records():
        rules = Rules(outputs.wanted(), lambda *_: None, lambda path: path)
        return rules.records(outputs.plan.activations, before=outputs.parts.of)(wildcards)

    parts = [str(part.output) for part in outputs.parts.of(store)]
    assert records()[-2:] == parts
    with hold(store.output, store.identity, store.suffix) as work:
        work.finish({})
        work.publish()
    assert not set(parts) & set(records())


def test_the_job_file_of_a_part_lists_the_stores_that_are_not_complete(make_outputs):
    outputs = make_outputs(2)
    first, second = stores(outputs)
    with hold(first.output, first.identity, first.suffix) as work:
        work.finish({})
        work.publish()
    rules = Rules(outputs.wanted(), lambda *_: None, lambda path: path)
    path = rules.job(outputs.parts.find)({**PLACE, "part": "1", "of": "2"})
    together = json.loads(Path(path).read_text())["together"]
    assert [one["output"] for one in together] == [str(second.output)]
    assert together[0]["settings"]["hook"] == "resid_post.2"
