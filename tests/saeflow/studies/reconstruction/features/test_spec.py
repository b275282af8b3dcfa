import copy

import pytest
import yaml

from saeflow.config.checks import resolve
from saeflow.errors import ConfigError
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan

CONFIG = yaml.safe_load("""
models:
  small: {train: {dataset: world, packing: p, tokenizer: words}}
tokenizers:
  words: {train: world}
datasets:
  world: {generate: {n_tokens: 20000}, splits: {train: 0.8, test: 0.2}}
packings:
  p: {context_length: 64}
prompts:
  last: {generate: last_word, dataset: world}
  cloze: {generate: cloze, dataset: world}
saes:
  relu: {architecture: relu, l1: 0.1}
  topk: {architecture: topk, k: 4}
  pca: {architecture: pca}
studies:
  reconstruction:
    models: [small]
    evaluate_on: {dataset: world, packing: p}
    hooks: [resid_post.0, resid_post.1]
    saes: [relu, topk, pca]
    prompts: [last, cloze]
""")
STUDY = "reconstruction"
OF_ABLATIONS = {"features", "feature_effects", "feature_agreement", "ablated_sets"}
OF_SCORES = {"feature_scores", "feature_correlations"}


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(measures=None, **study):
        config = copy.deepcopy(CONFIG)
        config["studies"][STUDY].update(study)
        config["measures"] = measures or {}
        return Outputs(Plan(resolve(config)))

    return make


def ablations(made):
    return made.table(STUDY, "features").inputs["ablations"]


def places(made):
    return {(one.output.parts[-3], one.inputs["sae"].output.parts[-3]) for one in ablations(made)}


def test_features_are_ablated_on_the_first_prompt_set_and_not_of_baselines(outputs):
    made = outputs()
    assert places(made) == {("last", "relu"), ("last", "topk")}
    assert len(ablations(made)) == 2 * 2
    assert len({tuple(one.place.items()) for one in ablations(made)}) == 1  # one pass


def test_other_sets_are_named(outputs):
    sets = {name for name, _ in places(outputs(ablate_on=["cloze", "last"]))}
    assert sets == {"cloze", "last"}
    assert not OF_ABLATIONS & set(outputs(ablate_on=[]).tables(STUDY))


def test_each_reads_the_answers_of_its_own_sae_to_the_same_prompts(outputs):
    for one in ablations(outputs(ablate_on=["last", "cloze"])):
        answers = one.inputs["answers"]
        assert answers.output == one.output.with_name("answers.json")
        assert answers.inputs["sae"] is one.inputs["sae"]
        assert answers.inputs["prompts"] is one.inputs["prompts"]


def test_without_prompts_or_ablations_there_is_nothing_of_them(outputs):
    none = outputs(prompts=[])
    shown = {*none.tables(STUDY), *none.figures(STUDY)}
    assert not shown & (OF_ABLATIONS | OF_SCORES | {"feature_hist", "feature_words"})
    without = outputs({"ablations": None})
    assert OF_SCORES < set(without.tables(STUDY))
    assert not OF_ABLATIONS & set(without.tables(STUDY))


def test_what_is_ablated_makes_stale_what_shows_it_and_no_answers(outputs):
    def identities(made):
        return {name: table.identity for name, table in made.tables(STUDY).items()}

    before = outputs()
    for settings in ({"features": 2}, {"prompts": 3}, {"seed": 1}):
        after = outputs({"ablations": settings})
        changed = {n for n, i in identities(after).items() if i != identities(before)[n]}
        assert changed == OF_ABLATIONS
        assert ablations(after)[0].inputs["answers"].identity == (
            ablations(before)[0].inputs["answers"].identity
        )


def test_prompts_that_the_study_does_not_ask_are_refused(outputs):
    with pytest.raises(ConfigError, match="ablated on prompts that the study does not ask"):
        outputs(ablate_on=["cloze"], prompts=["last"])
