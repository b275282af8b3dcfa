"""Which hooks and SAEs are measured on which labelled texts."""

import copy

import pytest
import yaml

from saeflow.config.checks import resolve
from saeflow.errors import ConfigError
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.studies.classification.rows import at_hooks, of_domain, on_labelled

CONFIG = yaml.safe_load("""
models:
  small: {train: {dataset: texts, packing: short, tokenizer: words}}
tokenizers:
  words: {train: texts}
datasets:
  texts: {path: texts.txt}
  reviews: {path: texts.txt}
packings:
  short: {context_length: 16}
  shorter: {context_length: 8}
labelled:
  moods: {path: moods.csv}
  others: {path: moods.csv}
saes:
  topk: {architecture: topk, k: 4}
  relu: {architecture: relu, l1: 0.1}
studies:
  classification:
    models: [small]
    evaluate_on: {dataset: texts, packing: short}
    hooks: [resid_post.1]
    state_hooks: [resid_post.0, resid_post.1]
    saes: [topk]
    labelled: [moods, others]
    in_domain_on: {dataset: reviews, packing: short}
    in_domain_saes: [topk, relu]
""")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")
    (tmp_path / "moods.csv").write_text("text,label\nfine,1\ndull,0\n")


def resolved(**study):
    config = copy.deepcopy(CONFIG)
    config["studies"]["classification"].update(study)
    config = resolve(config)
    return config, config["studies"]["classification"]


def test_states_are_probed_at_further_hooks_once():
    rows = [(row["hook"], row["labelled"]) for row in at_hooks(*resolved())]
    assert rows == [
        ("resid_post.1", "moods"), ("resid_post.0", "moods"),
        ("resid_post.1", "others"), ("resid_post.0", "others"),
    ]  # fmt: skip


def test_saes_of_the_domain_are_apart_and_beside_those_of_other_text():
    config = resolved()
    assert {(row["sae"], row["dataset"]) for row in on_labelled(*config)} == {("topk", "texts")}
    rows = {(row["sae"], row["dataset"]) for row in of_domain(*config)}
    assert rows == {(sae, text) for sae in ("topk", "relu") for text in ("texts", "reviews")}


def test_an_sae_on_several_texts_is_read_once_and_measured_on_each():
    config, _ = resolved()
    table = Outputs(Plan(config)).table("classification", "probes")
    assert len(table.inputs["sae"]) == 1
    assert len(table.inputs["sparse_probes"]) == 2
    assert len(table.inputs["dense_probes"]) == 2 * 2  # hooks and texts


def test_without_saes_of_the_domain_there_is_nothing_to_show_of_them():
    config, _ = resolved(in_domain_on=None, in_domain_saes=[])
    outputs = Outputs(Plan(config))
    assert "in_domain" not in outputs.tables("classification")
    assert "pooling_by_layer" not in outputs.figures("classification")
    assert "k_sparse" in outputs.figures("classification")


def test_a_further_hook_that_the_model_lacks_is_refused():
    with pytest.raises(ConfigError, match="has no hook 'resid_post.9'"):
        resolved(state_hooks=["resid_post.9"])


def test_saes_of_the_domain_can_have_a_match_and_hooks_of_their_own():
    own = {"hooks": ["resid_post.1", "resid_post.2"], "in_domain_hooks": ["resid_post.2"]}
    place = {"dataset": "texts", "packing": "shorter"}
    rows = list(of_domain(*resolved(**own, in_domain_against=place)))
    assert {row["hook"] for row in rows} == {"resid_post.2"}
    places = {(row["dataset"], row["packing"]) for row in rows}
    assert places == {("texts", "shorter"), ("reviews", "short")}


@pytest.mark.parametrize(
    ("key", "names", "among"),
    [("erase_with", ["relu"], "saes"), ("in_domain_hooks", ["resid_post.0"], "hooks")],
)
def test_what_is_asked_of_a_part_must_be_in_the_whole(key, names, among):
    with pytest.raises(ConfigError, match=f"among its `{among}`"):
        resolved(**{key: names})


@pytest.mark.parametrize("key", ["in_domain_on", "in_domain_against"])
def test_a_place_of_the_domain_must_exist(key):
    with pytest.raises(ConfigError, match="no 'nowhere'|there is no|nowhere"):
        resolved(**{key: {"dataset": "nowhere", "packing": "short"}})


@pytest.mark.parametrize(
    ("key", "name", "among"),
    [("erase_with", "relu", "saes"), ("in_domain_hooks", "resid_post.0", "hooks")],
)
def test_what_is_chosen_among_what_the_study_has_is_refused_elsewhere(key, name, among):
    with pytest.raises(ConfigError) as refused:
        resolved(**{key: [name]})
    message = str(refused.value)
    assert f"studies > classification > {key}" in message
    assert f"not have this one among its `{among}`" in message and f"got {name}" in message
