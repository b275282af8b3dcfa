"""The comparison with the post, on SAEs of which the answer is known."""

import numpy as np
import pytest

from made_up_latents import key, latents, pair, rows
from saeflow.published import suppression as post
from saeflow.tables.suppression.published import ABSENT, OTHER, SAME, build

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
        both = pair(
            method, key_of=key, latents=latents(strength), decoder=rows() * scale[:, None],
            error=1.0, ce_sae=1.0, settings=settings, training={},
        )  # fmt: skip
        metrics = both[0].records["reconstruction"]["metrics"]
        metrics["mse"] = {"value": mse.get(method, 1.0)}
        metrics["l0"] = {"value": l0.get(method, 30.0)}
        metrics["l2_ratio"] = {"value": ratio[1] if method == "decoder" else ratio[0]}
        both[0].records["language"]["metrics"] = {
            "perplexity": {"value": 10.0},
            "perplexity_sae": {"value": ppl.get(method, 20.0)},
        }
        found += both
    return found


def verdicts(runs):
    table = build(runs).set_index("claim")
    return table["verdict"], table["ours"]


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
    table = build(runs({"scale": 0.9}))
    n = sum(map(len, post.MEAN_OVER_LAYERS.values())) + 6 + 2 + 2 + len(post.CORRELATIONS) + 1
    assert len(table) == n and not table["claim"].duplicated().any()


def test_closed_forms_are_left_out_of_the_comparison():
    found = runs({"decoder": 0.9})
    twin = runs({"decoder": 0.1})[2:]
    for run in twin:
        object.__setattr__(run, "key", type(run.key)(**{**run.key.__dict__, "method": "exact"}))
    twin[1].records["sae"]["settings"]["solver"] = "exact"
    _, ours = verdicts([*found, *twin])
    assert ours["mse_reduction, decoder"] == pytest.approx(0.1)
