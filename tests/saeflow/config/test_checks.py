import copy
from pathlib import Path
from types import SimpleNamespace

import pytest

from saeflow import registry
from saeflow.config.checks import resolve
from saeflow.config.reading import read_config
from saeflow.config.sections import StudySection
from saeflow.errors import ConfigError
from saeflow.studies.study import Study

ROOT = Path(__file__).parents[3]
CONFIGURATIONS = [
    ROOT / "config.yaml",
    *(ROOT / "workflow" / "presets").glob("*.yaml"),
    *(ROOT / "tests" / "e2e").glob("*.yaml"),
]

STUDY = ("studies", "suppression")
TRAIN = ("models", "small", "train")

BAD = [
    ((*STUDY, "saes"), ["rely"], "suppression > saes: there is no 'rely' under saes", "'relu'?"),
    ((*STUDY, "saes"), ["relu@1"], "there is no 'relu@1' under saes", "relu, topk"),
    ((*STUDY, "methods"), ["decoder"], "there is no 'decoder' under methods", "scale"),
    ((*STUDY, "models"), ["big"], "there is no 'big' under models", "small, hub"),
    ((*STUDY, "train_on"), {"dataset": "x", "packing": "ctx-64"}, "train_on > dataset", "texts"),
    ((*STUDY, "evaluate_on"), {"dataset": "texts", "packing": "x"}, "on > packing", "ctx-64"),
    ((*TRAIN, "tokenizer"), "word", "train > tokenizer", "Did you mean 'words'?"),
    ((*TRAIN, "dataset"), "x", "small > train > dataset", "under datasets"),
    ((*TRAIN, "packing"), "x", "small > train > packing", "under packings"),
    (("models", "hub", "tokenizer"), "x", "models > hub > tokenizer", "words"),
    (("tokenizers", "words"), {"train": "x"}, "tokenizers > words > train", "texts"),
    (("tokenizers", "words"), {"model": "x"}, "tokenizers > words > model", "small, hub"),
    (("tokenizers", "words"), {"model": "small"}, "words > model", "does not bring a tokenizer"),
    (("datasets", "x"), {"sample": {"model": "x", "n_documents": 1}}, "sample > model", "hub"),
    (("datasets", "texts", "splits"), {"train": 0.5}, "do not sum to one", "expected 1; got 0.5"),
    ((*STUDY, "hooks"), ["resid_post.9"], "has no hook 'resid_post.9'", "BLOCK from 0 to 3"),
    (
        (*STUDY, "hooks"),
        ["blocks.9.hook_mlp_out"],
        "no hook 'mlp_out.9' (blocks.9.hook_mlp_out)",
        "",
    ),
    ((*STUDY, "hooks"), ["resid_mid.0"], "has no hook 'resid_mid.0'", "resid_pre, attn_out"),
    ((*STUDY, "models"), ["small@3"], "no such checkpoint", "0, 1, 2, 4, 8"),
    ((*STUDY, "models"), ["small@x"], "no such checkpoint", "got small@x"),
    ((*STUDY, "models"), ["hub@1"], "the model 'hub' has no checkpoints", "a model of its own"),
    (("models", "x"), {"shuffle": "smal"}, "x > shuffle: there is no 'smal'", "'small'?"),
    (("models", "x"), {"shuffle": "small@3"}, "models > x > shuffle", "no such checkpoint"),
    (("models", "x"), {"shuffle": "x"}, "models > x > shuffle", "a shuffled one itself"),
    ((*TRAIN, "checkpoints"), "often", "train > checkpoints", "'log-spaced'"),
    ((*TRAIN, "checkpoints"), [10**9], "small > train > checkpoints", "outside the training"),
    ((*TRAIN, "tokens"), 5, "small > train > tokens", "batch_tokens"),
    ((*TRAIN, "d_model"), 130, "small > train > d_model", "a multiple of 8; got 130"),
    ((*TRAIN, "d_model"), 4, "small > train > d_model", "even number"),
    (("activations", "shard_rows"), 300, "shard_rows: the rows of a shard", "256 or 512; got 300"),
    ((*STUDY, "theory"), {"d": 13}, "theory > d: the toys' features", "at least 14"),
    ((*STUDY, "theory"), {"g": [1.6], "d": 32}, "theory > g: the largest", "c d / 2 = 1.6; got"),
    (("activations",), {"live": True, "temporary": True}, "activations: live", "live or temporary"),
]


@pytest.mark.parametrize(("path", "value", "first", "second"), BAD)
def test_what_does_not_fit_together_is_refused(refused, path, value, first, second):
    message = refused(path, value)
    assert first in message
    assert second in message
    assert message.startswith("study.yaml > ")
    assert "\n" not in message


def test_a_sound_configuration_is_accepted(config):
    config["studies"]["suppression"].update(models=["small", "small@4"], hooks=["attn_out.3"])
    resolve(config)


