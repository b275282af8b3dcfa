"""What the report says was run: exactly what is in identities already, by kind."""

import copy
import json
from pathlib import Path

import pytest

from saeflow.plan.outputs import Outputs

from .conftest import plan_of


@pytest.fixture
def report(config):
    """Return a function that plans the report of the tests' study, changed by a function."""

    def plan(change=lambda config: None):
        changed = copy.deepcopy(config)
        change(changed)
        return Outputs(plan_of(changed)).report()

    return plan


def test_every_kind_of_what_is_run_is_told_with_its_settings(report):
    run = report().settings["run"]
    assert {section: sorted(named) for section, named in run.items()} == {
        "models": ["small"],
        "datasets": ["texts"],
        "tokens": ["words/texts/ctx-64"],
        "activations": ["small/texts/ctx-64/resid_post.1", "small/texts/ctx-64/resid_post.2"],
        "saes": ["relu", "topk"],
        "methods": ["scale"],
        "measures": [
            f"{kind}/small/texts/ctx-64"
            for kind in ("clean", "language", "probes", "reconstruction")
        ],
        "intervals": ["tables"],
    }
    assert run["saes"]["relu"]["own"]["l1"] == 0.1 and run["saes"]["topk"]["own"]["k"] == 4
    assert run["saes"]["topk"]["learning_rate"] == 0.002 and "seed" not in run["saes"]["topk"]
    assert run["models"]["small"]["from_tokens"] == "words/texts/ctx-64"
    assert run["measures"]["probes/small/texts/ctx-64"]["classes"] == 16


def test_every_record_of_what_is_run_is_named_with_its_identity(report):
    planned = report()
    records = planned.arguments["records"]
    assert [len(records["saes"][name]) for name in ("relu", "topk")] == [2, 2]
    assert len(records["methods"]["scale"]) == 2
    named = {tuple(one) for of in records.values() for given in of.values() for one in given}
    above, queue = set(), [planned]
    while queue:
        result = queue.pop()
        above.add((str(result.output), result.identity))
        queue.extend(result.reads())
    assert named < above, "nothing is told that the report is not made from"


def test_where_a_local_file_lies_is_not_told_and_makes_no_report_stale(report, tmp_path):
    before = report()
    (tmp_path / "moved.txt").write_text("one two\n")
    after = report(lambda config: config["datasets"]["texts"].update(path="moved.txt"))
    assert after.identity == before.identity
    assert "texts.txt" not in json.dumps(before.settings["run"])
    assert Path("moved.txt").exists()


def test_of_an_import_what_is_its_own_is_told_but_not_where_it_lies(report, tmp_path):
    for block in ("1", "2"):
        (tmp_path / "theirs" / block).mkdir(parents=True)
        (tmp_path / "theirs" / block / "cfg.json").write_text("{}")

    def change(config):
        config["saes"]["theirs"] = {"path": "theirs/{block}", "accept": ["hook"]}
        config["studies"]["suppression"]["saes"].append("theirs")

    told = report(change).settings["run"]["saes"]["theirs"]["imported"]
    assert told["format"] == "auto" and "path" not in told and "hook" in told["accept"]
