"""The comparison with the post, on SAEs of which the answer is known."""

import dataclasses

import numpy as np
import pytest

from made_up_latents import documents, key, latents, made, predictions, rows
from made_up_study import table
from saeflow.studies.suppression import STUDY
from saeflow.studies.suppression import published as post
from saeflow.studies.suppression.published import ABSENT, OTHER, SAME

ORDER = ("baseline", "scale", "unrotated_decoder", "decoder")


def runs(mse, *, ppl=None, l0=None, ratio=(0.8, 0.95)):
    """One SAE with mse 1 and perplexity 20 in a model of 10, and methods with these values."""
    ppl, l0 = ppl or {}, l0 or {}
    found = []
    strength = np.geomspace(0.5, 20, len(rows()))
    for method in ("original", *mse):
        settings = (
            {"architecture": "relu", "l1": 0.25}
            if method == "original"
            else {"solver": "steps", "method": method}
        )
        scale = 1 + 2 / strength if method == "decoder" else np.ones_like(strength)
        length = ratio[1] if method == "decoder" else ratio[0]
        of = documents(error=mse.get(method, 1.0), l0=l0.get(method, 30.0), ratio=length)
        losses = predictions(np.log(ppl.get(method, 20.0)), ce_clean=np.log(10.0))
        found.append(
            made(
                key(method), latents=latents(strength), decoder=rows() * scale[:, None],
                settings=settings, sums=of, losses=losses,
            )
        )  # fmt: skip
    return tuple(found)


def verdicts(runs):
    claims = table(STUDY, "published", runs).set_index("claim")
    return claims["verdict"], claims["ours"]


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
