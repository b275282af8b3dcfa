"""Where crosscoders can be asked for, what they read, and what is refused."""

from __future__ import annotations

import copy

import pytest

from dag.tree import CONFIG
from saeflow.config.checks import resolve
from saeflow.errors import ConfigError
from saeflow.plan.plan import Plan
from saeflow.sae.training.train import recipe_of
from saeflow.studies.universality.rows import crosscoder_rows, places
from saeflow.studies.universality.section import Section

ON = {"dataset": "texts", "packing": "ctx-64"}
CROSS = {"preset": "crosscoder", "l1": 0.1, "joined": ["mlp_out.2"]}
SECTION = {
    "models": ["small"], "train_on": ON, "evaluate_on": ON, "hooks": ["mlp_out.1", "mlp_out.2"],
    "saes": ["topk"], "seeds": [3, 4], "crosscoders": ["cross"],
    "comparisons": {"seeds": {"vary": ["seed"]}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")


def asked(*, cross=None, section=None, **entries):
    """Return a configuration and the section of its study, both checked."""
    config = copy.deepcopy(CONFIG)
    config["saes"]["cross"] = {**CROSS, **(cross or {})}
    for name, one in entries.items():
        config[name] |= one
    config = resolve(config, file="study.yaml")
    own = Section.read({**SECTION, **(section or {})}, where="studies > universality").plain()
    Section.check(config, own, "study.yaml > studies > universality")
    return config, own


def small(**changes):
    return {"train": {**CONFIG["models"]["small"]["train"], **changes}}


def test_they_are_at_the_hooks_that_they_do_not_join_of_the_first_seed():
    config, section = asked()
    (row,) = crosscoder_rows(config, section)
    assert row == {"model": "small", **ON, "hook": "mlp_out.1", "sae": "cross", "seed": 3}
    assert places(config, row) == [("small", "mlp_out.1"), ("small", "mlp_out.2")]


def test_what_they_read_and_not_its_name_is_in_their_identity():
    models = {name: small(n_layers=4, **own) for name, own in
              {"other": {}, "same": {}, "third": {"d_model": 32}}.items()}  # fmt: skip
    made = {}
    for name in models:
        config, section = asked(cross={"joined": [f"{name}/mlp_out.2"]}, models=models,
                                section={"hooks": ["mlp_out.2"]})  # fmt: skip
        (row,) = crosscoder_rows(config, section)
        made[name] = Plan(config, file="study.yaml").sae(**row)
    assert made["other"].identity == made["same"].identity != made["third"].identity
    one = made["third"]
    assert one.settings["joined"] == ["mlp_out.2"] and {*one.inputs} == {"activations", "joined_01"}
    read = [one.inputs[name].place["model"] for name in ("activations", "joined_01")]
    assert read == ["small", "third"]
    assert "saeflow.sae.training.joined" in one.roots
    assert "saeflow.sae.training.joined" not in Plan(config).sae(**{**row, "sae": "topk"}).roots


def test_it_joins_one_hook_of_several_models():
    models = {"other": small(n_layers=4), "third": small(d_model=32)}
    cross = {"joined": ["other/mlp_out.1", "third/mlp_out.1"]}
    config, section = asked(cross=cross, models=models)
    row, _ = crosscoder_rows(config, section)
    made = Plan(config, file="study.yaml").sae(**row)
    assert recipe_of(made.settings).joined == ["mlp_out.1", "mlp_out.1"]


def test_its_codes_are_of_the_activations_that_it_reads():
    config, section = asked(cross={"joined": ["mlp_out.2", "resid_post.0"]})
    (row, _) = crosscoder_rows(config, {**section, "hooks": ["mlp_out.1", "mlp_out.0"]})
    on = {"eval_dataset": "texts", "eval_packing": "ctx-64"}
    measured = Plan(config, file="study.yaml").measurement("codes", **row, **on)
    hooks = [measured.inputs[name].settings["hook"] for name in ("joined_01", "joined_02")]
    assert hooks == ["mlp_out.2", "resid_post.0"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"section": {"crosscoders": ["topk"]}}, "'topk' is no crosscoder"),
        ({"section": {"crosscoders": ["crss"]}}, "no 'crss' under saes"),
        ({"section": {"saes": ["cross"]}}, "'cross' reads several hooks"),
        ({"section": {"nulls": {"saes": ["cross"]}}}, "'cross' reads several hooks"),
        ({"section": {"hooks": ["mlp_out.2"]}}, "joins every place"),
        ({"cross": {"joined": ["mlp_out.2", "small/mlp_out.2"]}}, "of a model twice"),
        ({"cross": {"joined": ["mlp_out.9"]}}, "no hook 'mlp_out.9'"),
        ({"cross": {"joined": ["large/mlp_out.1"]}}, "no 'large' under models"),
        ({"cross": {"joined": ["small@7/mlp_out.1"]}}, "no such checkpoint"),
        ({"cross": {"joined": ["large/mlp_out.1"]}, "tokenizers": {"others": {"train": "texts"}},
          "models": {"large": small(tokenizer="others")}}, "read different"),
        ({"cross": {"tokens": 300_000_000}, "packings": {"ctx-64": {
            "context_length": 64, "tokens": {"train": 5000}}}}, "more tokens than there are"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        asked(**given)


def test_no_other_study_takes_one():
    config = copy.deepcopy(CONFIG)
    config["saes"]["cross"] = CROSS
    config["studies"]["suppression"]["saes"] = ["cross"]
    with pytest.raises(ConfigError, match="'cross' reads several hooks") as refused:
        resolve(config, file="study.yaml")
    assert "studies > suppression > saes" in refused.value.where
