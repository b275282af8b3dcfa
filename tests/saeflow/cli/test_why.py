import json
import shutil
from pathlib import Path

import pytest

from dag.edits import entry, study
from damage import rewrite
from saeflow import failures
from saeflow.failures import Cause

SAES = "results/saes/small/texts/ctx-64/resid_post.1"
RELU = f"{SAES}/relu/seed-0"
FIGURE = "results/studies/config/figures/suppression/l0_by_method.png"


@pytest.mark.parametrize(
    "target",
    [
        RELU,
        f"{RELU}/sae.json",
        f"./{RELU}/",
        f"{RELU}/on/texts/ctx-64/language.json",
        FIGURE,
        "results/studies/config/tables/suppression/l0.csv",
        "results/activations/small/texts/ctx-64/resid_post.1.json",
        "results/models/small",
        "results/studies/config/report.html",
    ],
)
def test_every_kind_of_path_is_understood(tree, target, done):
    printed = done("why", target)
    assert printed.strip().endswith("is current.")


def test_bulk_and_what_lies_in_it_stand_for_their_record(tree, saeflow):
    (bulk,) = (tree.path / RELU).glob("sae.*/")
    for target in (bulk, bulk / "manifest.json"):
        assert saeflow("why", target) == (0, f"{RELU}/sae.json is current.\n")


def test_a_setting_is_told_with_what_it_was_and_is(tree, saeflow):
    entry("saes", "relu", l1=0.2)(tree)
    printed = saeflow("why", RELU)[1]
    assert f"{RELU}/sae.json is stale." in printed
    assert "setting l1: was 0.1, is 0.2" in printed
    assert saeflow("why", f"{SAES}/topk/seed-0")[1].strip().endswith("is current.")


def test_a_cause_upstream_is_found_with_the_way_to_it(tree, saeflow):
    entry("packings", "ctx-64", context_length=32)(tree)
    printed = saeflow("why", FIGURE)[1]
    assert printed.count("setting context_length: was 64, is 32") == 1
    assert "tokenize_dataset: results/tokens/words/texts/ctx-64/tokens.json" in printed
    assert "read by" in printed
    assert "setting l1" not in printed


def test_a_cause_is_known_when_it_was_made_anew_and_only_what_is_below_is_stale(tree, saeflow):
    entry("saes", "relu", l1=0.2)(tree)
    tree.pretend("train_saes")
    assert "is current" in saeflow("why", RELU)[1]
    printed = saeflow("why", f"{RELU}/on/texts/ctx-64/reconstruction.json")[1]
    assert "setting l1: was 0.1, is 0.2" in printed


def test_alike_causes_are_told_once(tree, saeflow):
    entry("saes", "relu", l1=0.2)(tree)
    printed = saeflow("why", "results/studies/config/tables/suppression/l0.csv")[1]
    assert f"train_saes: {RELU}/sae.json and 1 more" in printed


def test_changed_code_is_told_by_definition(tree, process):
    old = 'ratio("squared_error", "squared_deviation")'
    tree.edit("workflow/saeflow/metrics/reconstruction.py", old, 'ratio("squared_error", "tokens")')
    printed = process("why", "results/studies/config/tables/suppression/frontier.csv")[1]
    assert "code changed: saeflow.metrics.reconstruction:fvu\n" in printed
    assert "is current" in process("why", f"{RELU}/on/texts/ctx-64/reconstruction.json")[1]


def test_changed_text_is_told_by_its_hash(tree, saeflow):
    tree.append("texts.txt", "four\n")
    printed = saeflow("why", "results/datasets/texts")[1]
    assert "setting path_sha256: was " in printed


def test_inputs_that_came_are_told(tree, saeflow):
    study("hooks", "resid_post.3")(tree)
    printed = saeflow("why", "results/studies/config/tables/suppression/l0.csv")[1]
    assert "input reconstruction: reads now results/saes/small/texts/ctx-64/resid_post.3" in printed


def test_what_was_never_made_is_said_to_be_so(tree, saeflow):
    study("hooks", "resid_post.3")(tree)
    assert "not made yet, or deleted" in saeflow("why", f"{RELU}".replace("post.1", "post.3"))[1]


def test_unfinished_work_is_named(tree, saeflow):
    (bulk,) = (tree.path / RELU).glob("sae.*/")
    bulk.rename(f"{bulk}.partial")
    (tree.path / RELU / "sae.json").unlink()
    assert f"goes on from {RELU}/{bulk.name}.partial" in saeflow("why", RELU)[1]


