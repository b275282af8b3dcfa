"""How features come apart between two widths, of made-up pairs."""

import numpy as np
import pytest

from made_up_fates import changed, counted, family, widths
from saeflow.metrics.splitting import NARROW
from saeflow.studies.universality.fates.widths import absorption, children


@pytest.fixture
def made():
    return counted(changed(widths(3), family))


def test_children_are_counted_and_those_without_a_parent(made):
    table = children(made.runs, **made.given, bootstrap=50, seed=0)
    own = table[table["wide"] == "topk-x2"]
    assert own["n_children"].tolist() == [0, 1, 2, 3, 4, 5]
    assert own["share"].tolist() == pytest.approx([0, 1 / 12, 11 / 12, 0, 0, 0])
    assert own["new"].tolist() == pytest.approx([5 / 28] * 6)
    assert (own["agree"] == 1).all() and (own["new_null"] == 1).all()
    assert (own["n_narrow"] == 12).all() and (own["n_wide"] == 28).all()
    assert (own["new_low"] < 5 / 28).all() and (5 / 28 < own["new_high"]).all()


def test_tokens_of_features_are_kept_absorbed_or_silent(made):
    table = absorption(made.runs, **made.given, bootstrap=50, seed=0)
    own = table[table["wide"] == "topk-x2"].set_index("outcome")
    (run,) = [
        run
        for run in made.runs
        if [key.sae for key in (run.key, *run.key.other)] == ["topk-x1", "topk-x2"]
    ]
    narrow = run.records["splitting"].table(NARROW)
    assert own["share"]["kept"] == pytest.approx((narrow["kept"] / narrow["active"]).mean())
    assert own["share"]["absorbed"] == pytest.approx((narrow["absorbed"] / narrow["active"]).mean())
    assert own["share"].sum() == pytest.approx(1.0) == own["null"].sum()
    # by chance a child is active as often as anywhere, where the main latent is not
    main = np.asarray(own["null"]["kept"])
    often = narrow["active"] / 10_000
    assert 0 < own["null"]["absorbed"] < often.mean() and 0 < main < 0.2
    assert own["contained"].to_numpy() == pytest.approx(0.8)
    assert (own["contained_null"] < 0.2).all()
    assert (own["share_low"] <= own["share"]).all()


def test_without_counts_there_is_nothing():
    made = widths(2)
    assert absorption(made.runs, **made.given).empty


def test_without_a_parent_nothing_is_contained():
    def far(own, other, table, others):  # noqa: ARG001
        table["cosine"] = 0.1

    made = counted(changed(widths(2), far))
    table = absorption(made.runs, **made.given)
    assert table["contained"].isna().all() and len(table) == 3
