import pandas as pd

from saeflow.tables.facts import extent, notes


def saes(**columns):
    """Return a table of three SAEs, one of them fine-tuned."""
    key = {
        "model": "world-s", "hook": "resid_post.0", "sae": ["relu", "topk", "relu"], "seed": 0,
        "method": ["original", "original", "decoder"],
    }  # fmt: skip
    return pd.DataFrame({**key, **columns})


def test_a_table_of_metrics_says_on_how_much_it_rests():
    table = saes(n_tokens=15_000, n_documents=[60, 60, 61], l0=8.0, l0_low=7.0, l0_high=9.0)
    assert extent(table) == (
        "3 SAEs (1 seed of each). Measured on 15,000 tokens of 60 to 61 documents of the test"
        " split, special tokens left out. Intervals: 95 % bootstrap over documents."
    )


def test_few_documents_are_said_where_intervals_are_drawn_over_them():
    few = saes(n_tokens=900, n_documents=[400, 400, 6], l0=8.0, l0_low=7.0, l0_high=9.0)
    assert "over documents. As few as 6 are drawn from: read them as rough." in extent(few)
    few.loc[2, ["l0_low", "l0_high"]] = None  # the SAE of few documents has no interval
    assert "rough" not in extent(few)


def test_on_how_many_documents_a_ridge_was_chosen_is_said():
    table = saes(n_validation_documents=[6, 6, None])
    assert "Ridges are chosen on 6 documents of the validation split." in extent(table)


def test_without_measurements_no_tokens_and_no_intervals_are_named():
    assert extent(saes(r=0.5, r_low=0.4, r_high=0.6)) == "3 SAEs (1 seed of each)."
    assert extent(pd.DataFrame({"claim": ["a"]})) == extent(pd.DataFrame()) == ""


def test_scores_say_how_many_prompts():
    scores = pd.DataFrame({"task": ["cloze", "held_out_loss"], "n": [400, 98_000]})
    assert extent(scores).startswith("400 to 98,000 prompts or tokens a task. Intervals: 95 %, Wil")


def test_a_number_that_is_none_takes_nothing_away():
    odd = saes(n_tokens=[float("inf"), float("nan"), 10.0], n_documents=[None, None, None])
    assert "Measured on 10 tokens of the test split" in extent(odd)


def test_notes_of_all_tables_are_told_once_with_the_methods_that_share_them():
    dense, noise = "80 of 256 latents are active", "mean ablation adds only 0.001"
    tables = [
        saes(notes=[dense, None, dense], l0=80.0),
        saes(notes=[f"{dense} | {noise}", noise, dense], fvu=0.1),
        saes(notes=None),
        pd.DataFrame({"claim": ["a"], "notes": ["of no SAE"]}),
    ]
    place = "world-s, resid_post.0"
    assert notes(tables) == [
        f"{place}, relu, seed 0 (original, decoder): {dense}",
        f"{place}, relu, seed 0 (original): {noise}",
        f"{place}, topk, seed 0 (original): {noise}",
    ]
    assert notes([]) == notes([saes()]) == []
    assert notes([saes(notes=float("nan"))]) == []  # none, as a file of the table has it
