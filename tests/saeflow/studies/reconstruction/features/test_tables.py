import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import made_up_features as made_up
from saeflow.studies.reconstruction.features.neuronpedia import page_of
from saeflow.studies.reconstruction.features.scored import feature_correlations, feature_scores
from saeflow.studies.reconstruction.features.tables import (
    ablated_sets,
    feature_agreement,
    feature_effects,
    features,
)
from saeflow.tables.runs import DOCUMENTS, Key, Record, Run

DELTA = [-1.0, 0.0, 0.5]
ACTIVE = [(0, 0, 1, 1.0), (1, 0, 1, 1.0), (2, 1, 1, 2.0), (0, 3, 2, 1.0)]


def small(baseline=None):
    """Three prompts; feature 0 on two of them, 1 and 3 on one, 2 and 4 on none."""
    documents = pd.DataFrame(
        {"document": [4, 5, 6], "log_p_clean": [-1.0] * 3, "log_p_sae": np.array(DELTA) - 1}
    )
    active = pd.DataFrame(ACTIVE, columns=["prompt", "latent", "n_active", "sum_activation"])
    active = active.assign(prompt=active["prompt"] + 4, max_activation=1.0)
    sae = {"architecture": "topk", "d_sae": 5, "baseline": baseline}
    answers = {DOCUMENTS: documents, "features.parquet": active}
    key = Key("m", "d", "p", "resid_post.0", "topk", eval_dataset="set", eval_packing="prompts")
    records = {"answers": Record({}, answers.__getitem__), "sae": Record(sae, {}.__getitem__)}
    return Run(key, records)


def test_histograms_count_each_feature_once_and_zero_as_no_decrease():
    table = feature_scores([small()])
    mean = table[table["quantity"] == "mean_delta"]
    # means -0.5, 0.5 and -1; two features have none
    assert mean["n_features"].sum() == 3 and (mean["n_active"] == 3).all()
    for value in (-1.0, -0.5, 0.5):
        assert ((mean["low"] <= value + 1e-9) & (value < mean["high"] + 1e-9)).any()
    score = table[table["quantity"] == "score"].set_index("low")["n_features"]
    # feature 0: -1 + 1, so 0 as the two that are never active; 1: +1; 3: -1
    assert score.to_dict() == {-1.0: 1, 0.0: 3, 1.0: 1}
    assert (table["n_latents"] == 5).all() and (table["n_prompts"] == 3).all()


def test_bins_of_a_prompt_set_are_the_same_for_all_saes_and_few():
    table = feature_scores(made_up.runs(["resid_post.0", "resid_post.3"], ["a", "b"]))
    for _, own in table.groupby("quantity"):
        widths = (own["high"] - own["low"]).to_numpy()
        np.testing.assert_allclose(widths, widths[0])
        assert len(np.unique(np.round(own["low"] / widths[0], 6))) <= 102
        assert ((own["low"] < -1e-9) == (own["high"] <= 1e-9)).all()  # no bin lies across zero
    counts = table.groupby(["quantity", "hook", "sae"])["n_features"].sum()
    assert (counts["score"] == made_up.D_SAE).all()


def test_a_baseline_has_no_features_to_be_scored():
    assert feature_scores([small("mean")]).empty and feature_correlations([small("mean")]).empty


def test_correlations_are_those_of_the_features_that_are_active_often_enough():
    (run,) = made_up.runs(["resid_post.0"])
    delta = run.records["answers"].table(DOCUMENTS).eval("log_p_sae - log_p_clean")
    active = run.records["answers"].table("features.parquet")
    own = active.assign(delta=delta[active["prompt"]].to_numpy()).groupby("latent")
    table = pd.DataFrame({"mean": own["delta"].mean(), "n": own.size()})
    table = table[table["n"] >= 5]
    found = feature_correlations([run]).set_index(["of", "with"])
    assert found.loc[("mean_delta", "frequency"), "n_features"] == len(table)
    assert found.loc[("mean_delta", "frequency"), "r"] == pytest.approx(
        spearmanr(table["mean"], table["n"]).statistic
    )


def test_effects_are_means_over_prompts_with_an_interval_about_them():
    (run,) = made_up.runs(["resid_post.1"])
    found = feature_effects([run], bootstrap=200, seed=0)
    raw = run.records["ablations"].table("effects.parquet")
    means = raw.groupby(["where", "latent"])["effect"].mean()
    for row in found.itertuples():
        assert row.effect == pytest.approx(means[row.where, row.latent])
        if row.n_ablated > 1:
            assert row.effect_low <= row.effect <= row.effect_high
        else:
            assert np.isnan(row.effect_low)
    assert set(found["where"]) == {"reconstruction", "activations"}
    own = found[found["where"] == "activations"]
    rho = spearmanr(own["mean_delta"], own["effect"]).statistic
    assert own["rho_mean_delta"].iloc[0] == pytest.approx(rho)
    pure = own[own["seen"] >= 20]
    rho = spearmanr(pure["token_purity"], pure["effect"]).statistic
    assert own["rho_token_purity"].iloc[0] == pytest.approx(rho)


