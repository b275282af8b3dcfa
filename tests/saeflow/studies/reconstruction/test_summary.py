import pandas as pd
import pytest

from saeflow.studies.reconstruction.summary import summary

HOOK = {"model": "m", "hook": "resid_post.0", "sae": "a"}


def costs(**columns):
    rows = {"delta_ce": [0.5, 0.25], "delta_ce_low": [0.4, 0.2], "delta_ce_high": [0.6, 0.3]}
    whole = {**HOOK, "sae": ["a", "b"], "baseline": "", "ce_loss": 2.0, **rows, **columns}
    return pd.DataFrame(whole)


def test_the_cheapest_and_the_dearest_sae_are_named_with_their_intervals():
    said = summary({"performance": costs()})
    assert "0.250 [0.200, 0.300] nats per token (b at resid_post.0)" in said
    assert "0.500 [0.400, 0.600] (a at resid_post.0), to a clean loss of 2.000." in said


def test_a_single_document_has_no_interval_and_what_is_undefined_is_not_said():
    said = summary({"performance": costs(delta_ce=[None, 0.25], delta_ce_low=None)})
    assert "0.250 nats per token (b at resid_post.0) to 0.250 (b" in said
    assert summary({"performance": costs(delta_ce=[float("nan")] * 2)}) == ""


def test_a_baseline_is_not_the_dearest_sae():
    said = summary({"performance": costs(baseline=["pca", None])})
    assert "0.250 [0.200, 0.300] (b at resid_post.0), to" in said and "0.500" not in said


def test_short_and_long_contexts_are_told_apart():
    table = pd.DataFrame(
        {
            "border": 64,
            "training_context": [64, 64, 256],
            "fvu_beyond_ratio": [1.5, 1.25, 0.9],
            "delta_ce_growth": [0.02, -0.01, 0.0],
        }
    )
    said = summary({"context": table})
    assert "beyond 64 tokens, SAEs that saw no more leave 1.25 to 1.50 times" in said
    assert "-0.010 to +0.020 nats per token more" in said
    assert "SAEs of longer contexts leave 0.90 times" in said


def test_baselines_and_other_quantities_do_not_count():
    controls = pd.DataFrame(
        {
            "baseline": ["", None, "pca"],
            "pathology_kl_norm": [1.5, 1.0, 9.0],
            "pathology_kl_norm_low": [1.2, 0.9, 8.0],
            "pathology_kl_cosine": [1.1, 0.9, 7.0],
        }
    )
    later = pd.DataFrame(
        {
            "quantity": ["squared_error", "squared_error", "squared_error", "l0"],
            "sae": ["a", "a", "a", "a"],
            "later_sae": ["a", "a", "b", "a"],
            "way": ["full", "direct", "full", "full"],
            "change": [-0.125, 0.05, 7.0, 8.0],
        }
    )
    said = summary({"controls": controls, "propagation": later})
    assert "1.00 to 1.50 times" in said and "in 1 of 2 SAEs" in said and "0.90 to 1.10" in said
    assert "by -12.5%, and by +5.0%" in said


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ((0.5, 0.25), "80.0% are answered among the candidates by the untouched model, and 25.0%"),
        ((None, None), "90.0% are answered among all tokens by the untouched model, and 40.0%"),
    ],
)
def test_answers_are_those_among_candidates_where_there_are_some(choice, told):
    table = pd.DataFrame(
        {
            "prompts": "riddles",
            "baseline": "",
            "accuracy": [0.4, 0.5],
            "accuracy_clean": 0.9,
            "accuracy_choice": choice,
            "accuracy_choice_clean": 0.8,
            "delta_logp": [-0.5, -0.25],
        }
    )
    said = summary({"answers": table})
    assert told in said and "changes by -0.500 to -0.250" in said


def test_causes_and_statements_of_the_post_are_counted():
    agreement = pd.DataFrame(
        {
            "of": ["effect", "effect", "size", "effect"],
            "with": ["mean_delta", "mean_delta", "mean_delta", "strength"],
            "among": "chosen",
            "rho": [0.5, -0.1, 0.9, 0.9],
            "rho_low": [0.2, -0.4, 0.8, 0.8],
            "rho_high": [0.7, 0.2, 1.0, 1.0],
        }
    )
    published = pd.DataFrame({"verdict": ["as published", "not as published", "not made"]})
    said = summary({"feature_agreement": agreement, "published": published})
    assert "-0.10 to +0.50; in 1 of 2 cases" in said
    assert "Of 2 statements of the post, 1 hold here." in said
