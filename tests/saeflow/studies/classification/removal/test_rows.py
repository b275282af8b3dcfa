from saeflow.studies.classification.rows import erased

SECTION = {
    "models": ["m"], "hooks": ["resid_post.0", "mlp_out.1"], "seeds": [0, 1],
    "labelled": ["reviews"],
    "train_on": {"dataset": "d", "packing": "p"}, "saes": ["plain", "coder"], "erase_with": None,
}  # fmt: skip
CONFIG = {"saes": {"plain": {"k": 8}, "coder": {"k": 8, "target": "mlp_out"}}}


def test_transcoders_are_left_out_since_their_features_are_not_in_what_they_read():
    rows = list(erased(CONFIG, SECTION))
    assert {row["sae"] for row in rows} == {"plain"}
    assert len(rows) == 4 and {row["labelled"] for row in rows} == {"reviews"}
    assert not list(erased(CONFIG, {**SECTION, "erase_with": ["coder"]}))


def test_a_fine_tuned_sae_is_what_its_recipe_is():
    rows = list(erased(CONFIG, {**SECTION, "erase_with": ["plain~scale", "coder~scale"]}))
    assert {row["sae"] for row in rows} == {"plain~scale"}