def test_agreement_is_told_of_all_that_were_chosen_and_of_the_random_ones():
    (run,) = made_up.runs(["resid_post.1"])
    effects = feature_effects([run], bootstrap=0, seed=0)
    own = effects[(effects["where"] == "reconstruction") & (effects["random"] > 0)]
    table = feature_agreement([run])
    found = table[(table["where"] == "reconstruction") & (table["among"] == "random")]
    found = found.set_index(["of", "with"])
    rho = spearmanr(own["strength"], own["effect"].abs()).statistic
    assert found.loc[("size", "strength"), "rho"] == pytest.approx(rho)
    assert found.loc[("size", "strength"), "n_features"] == 8 == len(own)
    chosen = table.loc[table["among"] == "chosen", "n_features"]
    assert (chosen == len(effects) // 2).all()


def test_ablating_a_set_changes_the_opposite_of_what_it_adds():
    (run,) = made_up.runs(["resid_post.1"])
    raw = run.records["ablations"].table("sets.parquet")
    found = ablated_sets([run], bootstrap=200, seed=0).set_index(["where", "kind", "size"])
    for key, own in raw.groupby(["where", "kind", "size"]):
        assert found.loc[key, "change"] == pytest.approx(-own["effect"].mean())
        right = own["right_without"].mean() - own["right_with"].mean()
        assert found.loc[key, "accuracy_change"] == pytest.approx(right)
        assert found.loc[key, "n_ablated"] == 12
    assert sorted(found.index.unique("size")) == [1, 2, 4, 8]


def test_features_are_told_by_kind_and_place_with_their_contexts():
    (run,) = made_up.runs(["resid_post.1"])
    found = features([run])
    assert found.groupby(["kind", "place"])["context"].apply(list).map([1, 2].__eq__).all()
    sums = found.drop_duplicates(["kind", "place"]).set_index(["kind", "place"])["sum_delta"]
    assert sums["worst"].is_monotonic_increasing and sums["best"].is_monotonic_decreasing
    assert list(sums["worst"].index) == list(range(1, 9))
    assert (found["page"] == "").all()


def test_what_was_not_ablated_is_in_the_scores_alone():
    runs = made_up.runs(["resid_post.0"], sets=["lambada", "cbt"])
    assert set(feature_scores(runs)["prompts"]) == {"lambada", "cbt"}
    assert set(feature_effects(runs, bootstrap=0, seed=0)["prompts"]) == {"lambada"}


def test_tables_of_nothing_have_their_columns():
    assert list(feature_scores([])) and feature_scores([]).empty
    assert feature_effects([], bootstrap=0, seed=0).empty and features([]).empty
    assert ablated_sets([], bootstrap=0, seed=0).empty and feature_agreement([]).empty


@pytest.mark.parametrize(
    ("sae", "name"),
    [
        ({"neuronpedia_id": "gemma-2-2b/20-res-16k"}, "gemma-2-2b/20-res-16k"),
        (
            {"settings": {"hub": "jbloom/GPT2-Small-SAEs-Reformatted",
                          "folder": "blocks.8.hook_resid_pre"}},
            "gpt2-small/8-res-jb",
        ),
        (
            {"settings": {"hub": "jbloom/GPT2-Small-SAEs-Reformatted",
                          "folder": "blocks.11.hook_resid_post"}},
            "gpt2-small/12-res-jb",
        ),
        (
            {"settings": {"hub": "jbloom/GPT2-Small-SAEs", "folder": None, "file":
                "final_sparse_autoencoder_gpt2-small_blocks.3.hook_resid_pre_24576.pt"}},
            "gpt2-small/3-res-jb",
        ),
    ],
)  # fmt: skip
def test_pages_are_those_of_the_releases(sae, name):
    assert page_of(sae, 17) == f"https://www.neuronpedia.org/{name}/17"


@pytest.mark.parametrize(
    "settings",
    [{}, {"hub": "someone/else", "folder": "blocks.8.hook_resid_pre"},
     {"hub": "jbloom/GPT2-Small-SAEs-Reformatted", "folder": "blocks.5.hook_resid_post"}],
)  # fmt: skip
def test_other_saes_have_no_page(settings):
    assert page_of({"settings": settings}, 17) == ""