def test_a_shuffled_model_has_the_hooks_and_the_tokenizer_of_its_own(config):
    config["models"]["noise"] = {"shuffle": "small@4"}
    study = config["studies"]["suppression"]
    study.update(models=["noise"], hooks=["attn_out.3"])
    resolve(config)
    study["hooks"] = ["attn_out.4"]
    with pytest.raises(ConfigError, match=r"model 'noise' has no hook 'attn_out\.4'"):
        resolve(config)
    study["hooks"], config["tokenizers"]["taken"] = ["attn_out.3"], {"model": "noise"}
    with pytest.raises(ConfigError, match="does not bring a tokenizer"):
        resolve(config)


def test_hooks_of_models_from_elsewhere_are_left_to_the_job_that_sees_the_model(config):
    config["studies"]["suppression"].update(models=["hub"], hooks=["resid_mid.40"])
    resolve(config)


def test_hooks_are_read_by_their_transformer_lens_names(config):
    names = ["blocks.1.hook_resid_post", "resid_pre.0", "blocks.2.hook_attn_out"]
    config["studies"]["suppression"].update(hooks=names, methods=[])
    config["saes"]["relu"]["target"] = "blocks.3.hook_mlp_out"
    result = resolve(config)
    assert result["studies"]["suppression"]["hooks"] == [
        "resid_post.1",
        "resid_pre.0",
        "attn_out.2",
    ]
    assert result["saes"]["relu"]["target"] == "mlp_out.3"


def test_one_hook_by_both_names_stands_there_twice(refused):
    message = refused((*STUDY, "hooks"), ["resid_post.1", "blocks.1.hook_resid_post"])
    assert "in this list twice" in message


def test_saes_are_trained_where_they_are_measured_unless_it_is_said(config):
    study = config["studies"]["suppression"]
    given = {**study["train_on"], "dataset": "more"}
    config["datasets"]["more"] = {"path": "more.txt"}
    assert (
        resolve({**config, "studies": {"suppression": {**study, "train_on": given}}})["studies"][
            "suppression"
        ]["train_on"]
        == given
    )
    del study["train_on"]
    found = resolve(config)["studies"]["suppression"]
    assert found["train_on"] == found["evaluate_on"] == {"dataset": "texts", "packing": "ctx-64"}


def test_saes_can_all_be_imported(config):
    config["saes"] = {"theirs": {"path": "saes/{hook}"}}
    study = {**config["studies"]["suppression"], "saes": ["theirs"], "methods": []}
    del study["train_on"]
    config["studies"]["suppression"] = study
    assert resolve(config)["saes"]["theirs"]["format"] == "auto"


def test_a_pass_is_split_and_probes_are_asked_only_where_that_is_said(config):
    result = resolve(config)
    assert set(result["jobs"].values()) == {1} and result["measures"]["probes"] is None
    result = resolve({**config, "jobs": {"harvest": 4}, "measures": {"probes": {}}})
    assert result["jobs"]["harvest"] == 4 and result["jobs"]["measure"] == 1
    assert result["measures"]["probes"] == {"classes": 16, "rows": 10_000}
    with pytest.raises(ConfigError, match="jobs > train_sae: .*Did you mean 'train_saes'"):
        resolve({**config, "jobs": {"train_sae": 4}})


class Own(StudySection):
    """What a study of the tests asks."""

    depth: int = 2
    """How deep."""

    @classmethod
    def check(cls, config, section, where):
        if section["depth"] > len(config["saes"]):
            raise ConfigError("too deep", where=f"{where} > depth")


@pytest.fixture
def studies(monkeypatch):
    """Let there be two more studies, of which one has a section of its own."""
    load, names = registry.load, registry.names
    made = {"own": f"{__name__}:Own", "plain": ""}

    def loaded(package, name):
        if package == "studies" and name in made:
            return SimpleNamespace(STUDY=Study("", "", {}, {}, section=made[name]))
        return load(package, name)

    monkeypatch.setattr(registry, "load", loaded)
    monkeypatch.setattr(registry, "function", lambda name: Own)
    monkeypatch.setattr(
        registry, "names", lambda package: names(package) + list(made) * (package == "studies")
    )


def test_a_study_is_asked_for_its_own_keys_and_for_no_others(config, studies):
    shared = {k: v for k, v in config["studies"]["suppression"].items() if k != "methods"}
    found = resolve({**config, "studies": {"own": {**shared, "depth": 1}, "plain": shared}})
    assert found["studies"]["own"] == {**found["studies"]["plain"], "depth": 1}
    assert set(found["studies"]["plain"]) == {*shared, "seeds"}
    with pytest.raises(ConfigError, match="plain > depth: unknown key"):
        resolve({**config, "studies": {"plain": {**shared, "depth": 1}}})
    with pytest.raises(ConfigError, match="studies > own > depth: too deep"):
        resolve({**config, "studies": {"own": {**shared, "depth": 9}}})


def test_an_unknown_study_is_named_with_those_that_there_are(config, studies):
    with pytest.raises(ConfigError, match="no study 'models'.*one of .*universality, own, plain"):
        resolve({**config, "studies": {"models": {}}})


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_the_configurations_of_the_repository_are_sound(path):
    result = resolve(read_config(path), file=path.name)
    for study in result["studies"].values():
        assert study["train_on"]["dataset"] in result["datasets"]
    # what has its defaults is read as it is
    assert resolve(copy.deepcopy(result)) == result
