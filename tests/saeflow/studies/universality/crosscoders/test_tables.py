"""Crosscoders of six latents whose places are known, beside two SAEs of three."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from saeflow.studies.universality import summary
from saeflow.studies.universality.crosscoders.agreement import agreement
from saeflow.studies.universality.crosscoders.figures import agreement as draw_agreement
from saeflow.studies.universality.crosscoders.figures import relative_norms
from saeflow.studies.universality.crosscoders.tables import kinds, norms, shares
from saeflow.studies.universality.reading import key_of
from saeflow.tables.runs import Key, Record, Run

ON = ("world", "sae-256")
PLACE = {"model": "small", "dataset": ON[0], "packing": ON[1]}
HOOKS = ("mlp_out.1", "mlp_out.3")
E, SCALES = np.eye(4), (2.0, 0.5)
# own alone, shared, the other's alone, between, shared and dead, shared with another direction
PARTS = (
    np.array([E[0], E[1], 0 * E[2], E[2], E[3], 2 * E[0]]),
    np.array([0 * E[0], E[1], E[2], 3 * E[2], E[3], 2 * E[2]]),
)
STATUS = ["live", "live", "live", "live", "dead", "live"]


def measured(row, *other) -> Key:
    key = key_of(row)
    return Key(*list(vars(key).values())[:7], *ON, tuple(map(key_of, other)))


def crosscoder(sae="cross", hook=HOOKS[0], others=(HOOKS[1],), parts=PARTS):
    row = {**PLACE, "hook": hook, "sae": sae, "seed": 0}
    widths = np.cumsum([0, *(part.shape[1] for part in parts)])
    joined = [
        {"columns": [int(a), int(b)], "scale": scale}
        for a, b, scale in zip(widths, widths[1:], SCALES * 2, strict=False)
    ]
    raw = [part / one["scale"] for part, one in zip(parts, joined, strict=True)]
    latents = pd.DataFrame(
        {"latent": range(6), "status": STATUS, "active": [50, 40, 30, 20, 0, 10]}
    )
    records = {
        "sae": Record({"joined": joined}, {"sae_weights.safetensors": np.hstack(raw)}.get),
        "codes": Record({"n_tokens": 99, "n_documents": 9}, {"latents.parquet": latents}.get),
    }
    given = {**row, "places": [["small", one] for one in (hook, *others)]}
    return Run(measured(row), records), given


def test_norms_are_those_of_scaled_activations():
    run, given = crosscoder()
    table = norms([run], crosscoders=[given], shuffled=[])
    assert table["norm"].tolist() == [1, 1, 0, 1, 1, 2]
    assert table["other_norm"].tolist() == [0, 1, 1, 3, 1, 2]
    assert table["relative"].tolist() == [0, 0.5, 1, 0.75, 0.5, 0.5]
    cosine = table["cosine"].tolist()
    assert cosine[1:2] + cosine[3:] == [1, 1, 1, 0] and np.isnan([cosine[0], cosine[2]]).all()
    assert {*table["other_hook"]} == {"mlp_out.3"} and not table["shuffled"].any()
    assert (table["sae"].iloc[0], table["hook"].iloc[0]) == ("cross", "mlp_out.1")


def test_shares_are_of_live_latents():
    run, given = crosscoder()
    (row,) = shares([run], crosscoders=[given], shuffled=["small"]).itertuples()
    assert (row.width, row.live, row.own, row.shared, row.other, row.between) == (
        6, 5, 0.2, 0.4, 0.2, 0.2,
    )  # fmt: skip
    # e1 with e1, e0 with e2; e1 with e2, e0 with e1
    assert (row.cosine, row.cosine_exchanged) == (0.5, 0) and row.shuffled
    assert row.n_tokens == 99
    said = " ".join(summary.of_places(shares([run], crosscoders=[given], shuffled=[])))
    assert "Of 5 live features" in said and "40% are shared" in said and "shuffled" not in said


def test_places_of_other_widths_have_no_cosine():
    wide = np.hstack([PARTS[1], np.zeros((6, 3))])
    run, given = crosscoder(parts=(PARTS[0], wide))
    assert norms([run], crosscoders=[given], shuffled=[])["cosine"].isna().all()
    (row,) = shares([run], crosscoders=[given], shuffled=[]).itertuples()
    assert np.isnan(row.cosine) and np.isnan(row.cosine_exchanged) and row.shared == 0.4


def test_each_place_that_is_joined_has_its_rows():
    run, given = crosscoder(others=(HOOKS[1], "mlp_out.4"), parts=(*PARTS, PARTS[0]))
    table = norms([run], crosscoders=[given], shuffled=[])
    third = table[table["other_hook"] == "mlp_out.4"]
    assert third["relative"].dropna().tolist() == [0.5, 0.5, 0.5, 0.5, 0.5]


def test_one_that_failed_is_left_out():
    _, given = crosscoder()
    assert norms([], crosscoders=[given], shuffled=[]).empty
    assert shares([], crosscoders=[given], shuffled=[]).empty


@pytest.mark.parametrize(
    ("relative", "kind"),
    [(0, "own"), (0.09, "own"), (0.1, "between"), (0.39, "between"), (0.4, "shared"),
     (0.6, "shared"), (0.61, "between"), (0.91, "other"), (1, "other"), (np.nan, "between")],
)  # fmt: skip
def test_kinds_have_the_published_borders(relative, kind):
    assert kinds(np.array([relative])).tolist() == [kind]


def of_pair(first_hook=HOOKS[0], second_hook=HOOKS[1]):
    """Two SAEs: their first two latents are the crosscoder's shared ones, the last is dead there.

    Latents of the second are in the opposite order.
    """
    rows = [{**PLACE, "hook": hook, "sae": "topk", "seed": 0} for hook in (first_hook, second_hook)]
    directions = {HOOKS[0]: E[[1, 0, 3]] * 5, HOOKS[1]: E[[3, 2, 1]]}
    table = pd.DataFrame(
        {
            "latent": [0, 1, 2],
            "correlation_one": [0.9, 0.8, 0.3],
            "correlation_one_match": [2, 1, 0],
        }
    )
    if first_hook == HOOKS[1]:
        table = table.assign(latent=[2, 1, 0], correlation_one_match=[0, 1, 2])
    settings = {"architecture": "topk", "d_in": 4, "d_sae": 3, "settings": {}, "training": {}}
    saes = [
        Record(settings, {"sae_weights.safetensors": directions[hook]}.get)
        for hook in (first_hook, second_hook)
    ]
    similarity = Record({"n_tokens": 99, "n_documents": 9}, {"first.parquet": table}.get)
    runs = [Run(key_of(row), {"sae": sae}) for row, sae in zip(rows, saes, strict=True)]
    runs.append(Run(measured(rows[0], rows[1]), {"similarity": similarity, "sae": saes[0]}))
    pair = {"comparison": "hooks", "differ": ["hook"], "first": rows[0], "second": rows[1]}
    return runs, pair


@pytest.mark.parametrize("hooks", [HOOKS, HOOKS[::-1]])
def test_matched_pairs_are_found_in_latents_of_both_places(hooks):
    run, given = crosscoder()
    runs, pair = of_pair(*hooks)
    table = agreement([run, *runs], crosscoders=[given], shuffled=[], pairs=[pair], bootstrap=200)
    found = table.set_index("kind")
    assert found["n_pairs"].to_dict() == {"matched": 2, "weakly matched": 1, "exchanged": 2}
    # of the weak one the crosscoder's latent is dead
    assert found["cosine"].to_dict() == {"matched": 1, "weakly matched": 0, "exchanged": 0}
    assert found["found"].tolist() == [1, 0, 0] and found["found_high"].tolist() == [1, 0, 0]
    assert found["cosine_low"].to_list()[::2] == [1, 0]  # nothing varies
    assert found["first_hook"].tolist() == [hooks[0]] * 3
    said = " ".join(summary.agreeing(table))
    assert "100% are one of its features, with exchanged partners 0%" in said


def test_directions_of_one_place_alone_are_no_common_feature():
    run, given = crosscoder()
    runs, pair = of_pair()
    runs[0].records["sae"].read = {"sae_weights.safetensors": E[[0, 0, 0]]}.get
    runs[1].records["sae"].read = {"sae_weights.safetensors": E[[2, 2, 2]]}.get
    table = agreement([run, *runs], crosscoders=[given], shuffled=[], pairs=[pair])
    # the last latent has e0 and e2 and is shared; those that have one of them are not
    assert table["cosine"].tolist() == [1, 1, 1] and table["found_low"].isna().all()
    other = (PARTS[0].copy(), PARTS[1].copy())
    other[0][5] = E[3]
    run, given = crosscoder(parts=other)
    table = agreement([run, *runs], crosscoders=[given], shuffled=[], pairs=[pair])
    assert table["cosine"].tolist() == [0, 0, 0]


def test_pairs_at_other_places_are_not_of_the_crosscoder():
    run, given = crosscoder(others=("mlp_out.4",))
    runs, pair = of_pair()
    table = agreement([run, *runs], crosscoders=[given], shuffled=[], pairs=[pair])
    assert table.empty and "found" in table
    assert not list(summary.agreeing(table))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_figures_have_a_panel_per_crosscoder_and_place(n):
    made = [crosscoder(sae=f"cross-{i}") for i in range(n)]
    given = {"crosscoders": [one for _, one in made], "shuffled": []}
    runs, pair = of_pair()
    table = norms([run for run, _ in made], **given)
    drawing = relative_norms(table)
    shown = [ax for ax in drawing.figure.axes if ax.get_visible()]
    assert len(shown) == n and len(drawing.rows) == 5 * n  # the live ones
    table = agreement([*(run for run, _ in made), *runs], pairs=[pair], **given)
    drawing = draw_agreement(table)
    assert len([ax for ax in drawing.figure.axes if ax.get_visible()]) == 2 * n
    assert len(drawing.rows) == 3 * n
