"""Which SAEs are held against which."""

import made_up_pairs as made
from saeflow.studies.universality.comparisons import NULLS, pairs


def test_nulls_have_a_seed_that_no_other_sae_has():
    seeds = {"vary": ["seed"], "seeds": [3, 7]}
    study = made.study({"seeds": seeds}, hooks=["mlp_out.1", "mlp_out.3"])
    found = [pair for pair in pairs(study.config, study.section) if pair.comparison in NULLS]
    # of two hooks with three nulls each; one of these is the hook itself
    assert len(found) == 5
    for pair in found:
        own = pair._asdict()[pair.reference]
        (null,) = [row for row in (pair.first, pair.second) if row != own]
        assert (own["seed"], null["seed"]) == (0, 8)
        assert pair.differ[-1] == "seed"
