import copy

import pytest
import yaml

from saeflow.config.checks import resolve
from saeflow.errors import ConfigError
from saeflow.studies.reconstruction.rows import at_positions, upstream
from saeflow.studies.study import OTHERS

CONFIG = yaml.safe_load("""
models:
  small: {train: {dataset: texts, packing: long, tokenizer: words}}
tokenizers:
  words: {train: texts}
datasets:
  texts: {path: texts.txt}
packings:
  long: {context_length: 64}
  short: {context_length: 16}
  few: {context_length: 16, tokens: {train: 40}}
saes:
  relu: {architecture: relu, l1: 0.1}
  topk: {architecture: topk, k: 4}
  pca: {architecture: pca}
  transcoder: {architecture: topk, k: 4, target: mlp_out}
  inside: {architecture: topk, k: 4, target: resid_pre.1}
studies:
  reconstruction:
    models: [small]
    evaluate_on: {dataset: texts, packing: long}
    hooks: [resid_pre.0, resid_pre.1, resid_pre.3]
    saes: [relu, topk, pca, transcoder]
    seeds: [0, 1]
    context_on: {dataset: texts, packing: short}
    context_saes: [topk]
""")


def resolved(**study):
    config = copy.deepcopy(CONFIG)
    config["studies"]["reconstruction"].update(study)
    config = resolve(config)
    return config, config["studies"]["reconstruction"]


def test_positions_are_measured_of_the_studys_saes_and_of_those_of_shorter_contexts():
    rows = list(at_positions(*resolved()))
    counts = {p: sum(r["packing"] == p for r in rows) for p in ("long", "short")}
    assert counts == {"long": 3 * 3 * 2, "short": 3 * 1 * 2}  # a baseline has no context
    without = list(at_positions(*resolved(context_on=None, context_saes=[])))
    assert {row["packing"] for row in without} == {"long"}


def test_upstream_of_each_sae_are_all_at_later_hooks_of_its_model_and_seed():
    rows = list(upstream(*resolved()))
    found = {
        (r["hook"], r["sae"], r["seed"]): {(o["hook"], o["sae"], o["seed"]) for o in r[OTHERS]}
        for r in rows
    }
    assert len(rows) == len(found) == 2 * 2 * 2  # the last hook has none after it; no baselines
    for seed in (0, 1):
        last = {("resid_pre.3", sae, seed) for sae in ("relu", "topk")}
        middle = {("resid_pre.1", sae, seed) for sae in ("relu", "topk")}
        assert found["resid_pre.1", "topk", seed] == last
        assert found["resid_pre.0", "relu", seed] == last | middle


@pytest.mark.parametrize(
    ("study", "told"),
    [
        ({"context_saes": []}, ("context_on", "neither")),
        ({"context_on": None}, ("context_on", "neither")),
        ({"context_saes": ["topp"]}, ("context_saes", "topp", "topk")),
        ({"context_on": {"dataset": "texts", "packing": "long"}}, ("below 64", "64")),
        ({"context_on": {"dataset": "text", "packing": "short"}}, ("context_on", "texts")),
        ({"context_on": {"dataset": "texts", "packing": "few"}}, ("tokens > train", "40")),
        ({"context_saes": ["inside"]}, ("would predict what it reads", "resid_pre.1")),
    ],
)
def test_contexts_that_cannot_be_compared_are_refused(study, told):
    with pytest.raises(ConfigError) as error:
        resolved(**study)
    assert all(word in str(error.value) for word in told), error.value
