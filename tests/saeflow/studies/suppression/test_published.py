"""The comparison with the post, on SAEs of which the answer is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from made_up_latents import documents, key, latents, made, predictions, rows, trained
from made_up_study import table
from saeflow.studies.claims import ABSENT, OTHER, SAME
from saeflow.studies.suppression import STUDY, post

ORDER = ("baseline", "scale", "unrotated_decoder", "decoder")


def runs(
    mse, *, ppl=None, l0=None, ratio=(0.8, 0.95), sae="relu", architecture="relu", added=10.0,
    **settings,
):  # fmt: skip
    """One SAE with mse 1 that adds a perplexity of 10 to a model's 10, and methods with these."""
    ppl, l0 = ppl or {}, l0 or {}
    found = []
    strength = np.geomspace(0.5, 20, len(rows()))
    for method in ("original", *mse):
        facts = {"settings": {"solver": "steps", "method": method}}
        if method == "original":
            facts = {"settings": {}, **trained(architecture, **settings)}
        scale = 1 + 2 / strength if method == "decoder" else np.ones_like(strength)
        length = ratio[1] if method == "decoder" else ratio[0]
        of = documents(error=mse.get(method, 1.0), l0=l0.get(method, 30.0), ratio=length)
        losses = predictions(np.log(ppl.get(method, 10.0 + added)), ce_clean=np.log(10.0))
        found.append(
            made(
                key(method, sae=sae), latents=latents(strength), decoder=rows() * scale[:, None],
                sums=of, losses=losses, **facts,
            )
        )  # fmt: skip
    return tuple(found)


def claims(runs):
    return table(STUDY, "published", runs).set_index("claim")


def verdicts(runs):
    found = claims(runs)
    return found["verdict"], found["ours"]


def test_numbers_like_the_posts_are_as_published():
    mse = {m: 1 - post.MEAN_OVER_LAYERS["mse_reduction"][m] for m in ORDER}
    ppl = {m: 20 - 10 * post.MEAN_OVER_LAYERS["perplexity_recovery"][m] for m in ORDER}
    verdict, ours = verdicts(runs(mse, ppl=ppl))
    for effect, published in post.MEAN_OVER_LAYERS.items():
        for method, value in published.items():
            claim = f"{effect}, {method}"
            assert ours[claim] == pytest.approx(value) and verdict[claim] == SAME
        assert verdict[f"{effect}, decoder minus unrotated_decoder"] == SAME
        assert verdict[f"{effect}, unrotated_decoder minus scale"] == SAME
        assert verdict[f"{effect}, scale minus baseline"] == SAME
    assert verdict["l0 after / before - 1, frozen encoders"] == SAME
    assert verdict["l2_ratio, original"] == SAME and verdict["l2_ratio, decoder"] == SAME
    assert verdict["r of scaling with log strength, plain"] == SAME
    assert verdict["mean cosine of decoder rows"] == SAME


def test_other_signs_and_orders_are_not():
    mse = {"baseline": 0.9, "scale": 1.1, "unrotated_decoder": 0.8, "decoder": 0.85}
    verdict, _ = verdicts(runs(mse, l0={"decoder": 31.0}, ratio=(1.02, 0.9)))
    for claim in (
        "mse_reduction, baseline", "mse_reduction, scale",
        "mse_reduction, decoder minus unrotated_decoder", "mse_reduction, scale minus baseline",
        "mse_reduction, unrotated_decoder minus scale", "l0 after / before - 1, frozen encoders",
        "l2_ratio, original", "l2_ratio, decoder",
    ):  # fmt: skip
        assert verdict[claim] == OTHER, claim


def test_what_was_not_made_is_said_to_be_missing():
    verdict, ours = verdicts(runs({"scale": 0.9}))
    for claim in ("mse_reduction, decoder", "l0 after / before - 1, encoder"):
        assert verdict[claim] == ABSENT and np.isnan(ours[claim])
    assert verdict["mse_reduction, scale"] == SAME


def test_every_published_number_has_its_row():
    claims = table(STUDY, "published", runs({"scale": 0.9}))
    n = sum(map(len, post.MEAN_OVER_LAYERS.values())) + 6 + 2 + 2 + len(post.CORRELATIONS) + 1
    assert len(claims) == n and not claims["claim"].duplicated().any()


def test_closed_forms_are_left_out_of_the_comparison():
    found = runs({"decoder": 0.9})
    twin = dataclasses.replace(runs({"decoder": 0.1})[1], key=key("exact"))
    twin.sae["settings"]["solver"] = "exact"
    _, ours = verdicts((*found, twin))
    assert ours["mse_reduction, decoder"] == pytest.approx(0.1)


CURED = {"decoder": 0.9, "scale": 0.95, "encoder": 0.5}