def test_missing_parts_are_told_from_changed_ones(tree, saeflow):
    (tree.path / FIGURE).unlink()
    assert f"is damaged: {FIGURE} (missing)" in saeflow("why", FIGURE)[1]
    (tree.path / RELU / "sae.json").unlink()
    assert "the next run publishes it" in saeflow("why", RELU)[1]
    topk = f"{SAES}/topk/seed-0"
    (bulk,) = (tree.path / topk).glob("sae.*/")
    shutil.rmtree(bulk)
    assert "is damaged: " in saeflow("why", topk)[1]
    (tree.path / topk / "sae.json").write_text("{")
    assert "not as it was written" in saeflow("why", topk)[1]


def test_bulk_of_earlier_settings_is_compared_with_now(tree, saeflow):
    (old,) = (tree.path / RELU).glob("sae.*/")
    entry("saes", "relu", l1=0.2)(tree)
    tree.pretend()
    printed = saeflow("why", old)[1]
    assert "made under other settings" in printed
    assert "setting l1: was 0.1, is 0.2" in printed


def test_data_of_the_present_settings_that_wait_to_be_published_are_mentioned(tree, saeflow):
    entry("saes", "relu", l1=0.2)(tree)
    tree.pretend()
    entry("saes", "relu", l1=0.1)(tree)
    printed = saeflow("why", RELU)[1]
    assert "setting l1: was 0.2, is 0.1" in printed
    assert "the next run publishes them" in printed


def test_without_a_description_the_difference_cannot_be_told(tree, saeflow):
    shutil.rmtree(tree.path / "results/.made")
    entry("saes", "relu", l1=0.2)(tree)
    assert "what it was made from was not kept" in saeflow("why", RELU)[1]


def test_what_no_study_wants_but_the_configuration_defines_is_explained(tree, saeflow):
    printed = saeflow("why", "results/models/small@4/model.json")[1]
    assert "no study of it wants it" in printed
    assert "not made yet" in printed


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("results/saes/small/texts/ctx-64/resid_post.1/rel/seed-0/sae.json", "Did you mean"),
        ("config.yaml", "not one of the workflow's results"),
        ("/etc/passwd", "not one of the workflow's results"),
        ("results", "nothing in config.yaml makes this"),
    ],
)
def test_what_is_no_result_is_refused(tree, target, message, refused):
    printed = refused("why", target)
    assert message in printed
    assert "Traceback" not in printed


def test_asking_changes_nothing(tree, saeflow):
    entry("saes", "relu", l1=0.2)(tree)
    (tree.path / f"{SAES}/topk/seed-0/sae.json").unlink()

    def state():
        found = (p for p in (tree.path / "results").rglob("*") if p.is_file())
        return {p: p.read_bytes() for p in found if ".cache" not in p.parts}

    before = state()
    saeflow("why", "results/studies/config/report.html")
    saeflow("clean")
    assert state() == before


def test_why_something_could_not_be_made_is_told_of_it_and_of_what_lacks_it(tree, saeflow):
    record, table = f"{RELU}/sae.json", "results/studies/config/tables/suppression/l0.json"
    identity = json.loads((tree.path / record).read_text())["identity"]
    failures.note(Path(record), identity, [Cause(record, "it diverged.")])
    shutil.rmtree(RELU)
    printed = saeflow("why", RELU)[1]
    assert f"{record} is not made yet" in printed and f"{record}: it diverged." in printed
    rewrite(tree.path / table, missing=[[record, "it diverged."]])
    printed = saeflow("why", table)[1]
    assert f"{table} was made of what there was" in printed
    assert f"{record}: it diverged." in printed


def test_what_another_configuration_makes_is_asked_for_by_the_option(tree, done, refused):
    """A path that this configuration does not define names --configfile, not a path of its own."""
    other = f"{SAES}/mine/seed-0"
    printed = refused("why", other)
    assert "--configfile" in printed
    (tree.path / other).mkdir(parents=True)
    printed = refused("why", other)
    assert "It is there" in printed and "--configfile" in printed
    assert "Did you mean" not in printed
    (tree.path / "mine.yaml").write_text((tree.path / "config.yaml").read_text())
    table = "results/studies/mine/tables/suppression/l0.csv"
    printed = refused("why", table)
    assert "of the configuration 'mine'" in printed and "--configfile" in printed
    printed = done("why", table, "--configfile", "mine.yaml")
    assert "is not made yet" in printed
