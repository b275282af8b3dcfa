"""What the rule files get to hear."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from saeflow import paths
from saeflow.plan.jobs import MAKE, Jobs
from saeflow.plan.outputs import Outputs

from .conftest import plan_of

SAE = "results/saes/small/texts/ctx-64/resid_post.1/topk/seed-0/sae.json"


@pytest.fixture
def jobs(config):
    return Jobs(Outputs(plan_of(config)))


def rules(receipts):
    return {Path(receipt).parts[2] for receipt in receipts}


def test_a_whole_run_leaves_a_receipt_of_every_pass_each_with_its_plan(jobs):
    receipts = jobs.all()
    assert {"train_lm", "harvest", "measure", "plot", "build_report"} <= rules(receipts)
    for receipt in receipts:
        plan = json.loads(paths.plan_file(Path(receipt).stem).read_text())
        assert plan["rule"] == Path(receipt).parts[2] and plan["results"]


def test_a_pass_waits_for_the_receipts_of_what_it_reads(jobs):
    by_rule = {Path(receipt).parts[2]: receipt for receipt in jobs.all()}
    before = jobs.before(SimpleNamespace(plan=Path(by_rule["harvest"]).stem))
    assert set(before) == {by_rule["train_lm"], by_rule["tokenize_dataset"]}


def test_what_is_asked_for_by_name_comes_with_what_it_needs(jobs, monkeypatch):
    assert "build_report" not in rules(jobs.study("suppression"))
    monkeypatch.setenv(MAKE, SAE)
    assert rules(jobs.all()) == {
        "fetch_dataset", "train_tokenizer", "tokenize_dataset", "train_lm", "harvest",
        "train_saes",
    }  # fmt: skip


def test_a_job_of_a_cluster_plans_nothing_and_knows_its_memory_from_the_plan(jobs):
    plan = Path(jobs.all()[0]).stem
    inner = Jobs(None)
    assert inner.all() == inner.study("suppression") == []
    wildcards = SimpleNamespace(plan=plan)
    assert inner.before(wildcards) == []
    first, second = (inner.memory(wildcards, attempt) for attempt in (1, 2))
    assert second == 2 * first > 0
    file = paths.plan_file(plan)
    file.write_text(json.dumps({**json.loads(file.read_text()), "memory_bytes": 20e9}))
    assert inner.memory(wildcards) == 30_000
