import copy

import pytest
import yaml

from saeflow.config.checks import resolve
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan

CONFIG = yaml.safe_load("""
models:
  small: {train: {dataset: texts, packing: long, tokenizer: words}}
  noise: {shuffle: small}
tokenizers:
  words: {train: texts}
datasets:
  texts: {path: texts.txt}
packings:
  long: {context_length: 64}
  short: {context_length: 16}
  few: {context_length: 16, tokens: {train: 40}}
prompts:
  gifts: {generate: ioi}
  more: {generate: ioi, n_prompts: 50}
saes:
  relu: {architecture: relu, l1: [0.1, 0.2]}
  plain: {architecture: relu, l1: 0.1}
  topk: {architecture: topk, k: 4}
  pca: {architecture: pca}
  transcoder: {architecture: topk, k: 4, target: mlp_out}
  inside: {architecture: topk, k: 4, target: resid_pre.1}
studies:
  reconstruction:
    models: [small]
    evaluate_on: {dataset: texts, packing: long}
    hooks: [resid_pre.0, resid_pre.1, resid_pre.3]
    saes: [relu, topk]
    seeds: [0, 1]
""")


@pytest.fixture
def resolved():
    """Return a function from keys of the study, and a change of others, to the configuration and
    the study's section."""

    def resolve_with(change=lambda config: None, **study):
        config = copy.deepcopy(CONFIG)
        config["studies"]["reconstruction"].update(study)
        change(config)
        config = resolve(config)
        return config, config["studies"]["reconstruction"]

    return resolve_with


@pytest.fixture
def outputs(resolved, tmp_path, monkeypatch):
    """Return a function from the same to the study's outputs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")
    return lambda *change, **study: Outputs(Plan(resolved(*change, **study)[0]))
