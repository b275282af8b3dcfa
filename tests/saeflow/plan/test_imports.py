"""Imported SAEs in the plan: where their files lie, and what is in their identity."""

from __future__ import annotations

import copy

import pytest

from saeflow.errors import ConfigError
from saeflow.plan.imports import filled
from saeflow.plan.modules import architecture_modules

from .conftest import plan_of

PLACE = {"model": "small", "dataset": "texts", "packing": "ctx-64", "sae": "theirs"}


@pytest.fixture
def plan(config, tmp_path):
    """Return a function that plans with an entry ``theirs`` and study keys."""
    for name in ("a/1/cfg.json", "a/2/cfg.json", "b.pt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    def make(entry, **study):
        changed = copy.deepcopy(config)
        changed["saes"]["theirs"] = entry
        changed["studies"]["suppression"] |= study
        return plan_of(changed)

    return make


def test_placeholders_are_filled_and_other_braces_stay():
    text = filled("{hook}/{site}-{block}/{seed}/{x}", "resid_post.3", 7)
    assert text == "resid_post.3/resid_post-3/7/{x}"


def test_an_entry_with_a_path_is_imported_from_where_its_placeholders_lead(plan):
    made = plan({"path": "a/{block}"})
    one, two = (made.sae(**PLACE, hook=f"resid_post.{block}", seed=0) for block in (1, 2))
    assert one.rule == "import_saes" and one.arguments == {"path": "a/1"}
    assert one.settings["path_sha256"] != two.settings["path_sha256"]
    assert "path" not in one.settings and set(one.inputs) == {"model"}
    assert made.sae(**PLACE | {"sae": "relu"}, hook="resid_post.1", seed=0).rule == "train_saes"


def test_the_identity_follows_the_content_and_not_the_place(plan, tmp_path):
    def identity(entry):
        return plan(entry).sae(**PLACE, hook="resid_post.1", seed=0).identity

    first = identity({"path": "a/1"})
    (tmp_path / "a/1").rename(tmp_path / "a/moved")
    assert identity({"path": "a/moved"}) == first
    (tmp_path / "a/moved/cfg.json").write_text("other")
    assert identity({"path": "a/moved"}) != first
    alone = identity({"path": "b.pt"})
    (tmp_path / "b_cfg.json").write_text("{}")
    assert identity({"path": "b.pt"}) != alone


def test_a_fine_tuned_import_has_the_import_as_its_parent(plan):
    made = plan({"path": "a/{block}", "architecture": "relu"})
    tuned = made.sae(**PLACE | {"sae": "theirs~scale"}, hook="resid_post.1", seed=0)
    assert tuned.rule == "finetune_saes" and tuned.inputs["parent"].rule == "import_saes"
    assert "saeflow.sae.architectures.relu" in tuned.code_roots
    assert "saeflow.sae.architectures.topk" not in tuned.code_roots


def test_without_a_declared_architecture_any_may_compute():
    assert len(architecture_modules({"architecture": None})) > 2
    assert architecture_modules({"architecture": "topk"}) == ("saeflow.sae.architectures.topk",)


@pytest.mark.parametrize(
    ("entry", "study", "message"),
    [
        ({"path": "a/{block}"}, {"saes": ["relu", "theirs"], "seeds": [0, 1]}, "several seeds"),
        ({"path": "a/1"}, {"saes": ["relu", "theirs"]}, "of one hook"),
        ({"path": "a/1", "format": "safetensor"}, {}, "format"),
        ({"path": "a/1", "hub": "o/n", "revision": "0" * 40}, {}, "two kinds"),
        ({"hub": "o/n", "revision": "main"}, {}, "revision"),
        ({"path": "nowhere"}, {"saes": ["relu", "theirs"], "hooks": ["resid_post.1"]}, "nowhere"),
    ],
)
def test_what_cannot_be_is_refused(entry, study, message, plan):
    with pytest.raises(ConfigError, match=message):
        plan(entry, **study).sae(**PLACE, hook="resid_post.1", seed=0)


ON = {"eval_dataset": "texts", "eval_packing": "ctx-64"}


def test_nothing_is_measured_of_an_import_before_it_was_held_against_the_model(plan):
    made = plan({"path": "a/{block}"})
    own = {**PLACE, "hook": "resid_post.1", "seed": 0}
    measured = made.measurement("reconstruction", **own, **ON)
    gate = measured.inputs["gate"]
    assert gate is made.measurement("gate", **own, **ON)
    assert gate.place["measure"] == "gate" and set(gate.inputs) == {"sae", "model", "tokens"}
    tuned = made.measurement("language", **{**own, "sae": "theirs~scale"}, **ON)
    assert tuned.inputs["gate"] is gate
    assert "gate" not in made.measurement("language", **{**own, "sae": "relu"}, **ON).inputs
    both = [
        made.measurement("language", **{**own, "sae": sae}, **ON).apart
        for sae in ("theirs", "relu")
    ]
    assert both[0] == both[1]  # one pass measures them all


def test_the_gate_is_asked_where_there_are_tokens_or_not_at_all(plan):
    own = {**PLACE, "hook": "resid_post.1", "seed": 0}
    made = plan({"path": "a/{block}"})
    made.config["packings"]["trained"] = {**made.config["packings"]["ctx-64"]}
    made.config["packings"]["trained"]["tokens"] = {"train": None, "validation": 0, "test": 0}
    elsewhere = {**own, "packing": "trained"}
    gate = made.measurement("language", **elsewhere, **ON).inputs["gate"]
    assert gate.place["eval_packing"] == "ctx-64"
    without = plan({"path": "a/{block}"})
    without.config["measures"]["gate"] = None
    assert "gate" not in without.measurement("language", **own, **ON).inputs
