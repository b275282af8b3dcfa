"""What a configuration asks of contexts, facts and effects, and what is measured for it."""

import copy

import yaml

from saeflow.config.checks import resolve
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan

CONFIG = yaml.safe_load("""
models:
  small: {train: {dataset: world, packing: long, tokenizer: words}}
tokenizers:
  words: {train: world}
datasets:
  world: {generate: {seed: 0, n_tokens: 100000}}
packings:
  long: {context_length: 64}
saes:
  topk: {architecture: topk, k: 4}
  wide: {architecture: topk, k: 4, expansion: 8}
studies:
  universality:
    models: [small]
    evaluate_on: {dataset: world, packing: long}
    hooks: [mlp_out.1]
    saes: [topk]
    seeds: [0, 1, 2]
    comparisons:
      seeds: {vary: [seed]}
      widths: {vary: [sae], saes: [topk, wide], seeds: [0]}
""")


def outputs(change=lambda config: None, **study):
    """Return what a configuration makes, with these keys of the study."""
    config = copy.deepcopy(CONFIG)
    config["studies"]["universality"].update(study)
    change(config)
    return Outputs(Plan(resolve(config)))


def measured(found, measure):
    """Return recipe and seed of the SAEs of which something is measured."""
    results = [one for one in found.wanted if one.place.get("measure") == measure]
    return sorted(one.output.parts[-6:-4] for one in results)


def test_contexts_are_of_the_pairs_that_are_shown_and_facts_of_all():
    found = outputs()
    shown = [("topk", "seed-0"), ("topk", "seed-1"), ("wide", "seed-0")]
    assert measured(found, "contexts") == shown
    assert measured(found, "facts") == [*shown[:2], ("topk", "seed-2"), shown[2]]
    assert measured(found, "effects") == [("topk", "seed-0")]
    wanted = {"matched_contexts", "effects", "facts_found", "facts_universal"}
    assert wanted <= found.tables("universality").keys()


def test_what_is_named_alone_is_asked_for():
    found = outputs(contexts_of=["widths"], facts_of=["widths"])
    own = [("topk", "seed-0"), ("wide", "seed-0")]
    assert measured(found, "contexts") == measured(found, "facts") == own


def test_what_is_left_out_is_not_measured():
    found = outputs(contexts_of=[], facts_of=[], effect_saes=[])
    for measure in ("contexts", "facts", "effects"):
        assert measured(found, measure) == []
    assert not {"matched_contexts", "facts_found", "effects"} & found.tables("universality").keys()
    none = {"contexts": None, "facts": None, "effects": None}
    found = outputs(lambda config: config.update(measures=none))
    assert not {"matched_contexts", "facts_found", "effects"} & found.tables("universality").keys()