def test_saes_of_another_loss_than_the_posts_are_counted_and_stand_in_no_number():
    """They are worse by fine-tuning, and would turn every verdict."""
    worse = {"mse": dict.fromkeys(CURED, 3.0), "ppl": dict.fromkeys(CURED, 100.0)}
    others = (
        *runs(**worse, sae="gated", architecture="gated", l1=0.25, l0={"decoder": 90.0}),
        *runs(**worse, sae="jump", architecture="jumprelu", l1=None),
        *runs(**worse, sae="imported", l1=0.0),
        *runs(**worse, sae="norms", norm_weighted=True),
    )
    own = runs(CURED, ppl=dict.fromkeys(CURED, 15.0))
    found, alone = claims((*own, *others)), claims(own)
    same = ["published", "ours", "lowest", "highest", "n_saes", "statistic", "verdict", "rule"]
    pd.testing.assert_frame_equal(found[same], alone[same])
    made = found["n_saes"] > 0
    assert set(found.loc[made, "n_excluded"]) == {4} and set(found.loc[made, "n_saes"]) == {1}
    assert found.loc["mse_reduction, decoder", "excluded"] == (
        "the penalty is on the gates (1); the penalty is on the number of latents (1);"
        " its coefficient is zero or not known (1); L1 of norms (1)"
    )
    assert (alone.loc[alone["n_saes"] > 0, "excluded"] == "").all()


def test_the_posts_loss_in_other_units_is_the_posts_loss():
    found = runs(CURED, error="sum", l1=4.0, scale=3.0)
    assert claims(found).loc["mse_reduction, decoder", "n_saes"] == 1


def test_a_share_of_next_to_nothing_decides_no_verdict():
    """SAEs that add 10 and .01 to a perplexity of 10, of which 5 and -.05 are taken off.

    ln(10.01 / 10) is .001 nats.
    """
    weak = runs(CURED, sae="relu-weak", added=0.01, ppl=dict.fromkeys(CURED, 10.06))
    found = claims((*runs(CURED, ppl=dict.fromkeys(CURED, 15.0)), *weak))
    row = found.loc["perplexity_recovery, decoder"]
    assert row["ours"] == row["lowest"] == row["highest"] == pytest.approx(0.5)
    assert (row["n_saes"], row["n_excluded"], row["verdict"]) == (1, 1, SAME)
    assert row["excluded"] == "it adds less than 0.01 nats (1)"
    assert row["statistic"] == "median over SAEs"
    assert found.loc["mse_reduction, decoder", "statistic"] == "mean over SAEs"
    assert found.loc["mse_reduction, decoder", "n_saes"] == 2


def test_one_sae_of_several_with_a_wild_share_decides_no_verdict():
    """Shares of .5, .4 and -20, the last of the quarter that its SAE adds."""
    many = (
        *runs(CURED, ppl=dict.fromkeys(CURED, 15.0)),
        *runs(CURED, sae="b", ppl=dict.fromkeys(CURED, 16.0)),
        *runs(CURED, sae="c", added=0.25, ppl=dict.fromkeys(CURED, 15.25)),
    )
    row = claims(many).loc["perplexity_recovery, decoder"]
    assert row["ours"] == pytest.approx(0.4) and row["verdict"] == SAME
    assert (row["lowest"], row["highest"]) == pytest.approx((-20, 0.5))


def test_saes_that_add_no_perplexity_have_nothing_to_give_back():
    row = claims(runs(CURED, added=-1.0)).loc["perplexity_recovery, decoder"]
    assert np.isnan(row["ours"]) and (row["verdict"], row["n_excluded"]) == (ABSENT, 1)


def test_differences_are_over_the_saes_that_have_both_methods():
    only = runs({"decoder": 0.2}, sae="relu-strong")
    found = claims((*runs({"decoder": 0.9, "unrotated_decoder": 0.95}), *only))
    row = found.loc["mse_reduction, decoder minus unrotated_decoder"]
    assert row["ours"] == pytest.approx(0.05) and row["n_saes"] == 1
    assert row["excluded"] == "there is no such number (1)"


def test_two_methods_that_train_the_same_weights_count_once():
    found = runs({"decoder": 0.9})
    other = dataclasses.replace(runs({"decoder": 0.7})[1], key=key("decoder-slow"))
    row = claims((*found, other)).loc["mse_reduction, decoder"]
    assert row["ours"] == pytest.approx(0.2) and (row["n_saes"], row["n_excluded"]) == (1, 0)


def test_an_sae_that_is_hardly_active_does_not_decide_what_becomes_of_l0():
    """30 become 60, .01 become 1: in all a factor of 2.03, no factor of 51."""
    dying = runs({"encoder": 0.5}, sae="dying", l0={"original": 0.01, "encoder": 1.0})
    found = claims((*runs({"encoder": 0.5}, l0={"encoder": 60.0}), *dying))
    row = found.loc["l0 after / before - 1, encoder"]
    assert row["ours"] == pytest.approx(61 / 30.01 - 1) and row["highest"] == pytest.approx(99)
