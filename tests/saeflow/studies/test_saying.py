import pandas as pd

from saeflow.studies.claims import OTHER, SAME
from saeflow.studies.saying import estimate, name_of, span, verdicts

ROW = pd.Series({"sae": "topk-8", "hook": "mlp_out.1", "kl": 0.5, "kl_low": 0.25, "kl_high": 0.75})


def test_a_number_has_its_interval_where_there_is_one():
    assert estimate(ROW, "kl", ".2f") == "0.50 [0.25, 0.75]"
    alone = ROW.copy()
    alone[["kl_low", "kl_high"]] = float("nan")
    assert estimate(alone, "kl", ".2f") == "0.50"
    assert name_of(ROW) == "topk-8 at mlp_out.1"


def test_numbers_that_look_alike_are_said_once():
    assert span(pd.Series([0.2, -0.1, 0.1]), "+.1f") == "-0.1 to +0.2"
    assert span(pd.Series([0.201, 0.199]), ".1f") == "0.2"


def test_only_judged_statements_count():
    table = pd.DataFrame({"verdict": [SAME, OTHER, SAME, "not comparable"]})
    assert list(verdicts(table)) == ["Of 3 statements of the post, 2 hold here."]
    assert not list(verdicts(table[3:]))
