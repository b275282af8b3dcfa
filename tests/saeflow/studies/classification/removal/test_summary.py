import pandas as pd

from saeflow.studies.classification.removal.summary import removed, steered


def row(way, auc, cost, *, clean=0.9, n=0, old=0.5, hook="resid_post.0", sae="s", task="t"):
    return {
        "model": "m", "hook": hook, "sae": sae, "labelled": "texts", "task": task, "of": task,
        "way": way, "n_features": n, "auc": auc, "old_auc": old, "clean_auc": clean,
        "clean_auc_low": clean - 0.05, "edit_delta_ce": cost,
    }  # fmt: skip


def test_what_is_left_is_said_of_concepts_that_are_found():
    table = pd.DataFrame(
        [
            row("leace", 0.52, 0.01),
            row("leace", 0.52, 0.01, sae="other"),
            row("leace", 0.56, 0.03, hook="resid_post.1"),
            row("leace", 0.4, 0.9, hook="resid_post.2", clean=0.51),  # not found without either
            row("mean_difference", 0.6, 0.1),
            row("features", 0.85, 0.2, n=4, old=0.6),
            row("features", 0.8, 0.4, n=16, old=0.7),
            row("features", 0.82, 0.3, n=16, old=0.83, sae="other"),
            row("random_features", 0.9, 0.1, n=16),
            {**row("leace", 0.7, 0.5), "of": "another"},
        ]
    )
    first, second = removed(table)
    assert first == (
        "Where a linear reader finds a concept (at 2 of 3 pairs of a concept and a hook, AUC 0.90),"
        " a fresh reader has AUC 0.52 to 0.56 (+0.010 to +0.030 nats per token) after LEACE; 0.60"
        " (+0.100 nats per token) after the projection along the difference of the class means;"
        " 0.80 to 0.82 (+0.300 to +0.400 nats per token) without an SAE's 16 best features."
    )
    assert second == (
        "Readers fitted before the 16 features were taken out have AUC 0.70 to 0.83, less than"
        " fresh ones in 1 of 2 cases: one that fails says nothing of what is still there."
    )


def test_nothing_is_said_where_no_concept_is_found():
    table = pd.DataFrame([row("leace", 0.5, 0.1, clean=0.52)])
    assert list(removed(table)) == []


def test_steering_is_said_for_the_smallest_step():
    def steer(way, strength, score, cost, sae="s", hook="resid_post.0"):
        place = {"model": "m", "hook": hook, "labelled": "texts", "task": "t", "sae": sae}
        moved = {"edit_end_score": score, "edit_delta_ce": cost}
        return {**place, "way": way, "strength": strength, **moved}

    table = pd.DataFrame(
        [
            steer("mean_difference", 1.0, 2.0, 0.1),
            steer("mean_difference", 1.0, 2.0, 0.1, sae="other"),
            steer("mean_difference", 2.0, 9.0, 0.9),
            steer("mean_difference", -1.0, -9.0, 0.9),
            steer("features", 1.0, 1.0, 0.2),
            steer("features", 1.0, 1.5, 0.4, sae="other"),
            steer("random_direction", 1.0, -0.1, 0.05),
            steer("mean_difference", 1.0, 50.0, 5.0, hook="resid_post.1"),  # not found there
        ]
    )
    found = pd.DataFrame(
        [row("leace", 0.5, 0.1), row("leace", 0.5, 0.1, hook="resid_post.1", clean=0.5)]
    )
    (said,) = steered(table, found)
    assert said == (
        "A move by 1 times the distance between the classes changes the log-odds that are read at"
        " the model's end by a median of +2.00 (+0.100 nats per token) along the difference of the"
        " class means, +1.25 (+0.300 nats per token) along the best feature, -0.10 (+0.050 nats per"
        " token) along a random direction."
    )
    assert list(steered(table[table["strength"] < 0], found)) == []
