import pytest

from saeflow.errors import ConfigError

STUDY = "reconstruction"
OF_ABLATIONS = {"features", "feature_effects", "feature_agreement", "ablated_sets"}
OF_SCORES = {"feature_scores", "feature_correlations"}


@pytest.fixture
def planned(outputs):
    """Return a function from measures and keys of the study to its outputs."""
    own = {
        "hooks": ["resid_post.0", "resid_post.1"], "saes": ["plain", "topk", "pca"], "seeds": [0],
        "prompts": ["gifts", "more"],
    }  # fmt: skip

    def make(measures=None, **study):
        return outputs(lambda config: config.update(measures=measures or {}), **{**own, **study})

    return make


def ablations(made):
    return made.table(STUDY, "features").inputs["ablations"]


def places(made):
    return {(one.output.parts[-3], one.inputs["sae"].output.parts[-3]) for one in ablations(made)}


def test_features_are_ablated_on_the_first_prompt_set_and_not_of_baselines(planned):
    made = planned()
    assert places(made) == {("gifts", "plain"), ("gifts", "topk")}
    assert len(ablations(made)) == 2 * 2
    assert len({tuple(one.place.items()) for one in ablations(made)}) == 1  # one pass


def test_other_sets_are_named(planned):
    sets = {name for name, _ in places(planned(ablate_on=["more", "gifts"]))}
    assert sets == {"more", "gifts"}
    assert not OF_ABLATIONS & set(planned(ablate_on=[]).tables(STUDY))


def test_each_reads_the_answers_of_its_own_sae_to_the_same_prompts(planned):
    for one in ablations(planned(ablate_on=["gifts", "more"])):
        answers = one.inputs["answers"]
        assert answers.output == one.output.with_name("answers.json")
        assert answers.inputs["sae"] is one.inputs["sae"]
        assert answers.inputs["prompts"] is one.inputs["prompts"]


def test_without_prompts_or_ablations_there_is_nothing_of_them(planned):
    none = planned(prompts=[])
    shown = {*none.tables(STUDY), *none.figures(STUDY)}
    assert not shown & (OF_ABLATIONS | OF_SCORES | {"feature_hist", "feature_words"})
    without = planned({"ablations": None})
    assert OF_SCORES < set(without.tables(STUDY))
    assert not OF_ABLATIONS & set(without.tables(STUDY))


def test_what_is_ablated_makes_stale_what_shows_it_and_no_answers(planned):
    def identities(made):
        return {name: table.identity for name, table in made.tables(STUDY).items()}

    before = planned()
    for settings in ({"features": 2}, {"prompts": 3}, {"seed": 1}):
        after = planned({"ablations": settings})
        changed = {n for n, i in identities(after).items() if i != identities(before)[n]}
        assert changed == OF_ABLATIONS
        assert ablations(after)[0].inputs["answers"].identity == (
            ablations(before)[0].inputs["answers"].identity
        )


def test_prompts_that_the_study_does_not_ask_are_refused(planned):
    with pytest.raises(ConfigError, match="ablated on prompts that the study does not ask"):
        planned(ablate_on=["more"], prompts=["gifts"])
