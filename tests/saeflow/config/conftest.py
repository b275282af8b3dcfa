import copy

import pytest
import yaml

from saeflow.config.checks import resolve
from saeflow.errors import ConfigError

CONFIG = yaml.safe_load("""
models:
  small: {train: {dataset: texts, packing: ctx-64, tokenizer: words}}
  hub: {hub: org/model, revision: 0123456789abcdef0123456789abcdef01234567}
tokenizers:
  words: {train: texts}
datasets:
  texts: {path: texts.txt}
packings:
  ctx-64: {context_length: 64}
saes:
  relu: {architecture: relu, l1: 0.1}
  topk: {architecture: topk, k: 4}
methods:
  scale: {method: scale}
studies:
  suppression:
    models: [small]
    train_on: {dataset: texts, packing: ctx-64}
    evaluate_on: {dataset: texts, packing: ctx-64}
    hooks: [resid_post.1]
    saes: [relu, topk]
    methods: [scale]
""")


@pytest.fixture
def config():
    """A sound configuration, to change."""
    return copy.deepcopy(CONFIG)


@pytest.fixture
def refused(config):
    """Set a value at a path of keys and return the message with which that is refused."""

    def refuse(path, value):
        *above, last = path
        section = config
        for key in above:
            section = section.setdefault(key, {})
        section[last] = value
        with pytest.raises(ConfigError) as caught:
            resolve(config, file="study.yaml")
        return str(caught.value)

    return refuse
