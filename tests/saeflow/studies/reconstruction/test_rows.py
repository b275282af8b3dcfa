import pytest

from saeflow.errors import ConfigError
from saeflow.studies.reconstruction.rows import at_positions, upstream
from saeflow.studies.study import OTHERS

SHORT = {
    "saes": ["plain", "topk", "pca", "transcoder"],
    "context_on": {"dataset": "texts", "packing": "short"},
    "context_saes": ["topk"],
}


def test_positions_are_measured_of_the_studys_saes_and_of_those_of_shorter_contexts(resolved):
    rows = list(at_positions(*resolved(**SHORT)))
    counts = {p: sum(r["packing"] == p for r in rows) for p in ("long", "short")}
    assert counts == {"long": 3 * 3 * 2, "short": 3 * 1 * 2}  # a baseline has no context
    without = list(at_positions(*resolved(**{**SHORT, "context_on": None, "context_saes": []})))
    assert {row["packing"] for row in without} == {"long"}


def test_upstream_of_each_sae_are_all_at_later_hooks_of_its_model_and_seed(resolved):
    rows = list(upstream(*resolved(**SHORT)))
    found = {
        (r["hook"], r["sae"], r["seed"]): {(o["hook"], o["sae"], o["seed"]) for o in r[OTHERS]}
        for r in rows
    }
    assert len(rows) == len(found) == 2 * 2 * 2  # the last hook has none after it; no baselines
    for seed in (0, 1):
        last = {("resid_pre.3", sae, seed) for sae in ("plain", "topk")}
        middle = {("resid_pre.1", sae, seed) for sae in ("plain", "topk")}
        assert found["resid_pre.1", "topk", seed] == last
        assert found["resid_pre.0", "plain", seed] == last | middle


@pytest.mark.parametrize(
    ("study", "told"),
    [
        ({"context_saes": []}, ("context_on", "neither")),
        ({"context_on": None}, ("context_on", "neither")),
        ({"context_saes": ["topp"]}, ("context_saes", "topp", "topk")),
        ({"context_on": {"dataset": "texts", "packing": "long"}}, ("below 64", "64")),
        ({"context_on": {"dataset": "text", "packing": "short"}}, ("context_on", "texts")),
        ({"context_on": {"dataset": "texts", "packing": "few"}}, ("tokens > train", "40")),
        ({"context_saes": ["inside"]}, ("would predict what it reads", "resid_pre.1")),
    ],
)
def test_contexts_that_cannot_be_compared_are_refused(resolved, study, told):
    with pytest.raises(ConfigError) as error:
        resolved(**{**SHORT, **study})
    assert all(word in str(error.value) for word in told), error.value
