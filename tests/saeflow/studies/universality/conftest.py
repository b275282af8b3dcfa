import copy

import pytest
import yaml

from saeflow.config.checks import resolve

CONFIG = yaml.safe_load("""
models:
  small: {train: {dataset: texts, packing: short, tokenizer: words, tokens: 40000}}
  other: {train: {dataset: texts, packing: short, tokenizer: words, tokens: 40000, n_layers: 2}}
  foreign: {train: {dataset: texts, packing: short, tokenizer: letters, tokens: 40000}}
  noise: {shuffle: small}
  scrambled: {shuffle: foreign}
tokenizers:
  words: {train: texts}
  letters: {train: others}
datasets:
  texts: {path: texts.txt}
  others: {path: texts.txt}
packings:
  short: {context_length: 16}
  shorter: {context_length: 8}
  untested: {context_length: 16, tokens: {test: 0}}
saes:
  relu: {architecture: relu, l1: 0.1, expansion: [2, 4]}
  relu-order: {architecture: relu, l1: 0.1, expansion: 2, order_seed: 1}
  relu-half: {architecture: relu, l1: 0.1, expansion: 2, part: 1/2}
  relu-order-half: {architecture: relu, l1: 0.1, expansion: 2, order_seed: 1, part: 1/2}
  relu-strong: {architecture: relu, l1: 0.2, expansion: 2}
  untrained: {architecture: relu, l1: 0.1, expansion: 2, tokens: 0}
  topk: {architecture: topk, k: 4, expansion: 2}
  topk-x4: {architecture: topk, k: 4, expansion: 4}
  pca: {architecture: pca}
  theirs: {path: theirs}
studies:
  universality:
    models: [small]
    evaluate_on: {dataset: texts, packing: short}
    hooks: [mlp_out.1]
    saes: [relu-x2]
    comparisons:
      seeds: {vary: [seed], seeds: [0, 1]}
""")
"""A small study."""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")
    return copy.deepcopy(CONFIG)


@pytest.fixture
def asked(config):
    """Return a configuration with keys of the study changed, and its section."""

    def of(comparisons=None, **study):
        study |= {} if comparisons is None else {"comparisons": comparisons}
        config["studies"]["universality"].update(study)
        made = resolve(config, file="study.yaml")
        return made, made["studies"]["universality"]

    return of
